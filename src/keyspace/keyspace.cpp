#include "keyspace/keyspace.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <random>
#include <thread>

#include "keyspace/answers.h"
#include "keyspace/shard.h"

namespace larder {
namespace {

constexpr std::size_t kStripes = 1 << 16;  // epochs; a shared stripe only refuses a fill it need not have
constexpr std::size_t kMaxSources =
    4096;  // tracked connections over the life of a process reuse their source
constexpr std::uint64_t kSmallestShard =
    1 << 20;  // an L1 of a few MiB stays one FIFO: S3-FIFO wants ~1000 entries
constexpr std::uint64_t kMostShards = 64;
constexpr std::size_t kMostAnswerBytes = 32 * 1024;  // of one key, unless the newest alone is bigger

std::uint64_t shard_count_for(std::uint64_t budget_bytes) {
  return std::clamp<std::uint64_t>(std::bit_floor(budget_bytes / kSmallestShard + 1), 1, kMostShards);
}

Item item_of(const Record& record) noexcept {
  return {record.value(), record.expire_at(), record.type()};
}

}  // namespace

Keyspace::Keyspace(const Options& options)
    : options_(options),
      budget_bytes_(options.budget_bytes),
      eviction_(options.eviction),
      shard_bits_(std::countr_zero(shard_count_for(options.budget_bytes))),
      stripes_(std::make_unique<std::atomic<std::uint32_t>[]>(kStripes)),
      sources_(std::make_unique<Source[]>(kMaxSources)) {
  for (int i = 0; i < 1 << shard_bits_; ++i)
    shards_.push_back(std::make_unique<Shard>(options.databases, shard_bits_, total_bytes_, tracked_));
  for (int db = 0; db < options.databases; ++db) physical_db_.push_back(db);
}

Keyspace::~Keyspace() = default;

std::size_t Keyspace::shard_index(std::uint64_t hash) const noexcept {
  return shard_bits_ == 0 ? 0 : static_cast<std::size_t>(hash >> (64 - shard_bits_));
}

Shard& Keyspace::shard_of(std::uint64_t hash) noexcept {
  return *shards_[shard_index(hash)];
}

// --- as an L1 ---

Lookup Keyspace::read(const KeyRef& key, UnixMs now_ms, FunctionRef<void(const Item&)> visit,
                      ByteView question) {
  Shard& shard = shard_of(key.hash);
  const std::uint32_t hash = hash_in_shard(key.hash, shard_bits_);
  const std::lock_guard lock(shard.mutex);
  Record* record = shard.find(physical(key.db), hash, key.bytes);
  if (record != nullptr && is_worthless(*record, now_ms)) {
    shard.counters.expired.add(record->is_expired(now_ms) ? 1 : 0);
    shard.erase(*record, hash);
    record = nullptr;
  }
  const std::optional<Item> item =
      record == nullptr ? std::nullopt : shown(*record, question, now_ms, Trust::current);
  if (!item) {
    shard.counters.misses.add();
    return Lookup::miss;
  }
  shard.counters.hits.add();
  shard.touch(*record, eviction());
  if (item->type == Type::none) return Lookup::absent;
  visit(*item);
  return Lookup::hit;
}

Lookup Keyspace::read_stale(const KeyRef& key, UnixMs now_ms, FunctionRef<void(const Item&)> visit,
                            ByteView question) {
  Shard& shard = shard_of(key.hash);
  const std::lock_guard lock(shard.mutex);
  const Record* record = shard.find(physical(key.db), hash_in_shard(key.hash, shard_bits_), key.bytes);
  if (record == nullptr || record->is_expired(now_ms)) return Lookup::miss;
  const std::optional<Item> item = shown(*record, question, now_ms, Trust::stale_too);
  if (!item) return Lookup::miss;
  if (item->type == Type::none) return Lookup::absent;
  visit(*item);
  return Lookup::hit;
}

bool Keyspace::knows(const KeyRef& key, UnixMs now_ms, ByteView question) {
  Shard& shard = shard_of(key.hash);
  const std::lock_guard lock(shard.mutex);
  const Record* record = shard.find(physical(key.db), hash_in_shard(key.hash, shard_bits_), key.bytes);
  return record != nullptr && !record->is_expired(now_ms) && shown(*record, question, now_ms, Trust::current);
}

/// What a live record says to a reader; nothing when it is void for that reader, or has no answer to the
/// question.
std::optional<Item> Keyspace::shown(const Record& record, ByteView question, UnixMs now_ms,
                                    Trust trust) const noexcept {
  if (record.layout().stamp && !is_trusted(record.stamp(), now_ms, trust)) return std::nullopt;
  Item item = item_of(record);
  if (item.type != Type::answers) return item;
  Answers answers(item.value);
  while (const auto entry = answers.next()) {
    if (entry->question != question || !is_trusted(entry->stamp, now_ms, trust)) continue;
    item.value = entry->reply;
    return item;
  }
  return std::nullopt;
}

Epoch Keyspace::epoch(std::uint64_t hash) const noexcept {
  const std::uint64_t global = global_epoch_.load(std::memory_order_acquire);
  return global << 32 | stripes_[hash % kStripes].load(std::memory_order_acquire);
}

bool Keyspace::fill(const KeyRef& key, ByteView value, UnixMs expire_at, Epoch noted, SourceId source,
                    std::uint32_t source_generation) {
  return fill_record(key, {value, expire_at, Type::string}, noted, {source, source_generation});
}

bool Keyspace::fill_absent(const KeyRef& key, UnixMs expire_at, Epoch noted, SourceId source,
                           std::uint32_t source_generation) {
  return fill_record(key, {{}, expire_at, Type::none}, noted, {source, source_generation});
}

bool Keyspace::fill_record(const KeyRef& key, const Item& item, Epoch noted, Stamp stamp) {
  if (!enabled()) return false;
  Shard& shard = shard_of(key.hash);
  {
    const std::lock_guard lock(shard.mutex);
    if (!may_fill(epoch(key.hash), noted, stamp, key.bytes.size() + item.value.size())) {
      shard.counters.refused_fills.add();
      return false;
    }
    put_filled(shard, key, item, stamp);
  }
  enforce_budget(shard);
  return true;
}

bool Keyspace::fill_answer(const KeyRef& key, const Answer& answer, UnixMs expire_at, Epoch noted,
                           SourceId source, std::uint32_t source_generation) {
  if (!enabled()) return false;
  static thread_local Bytes packed;
  const Stamp stamp{source, source_generation};
  Shard& shard = shard_of(key.hash);
  {
    const std::lock_guard lock(shard.mutex);
    if (!may_fill(epoch(key.hash), noted, stamp, key.bytes.size() + Answers::size_of(answer))) {
      shard.counters.refused_fills.add();
      return false;
    }
    packed.clear();
    Answers::append(packed, answer, stamp);
    expire_at = collect_answers(shard, key, answer.question, expire_at, packed);
    put_filled(shard, key, {packed, expire_at, Type::answers}, stamp);
  }
  if (packed.capacity() > 2 * kMostAnswerBytes) Bytes().swap(packed);
  enforce_budget(shard);
  return true;
}

/// Whoever moves the epoch erases under the shard's lock afterwards: seen unmoved under that lock means the
/// erasure is still to come.
bool Keyspace::may_fill(Epoch now, Epoch noted, Stamp stamp, std::size_t bytes) const noexcept {
  return now == noted && is_current(stamp) && Record::size_for({true, true}, 0, bytes) <= share() / 8;
}

void Keyspace::put_filled(Shard& shard, const KeyRef& key, const Item& item, Stamp stamp) {
  const Record::Layout layout{item.expire_at != kNoExpiry, true};
  Record& record = shard.put(physical(key.db), hash_in_shard(key.hash, shard_bits_), key.bytes, layout,
                             item.value.size(), eviction());
  std::ranges::copy(item.value, record.value_data());
  if (layout.expiry) record.set_expire_at(item.expire_at);
  if (item.type == Type::none) record.mark_absent();
  if (item.type == Type::answers) record.mark_answers();
  record.set_stamp(stamp);
  shard.counters.fills.add();
}

/// Appends the answers that the key has to other questions, as long as there is room; returns until when all
/// of them are believed.
UnixMs Keyspace::collect_answers(Shard& shard, const KeyRef& key, ByteView question, UnixMs expire_at,
                                 Bytes& kept) const {
  const Record* old = shard.find(physical(key.db), hash_in_shard(key.hash, shard_bits_), key.bytes);
  if (old == nullptr || old->type() != Type::answers || is_void(*old)) return expire_at;
  const std::size_t most = std::min<std::size_t>(kMostAnswerBytes, share() / 16);
  Answers answers(old->value());
  while (const auto entry = answers.next()) {
    if (entry->question == question || !is_current(entry->stamp)) continue;
    if (kept.size() + entry->whole.size() > most) break;
    kept.append(entry->whole);
  }
  // The key was not written in between: two times that differ are one, told twice with the clock's error.
  return sooner(expire_at, old->expire_at());
}

Epoch Keyspace::move_epoch(std::uint64_t hash) noexcept {
  const std::uint64_t global = global_epoch_.load(std::memory_order_acquire);
  return global << 32 | (stripes_[hash % kStripes].fetch_add(1, std::memory_order_acq_rel) + 1u);
}

Epoch Keyspace::void_key(const KeyRef& key, ReaderId author) {
  const Epoch moved_to = void_key_early(key);
  tracked_.changed(key.bytes, author);
  return moved_to;
}

Epoch Keyspace::void_key_early(const KeyRef& key) noexcept {
  const Epoch moved_to = move_epoch(key.hash);
  if (!enabled()) return moved_to;
  Shard& shard = shard_of(key.hash);
  const std::lock_guard lock(shard.mutex);
  erase_if_found(shard, physical(key.db), key);
  return moved_to;
}

void Keyspace::void_key_everywhere(ByteView bytes) {
  const KeyRef key(0, bytes);
  move_epoch(key.hash);
  if (enabled()) {
    Shard& shard = shard_of(key.hash);
    const std::lock_guard lock(shard.mutex);
    for (int db = 0; db < options_.databases; ++db) erase_if_found(shard, db, key);
  }
  tracked_.changed(bytes);
}

void Keyspace::erase_if_found(Shard& shard, int physical_db, const KeyRef& key) noexcept {
  const std::uint32_t hash = hash_in_shard(key.hash, shard_bits_);
  Record* record = shard.find(physical_db, hash, key.bytes);
  if (record == nullptr) return;
  shard.erase(*record, hash);
  shard.counters.invalidations.add();
}

void Keyspace::void_all() {
  void_all_early();
  tracked_.all_changed();
}

void Keyspace::void_all_early() noexcept {
  global_epoch_.fetch_add(1, std::memory_order_acq_rel);
  const SourceId count = source_count_.load(std::memory_order_acquire);
  for (SourceId source = 0; source < count; ++source) move_generation(source);
}

SourceId Keyspace::add_source() {
  const SourceId source = source_count_.fetch_add(1, std::memory_order_acq_rel);
  if (source >= kMaxSources) throw std::length_error("too many L1 sources");
  return source;
}

void Keyspace::void_source(SourceId source) {
  move_generation(source);
  tracked_.all_changed();
}

void Keyspace::move_generation(SourceId source) noexcept {
  const std::lock_guard lock(sources_mutex_);
  sources_[source].stale_until.store(0, std::memory_order_release);
  sources_[source].generation.fetch_add(1, std::memory_order_acq_rel);
}

void Keyspace::lose_source(SourceId id, UnixMs stale_until) {
  {
    const std::lock_guard lock(sources_mutex_);
    Source& source = sources_[id];
    const std::uint32_t lost = source.generation.load(std::memory_order_relaxed);
    if (source.stale_until.load(std::memory_order_relaxed) == 0) {
      source.stale_generation.store(lost, std::memory_order_release);
      source.stale_until.store(stale_until, std::memory_order_release);
    }
    source.generation.store(lost + 1, std::memory_order_release);
  }
  tracked_.all_changed();
}

void Keyspace::forget_stale(SourceId source) noexcept {
  const std::lock_guard lock(sources_mutex_);
  sources_[source].stale_until.store(0, std::memory_order_release);
}

std::uint32_t Keyspace::source_generation(SourceId source) const noexcept {
  return sources_[source].generation.load(std::memory_order_acquire);
}

bool Keyspace::is_current(Stamp stamp) const noexcept {
  return source_generation(stamp.source) == stamp.generation;
}

bool Keyspace::is_stale(Stamp stamp, UnixMs now_ms) const noexcept {
  const Source& source = sources_[stamp.source];
  return source.stale_until.load(std::memory_order_acquire) > now_ms &&
         source.stale_generation.load(std::memory_order_acquire) == stamp.generation;
}

bool Keyspace::is_trusted(Stamp stamp, UnixMs now_ms, Trust trust) const noexcept {
  return is_current(stamp) || (trust == Trust::stale_too && is_stale(stamp, now_ms));
}

/// Nobody will be shown it again.
bool Keyspace::is_worthless(const Record& record, UnixMs now_ms) const noexcept {
  return record.is_expired(now_ms) || (is_void(record) && !is_stale(record.stamp(), now_ms));
}

bool Keyspace::is_void(const Record& record) const noexcept {
  return record.layout().stamp && !is_current(record.stamp());
}

// --- as a store ---

std::uint64_t Keyspace::size(int db) const noexcept {
  std::uint64_t total = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    total += shard->table(physical(db)).size();
  }
  return total;
}

std::uint64_t Keyspace::expiring(int db) const noexcept {
  std::uint64_t total = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    total += shard->volatile_records(physical(db));
  }
  return total;
}

std::vector<std::unique_lock<std::recursive_mutex>> Keyspace::lock_all() const {
  std::vector<std::unique_lock<std::recursive_mutex>> locks;
  for (const auto& shard : shards_) locks.emplace_back(shard->mutex);
  return locks;
}

void Keyspace::clear(int db) {
  {
    const auto locks = lock_all();
    for (const auto& shard : shards_) shard->clear(physical(db));
  }
  tracked_.all_changed();
}

void Keyspace::clear_all() {
  std::vector<Detached> detached;
  {
    const auto locks = lock_all();
    for (const auto& shard : shards_) detached.push_back(shard->detach_all());
  }
  tracked_.all_changed();
  // Freeing millions of records takes a while: nobody waits for it.
  reaper_ = std::jthread([records = std::move(detached)]() mutable {
    for (Detached& part : records) Shard::free_detached(part);
  });
}

void Keyspace::swap(int db_a, int db_b) {
  {
    const auto locks = lock_all();
    std::swap(physical_db_[static_cast<std::size_t>(db_a)], physical_db_[static_cast<std::size_t>(db_b)]);
  }
  tracked_.all_changed();
}

std::uint64_t Keyspace::scan(int db, std::uint64_t cursor, std::size_t count, UnixMs now_ms,
                             FunctionRef<void(ByteView key, const Item&)> visit) {
  auto hash = static_cast<std::uint32_t>(cursor);
  for (std::size_t index = cursor >> kScanShift; index < shards_.size(); ++index, hash = 0) {
    Shard& shard = *shards_[index];
    const std::lock_guard lock(shard.mutex);
    const RecordTable& table = shard.table(physical(db));
    std::size_t slot = table.first_from(hash);
    for (std::uint32_t last = 0; slot != RecordTable::kNone; slot = table.next(slot)) {
      // Records of one hash belong together: a cursor cannot point between them.
      if (count == 0 && table.hash_at(slot) != last)
        return static_cast<std::uint64_t>(index) << kScanShift | table.hash_at(slot);
      last = table.hash_at(slot);
      count -= count > 0 ? 1 : 0;
      const Record& record = *table.at(slot);
      if (!record.is_expired(now_ms) && !record.is_absent()) visit(record.key(), item_of(record));
    }
    if (count == 0 && index + 1 < shards_.size()) return static_cast<std::uint64_t>(index + 1) << kScanShift;
  }
  return 0;
}

bool Keyspace::random_key(int db, UnixMs now_ms, Bytes& key) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  const std::uint64_t start = random();
  // From a random point on, wrapping once; expired records are passed over.
  for (std::size_t i = 0; i <= shards_.size(); ++i) {
    Shard& shard = *shards_[(shard_index(start) + i) % shards_.size()];
    const std::lock_guard lock(shard.mutex);
    const RecordTable& table = shard.table(physical(db));
    const std::uint32_t from = i == 0 ? hash_in_shard(start, shard_bits_) : 0;
    for (std::size_t slot = table.first_from(from); slot != RecordTable::kNone; slot = table.next(slot)) {
      if (table.at(slot)->is_expired(now_ms)) continue;
      key = table.at(slot)->key();
      return true;
    }
  }
  return false;
}

// --- upkeep ---

std::size_t Keyspace::sweep(std::size_t slots, UnixMs now_ms) {
  std::size_t freed = 0;
  for (std::size_t visited_shards = 0; visited_shards < shards_.size() && slots > 0; ++visited_shards) {
    const std::size_t index = sweep_position_.fetch_add(1, std::memory_order_relaxed) % shards_.size();
    freed += sweep_shard(*shards_[index], slots, now_ms);
  }
  return freed;
}

std::size_t Keyspace::sweep_shard(Shard& shard, std::size_t& slots, UnixMs now_ms) {
  const std::lock_guard lock(shard.mutex);
  if (shard.volatile_records() == 0) return 0;
  std::size_t freed = 0;
  for (int db = 0; db < options_.databases && slots > 0; ++db) {
    const RecordTable& table = shard.table(db);
    std::uint32_t& hash = shard.sweep_from(db);
    std::size_t slot = table.first_from(hash);
    for (; slot != RecordTable::kNone && slots > 0; --slots) {
      Record& record = *table.at(slot);
      hash = table.hash_at(slot);
      if (is_worthless(record, now_ms)) {
        shard.counters.expired.add();
        shard.drop(record, hash);  // the next record may have moved into this slot, or the table shrunk
        slot = table.first_from(hash);
        ++freed;
      } else {
        slot = table.next(slot);
      }
    }
    if (slot == RecordTable::kNone) hash = 0;
  }
  return freed;
}

void Keyspace::enforce_budget(Shard& nearest) noexcept {
  if (eviction() == Eviction::none || !is_over_budget()) return;
  const auto worthless = [this](const Record& record) { return is_void(record); };
  // The shard that grew gives first; then any that holds more than its share: while the sum is too big, there
  // is one.
  for (std::size_t i = 0; i <= shards_.size() && is_over_budget(); ++i) {
    Shard& shard = i == 0 ? nearest : *shards_[evict_position_.fetch_add(1) % shards_.size()];
    const std::lock_guard lock(shard.mutex);
    while (is_over_budget() && shard.used() > share() && shard.evict(eviction(), worthless))
      shard.counters.evictions.add();
  }
}

bool Keyspace::out_of_memory() const noexcept {
  return eviction() == Eviction::none && budget_bytes() > 0 && used_bytes() > budget_bytes();
}

void Keyspace::set_budget(std::uint64_t bytes) {
  budget_bytes_ = bytes;
  enforce_budget(*shards_.front());
}

void Keyspace::set_eviction(Eviction eviction) {
  eviction_ = eviction;
}

std::uint64_t Keyspace::entries() const noexcept {
  std::uint64_t total = 0;
  for (const auto& shard : shards_) total += shard->entries();
  return total;
}

KeyspaceCounters Keyspace::counters() const noexcept {
  KeyspaceCounters sum;
  for (const auto& shard : shards_) {
    const Shard::Counters& part = shard->counters;
    sum.hits += part.hits.get();
    sum.misses += part.misses.get();
    sum.fills += part.fills.get();
    sum.refused_fills += part.refused_fills.get();
    sum.evictions += part.evictions.get();
    sum.invalidations += part.invalidations.get();
    sum.expired += part.expired.get();
  }
  return sum;
}

void Keyspace::reset_counters() noexcept {
  for (const auto& shard : shards_) {
    Shard::Counters& part = shard->counters;
    for (auto* counter : {&part.hits, &part.misses, &part.fills, &part.refused_fills, &part.evictions,
                          &part.invalidations, &part.expired})
      counter->reset();
  }
}

}  // namespace larder
