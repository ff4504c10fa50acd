#include <algorithm>

#include <fmt/format.h>

#include "command/arguments.h"
#include "command/error_reply.h"
#include "server/connection_commands.h"
#include "server/server.h"
#include "server/session.h"
#include "value/number.h"

namespace larder {
namespace {

constexpr ByteView kWrongPassword = "WRONGPASS invalid username-password pair or user is disabled.";

Step ping(Session&, const Request& request) {
  if (request.argv.size() > 2)
    append_wrong_arity(request.reply, request.spec->name);
  else if (request.argv.size() == 2)
    request.reply.bulk(request.argv[1]);
  else
    request.reply.simple("PONG");
  return Step::done;
}

Step echo(Session&, const Request& request) {
  request.reply.bulk(request.argv[1]);
  return Step::done;
}

Step quit(Session& session, const Request& request) {
  request.reply.ok();
  session.close_after_replies();
  return Step::done;
}

Step reset(Session& session, const Request& request) {
  session.reset_state();
  request.reply.simple("RESET");
  return Step::done;
}

Step select_db(Session& session, const Request& request) {
  const Result<int> index = database_argument(request.argv[1]);
  if (!index) {
    append_error(request.reply, static_cast<Errc>(index.error().value()));
  } else {
    session.set_db(*index);
    request.reply.ok();
  }
  return Step::done;
}

/// Compares without telling by its duration how much was right.
bool same_secret(ByteView given, ByteView secret) noexcept {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i)
    difference |= static_cast<unsigned char>(given[i] ^ secret[secret.empty() ? 0 : i % secret.size()]);
  return difference == 0;
}

bool log_in(Session& session, ByteView user, ByteView password) {
  const std::string secret = session.worker().server().password();
  // As Redis: without a password the default user takes any.
  if (user != "default" || !(secret.empty() || same_secret(password, secret))) return false;
  session.state.authenticated = true;
  return true;
}

Step auth(Session& session, const Request& request) {
  const auto argv = request.argv;
  if (argv.size() > 3) {
    append_error(request.reply, Errc::syntax);
  } else if (argv.size() == 2 && session.worker().server().password().empty()) {
    request.reply.error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?");
  } else if (log_in(session, argv.size() == 3 ? argv[1] : "default", argv.back())) {
    request.reply.ok();
  } else {
    request.reply.error(kWrongPassword);
  }
  return Step::done;
}

/// The options of HELLO behind the version.
struct Greeting {
  ByteView user, password, name;
  bool has_auth = false, has_name = false;
};

/// False when an error was answered.
bool parse_greeting(const Request& request, Greeting& greeting) {
  const auto argv = request.argv;
  for (std::size_t i = 2; i < argv.size(); ++i) {
    const std::size_t left = argv.size() - i - 1;
    if (equals_ignore_case(argv[i], "auth") && left >= 2) {
      greeting.has_auth = true;
      greeting.user = argv[++i];
      greeting.password = argv[++i];
    } else if (equals_ignore_case(argv[i], "setname") && left >= 1) {
      greeting.has_name = true;
      greeting.name = argv[++i];
    } else {
      request.reply.error(fmt::format("ERR Syntax error in HELLO option '{}'", argv[i]));
      return false;
    }
  }
  if (greeting.has_name && !is_valid_client_name(greeting.name)) {
    request.reply.error("ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
  }
  return true;
}

void append_greeting(Session& session, const Request& request) {
  ReplyWriter reply = request.reply;
  reply.set_protocol(session.protocol());
  reply.begin_map(7);
  reply.bulk("server");
  reply.bulk("redis");
  reply.bulk("version");
  reply.bulk(kRedisVersion);
  reply.bulk("proto");
  reply.integer(static_cast<int>(session.protocol()));
  reply.bulk("id");
  reply.integer(static_cast<std::int64_t>(session.identity().id));
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  reply.bulk("master");
  reply.bulk("modules");
  reply.begin_array(0);
}

Step hello(Session& session, const Request& request) {
  Protocol version = session.protocol();
  if (request.argv.size() > 1) {
    const auto number = parse_integer(request.argv[1]);
    if (!number) {
      request.reply.error("ERR Protocol version is not an integer or out of range");
      return Step::done;
    }
    if (*number != 2 && *number != 3) {
      request.reply.error("NOPROTO unsupported protocol version");
      return Step::done;
    }
    version = static_cast<Protocol>(*number);
  }
  Greeting greeting;
  if (!parse_greeting(request, greeting)) return Step::done;
  if (greeting.has_auth && !log_in(session, greeting.user, greeting.password)) {
    request.reply.error(kWrongPassword);
    return Step::done;
  }
  if (!session.state.authenticated) {
    request.reply.error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH "
        "<user> "
        "<pass> option can be used to authenticate the client and select the RESP protocol version at the "
        "same time");
    return Step::done;
  }
  if (greeting.has_name) session.state.name = greeting.name;
  session.set_protocol(version);
  append_greeting(session, request);
  return Step::done;
}

constexpr ConnectionCommand kCommands[] = {
    {"auth", auth}, {"echo", echo},   {"hello", hello},      {"ping", ping},
    {"quit", quit}, {"reset", reset}, {"select", select_db},
};

}  // namespace

bool is_valid_client_name(ByteView name) noexcept {
  return std::ranges::all_of(name, [](char c) { return c >= '!' && c <= '~'; });
}

std::span<const ConnectionCommand> session_commands() noexcept {
  return kCommands;
}

}  // namespace larder
