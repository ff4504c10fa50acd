#include <algorithm>
#include <chrono>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "command/error_reply.h"
#include "command/glob.h"
#include "resp/reply_cursor.h"
#include "server/connection_commands.h"
#include "server/inquiry.h"
#include "server/parameters.h"
#include "server/server.h"
#include "server/session.h"

namespace larder {
namespace {

bool is_glob(ByteView text) noexcept {
  return text.find_first_of("*?[") != ByteView::npos;
}

constexpr std::chrono::milliseconds kPatienceOfGet{1000}, kPatienceOfSet{10'000};

bool has_redis(Session& session) {
  return session.worker().backend().forwards_unknown();
}

/// Null for what is Redis', or nobody's.
const Parameter* find_own(Session& session, ByteView name) {
  const Parameter* const found = find_parameter(name);
  return found != nullptr && found->is_of_redis && has_redis(session) ? nullptr : found;
}

struct Setting {
  Bytes name;  ///< as the client wrote it, unless it wrote a pattern
  Bytes value;
};

class Settings {
 public:
  void add(Session& session, ByteView name, const Parameter& parameter) {
    if (!seen_.insert(&parameter).second) return;
    list_.push_back({Bytes(name), parameter.get(session.worker().server())});
  }

  /// Redis' own, from its reply to the same question.
  void add_others(Session& session, ByteView reply) {
    ReplyCursor cursor(reply);
    for (std::int64_t left = cursor.next().count; left >= 2; left -= 2) {
      const ByteView name = cursor.next().text, value = cursor.next().text;
      if (find_own(session, name) == nullptr) list_.push_back({Bytes(name), Bytes(value)});
    }
  }

  [[nodiscard]] bool empty() const noexcept { return list_.empty(); }

  void append_to(ReplyWriter reply) const {
    reply.begin_map(list_.size());
    for (const Setting& one : list_) {
      reply.bulk(one.name);
      reply.bulk(one.value);
    }
  }

 private:
  std::vector<Setting> list_;
  std::set<const Parameter*> seen_;
};

/// Asks Redis in Larder's name. A reply of no bytes: it is silent.
Step ask_redis(Session& session, const Request& request, std::chrono::milliseconds patience,
               std::function<void(ReplyWriter reply, ByteView answer)> answered) {
  const Ticket ticket = session.defer();
  Inquiry::ask_redis(session.worker(), request.raw, patience,
                     [&session, ticket, answered = std::move(answered)](ByteView answer) {
                       constexpr ByteView kSilent = "-ERR Redis did not answer in time\r\n";
                       answered(session.reply_to(ticket), answer.empty() ? kSilent : answer);
                       session.finish(ticket);
                     });
  return Step::pending;
}

Step config_get(Session& session, const Request& request) {
  Settings settings;
  bool asks_redis = false;
  for (const ByteView pattern : request.argv.subspan(2)) {
    if (is_glob(pattern)) {
      asks_redis |= has_redis(session);
      for (const Parameter& parameter : all_parameters())
        if (glob_matches(pattern, parameter.name, LetterCase::ignored) &&
            find_own(session, parameter.name) != nullptr)
          settings.add(session, parameter.name, parameter);
    } else if (const Parameter* parameter = find_own(session, pattern)) {
      settings.add(session, pattern, *parameter);
    } else {
      asks_redis |= has_redis(session);
    }
  }
  if (!asks_redis) {
    settings.append_to(request.reply);
    return Step::done;
  }
  return ask_redis(session, request, kPatienceOfGet,
                   [&session, settings = std::move(settings)](ReplyWriter reply, ByteView answer) mutable {
                     // A Redis that keeps its settings to itself leaves those of Larder.
                     const bool refused = answer.starts_with('-');
                     if (refused && settings.empty()) return reply.raw(answer);
                     if (!refused) settings.add_others(session, answer);
                     settings.append_to(reply);
                   });
}

void append_set_failure(ReplyWriter& reply, ByteView name, ByteView why) {
  reply.error(fmt::format("ERR CONFIG SET failed (possibly related to argument '{}') - {}", name, why));
}

/// The named parameters, all of them changeable; none when an error was answered.
std::vector<const Parameter*> parameters_to_set(Session& session, std::span<const ByteView> pairs,
                                                ReplyWriter& reply) {
  std::vector<const Parameter*> parameters;
  for (std::size_t i = 0; i < pairs.size(); i += 2) {
    const Parameter* parameter = find_own(session, pairs[i]);
    if (parameter == nullptr)
      reply.error(fmt::format("ERR Unknown option or number of arguments for CONFIG SET - '{}'", pairs[i]));
    else if (parameter->change == nullptr)
      append_set_failure(reply, pairs[i], "can't set immutable config");
    else if (std::ranges::find(parameters, parameter) != parameters.end())
      append_set_failure(reply, pairs[i], "duplicate parameter");
    else {
      parameters.push_back(parameter);
      continue;
    }
    return {};
  }
  return parameters;
}

/// All or nothing: no change takes effect unless every value is in order.
Step config_set(Session& session, const Request& request) {
  const auto pairs = request.argv.subspan(2);
  if (pairs.size() % 2 != 0) {
    append_error(request.reply, Errc::syntax);
    return Step::done;
  }
  if (has_redis(session)) {
    std::size_t own = 0;
    for (std::size_t i = 0; i < pairs.size(); i += 2) own += find_own(session, pairs[i]) != nullptr ? 1 : 0;
    if (own == 0)
      return ask_redis(session, request, kPatienceOfSet,
                       [](ReplyWriter reply, ByteView answer) { reply.raw(answer); });
    if (own < pairs.size() / 2) {
      request.reply.error("ERR CONFIG SET of parameters of Larder and of Redis takes two commands");
      return Step::done;
    }
  }
  const std::vector<const Parameter*> parameters = parameters_to_set(session, pairs, request.reply);
  std::vector<ParameterChange> changes;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    changes.push_back(parameters[i]->change(session.worker().server(), pairs[2 * i + 1]));
    if (changes.back().error.empty()) continue;
    append_set_failure(request.reply, pairs[2 * i], changes.back().error);
    return Step::done;
  }
  if (changes.empty()) return Step::done;
  for (const ParameterChange& change : changes) change.apply();
  request.reply.ok();
  return Step::done;
}

Step config_resetstat(Session& session, const Request& request) {
  session.worker().server().reset_statistics();
  request.reply.ok();
  return Step::done;
}

Step config_rewrite(Session&, const Request& request) {
  request.reply.error("ERR Rewriting the config file is not supported: edit it and restart");
  return Step::done;
}

constexpr ConnectionCommand kConfigCommands[] = {
    {"config|get", config_get},         {"config|help", answer_help}, {"config|resetstat", config_resetstat},
    {"config|rewrite", config_rewrite}, {"config|set", config_set},
};

}  // namespace

std::span<const ConnectionCommand> config_commands() noexcept {
  return kConfigCommands;
}

}  // namespace larder
