#include "backend/postgres/upkeep.h"

#include <algorithm>

#include <fmt/core.h>

#include "backend/postgres/schema.h"
#include "backend/postgres/tag_columns.h"
#include "base/log.h"

namespace larder::postgres {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kStepInterval{250};
constexpr std::chrono::seconds kSlowInterval{5};
constexpr std::int64_t kPagesPerStep = 128;  // 1 MB: a few ms

/// A step that removed as many is followed by the next one at once.
constexpr std::int64_t kManyRemoved = 500;

}  // namespace

std::int64_t measure_clock_offset_ms(BlockingSession& session) {
  const UnixMs before = unix_now_ms();
  const Result found = session.query("select (extract(epoch from clock_timestamp()) * 1000)::int8");
  const UnixMs after = unix_now_ms();
  const UnixMs theirs = found.number(0, 0);
  if (theirs >= before - 1 && theirs <= after + 1) return 0;
  return theirs - (before + after) / 2;
}

void Upkeep::start() {
  thread_ = std::thread([this] { run(); });
}

void Upkeep::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Upkeep::run() {
  do {
    try {
      BlockingSession session(shared_.options, SessionUse::upkeep);
      if (shared_.options.schema_per_process) claim_test_schema(session, shared_.options.schema);
      is_sweeper_ = false;
      work(session);
      return;
    } catch (const SqlError& error) {
      log::debug("postgres: upkeep starts again: {}", error.what());
    }
  } while (pause(kStepInterval));
}

void Upkeep::work(BlockingSession& session) {
  for (auto next_slow = Clock::now();;) {
    if (Clock::now() >= next_slow) {
      next_slow = Clock::now() + kSlowInterval;
      shared_.clock_offset_ms = measure_clock_offset_ms(session);
      if (shared_.options.schema_per_process)
        session.script("update meta set value = now()::text where name = 'seen'");
      is_sweeper_ = is_sweeper_ || become_sweeper(session);
    }
    invalidate_pending(session);
    invalidate_queued(session);
    const std::int64_t removed = is_sweeper_ ? sweep_step(session) : 0;
    if (!pause(removed >= kManyRemoved ? std::chrono::milliseconds(0) : kStepInterval)) return;
  }
}

bool Upkeep::become_sweeper(BlockingSession& session) {
  const Result got = session.query(
      fmt::format("select 1 where pg_try_advisory_lock(hashtextextended('larder sweeper {}', 0))",
                  shared_.options.schema));
  return got.rows() == 1;
}

/// Walks the table's pages, a few at a time; rows that somebody holds locked are left for the next round.
std::int64_t Upkeep::sweep_step(BlockingSession& session) {
  const Result found = session.query(fmt::format(
      "with gone as (delete from kv where ctid = any(array("
      "    select ctid from kv where ctid >= '({0},0)' and ctid < '({1},0)'"
      "    and exp <= (extract(epoch from clock_timestamp()) * 1000)::int8 for update skip locked)) "
      "returning 1)"
      " select (select count(*) from gone), pg_relation_size('kv') / current_setting('block_size')::int8",
      next_page_, next_page_ + kPagesPerStep));
  const std::int64_t pages = found.number(0, 1);
  next_page_ += kPagesPerStep;
  if (next_page_ >= pages) next_page_ = 0;
  analyze_if_grown(session, pages);
  shared_.statistics.swept += static_cast<std::uint64_t>(found.number(0, 0));
  return found.number(0, 0);
}

/// Lanes plan their statements once, and again when the table was analyzed. A plan made while it was small
/// may read all of it for each batch; autovacuum would find out within minutes, if at all.
void Upkeep::analyze_if_grown(BlockingSession& session, std::int64_t pages) {
  constexpr std::int64_t kFewPages = 2;
  analyzed_pages_ =
      std::min(analyzed_pages_, pages);  // it was flushed, and others may have had it analyzed since
  if (pages < std::max(kFewPages, 2 * analyzed_pages_)) return;
  analyzed_pages_ = pages;
  session.script("analyze kv");
}

/// Repeats what failed before, in steps of their own transactions: none of them takes long, and what was done
/// is done. It is over when a step finds nothing: what was renamed between two steps was found by the later
/// one.
void Upkeep::invalidate_pending(BlockingSession& session) {
  while (const std::optional<PendingInvalidations::Entry> entry = shared_.pending.first()) {
    for (int rows = 1; rows > 0;) {
      const UnixMs now_ms = unix_now_ms() + shared_.clock_offset_ms;
      const Result found = session.query(
          kInvalidateSome, invalidation_params(entry->db, entry->query, shared_.coherence.id(), now_ms));
      void_invalidated(shared_.keyspace, entry->db, found);
      rows = found.rows();
    }
    shared_.pending.remove(*entry);
  }
}

/// What clients of any Larder have left for later, in such steps too.
void Upkeep::invalidate_queued(BlockingSession& session) {
  for (int rows = 1; rows > 0;) {
    Params params;
    params.add_int8(shared_.coherence.id());
    params.add_int8(unix_now_ms() + shared_.clock_offset_ms);
    const Result found = session.query(kInvalidateQueued, params);
    rows = found.rows();
    if (rows > 0) void_invalidated(shared_.keyspace, static_cast<int>(found.number(0, 0)), found, 1);
  }
}

/// False when upkeep is to stop.
bool Upkeep::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return stopping_; });
}

}  // namespace larder::postgres
