#include <fmt/format.h>

#include "base/clock.h"
#include "command/error_reply.h"
#include "command/introspection.h"
#include "resp/request_parser.h"
#include "server/asking.h"
#include "server/connection_commands.h"
#include "server/server.h"
#include "server/session.h"
#include "server/worker.h"
#include "value/number.h"

namespace larder {
namespace {

Step time(Session&, const Request& request) {
  const std::int64_t now_us = unix_now_us();
  request.reply.begin_array(2);
  request.reply.bulk(std::to_string(now_us / 1'000'000));
  request.reply.bulk(std::to_string(now_us % 1'000'000));
  return Step::done;
}

Step command(Session& session, const Request& request) {
  const CommandSpec& spec = *request.spec;
  const bool asks = spec.flags.has(Flag::upstream_begins) && session.worker().backend().forwards_unknown();
  if (asks && is_for_redis(spec, request.argv))
    return ask(session, request, request.raw,
               [&session, &spec, raw = Bytes(request.raw)](Ticket ticket, ByteView answer) {
                 RequestParser parser;
                 ReplyWriter reply = session.reply_to(ticket);
                 if (parser.parse(raw, {})) complete_introspection(spec, parser.argv(), answer, reply);
                 session.finish(ticket);
               });
  run_introspection(spec, request.argv, request.reply);
  return Step::done;
}

// --- SHUTDOWN ---

struct ShutdownOptions {
  bool save = false, nosave = false, abort = false, other = false;
};

bool parse_shutdown(std::span<const ByteView> words, ShutdownOptions& options) {
  for (const ByteView word : words) {
    if (equals_ignore_case(word, "save"))
      options.save = true;
    else if (equals_ignore_case(word, "nosave"))
      options.nosave = true;
    else if (equals_ignore_case(word, "abort"))
      options.abort = true;
    else if (equals_ignore_case(word, "now") || equals_ignore_case(word, "force"))
      options.other = true;
    else
      return false;
  }
  return !(options.save && options.nosave) &&
         !(options.abort && (options.save || options.nosave || options.other));
}

/// As in Redis a shutdown that succeeds has no reply: the connection closes.
Step shutdown(Session& session, const Request& request) {
  ShutdownOptions options;
  if (!parse_shutdown(request.argv.subspan(1), options)) {
    append_error(request.reply, Errc::syntax);
  } else if (options.abort) {
    request.reply.error("ERR No shutdown in progress.");
  } else {
    session.close_after_replies();
    session.worker().server().stop();
  }
  return Step::done;
}

// --- what a single server without replicas and cluster says (rows with Flag::upstream_answers, where there
// is none) ---

Step role(Session&, const Request& request) {
  request.reply.begin_array(3);
  request.reply.bulk("master");
  request.reply.integer(0);
  request.reply.begin_array(0);
  return Step::done;
}

Step wait(Session&, const Request& request) {
  const auto replicas = parse_integer(request.argv[1]), timeout_ms = parse_integer(request.argv[2]);
  if (!replicas)
    append_error(request.reply, Errc::not_an_integer);
  else if (!timeout_ms)
    request.reply.error("ERR timeout is not an integer or out of range");
  else if (*timeout_ms < 0)
    request.reply.error("ERR timeout is negative");
  else
    request.reply.integer(0);
  return Step::done;
}

void append_default_user(ReplyWriter& reply, bool has_password) {
  reply.begin_map(6);
  reply.bulk("flags");
  reply.begin_set(has_password ? 1 : 2);
  reply.bulk("on");
  if (!has_password) reply.bulk("nopass");
  reply.bulk("passwords");
  reply.begin_array(0);
  for (const auto& [name, rule] :
       {std::pair<ByteView, ByteView>{"commands", "+@all"}, {"keys", "~*"}, {"channels", "&*"}}) {
    reply.bulk(name);
    reply.bulk(rule);
  }
  reply.bulk("selectors");
  reply.begin_array(0);
}

/// ACL of a server with one user.
Step acl(Session& session, const Request& request) {
  const auto argv = request.argv;
  const bool has_password = !session.worker().server().password().empty();
  const auto is = [argv](ByteView name, std::size_t size) {
    return equals_ignore_case(argv[1], name) && argv.size() == size;
  };
  if (is("whoami", 2)) {
    request.reply.bulk(session.user());
  } else if (is("users", 2)) {
    request.reply.begin_array(1);
    request.reply.bulk("default");
  } else if (is("list", 2)) {
    request.reply.begin_array(1);
    request.reply.bulk(has_password ? "user default on ~* &* +@all" : "user default on nopass ~* &* +@all");
  } else if (is("getuser", 3)) {
    if (argv[2] == "default")
      append_default_user(request.reply, has_password);
    else
      request.reply.null();
  } else {
    append_unknown_subcommand(request.reply, request.spec->name, argv[1]);
  }
  return Step::done;
}

Step module(Session&, const Request& request) {
  if (equals_ignore_case(request.argv[1], "list") && request.argv.size() == 2)
    request.reply.begin_array(0);
  else
    append_unknown_subcommand(request.reply, request.spec->name, request.argv[1]);
  return Step::done;
}

constexpr ConnectionCommand kProcessCommands[] = {
    {"acl", acl},
    {"command", command},
    {"command|count", command},
    {"command|docs", command},
    {"command|getkeys", command},
    {"command|getkeysandflags", command},
    {"command|help", command},
    {"command|info", command},
    {"command|list", command},
    {"module", module},
    {"role", role},
    {"shutdown", shutdown},
    {"time", time},
    {"wait", wait},
};

}  // namespace

std::span<const ConnectionCommand> process_commands() noexcept {
  return kProcessCommands;
}

}  // namespace larder
