#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace larder::stale {

/// What a key holds: the number of the write that put it there.
using Version = std::uint32_t;

inline constexpr Version kAbsent = 0;
inline constexpr Version kUnknown = ~Version{0};

/// Monotonic clock, µs; those of all threads can be compared.
using TimeUs = std::int64_t;

inline constexpr TimeUs kNever = INT64_MAX;

/// A way to the data: an index into the names of Limits' user. The backend itself is one of them.
using PathId = int;

/// Nobody's own write.
inline constexpr PathId kNobody = -1;

/// What the judgement grants.
struct Limits {
  TimeUs bound_us = 1'000'000;   ///< P3: a change made elsewhere may be unseen for so long
  TimeUs linger_us = 8'000'000;  ///< a write without an answer may take effect so much later
};

/// A read that did not show what the key was known to hold.
struct Read {
  PathId path;
  Version version;
  TimeUs begun, ended;
};

enum class Verdict {
  good,
  older_than_own_write,  ///< P2
  older_than_bound,      ///< P3
  never_written,
};

/// The judgement of one read. Units: `stale_us` is how long before the read the backend certainly had ceased
/// to hold what it shows; 0 when it may still have held it.
struct Judgement {
  Verdict verdict;
  TimeUs stale_us;
};

/// What one key has held, as far as it can be known from outside.
///
/// A key has one writer, which waits for each answer, and every write brings back what it replaced. So the
/// chain of states is known although Redis may lose answered writes in a failover: the next write tells what
/// it found. A read is judged by whether the backend *may* have held what it shows, at some moment between
/// (its begin - bound) and its end; own writes move that first moment up to their answer.
///
/// Invariant: `changes_` are in the order of `known`. Thread: any; the writer alone begins and ends writes.
class History {
 public:
  History();
  History(const History&) = delete;

  /// A new version is about to be written.
  Version begin_write(TimeUs now);

  /// It was answered with what it replaced. `state` is the version, or kAbsent if it deleted the key.
  void end_write(Version state, Version replaced, PathId path, TimeUs now);

  /// It was answered with an error or not at all: nobody knows whether it takes effect, or when.
  void doubt_write(Version state);

  /// What the key holds for all that is known.
  struct Shown {
    Version current;
    std::uint32_t changes;  ///< how many writes had begun or ended
  };

  /// The backend's own word, asked for after shows() had said `seen`.
  ///
  /// Returns whether it counts: nothing was written meanwhile.
  bool observe(const Shown& seen, Version version, TimeUs now);

  /// All keys were emptied between the two moments by a client of `path`; `seen` is of before.
  void flushed(const Shown& seen, PathId path, TimeUs begun, TimeUs ended);

  /// A flush that may have taken effect from `begun` on, or not at all.
  void doubt_flush(TimeUs begun);

  /// What readers compare with.
  [[nodiscard]] Shown shows() const noexcept {
    return {current_.load(std::memory_order_acquire), changes_count_.load(std::memory_order_acquire)};
  }

  /// True when a read that shows `version` needs no judgement: it is what was known when it began, what is
  /// known now, or what is just being written.
  [[nodiscard]] bool is_current(const Shown& at_begin, Version version) const noexcept {
    return version == at_begin.current || version == current_.load(std::memory_order_acquire) ||
           version == being_written_.load(std::memory_order_acquire);
  }

  [[nodiscard]] Judgement judge(const Read& read, const Limits& limits) const;

  /// How many answered writes the backend has lost.
  [[nodiscard]] int lost_writes() const;

  /// The last `count` states, for a report.
  [[nodiscard]] std::string describe(std::size_t count) const;

 private:
  struct Change {
    Version version;   ///< kAbsent: deleted
    Version replaced;  ///< kUnknown: nobody said it
    PathId path;       ///< whose client was told
    TimeUs begun;      ///< in effect no sooner
    TimeUs known;      ///< in effect no later
  };
  struct Doubt {
    Version version;
    TimeUs begun;
  };
  struct Span {
    TimeUs from, to;
  };

  void append(const Change& change);
  [[nodiscard]] std::vector<Span> spans_of(Version version, const Limits& limits) const;
  [[nodiscard]] TimeUs own_answer(PathId path, TimeUs before) const;
  [[nodiscard]] TimeUs next_known(TimeUs begun_after) const;
  [[nodiscard]] bool may_be_doubtful(Version version) const;

  mutable std::mutex mutex_;
  std::vector<Change> changes_;
  std::vector<Doubt> doubts_;
  std::atomic<Version> current_{kAbsent};
  std::atomic<Version> being_written_{kUnknown};  ///< kUnknown: nothing
  std::atomic<std::uint32_t> changes_count_{0};
  Version newest_ = kAbsent;
  TimeUs write_begun_ = 0;
};

}  // namespace larder::stale
