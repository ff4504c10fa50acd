#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "command/error_reply.h"
#include "command/glob.h"
#include "server/connection_commands.h"
#include "server/parameters.h"
#include "server/server.h"
#include "server/session.h"

namespace larder {
namespace {

bool is_glob(ByteView text) noexcept {
  return text.find_first_of("*?[") != ByteView::npos;
}

struct Asked {
  ByteView name;  ///< as the client wrote it, unless it wrote a pattern
  const Parameter* parameter;
};

void add_once(std::vector<Asked>& asked, Asked one) {
  if (std::ranges::find(asked, one.parameter, &Asked::parameter) == asked.end()) asked.push_back(one);
}

Step config_get(Session& session, const Request& request) {
  std::vector<Asked> asked;
  for (const ByteView pattern : request.argv.subspan(2)) {
    if (is_glob(pattern)) {
      for (const Parameter& parameter : all_parameters())
        if (glob_matches(pattern, parameter.name, LetterCase::ignored))
          add_once(asked, {parameter.name, &parameter});
    } else if (const Parameter* parameter = find_parameter(pattern)) {
      add_once(asked, {pattern, parameter});
    }
  }
  request.reply.begin_map(asked.size());
  for (const Asked& one : asked) {
    request.reply.bulk(one.name);
    request.reply.bulk(one.parameter->get(session.worker().server()));
  }
  return Step::done;
}

void append_set_failure(ReplyWriter& reply, ByteView name, ByteView why) {
  reply.error(fmt::format("ERR CONFIG SET failed (possibly related to argument '{}') - {}", name, why));
}

/// The named parameters, all of them changeable; none when an error was answered.
std::vector<const Parameter*> parameters_to_set(std::span<const ByteView> pairs, ReplyWriter& reply) {
  std::vector<const Parameter*> parameters;
  for (std::size_t i = 0; i < pairs.size(); i += 2) {
    const Parameter* parameter = find_parameter(pairs[i]);
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
  const std::vector<const Parameter*> parameters = parameters_to_set(pairs, request.reply);
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
