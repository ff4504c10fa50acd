#include "backend/redis/tag_batch.h"

#include <algorithm>

#include "backend/redis/tag_record.h"
#include "backend/redis/tag_scripts.h"
#include "base/clock.h"
#include "base/hash.h"
#include "command/arguments.h"

namespace larder::redis {
namespace {

constexpr std::size_t kMostKeys = 64;
constexpr std::size_t kMostTags = 256;
constexpr std::size_t kLongestValue = 16 * 1024;
constexpr std::size_t kMostBytes = 64 * 1024;

/// Whether Redis will write and say nothing but OK.
bool always_writes(const WriteOptions& options) noexcept {
  if (options.condition != Condition::none || options.returns_old_value) return false;
  return options.expiry != ExpiryOption::keep_ttl && expiry_of(options, unix_now_ms());
}

/// The command that does what the option says, to a key that is there.
ByteView command_of(ExpiryOption option) noexcept {
  switch (option) {
    case ExpiryOption::ex:
      return "EXPIRE";
    case ExpiryOption::px:
      return "PEXPIRE";
    case ExpiryOption::exat:
      return "EXPIREAT";
    case ExpiryOption::pxat:
      return "PEXPIREAT";
    default:
      return {};
  }
}

}  // namespace

bool TagBatch::take(const Request& request, const TagGroup& group) {
  const Result<WriteOptions> options = parse_set_options(request.argv.subspan(3));
  if (!options || !options->tags || options->tags->empty() || !always_writes(*options)) return false;
  const ByteView key = request.argv[1], value = request.argv[2];
  const std::uint64_t hash = hash_bytes(key);
  if (!has_room_for(request, hash)) return false;

  sorted_.assign(options->tags->begin(), options->tags->end());
  std::ranges::sort(sorted_);
  sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
  record_.clear();
  append_record(sorted_, record_);
  if (empty()) records_name_ = group.records();
  expires_ |= options->expiry != ExpiryOption::none;
  ++keys_;
  carried_ += sorted_.size();
  key_hashes_.push_back(hash);
  append_word(record_, records_);
  append_word(key, pairs_);
  append_word(value, pairs_);
  append_word(command_of(options->expiry), expiries_);
  append_word(options->expiry_text, expiries_);
  return true;
}

bool TagBatch::has_room_for(const Request& request, std::uint64_t key_hash) const noexcept {
  const std::size_t tags = request.argv.size();  // not more
  if (request.argv[2].size() > kLongestValue || tags > kMostTags) return false;
  if (empty()) return true;
  return keys_ < kMostKeys && pairs_.size() < kMostBytes && carried_ + tags <= kMostTags &&
         std::ranges::find(key_hashes_, key_hash) == key_hashes_.end();
}

void TagBatch::append_to(Bytes& out) {
  const std::size_t words_each = expires_ ? 5 : 3;
  out += '*';
  append_size(5 + keys_ * words_each, out);
  append_word("EVALSHA", out);
  append_word(loaded(TagScript::set_many).sha, out);
  append_number(0, out);
  append_word(records_name_, out);
  append_number(keys_, out);
  out.append(pairs_).append(records_);
  if (expires_) out.append(expiries_);
  clear();
}

void TagBatch::clear() noexcept {
  keys_ = carried_ = 0;
  expires_ = false;
  key_hashes_.clear();
  for (Bytes* part : {&pairs_, &records_, &expiries_}) part->clear();
}

}  // namespace larder::redis
