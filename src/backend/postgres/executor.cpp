#include "backend/postgres/executor.h"

#include <algorithm>

#include <fmt/core.h>

#include "backend/block.h"
#include "backend/postgres/l1_view.h"
#include "backend/postgres/lanes.h"
#include "backend/postgres/loaded_records.h"
#include "backend/postgres/plan.h"
#include "backend/postgres/tag_columns.h"
#include "base/log.h"

namespace larder::postgres {
namespace {

// One in flight, one that collects: a bound on both keeps the wait of the last one short.
constexpr std::size_t kBatchCommands = 1024;
constexpr std::size_t kBatchBytes = 4 << 20;

/// From this attempt on rows are locked when they are loaded, so that a hot key cannot starve anybody.
constexpr int kLockingAttempt = 2;
constexpr int kLastAttempt = 12;

/// Large values (statements.h) are asked for in a second round, and so many bytes of them at a
/// time.
constexpr std::int64_t kLargeBytes = 8 << 20;

/// Modes of the SQL function store().
enum class Mode : std::int16_t { check = 0, put = 1, erase = 2, put_if_seen = 3, erase_if_seen = 4 };

Mode mode_of(const Slot& slot) noexcept {
  const bool blind = slot.loaded == Slot::State::unknown;
  if (!slot.dirty) return Mode::check;
  if (slot.state == Slot::State::present) return blind ? Mode::put : Mode::put_if_seen;
  return blind ? Mode::erase : Mode::erase_if_seen;
}

bool all_have(std::span<Slot* const> slots, Mode mode) noexcept {
  return std::ranges::all_of(slots, [mode](const Slot* slot) { return mode_of(*slot) == mode; });
}

bool changes_tags(const Slot* slot) noexcept {
  return slot->dirty && slot->tags;
}

bool is_full(const Batch& batch, std::size_t more_bytes) noexcept {
  return batch.size() >= kBatchCommands || (!batch.empty() && batch.bytes() + more_bytes > kBatchBytes);
}

bool writes(const Batch::Command& command) noexcept {
  return command.spec->flags.has(Flag::write);
}

}  // namespace

Executor::Executor(boost::asio::io_context& io, Poller& poller, Shared& shared, Lanes& siblings)
    : shared_(shared),
      poller_(poller),
      siblings_(siblings),
      connection_(io, poller, shared, SessionUse::lane) {}

Executor::BatchPtr Executor::new_batch() {
  return spare_ ? std::move(spare_) : std::make_unique<Batch>();
}

void Executor::add(const Request& request, UnixMs now_ms, std::span<const KeyRef> keys) {
  enlist(batch_for(request.raw.size()), request, now_ms, keys);
}

void Executor::add_watch(const Request& request, UnixMs now_ms, std::span<const KeyRef> keys) {
  enlist(batch_for(request.raw.size()), request, now_ms, keys).is_watch = true;
}

void Executor::add_transaction(const Request& exec, UnixMs now_ms, std::unique_ptr<Transaction> transaction) {
  waiting_.push_back(new_batch());
  schedule();
  Batch& batch = *waiting_.back();
  batch.transaction = std::move(transaction);
  Transaction& caller = *batch.transaction;
  std::vector<KeyRef> keys;
  for_each_queued(exec, [&](const Request& queued) {
    keys.clear();
    const Call call{queued.argv, caller.db(), now_ms, exec.reply};
    collect_keys(*queued.spec, call, keys);
    if (!keys.empty()) {
      ReplyWriter& unused = exec.reply;
      enlist(batch, Request{queued.spec, queued.argv, queued.raw, exec.now_ms, caller, unused}, now_ms, keys);
      return;
    }
    // SELECT, HELP and the like: there is nothing to ask the database.
    ReplyWriter reply = caller.reply();
    int db = caller.db();
    Call known{queued.argv, db, now_ms, reply};
    if (queued.spec->name == "select") {
      run_queued_select(known, db);
      caller.select(db);
    } else {
      L1View nothing(shared_.keyspace, now_ms);
      queued.spec->run(known, nothing);
    }
  });
  for (const Watches::Key& key : caller.watched()) batch.want(KeyRef(key.db, key.bytes));
  caller.begin();
}

/// Where the next command goes: into the last batch that waits, if there is room.
Batch& Executor::batch_for(std::size_t bytes) {
  const bool has_room =
      !waiting_.empty() && waiting_.back()->transaction == nullptr && !is_full(*waiting_.back(), bytes);
  if (!has_room) waiting_.push_back(new_batch());
  schedule();
  return *waiting_.back();
}

Batch::Command& Executor::enlist(Batch& batch, const Request& request, UnixMs now_ms,
                                 std::span<const KeyRef> keys) {
  Batch::Command& command = batch.add(request, request.caller.defer(), now_ms, keys);
  command.is_heard_of = shared_.coherence.usable();
  const bool is_write = writes(command);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    Slot& slot = batch.slot_of(command, i);
    if (is_write) {
      slot.noted = shared_.keyspace.void_key_early(keys[i]);
      slot.named_by_write = true;
    } else if (slot.commands == 1) {
      slot.noted = shared_.keyspace.epoch(keys[i].hash);
    }
    if (is_write || slot.commands == 1) slot.generation = shared_.coherence.generation();
  }
  return command;
}

bool Executor::names(std::span<const KeyRef> keys) const noexcept {
  if (idle()) return false;
  return std::ranges::any_of(keys, [this](const KeyRef& key) {
    const auto named = [&key](const BatchPtr& batch) { return batch->names(key); };
    return (running_ && named(running_)) || std::ranges::any_of(waiting_, named);
  });
}

std::size_t Executor::commands() const noexcept {
  std::size_t count = running_ ? running_->size() : 0;
  for (const BatchPtr& batch : waiting_) count += batch->size();
  return count;
}

void Executor::schedule() {
  if (running_ || waiting_.empty() || std::exchange(scheduled_, true)) return;
  poller_.at_end_of_batch([this] { start_next(); });
}

void Executor::start_next() {
  scheduled_ = false;
  while (!connection_.is_open() && !waiting_.empty()) {
    refuse(*waiting_.front(), unreachable());
    waiting_.pop_front();
  }
  if (running_ || waiting_.empty() || !siblings_.may_send(waiting_.front()->size())) return;
  running_ = std::move(waiting_.front());
  waiting_.pop_front();
  started_us_ = steady_now_us();
  attempts_ = 0;
  plan_loads(*running_);
  load();
}

// --- load ---

void Executor::load() {
  if (attempts_ >= kLockingAttempt && !std::exchange(in_transaction_, true))
    connection_.send(Statement::begin);
  send_loads(in_transaction_ ? Statement::load_locked : Statement::load);
  if (databases_.empty() && !in_transaction_) return run();
  connection_.finish([this](Outcome& outcome) {
    if (outcome.failure) return fail(*outcome.failure);
    const std::int64_t large_bytes = take_rows(outcome);
    if (large_bytes > kLargeBytes && running_->size() > 1 && running_->transaction == nullptr) return split();
    large_bytes > 0 ? load_large() : run();
  });
}

/// The rows are known, but for values that were too large to be sent unasked.
void Executor::load_large() {
  send_loads(Statement::load_large);
  connection_.finish([this](Outcome& outcome) {
    if (outcome.failure) return fail(*outcome.failure);
    take_rows(outcome);
    run();
  });
}

/// One statement a database, for all keys that are wanted and not loaded.
void Executor::send_loads(Statement statement) {
  databases_.clear();
  for (const Slot& slot : running_->slots())
    if (slot.is_missing() && std::ranges::find(databases_, slot.key.db) == databases_.end())
      databases_.push_back(slot.key.db);
  for (const int db : databases_) {
    params_.reset();
    params_.add_int8(db);
    params_.begin_array(Params::Element::bytes);
    for (const Slot& slot : running_->slots())
      if (slot.is_missing() && slot.key.db == db) params_.element(slot.key.bytes);
    params_.end_array();
    connection_.send(statement, params_);
  }
}

/// Returns how many bytes of large values are still missing.
std::int64_t Executor::take_rows(Outcome& outcome) {
  std::int64_t large_bytes = 0;
  // `begin` has a result too; the loads are the last ones.
  const std::size_t first = outcome.results.size() - databases_.size();
  for (Slot& slot : running_->slots())
    if (slot.is_missing()) slot.loaded = Slot::State::absent;
  for (std::size_t i = 0; i < databases_.size(); ++i) {
    Result& rows = outcome.results[first + i];
    for (int row = 0; row < rows.rows(); ++row) {
      Slot& slot = *running_->find(KeyRef(databases_[i], rows.bytes(row, 0)));
      const bool is_here = !rows.is_null(row, 1);
      slot.loaded = is_here ? Slot::State::present : Slot::State::unknown;
      slot.loaded_value = rows.bytes(row, 1);
      slot.loaded_expiry = rows.number(row, 2);
      slot.loaded_tags = rows.bytes(row, 5);
      slot.seen = rows.xid(row, 3);
      if (!is_here) large_bytes += rows.number(row, 4);
    }
    running_->keep(std::move(rows));
  }
  return large_bytes;
}

// --- run ---

void Executor::run() {
  if (is_touched()) return abort();
  if (!run_handlers()) return load();
  store();
}

/// Whether a key of the transaction is not as it was when its client began to watch it.
bool Executor::is_touched() {
  if (running_->transaction == nullptr) return false;
  return std::ranges::any_of(running_->transaction->watched(), [this](const Watches::Key& key) {
    const Slot& slot = *running_->find(KeyRef(key.db, key.bytes));
    return slot.seen != key.seen || slot.was_loaded_live(database_now()) != key.was_live;
  });
}

void Executor::see_rows(const Batch::Command& command) {
  for (std::size_t i = 0; i < command.key_count; ++i) {
    const Slot& slot = running_->slot_of(command, i);
    static_cast<Watches::Request&>(*command.caller).see(i, slot.seen, slot.was_loaded_live(command.now_ms));
  }
}

/// False when a handler wanted a key that was not loaded.
bool Executor::run_handlers() {
  const bool only_reads = std::ranges::none_of(running_->commands(), writes);
  LoadedRecords records(*running_);
  replies_.clear();
  for (Batch::Command& command : running_->commands()) {
    // Nothing can make reads run again: their replies need no copy.
    ReplyWriter reply =
        only_reads ? command.caller->reply_to(command.ticket) : ReplyWriter(replies_, command.protocol);
    command.reply_begin = replies_.size();
    if (command.removes_blindly) {
      for (std::size_t i = 0; i < command.key_count; ++i)
        records.erase_blindly(running_->slot_of(command, i));
    } else if (command.is_watch) {
      see_rows(command);
    } else {
      Call call{running_->arguments(command), command.db, command.now_ms, reply};
      records.begin(command);
      command.spec->run(call, records);
    }
    command.reply_end = replies_.size();
    if (records.missed()) return false;
  }
  return true;
}

// --- store ---

void Executor::store() {
  std::vector<Slot*> touched;
  bool dirty = false;
  const bool checks_all = running_->transaction != nullptr;
  for (Slot& slot : running_->slots()) {
    const bool is_checked = checks_all || slot.is_checked;
    if (slot.dirty || (is_checked && slot.loaded != Slot::State::unknown)) touched.push_back(&slot);
    dirty = dirty || slot.dirty;
  }
  if (!dirty) {
    if (in_transaction_) end_transaction();
    return answer();
  }
  std::ranges::sort(touched, [](const Slot* a, const Slot* b) {
    return std::tie(a->key.db, a->key.bytes) < std::tie(b->key.db, b->key.bytes);
  });
  databases_.clear();
  for (auto begin = touched.begin(); begin != touched.end();) {
    const int db = (*begin)->key.db;
    const auto end =
        std::find_if(begin, touched.end(), [db](const Slot* slot) { return slot->key.db != db; });
    databases_.push_back(db);
    send_store(db, {begin, end});
    begin = end;
  }
  send_notifications(touched);
  if (in_transaction_) connection_.send(Statement::commit);
  connection_.finish([this](Outcome& outcome) {
    if (outcome.failure) return fail(*outcome.failure);
    in_transaction_ = false;
    take_removed(outcome);
    answer();
  });
}

void Executor::send_store(int db, std::span<Slot* const> slots) {
  if (all_have(slots, Mode::put)) return send_upsert(db, slots);
  if (all_have(slots, Mode::erase)) return send_remove(db, slots);
  send_mixed(db, slots);
}

void Executor::send_upsert(int db, std::span<Slot* const> slots) {
  params_.reset();
  params_.add_int8(db);
  add_keys(slots);
  add_values(slots);
  add_expiries(slots);
  params_.add_int8(database_now());
  const bool is_tagged = std::ranges::any_of(slots, changes_tags);
  if (is_tagged) add_tags(slots);
  connection_.send(is_tagged ? Statement::upsert_tagged : Statement::upsert, params_);
}

void Executor::send_remove(int db, std::span<Slot* const> slots) {
  params_.reset();
  params_.add_int8(db);
  add_keys(slots);
  connection_.send(Statement::remove, params_);
}

void Executor::send_mixed(int db, std::span<Slot* const> slots) {
  params_.reset();
  params_.add_int8(db);
  add_keys(slots);
  params_.begin_array(Params::Element::int2);
  for (const Slot* slot : slots) params_.element_int2(static_cast<std::int16_t>(mode_of(*slot)));
  params_.end_array();
  params_.begin_array(Params::Element::xid);
  for (const Slot* slot : slots) params_.element_xid(slot->seen);
  params_.end_array();
  add_expiries(slots);
  add_values(slots);
  params_.add_int8(database_now());
  add_tags(slots);
  params_.add_int8(running_->carries_tags ? 1 : 0);
  connection_.send(Statement::store, params_);
}

void Executor::add_keys(std::span<Slot* const> slots) {
  params_.begin_array(Params::Element::bytes);
  for (const Slot* slot : slots) params_.element(slot->key.bytes);
  params_.end_array();
}

void Executor::add_values(std::span<Slot* const> slots) {
  params_.begin_array(Params::Element::bytes);
  for (const Slot* slot : slots) params_.element(slot->dirty ? slot->value : ByteView());
  params_.end_array();
}

void Executor::add_expiries(std::span<Slot* const> slots) {
  params_.begin_array(Params::Element::int8);
  for (const Slot* slot : slots) params_.element_int8(slot->expire_at);
  params_.end_array();
}

void Executor::add_tags(std::span<Slot* const> slots) {
  params_.begin_array(Params::Element::text);
  for (const Slot* slot : slots) {
    if (!changes_tags(slot))
      params_.element(kKeepTags);
    else
      params_.element(slot->tags->empty() ? Bytes(kNoTags) : array_literal(*slot->tags));
  }
  params_.end_array();
}

void Executor::send_notifications(std::span<Slot* const> slots) {
  const Coherence& coherence = shared_.coherence;
  params_.reset();
  params_.add_text(coherence.channel());
  params_.begin_array(Params::Element::text);
  NotificationWriter writer(coherence.id(), [this](ByteView payload) { params_.element(payload); });
  for (const Slot* slot : slots)
    if (slot->dirty) writer.add(slot->key);
  writer.finish();
  params_.end_array();
  params_.add_int8(coherence.id());
  connection_.send(Statement::tell, params_);
}

/// What `remove` and `store` say of the keys that were there; other statements return no such rows.
void Executor::take_removed(Outcome& outcome) {
  for (std::size_t i = 0; i < databases_.size(); ++i) {
    const Result& removed = outcome.results[i];
    for (int row = 0; row < removed.rows(); ++row) {
      Slot* slot = running_->find(KeyRef(databases_[i], removed.bytes(row, 0)));
      const UnixMs expire_at = removed.columns() > 1 ? removed.number(row, 1) : kNoExpiry;
      slot->was_live = expire_at == kNoExpiry || expire_at > database_now();
    }
  }
}

// --- answer ---

void Executor::answer() {
  siblings_.about_to_answer();
  if (shared_.keyspace.tracked().any()) note_authors();
  for (Slot& slot : running_->slots()) publish(slot);
  Statistics& statistics = shared_.statistics;
  ++statistics.batches;
  statistics.batch_size.record(static_cast<std::int64_t>(running_->size()));
  statistics.latency.record(steady_now_us() - started_us_);
  const bool only_reads = std::ranges::none_of(running_->commands(), writes);
  for (const Batch::Command& command : running_->commands()) {
    if (command.removes_blindly) {
      command.caller->reply_to(command.ticket).integer(count_live(command));
    } else if (!only_reads) {
      const ByteView reply =
          ByteView(replies_).substr(command.reply_begin, command.reply_end - command.reply_begin);
      command.caller->reply_to(command.ticket).raw(reply);
    }
    command.caller->is_heard_of = command.is_heard_of;
    command.caller->finish(command.ticket);
  }
  if (running_->transaction != nullptr) running_->transaction->answer();
  release();
}

/// Who alone has changed a key, and reads nothing behind that, may not want to be told of it.
void Executor::note_authors() {
  for (const Batch::Command& command : running_->commands()) {
    if (command.caller->spared == 0 || !writes(command) || command.caller->pending() > 1) continue;
    for (std::size_t i = 0; i < command.key_count; ++i)
      if (Slot& slot = running_->slot_of(command, i); slot.commands == 1 && slot.dirty)
        slot.author = command.caller->spared;
  }
}

std::int64_t Executor::count_live(const Batch::Command& command) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < command.key_count; ++i) count += running_->slot_of(command, i).was_live;
  return count;
}

/// Puts what is now in the database into the L1, if nobody else wrote the key since its last command was
/// parsed.
void Executor::publish(Slot& slot) {
  Keyspace& l1 = shared_.keyspace;
  Epoch epoch = slot.noted;
  if (slot.is_live(database_now())) note_expiry(l1, slot.key, slot.expire_at);
  if (slot.named_by_write) {
    // A read that was sent before the commit must not fill after it: the epoch moves once more.
    epoch = l1.void_key(slot.key, slot.author);
    if (epoch != slot.noted + 1) return;
  }
  if (!slot.generation || slot.state == Slot::State::unknown) return;
  if (slot.is_live(database_now()))
    l1.fill(slot.key, slot.value, slot.expire_at, epoch, shared_.coherence.source(), *slot.generation);
  else
    l1.fill_absent(slot.key, kNoExpiry, epoch, shared_.coherence.source(), *slot.generation);
}

void Executor::release() {
  running_->clear();
  spare_ = std::move(running_);
  constexpr std::size_t kKeptReplyBytes = 1 << 20;
  if (replies_.capacity() > kKeptReplyBytes) replies_ = Bytes();
  siblings_.answered();
}

// --- failure ---

void Executor::fail(const Failure& failure) {
  if (in_transaction_ && failure.kind != Failure::Kind::lost) end_transaction();
  in_transaction_ = false;
  if (failure.kind == Failure::Kind::conflict && ++attempts_ <= kLastAttempt) return retry();
  const bool may_split = running_->size() > 1 && running_->transaction == nullptr;
  if (failure.kind == Failure::Kind::refused && may_split) return split();
  ++shared_.statistics.failures;
  refuse(*running_,
         failure.kind == Failure::Kind::lost ? unreachable() : "ERR the database refused: " + failure.text);
  release();
}

void Executor::retry() {
  ++shared_.statistics.conflicts;
  running_->rewind();
  load();
}

/// One command of many is to blame: two halves, the first of them next.
void Executor::split() {
  if (in_transaction_) end_transaction();
  const std::size_t half = running_->size() / 2;
  for (const auto& [begin, end] : {std::pair(half, running_->size()), std::pair(std::size_t{0}, half)}) {
    BatchPtr part = std::make_unique<Batch>();
    part->take(*running_, begin, end);
    waiting_.push_front(std::move(part));
  }
  release();
}

void Executor::void_written(Batch& batch) {
  for (Slot& slot : batch.slots())
    if (slot.named_by_write) shared_.keyspace.void_key(slot.key);
}

/// None of a transaction is run.
void Executor::abort() {
  if (in_transaction_) end_transaction();
  siblings_.about_to_answer();
  void_written(*running_);
  running_->transaction->abort();
  release();
}

void Executor::refuse(Batch& batch, ByteView error) {
  void_written(batch);
  if (batch.transaction != nullptr) return batch.transaction->refuse(error);
  for (const Batch::Command& command : batch.commands()) {
    command.caller->reply_to(command.ticket).error(error);
    command.caller->finish(command.ticket);
  }
}

void Executor::end_transaction() {
  in_transaction_ = false;
  connection_.send(Statement::rollback);
  connection_.finish([](Outcome&) {});
}

std::string Executor::unreachable() const {
  return "ERR the database is unreachable: " + shared_.dialer.last_error();
}

UnixMs Executor::database_now() const {
  return unix_now_ms() + shared_.clock_offset_ms;
}

}  // namespace larder::postgres
