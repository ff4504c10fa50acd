#include "backend/redis/reachability.h"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include "backend/redis/topology.h"
#include "base/clock.h"

namespace larder::redis {
namespace {

constexpr auto kStep = std::chrono::milliseconds(5);

/// Connections that ask for nothing: they only have to become ready.
class Attempt final : private LaneOwner {
 public:
  explicit Attempt(Options options) : options_(std::move(options)) {}

  [[nodiscard]] std::string run() {
    const std::int64_t deadline_us =
        steady_now_us() + std::chrono::microseconds(options_.connect_timeout).count();
    topology_.for_each_node([](Node& node) { static_cast<void>(node.usual_lane().refusal()); });
    while (!reached_ && steady_now_us() < deadline_us) {
      io_.run_for(kStep);
      topology_.for_each_node([](Node& node) { node.tick(steady_now_us()); });
    }
    if (reached_) return {};
    const std::string problem = health_.problem();
    return problem.empty() ? fmt::format("no answer in {} ms", options_.connect_timeout.count()) : problem;
  }

 private:
  void on_ready(Lane&, const Handshake&) override { reached_ = true; }
  void on_reply(Lane&, const InFlight&, const Reply&) override {}
  void on_push(Lane&, ByteView) override {}
  void on_timeout(Lane&, const InFlight&) override {}
  void on_losing(const InFlight&) override {}
  void on_lost(Lane&, const InFlight&, Fate) override {}
  void on_doubt(Lane&) override {}
  void on_trust(Lane&) override {}
  Step refuse(const Lane&, const Request&, ByteView) override { return Step::done; }
  bool wants_commands() const override { return false; }

  const Options options_;
  boost::asio::io_context io_{1};
  Poller poller_{io_};
  Keyspace no_l1_{{.budget_bytes = 0}};
  Statistics statistics_;
  Health health_;
  ClusterView view_;
  const NodeContext context_{io_, poller_, options_, no_l1_, statistics_, *this, false, 0};
  Broadcasts broadcasts_;
  Topology topology_{context_, health_, view_, broadcasts_};
  bool reached_ = false;
};

/// The Sentinels in place of the server that they know.
Options of_sentinels(const Options& options) {
  Options sentinels = options;
  const config::RedisSeed& first = options.sentinels.nodes.front();
  sentinels.address = {.host = first.host,
                       .port = first.port,
                       .path = {},
                       .user = options.sentinels.user,
                       .password = options.sentinels.password,
                       .tls = options.address.tls};
  sentinels.more_seeds.assign(options.sentinels.nodes.begin() + 1, options.sentinels.nodes.end());
  sentinels.sentinels = {};
  return sentinels;
}

}  // namespace

std::string find_problem(const Options& options) {
  return options.sentinels.nodes.empty() ? Attempt(options).run() : Attempt(of_sentinels(options)).run();
}

}  // namespace larder::redis
