#pragma once

#include <functional>
#include <optional>

#include "backend/redis/errands.h"
#include "backend/redis/known_commands.h"
#include "backend/redis/reads.h"
#include "backend/redis/refresher.h"
#include "backend/redis/scripts.h"
#include "backend/redis/topology.h"
#include "resp/request_parser.h"

namespace larder::redis {

/// Sends what was kept.
class Sender {
 public:
  /// Appends a kept request, whose ticket is taken, to a lane that takes requests; `replies` will come.
  virtual void send_kept(const Request& request, const Route& route, Lane& lane, std::uint32_t errand,
                         std::uint32_t replies) = 0;

 protected:
  ~Sender() = default;
};

/// The requests that the first connection they took does not answer: they go where a node says they should,
/// or wait for better times.
///
/// A request is sent again only if it certainly had no effect (a node said so, or it was never sent) or is a
/// read; for as long as a command may take. Without a choice of nodes only a read is, and once, on the
/// connection that takes the place of the lost one.
///
/// Thread: one worker.
class Retries {
 public:
  enum class Occasion : std::uint8_t { time, news };  ///< news: of the topology

  /// What a worker has that requests and their connections are kept in.
  struct Places {
    Topology& topology;
    const KnownCommands& commands;
    Reads& reads;
    Errands& errands;
    Refresher& refresher;
    Scripts& scripts;
  };

  Retries(const NodeContext& context, const Places& places, Sender& sender)
      : context_(context),
        topology_(places.topology),
        commands_(places.commands),
        reads_(places.reads),
        errands_(places.errands),
        refresher_(places.refresher),
        scripts_(places.scripts),
        sender_(sender) {}

  /// True when the reply, the last one of a kept request, sends it elsewhere and so is not the client's.
  [[nodiscard]] bool redirects(Lane& lane, const InFlight& entry, const Reply& reply);

  /// True when the reply to a kept request says that the server lacks a script, and it was sent one and the
  /// request again.
  [[nodiscard]] bool teaches_script(Lane& lane, const InFlight& entry, const Reply& reply);

  /// True when a kept request was sent again on the same lane.
  [[nodiscard]] bool sends_again(Lane& lane, const InFlight& entry);

  /// True when a kept request whose connection was lost is tried again.
  [[nodiscard]] bool saves(Lane& lane, const InFlight& entry, LaneOwner::Fate fate);

  /// A node cannot be reached: the request waits for better times.
  [[nodiscard]] Step refuse(const Request& request, ByteView refusal);

  /// A kept request is sent for the first time, or waits for better times.
  void begin(std::uint32_t errand);

  /// A kept request is answered with the reason why it cannot be run.
  void give_up(std::uint32_t errand, ByteView problem) { answer(errand, problem); }

  /// What waits is sent again in its order, or answered when its time is over.
  void replay(Occasion occasion);

  [[nodiscard]] bool any_waits() const noexcept { return errands_.any_parked(); }

 private:
  enum class Hop : std::uint8_t { plain, asking };

  template <class Visit>
  void for_each_errand(const InFlight& entry, Visit visit);
  template <class Visit>
  bool with_request(const Errand& kept, Visit visit);
  void ask_master(std::uint32_t errand, ByteView reply);
  void follow(std::uint32_t errand, const Redirect& redirect, const Lane& from, ByteView reply);
  void park(std::uint32_t errand, std::int64_t delay_us, ByteView problem);
  void answer(std::uint32_t errand, ByteView problem);
  [[nodiscard]] bool repeats(Lane& lane, const InFlight& entry, LaneOwner::Fate fate, ByteView problem);
  [[nodiscard]] bool try_again(std::uint32_t errand, std::optional<std::reference_wrapper<Node>> target,
                               Hop hop);
  [[nodiscard]] bool is_write(const Errand& kept);
  [[nodiscard]] bool may_come_last(const Errand& kept);

  const NodeContext& context_;
  Topology& topology_;
  const KnownCommands& commands_;
  Reads& reads_;
  Errands& errands_;
  Refresher& refresher_;
  Scripts& scripts_;
  Sender& sender_;
  RequestParser parser_;  ///< of kept requests
};

}  // namespace larder::redis
