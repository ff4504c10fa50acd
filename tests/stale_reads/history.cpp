#include "stale_reads/history.h"

#include <algorithm>

#include <fmt/format.h>

namespace larder::stale {

History::History() : changes_{{kAbsent, kUnknown, kNobody, 0, 0}} {}

// --- what happens ---

Version History::begin_write(TimeUs now) {
  const std::lock_guard lock(mutex_);
  write_begun_ = now;
  being_written_ = ++newest_;
  ++changes_count_;
  return newest_;
}

void History::end_write(Version state, Version replaced, PathId path, TimeUs now) {
  const std::lock_guard lock(mutex_);
  append({state, replaced, path, write_begun_, now});
  being_written_ = kUnknown;
}

void History::doubt_write(Version state) {
  const std::lock_guard lock(mutex_);
  doubts_.push_back({state, write_begun_});
  being_written_ = kUnknown;
  ++changes_count_;
}

bool History::observe(const Shown& seen, Version version, TimeUs now) {
  const std::lock_guard lock(mutex_);
  if (changes_count_ != seen.changes || being_written_ != kUnknown) return false;
  // It has come to be since the last change was, by a failover or by a write without an answer.
  append({version, kUnknown, kNobody, changes_.back().begun, now});
  newest_ = std::max(newest_, version);  // of a load before this one
  return true;
}

void History::flushed(const Shown& seen, PathId path, TimeUs begun, TimeUs ended) {
  doubt_flush(begun);
  const std::lock_guard lock(mutex_);
  // Beside a write nobody can tell which came first: what that write, or the next one, replaced will say it.
  if (changes_count_ != seen.changes || being_written_ != kUnknown) return;
  append({kAbsent, kUnknown, path, begun, ended});
}

void History::doubt_flush(TimeUs begun) {
  const std::lock_guard lock(mutex_);
  doubts_.push_back({kAbsent, begun});
}

void History::append(const Change& change) {
  changes_.push_back(change);
  current_ = change.version;
  ++changes_count_;
}

// --- the judgement ---

Judgement History::judge(const Read& read, const Limits& limits) const {
  const std::lock_guard lock(mutex_);
  TimeUs last_held = -1;
  for (const Span& span : spans_of(read.version, limits))
    if (span.from < read.ended) last_held = std::max(last_held, span.to);
  if (last_held < 0) return {Verdict::never_written, 0};
  const TimeUs stale_us = std::max<TimeUs>(0, read.begun - last_held);
  if (stale_us > limits.bound_us) return {Verdict::older_than_bound, stale_us};
  if (last_held <= own_answer(read.path, read.begun)) return {Verdict::older_than_own_write, stale_us};
  return {Verdict::good, stale_us};
}

/// When the backend may have held `version`: half-open, so that a change and its answer are no overlap.
std::vector<History::Span> History::spans_of(Version version, const Limits& limits) const {
  std::vector<Span> spans;
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    const Change& change = changes_[i];
    const TimeUs until = i + 1 < changes_.size() ? changes_[i + 1].known : kNever;
    if (change.version == version) spans.push_back({change.begun, until});
    // What a write replaced was there before it, whatever was there last for all that was known.
    if (change.replaced == version && i > 0) spans.push_back({changes_[i - 1].begun, change.known});
  }
  for (const Doubt& doubt : doubts_)
    if (doubt.version == version)
      spans.push_back({doubt.begun, std::max(doubt.begun + limits.linger_us, next_known(doubt.begun))});
  return spans;
}

/// When the first change that began after that moment was known.
TimeUs History::next_known(TimeUs begun_after) const {
  const auto next = std::ranges::find_if(
      changes_, [&](const Change& change) { return change.path != kNobody && change.begun > begun_after; });
  return next == changes_.end() ? kNever : next->known;
}

/// When a client of `path` had its last answer to a write before that moment; -1: never.
TimeUs History::own_answer(PathId path, TimeUs before) const {
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change)
    if (change->path == path && change->known <= before) return change->known;
  return -1;
}

int History::lost_writes() const {
  const std::lock_guard lock(mutex_);
  int lost = 0;
  for (std::size_t i = 1; i < changes_.size(); ++i) {
    const Version found = changes_[i].path == kNobody ? changes_[i].version : changes_[i].replaced;
    const bool was_answered = changes_[i - 1].path != kNobody;
    if (was_answered && found != kUnknown && found != changes_[i - 1].version && !may_be_doubtful(found))
      ++lost;
  }
  return lost;
}

bool History::may_be_doubtful(Version version) const {
  return std::ranges::any_of(doubts_, [&](const Doubt& doubt) { return doubt.version == version; });
}

std::string History::describe(std::size_t count) const {
  const std::lock_guard lock(mutex_);
  std::string text;
  const std::size_t first = changes_.size() > count ? changes_.size() - count : 0;
  for (std::size_t i = first; i < changes_.size(); ++i)
    text += fmt::format("{} (found {}, path {}, {} to {}) ", changes_[i].version,
                        static_cast<std::int32_t>(changes_[i].replaced), changes_[i].path, changes_[i].begun,
                        changes_[i].known);
  for (const Doubt& doubt : doubts_) text += fmt::format("doubt {} at {} ", doubt.version, doubt.begun);
  return text;
}

}  // namespace larder::stale
