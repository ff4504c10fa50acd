#include <numeric>

#include "command/error_reply.h"
#include "command/glob.h"
#include "server/connection_commands.h"
#include "server/gather.h"

namespace larder {
namespace {

using Topic = Hub::Topic;

// --- subscribing ---

/// Where a Redis is behind, it knows the subscriptions. False: it was answered or is on its way.
bool is_for_hub(Session& session, const Request& request, Step& step) {
  step = Step::done;
  if (session.state.transaction != nullptr) {
    // Redis would answer with pushes in the middle of EXEC's array.
    request.reply.error("ERR Command not allowed inside a transaction");
    session.state.transaction->spoil();
    return false;
  }
  Backend& backend = session.worker().backend();
  if (backend.has_subscriptions())
    step = backend.execute(request);
  else if (session.pending() > 0)
    step = Step::hold;
  else
    return true;
  return false;
}

/// Each name is answered with a push, also where CLIENT REPLY silences replies.
class Confirmations {
 public:
  Confirmations(Session& session, const Request& request, Topic topic)
      : session_(session),
        command_(request.spec->name),
        topic_(topic),
        ticket_(session.defer()),
        out_(pushes_, session.protocol()) {}

  void add(std::optional<ByteView> name) {
    const Subscribed& subscribed = session_.holds.subscribed;
    out_.begin_push(3);
    out_.bulk(command_);
    if (name)
      out_.bulk(*name);
    else
      out_.null();
    out_.integer(topic_ == Topic::shard_channel ? subscribed.shard_channels
                                                : subscribed.channels + subscribed.patterns);
  }

  [[nodiscard]] Step send() {
    session_.push(pushes_);
    session_.finish(ticket_);
    return Step::pending;
  }

 private:
  Session& session_;
  const ByteView command_;
  const Topic topic_;
  const Ticket ticket_;
  Bytes pushes_;
  ReplyWriter out_;
};

template <Topic topic>
Step subscribe(Session& session, const Request& request) {
  if (Step step; !is_for_hub(session, request, step)) return step;
  Confirmations confirmations(session, request, topic);
  for (const ByteView name : request.argv.subspan(1)) {
    session.worker().hub().add(topic, name, session);
    confirmations.add(name);
  }
  return confirmations.send();
}

template <Topic topic>
Step unsubscribe(Session& session, const Request& request) {
  if (Step step; !is_for_hub(session, request, step)) return step;
  Hub& hub = session.worker().hub();
  Confirmations confirmations(session, request, topic);
  const auto leave = [&](ByteView name) {
    hub.remove(topic, name, session);
    confirmations.add(name);
  };
  const Hub::Names all = hub.names_of(topic, session);
  if (request.argv.size() > 1)
    for (const ByteView name : request.argv.subspan(1)) leave(name);
  else if (all.empty())
    confirmations.add(std::nullopt);
  else
    for (const std::string& name : all) leave(name);
  return confirmations.send();
}

// --- publishing, and who listens ---

template <Topic topic>
Step publish(Session& session, const Request& request) {
  return gather<std::size_t>(
      session,
      [channel = Bytes(request.argv[1]), message = Bytes(request.argv[2])](Worker& worker, auto& heard) {
        heard.push_back(worker.hub().publish(topic, channel, message));
      },
      [](ReplyWriter& reply, auto& heard) {
        reply.integer(static_cast<std::int64_t>(std::accumulate(heard.begin(), heard.end(), std::size_t{0})));
      });
}

template <Topic topic>
Step pubsub_channels(Session& session, const Request& request) {
  if (request.argv.size() > 3) {
    append_wrong_arity(request.reply, request.spec->name);
    return Step::done;
  }
  const bool filters = request.argv.size() == 3;
  return gather<Hub::Names>(
      session, [](Worker& worker, auto& all) { all.push_back(worker.hub().names(topic)); },
      [filters, pattern = filters ? Bytes(request.argv[2]) : Bytes()](ReplyWriter& reply, auto& all) {
        Hub::Names names;
        for (Hub::Names& some : all) names.merge(some);
        if (filters) std::erase_if(names, [&](const auto& name) { return !glob_matches(pattern, name); });
        reply.begin_array(names.size());
        for (const std::string& name : names) reply.bulk(name);
      });
}

template <Topic topic>
Step pubsub_numsub(Session& session, const Request& request) {
  std::vector<Bytes> names(request.argv.begin() + 2, request.argv.end());
  const auto count = [names](Worker& worker, auto& counts) {
    counts.resize(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) counts[i] += worker.hub().count(topic, names[i]);
  };
  return gather<std::size_t>(session, count, [names](ReplyWriter& reply, auto& counts) {
    reply.begin_array(2 * names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      reply.bulk(names[i]);
      reply.integer(static_cast<std::int64_t>(counts[i]));
    }
  });
}

Step pubsub_numpat(Session& session, const Request&) {
  return gather<Hub::Names>(
      session, [](Worker& worker, auto& all) { all.push_back(worker.hub().names(Topic::pattern)); },
      [](ReplyWriter& reply, auto& all) {
        Hub::Names names;
        for (Hub::Names& some : all) names.merge(some);
        reply.integer(static_cast<std::int64_t>(names.size()));
      });
}

constexpr ConnectionCommand kCommands[] = {
    {"psubscribe", subscribe<Topic::pattern>},
    {"publish", publish<Topic::channel>},
    {"pubsub|channels", pubsub_channels<Topic::channel>},
    {"pubsub|help", answer_help},
    {"pubsub|numpat", pubsub_numpat},
    {"pubsub|numsub", pubsub_numsub<Topic::channel>},
    {"pubsub|shardchannels", pubsub_channels<Topic::shard_channel>},
    {"pubsub|shardnumsub", pubsub_numsub<Topic::shard_channel>},
    {"punsubscribe", unsubscribe<Topic::pattern>},
    {"spublish", publish<Topic::shard_channel>},
    {"ssubscribe", subscribe<Topic::shard_channel>},
    {"subscribe", subscribe<Topic::channel>},
    {"sunsubscribe", unsubscribe<Topic::shard_channel>},
    {"unsubscribe", unsubscribe<Topic::channel>},
};

}  // namespace

std::span<const ConnectionCommand> subscription_commands() noexcept {
  return kCommands;
}

}  // namespace larder
