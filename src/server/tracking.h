#pragma once

#include <deque>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"

namespace larder {

class Session;
class Worker;

/// A client that keeps what it reads, between CLIENT TRACKING ON and OFF.
///
/// What it reads is noted before it is read. Whoever changes a key tells the clients that are noted, on their
/// workers: while replies are under way they are told twice, at once and behind these, as one of them may be
/// older than the change. What is read where nobody hears of changes is told right behind the reply.
///
/// Thread: its session's.
class Tracking {
 public:
  struct Options {
    bool broadcasts = false;  ///< BCAST
    bool opts_in = false, opts_out = false, no_loop = false;
    std::uint64_t redirect = 0;           ///< the client that is told in its place; 0: none
    Worker* redirect_worker = nullptr;    ///< of that one
    std::set<std::string> prefixes = {};  ///< of BCAST, at least one
  };
  using Keys = std::vector<Bytes>;

  Tracking(Session& session, Options options);
  ~Tracking();
  Tracking(const Tracking&) = delete;
  Tracking& operator=(const Tracking&) = delete;

  /// Shape: BCAST does not change.
  void change(Options options);
  [[nodiscard]] const Options& options() const noexcept { return options_; }

  /// CLIENT CACHING was said, and the command it is about has not run.
  bool caching_said = false;
  bool redirect_is_broken = false;  ///< that client has gone

  // --- reading ---

  /// Runs a request of the backend's.
  [[nodiscard]] Step run(const Request& request);

  /// Notes what the request is about to read, which is returned; nothing when the client does not keep it.
  [[nodiscard]] Keys note(const Request& request);

  /// The reply with what was noted has that ticket.
  void await(Ticket ticket, Keys keys);

  /// The reply is there; whether changes of what it shows are heard of.
  void finished(Ticket ticket, bool is_heard_of);

  // --- being told: any of these may close the session, and end this ---
  void forget(const Keys& keys);
  void forget_everything();

 private:
  /// What is to be said once more when the replies up to `last` have left.
  struct Owed {
    Ticket last;
    Keys keys;
  };

  void apply(Options options);
  [[nodiscard]] bool keeps(ByteView key) const;
  [[nodiscard]] bool hears_of(bool is_heard_of) const;
  void tell_itself(const Keys& keys);
  void tell(const Keys& keys);
  void say(const Keys& keys);
  void redirect(const Keys& keys);
  void find_redirect_broken();

  Session& session_;
  const ReaderId id_;
  Options options_;
  std::unordered_map<Ticket, Keys> reads_;
  std::deque<Owed> owed_;
  bool drowned_ = false;           ///< it does not read
  bool may_keep_anything_ = true;  ///< since it was told to forget everything
};

}  // namespace larder
