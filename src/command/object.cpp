#include "command/arguments.h"
#include "command/error_reply.h"
#include "command/handlers.h"
#include "command/help.h"
#include "value/number.h"

namespace larder::commands {
namespace {

// Redis keeps strings up to here in one allocation with their header.
constexpr std::size_t kMaxEmbeddedBytes = 44;

/// What Redis would call a string that was set whole (it says `raw` of one that grew by APPEND).
ByteView encoding_of(ByteView value) noexcept {
  if (parse_integer(value)) return "int";
  return value.size() <= kMaxEmbeddedBytes ? "embstr" : "raw";
}

/// The words behind MEMORY USAGE's key. Samples do not matter to strings: they are only checked.
Result<void> check_samples(std::span<const ByteView> words) {
  for (std::size_t i = 0; i < words.size(); i += 2) {
    if (!equals_ignore_case(words[i], "samples") || i + 1 == words.size()) return Errc::syntax;
    const Result<std::int64_t> samples = integer_argument(words[i + 1]);
    if (!samples) return samples.error();
    if (*samples < 0) return Errc::syntax;
  }
  return {};
}

}  // namespace

void object_encoding(Call& call, Records& records) {
  const std::optional<Item> item = records.find(call.key(2));
  if (!item) return call.reply.null();
  call.reply.bulk(encoding_of(item->value));
}

void object_freq(Call& call, Records& records) {
  const KeyRef key = call.key(2);
  if (!records.find(key)) return call.reply.null();
  call.reply.integer(records.frequency(key));
}

void object_idletime(Call& call, Records& records) {
  if (!records.find(call.key(2))) return call.reply.null();
  append_error(call, Errc::idle_time_not_tracked);
}

void object_refcount(Call& call, Records& records) {
  if (!records.find(call.key(2))) return call.reply.null();
  call.reply.integer(1);
}

void object_help(Call& call, Records&) {
  append_help(call.reply, "object");
}

void memory_usage(Call& call, Records& records) {
  const Result<void> samples = check_samples(call.argv.subspan(3));
  if (!samples) return append_error(call, samples.error());
  const std::size_t bytes = records.memory_usage(call.key(2));
  if (bytes == 0) return call.reply.null();
  call.reply.integer(static_cast<std::int64_t>(bytes));
}

void memory_help(Call& call, Records&) {
  append_help(call.reply, "memory");
}

}  // namespace larder::commands
