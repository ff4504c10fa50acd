#include "stale_reads/load.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "base/clock.h"
#include "resp/reply_cursor.h"
#include "stale_reads/requests.h"

namespace larder::stale {
namespace {

constexpr auto kBetweenWrites = std::chrono::microseconds(800);
constexpr auto kBetweenBatches = std::chrono::milliseconds(1);
constexpr auto kBetweenRounds = std::chrono::milliseconds(100);
constexpr TimeUs kLongestStretchUs = 2'000'000;
constexpr auto kAfterLoss = std::chrono::milliseconds(10);
constexpr std::size_t kKeysOfMget = 4;
constexpr std::size_t kSteadyShare = 16;  // one key in so many; none of them is a hash
constexpr int kHangMs = 8000;
constexpr int kSettleTries = 100;
constexpr std::size_t kToldViolations = 20;

void pause(auto duration) {
  std::this_thread::sleep_for(duration);
}

std::string first_words(ByteView error) {
  std::size_t end = 0;
  for (int words = 0; words < 4 && end != ByteView::npos; ++words) end = error.find(' ', end + 1);
  return Bytes(error.substr(1, end == ByteView::npos ? error.find('\r') - 1 : end - 1));
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::good:
      return "good";
    case Verdict::older_than_own_write:
      return "P2, older than a write answered before through the same Larder";
    case Verdict::older_than_bound:
      return "P3, older than the bound";
    case Verdict::never_written:
      return "never written";
  }
  return "";
}

}  // namespace

Load::Load(const Options& options) : options_(options) {
  for (int i = 0; i < options_.keys; ++i) {
    Key& key = keys_.emplace_back();
    key.name = fmt::format("k{}", i);
    key.is_hash = i % 8 == 7;
    key.reads = reads_of(key.name, key.is_hash);
  }
  look_at_all();
  const auto start = [this](const std::string& who, std::function<void()> work) {
    threads_.emplace_back([this, who, work = std::move(work)] { guarded(who, work); });
  };
  std::uint32_t number = 0;
  for (int i = 0; i < options_.writers; ++i) start("a writer", [this, n = number++] { write(n); });
  for (std::size_t path = 0; path < options_.larders.size(); ++path)
    for (int i = 0; i < options_.readers; ++i)
      start("a reader",
            [this, path, n = number++, taste = i == 0 ? Taste::steady : Taste::all,
             &notes = notes_.emplace_back()] { read(static_cast<PathId>(path), n, taste, notes); });
  start("the observer", [this] { observe(); });
}

Load::~Load() {
  stopping_ = true;
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

void Load::guarded(const std::string& who, const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    violate(fmt::format("{} has failed: {}", who, error.what()));
  }
}

void Load::violate(const std::string& what) {
  const std::lock_guard lock(mutex_);
  ++violated_;
  if (violations_.size() < kToldViolations) violations_.push_back(what);
}

// --- writers ---

void Load::write(std::uint32_t number) {
  std::minstd_rand random(options_.seed * 1000 + number);
  std::vector<std::unique_ptr<Link>> links;
  for (const Place& place : options_.larders)
    links.push_back(open_link(place, number % 2 == 0 ? Protocol::resp2 : Protocol::resp3));
  links.push_back(open_link(options_.direct, Protocol::resp2));

  const auto writers = static_cast<std::size_t>(options_.writers);
  const std::size_t own = keys_.size() / writers;
  std::size_t path = 0;
  TimeUs until = 0;
  while (!stopping_) {
    // For a while the same way each time: when one way is blocked, not all writers shall wait there.
    if (const TimeUs now = steady_now_us(); now >= until) {
      path = random() % links.size();
      until = now + random() % kLongestStretchUs;
    }
    ++writing_;
    if (!pausing_) {
      // Some keys are written all the time, others once in a while.
      const double place = static_cast<double>(random()) / static_cast<double>(std::minstd_rand::max() + 1.0);
      const auto rank = static_cast<std::size_t>(place * place * place * static_cast<double>(own));
      const std::size_t key = rank * writers + number;
      // A hash is written by a script, and with a script Larder voids all that it holds: nothing could grow
      // old.
      const std::size_t way = keys_[key].is_hash ? links.size() - 1 : path;
      write_one(*links[way], static_cast<PathId>(way), key, random);
    }
    --writing_;
    pause(kBetweenWrites);
  }
}

void Load::write_one(Link& link, PathId path, std::size_t key, std::minstd_rand& random) {
  Key& target = keys_[key];
  const Version version = target.history.begin_write(steady_now_us());
  const Version state = random() % 20 == 0 ? kAbsent : version;
  const Bytes request = write_of(target.name, target.is_hash, state, random);
  ++writes_;
  try {
    const TimeUs begun = steady_now_us();
    const ByteView reply = link.call(target.name, request);
    const TimeUs now = steady_now_us();
    answers_.record(now - begun);
    if (reply.starts_with('-')) {
      ++doubtful_writes_;
      return target.history.doubt_write(state);
    }
    const std::optional<Version> replaced = version_in(reply, target.name);
    if (!replaced) violate(fmt::format("P1, a write to {} was answered {}", target.name, reply));
    target.history.end_write(state, replaced.value_or(kUnknown), path, now);
  } catch (const Broken& problem) {
    target.history.doubt_write(state);
    ++doubtful_writes_;
    const bool is_larder = static_cast<std::size_t>(path) < options_.larders.size();
    if (is_larder) violate(fmt::format("P5, a client that writes was let down: {}", problem.what()));
    pause(kAfterLoss);
  }
}

// --- readers ---

void Load::read(PathId path, std::uint32_t number, Taste taste, Notes& notes) {
  std::minstd_rand random(options_.seed * 1000 + number);
  PlainLink link(options_.larders[static_cast<std::size_t>(path)].ports.front(),
                 number % 2 == 0 ? Protocol::resp2 : Protocol::resp3, kHangMs);
  while (!stopping_) {
    try {
      Bytes requests;
      const auto batch = make_batch(taste, random, requests);
      read_batch(link, path, batch, requests, notes);
      pause(kBetweenBatches);
    } catch (const Broken& problem) {
      violate(fmt::format("P5, a client that reads was let down: {}", problem.what()));
      link.close();
      pause(kAfterLoss);
    }
  }
}

/// Appends to `requests`, and returns which keys each of them is about.
std::vector<std::vector<Load::Asked>> Load::make_batch(Taste taste, std::minstd_rand& random,
                                                       Bytes& requests) {
  std::vector<std::vector<Asked>> batch(static_cast<std::size_t>(options_.pipeline));
  const auto ask = [&](std::vector<Asked>& about, std::size_t key) -> const Key& {
    about.push_back({key, keys_[key].history.shows()});
    return keys_[key];
  };
  for (auto& about : batch) {
    if (taste == Taste::steady) {
      requests += ask(about, random() % keys_.size() / kSteadyShare * kSteadyShare).reads.front();
    } else if (random() % 16 != 0) {
      const Key& key = ask(about, random() % keys_.size());
      requests += key.reads[random() % key.reads.size()];
    } else {
      std::vector<ByteView> words{"MGET"};
      while (about.size() < kKeysOfMget)
        if (const std::size_t key = random() % keys_.size(); !keys_[key].is_hash)  // MGET says null of hashes
          words.push_back(ask(about, key).name);
      append_request(requests, words);
    }
  }
  return batch;
}

void Load::read_batch(PlainLink& link, PathId path, const std::vector<std::vector<Asked>>& batch,
                      ByteView requests, Notes& notes) {
  const TimeUs begun = steady_now_us();
  link.connection().send(requests);
  for (const auto& about : batch) {
    const ByteView reply = link.connection().read();
    const TimeUs ended = steady_now_us();
    if (reply.starts_with('-')) {
      ++notes.errors[first_words(reply)];
    } else if (about.size() == 1) {
      note(about.front(), reply, path, begun, ended, notes);
    } else {
      ReplyCursor cursor(reply);
      cursor.skip_header();
      for (const Asked& one : about) note(one, cursor.take(), path, begun, ended, notes);
    }
  }
  answers_.record(steady_now_us() - begun);
}

void Load::note(const Asked& asked, ByteView text, PathId path, TimeUs begun, TimeUs ended, Notes& notes) {
  const Key& key = keys_[asked.key];
  reads_.fetch_add(1, std::memory_order_relaxed);
  const std::optional<Version> version = version_in(text, key.name);
  if (!version) return violate(fmt::format("P1, a read of {} was answered {}", key.name, text));
  if (key.history.is_current(asked.shown, *version)) return;
  notes.suspects.push_back({asked.key, {path, *version, begun, ended}});
}

// --- the backend itself ---

/// What an earlier load has left. It is to be known of every key, however long a node is away.
void Load::look_at_all() {
  const std::unique_ptr<Link> link = open_link(options_.direct, Protocol::resp2);
  for (std::size_t key = 0; key < keys_.size(); ++key)
    while (look_if_possible(*link, key) == kUnknown) pause(kAfterLoss);
}

/// Asks the backend for every key again and again: what a failover took away is known soon, written or not.
void Load::observe() {
  const std::unique_ptr<Link> link = open_link(options_.direct, Protocol::resp2);
  while (!stopping_) {
    for (std::size_t key = 0; key < keys_.size() && !stopping_; ++key)
      static_cast<void>(look_if_possible(*link, key));
    pause(kBetweenRounds);
  }
}

Version Load::look_if_possible(Link& link, std::size_t key) {
  try {
    return look(link, key);
  } catch (const Broken&) {
    pause(kAfterLoss);
    return kUnknown;
  }
}

/// What the backend says of a key; kUnknown when it says nothing.
Version Load::look(Link& link, std::size_t index) {
  Key& key = keys_[index];
  const History::Shown shown = key.history.shows();
  const ByteView reply = link.call(key.name, key.reads.front());
  ++direct_reads_;
  if (reply.starts_with('-')) return kUnknown;
  const Version version = version_in(reply, key.name).value_or(kUnknown);
  if (version != shown.current && version != kUnknown) key.history.observe(shown, version, steady_now_us());
  return version;
}

bool Load::flush(const std::string& larder) {
  const auto place = std::ranges::find(options_.larders, larder, &Place::name);
  const auto path = static_cast<PathId>(place - options_.larders.begin());
  // What a failover has taken away could not be found any more.
  const std::unique_ptr<Link> link = open_link(options_.direct, Protocol::resp2);
  for (std::size_t key = 0; key < keys_.size(); ++key) static_cast<void>(look_if_possible(*link, key));
  std::vector<History::Shown> shown;
  for (const Key& key : keys_) shown.push_back(key.history.shows());
  const TimeUs begun = steady_now_us();
  bool succeeded = false;
  try {
    succeeded = open_link(*place, Protocol::resp2)->call({}, "*1\r\n$8\r\nFLUSHALL\r\n") == "+OK\r\n";
  } catch (const Broken& problem) {
    violate(fmt::format("P5, a client that flushes was let down: {}", problem.what()));
  }
  const TimeUs ended = steady_now_us();
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (succeeded)
      keys_[i].history.flushed(shown[i], path, begun, ended);
    else
      keys_[i].history.doubt_flush(begun);
  }
  return succeeded;
}

int Load::settle() {
  pausing_ = true;
  while (writing_ > 0) pause(kAfterLoss);
  pause(std::chrono::microseconds(options_.limits.bound_us));
  int different = 0;
  const std::unique_ptr<Link> direct = open_link(options_.direct, Protocol::resp2);
  for (const Place& place : options_.larders) {
    const std::unique_ptr<Link> larder = open_link(place, Protocol::resp3);
    for (std::size_t key = 0; key < keys_.size(); ++key)
      different += shows_the_same(*direct, *larder, key, place.name) ? 0 : 1;
  }
  pausing_ = false;
  return different;
}

/// A write without an answer may still come in between: then both are asked again.
bool Load::shows_the_same(Link& direct, Link& larder, std::size_t index, const std::string& name) {
  const Key& key = keys_[index];
  std::string problem = "no answer";
  for (int tries = 0; tries < kSettleTries; ++tries) {
    try {
      const Version before = look(direct, index);
      const Bytes reply(larder.call(key.name, key.reads.front()));
      if (!reply.starts_with('-') && version_in(reply, key.name) == before) return true;
      problem = fmt::format("{} shows {} and the backend {}", name, reply.substr(0, 80), before);
      if (!reply.starts_with('-') && before != kUnknown && look(direct, index) == before) break;
    } catch (const Broken& broken) {
      problem = broken.what();
    }
    pause(kAfterLoss);
  }
  violate(
      fmt::format("P3, stale with nothing going on: {}: {}; {}", key.name, problem, key.history.describe(4)));
  return false;
}

// --- the end ---

Report Load::finish() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  Report report;
  judge_all(report);
  report.reads = reads_;
  report.direct_reads = direct_reads_;
  report.writes = writes_;
  report.doubtful_writes = doubtful_writes_;
  for (const Key& key : keys_) report.lost_writes += key.history.lost_writes();
  report.slowest_us = answers_.snapshot().max_us;
  report.violations = violations_;
  report.violated = violated_;
  return report;
}

void Load::judge_all(Report& report) {
  for (const Notes& notes : notes_) {
    for (const auto& [text, count] : notes.errors) report.errors[text] += count;
    for (const auto& [index, read] : notes.suspects) {
      const Key& key = keys_[index];
      const Judgement judgement = key.history.judge(read, options_.limits);
      ++report.judged;
      if (judgement.stale_us > 0) staleness_.record(judgement.stale_us);
      if (judgement.verdict == Verdict::good) continue;
      violate(fmt::format("{}: {} through {} from {} to {} showed version {}, {} µs too old; {}",
                          name_of(judgement.verdict), key.name,
                          options_.larders[static_cast<std::size_t>(read.path)].name, read.begun, read.ended,
                          read.version, judgement.stale_us, key.history.describe(4)));
    }
  }
  const HistogramSnapshot staleness = staleness_.snapshot();
  report.stale = staleness.count();
  report.stale_p50_us = staleness.percentile_us(50);
  report.stale_p99_us = staleness.percentile_us(99);
  report.stale_max_us = staleness.max_us;
}

}  // namespace larder::stale
