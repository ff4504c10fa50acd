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

/// Open requests of one user must not be overtaken by those of another.
bool changes_user(const Session& session, ByteView user) noexcept {
  return session.acts_as != nullptr || user != kOwnUser;
}

Step ping(Session& session, const Request& request) {
  if (request.argv.size() > 2) {
    append_wrong_arity(request.reply, request.spec->name);
  } else if (session.holds.subscribed.any() && session.protocol() == Protocol::resp2) {
    request.reply.begin_array(2);
    request.reply.bulk("pong");
    request.reply.bulk(request.argv.size() == 2 ? request.argv[1] : ByteView());
  } else if (request.argv.size() == 2) {
    request.reply.bulk(request.argv[1]);
  } else {
    request.reply.simple("PONG");
  }
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
  if (changes_user(session, kOwnUser) && session.pending() > 0) return Step::hold;
  session.reset_state();
  request.reply.simple("RESET");
  return Step::done;
}

Step select_db(Session& session, const Request& request) {
  const Result<int> index = database_argument(request.argv[1]);
  const bool is_other = index ? *index != 0 : index.error() == Errc::db_index_out_of_range;
  if (is_other && session.worker().server().tier().is_cluster()) {
    request.reply.error("ERR SELECT is not allowed in cluster mode");
  } else if (!index) {
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

/// Larder's own user, with Larder's own password.
bool knows_password(Session& session, ByteView password) {
  const std::string secret = session.worker().server().password();
  // As Redis: without a password the default user takes any.
  return secret.empty() || same_secret(password, secret);
}

void become(Session& session, std::shared_ptr<const UpstreamUser> user) {
  session.state.authenticated = true;
  session.acts_as = std::move(user);
}

/// The reply to a login that went well.
using Welcome = std::function<void(Session& session, ReplyWriter reply)>;

/// Another user than Larder's own is one of the second tier: whoever is behind the request waits for its
/// word.
Step log_in_elsewhere(Session& session, ByteView user, ByteView password, Welcome welcome) {
  const Ticket ticket = session.defer();
  session.hold_next();
  const auto done = [&session, ticket, welcome = std::move(welcome)](const Login& login) {
    ReplyWriter reply = session.reply_to(ticket);
    if (login.accepted) {
      become(session, login.user);
      welcome(session, reply);
    } else {
      reply.error(login.error.empty() ? kWrongPassword : ByteView(login.error));
    }
    session.finish(ticket);
  };
  session.worker().backend().log_in(user, password, done);
  return Step::pending;
}

Step log_in(Session& session, const Request& request, ByteView user, ByteView password, Welcome welcome) {
  if (changes_user(session, user) && session.pending() > 0) return Step::hold;
  if (user != kOwnUser) return log_in_elsewhere(session, user, password, std::move(welcome));
  if (knows_password(session, password)) {
    become(session, nullptr);
    welcome(session, request.reply);
  } else {
    request.reply.error(kWrongPassword);
  }
  return Step::done;
}

Step auth(Session& session, const Request& request) {
  const auto argv = request.argv;
  if (argv.size() > 3) {
    append_error(request.reply, Errc::syntax);
    return Step::done;
  }
  if (argv.size() == 2 && session.worker().server().password().empty()) {
    request.reply.error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?");
    return Step::done;
  }
  return log_in(session, request, argv.size() == 3 ? argv[1] : kOwnUser, argv.back(),
                [](Session&, ReplyWriter reply) { reply.ok(); });
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

void append_greeting(Session& session, ReplyWriter reply) {
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
  reply.bulk(session.worker().server().tier().is_cluster() ? "cluster" : "standalone");
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
  const auto greet = [version, has_name = greeting.has_name, name = std::string(greeting.name)](
                         Session& client, ReplyWriter reply) {
    if (has_name) client.state.name = name;
    client.set_protocol(version);
    append_greeting(client, reply);
  };
  if (greeting.has_auth) return log_in(session, request, greeting.user, greeting.password, greet);
  if (!session.state.authenticated) {
    request.reply.error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH "
        "<user> "
        "<pass> option can be used to authenticate the client and select the RESP protocol version at the "
        "same time");
    return Step::done;
  }
  greet(session, request.reply);
  return Step::done;
}

constexpr ConnectionCommand kSessionCommands[] = {
    {"auth", auth}, {"echo", echo},   {"hello", hello},      {"ping", ping},
    {"quit", quit}, {"reset", reset}, {"select", select_db},
};

}  // namespace

bool is_valid_client_name(ByteView name) noexcept {
  return std::ranges::all_of(name, [](char c) { return c >= '!' && c <= '~'; });
}

std::span<const ConnectionCommand> session_commands() noexcept {
  return kSessionCommands;
}

}  // namespace larder
