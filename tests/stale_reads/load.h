#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/histogram.h"
#include "stale_reads/history.h"
#include "stale_reads/link.h"

namespace larder::stale {

struct Options {
  std::vector<Place> larders;
  Place direct;
  int keys = 600;
  int readers = 3;  ///< of each Larder; the first of them is a steady one
  int writers = 6;
  int pipeline = 64;
  std::uint32_t seed = 1;
  Limits limits;
};

/// A key: every eighth is a hash with one field, the others are strings.
struct Key {
  Bytes name;
  bool is_hash;
  std::vector<Bytes> reads;  ///< requests that show its value
  History history;
};

/// What went on, counted over all threads.
struct Report {
  std::uint64_t reads = 0, judged = 0, stale = 0;
  std::uint64_t direct_reads = 0, writes = 0, doubtful_writes = 0;
  int lost_writes = 0;
  std::uint64_t stale_p50_us = 0, stale_p99_us = 0, stale_max_us = 0;
  std::uint64_t slowest_us = 0;
  std::map<std::string, int> errors;    ///< error replies to reads, by their first words
  std::vector<std::string> violations;  ///< the first of them in words
  std::uint64_t violated = 0;
};

/// Readers through every Larder, writers through all of them and directly, one observer of the backend.
///
/// Thread: the public functions are called by one thread.
class Load {
 public:
  explicit Load(const Options& options);
  ~Load();

  [[nodiscard]] std::uint64_t reads() const noexcept { return reads_; }

  /// FLUSHALL through a Larder. Returns whether it was answered with OK.
  bool flush(const std::string& larder);

  /// Stops the writers and compares, after the bound, what each Larder shows with what the backend holds;
  /// then the writers go on. Returns how many values differed; each is a violation.
  int settle();

  /// Ends all threads and judges what they have seen.
  [[nodiscard]] Report finish();

 private:
  struct Seen {
    std::size_t key;
    Read read;
  };
  struct Asked {
    std::size_t key;
    History::Shown shown;
  };
  /// What a reader asks for. A steady one reads few keys and in one way, so that L1 has them all and it goes
  /// on reading while nothing comes from the backend; the others soon wait for something that L1 has not.
  enum class Taste { all, steady };

  /// What one reader has met.
  struct Notes {
    std::vector<Seen> suspects;
    std::map<std::string, int> errors;
  };

  void write(std::uint32_t number);
  void write_one(Link& link, PathId path, std::size_t key, std::minstd_rand& random);
  void read(PathId path, std::uint32_t number, Taste taste, Notes& notes);
  [[nodiscard]] std::vector<std::vector<Asked>> make_batch(Taste taste, std::minstd_rand& random,
                                                           Bytes& requests);
  void read_batch(PlainLink& link, PathId path, const std::vector<std::vector<Asked>>& batch,
                  ByteView requests, Notes& notes);
  void note(const Asked& asked, ByteView text, PathId path, TimeUs begun, TimeUs ended, Notes& notes);
  void look_at_all();
  void observe();
  [[nodiscard]] Version look(Link& link, std::size_t key);
  [[nodiscard]] Version look_if_possible(Link& link, std::size_t key);
  [[nodiscard]] bool shows_the_same(Link& direct, Link& larder, std::size_t key, const std::string& name);
  void violate(const std::string& what);
  void guarded(const std::string& who, const std::function<void()>& work);
  void judge_all(Report& report);

  const Options options_;
  std::deque<Key> keys_;
  std::deque<Notes> notes_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false}, pausing_{false};
  std::atomic<int> writing_{0};
  std::atomic<std::uint64_t> reads_{0}, direct_reads_{0}, writes_{0}, doubtful_writes_{0};
  Histogram answers_, staleness_;
  std::mutex mutex_;
  std::vector<std::string> violations_;  ///< guarded by mutex_
  std::uint64_t violated_ = 0;           ///< guarded by mutex_
};

}  // namespace larder::stale
