#include "server/admission.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "command/error_reply.h"
#include "server/connection_commands.h"
#include "server/session.h"
#include "server/worker.h"

namespace larder {
namespace {

/// The words by which an HTTP request shows itself: a web page may make a browser send one to this port.
bool is_http(ByteView name) {
  return equals_ignore_case(name, "post") || equals_ignore_case(name, "host:");
}

void refuse_arity(Session& session, const Request& request, const CommandSpec& spec) {
  if (spec.name != "exec") return append_wrong_arity(request.reply, spec.name);
  // As Redis: an EXEC that is refused ends the transaction.
  request.reply.error(
      "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command");
  session.drop_transaction();
}

/// Finds the row and checks the arity; false when an error was answered.
bool resolve(Session& session, Request& request) {
  const CommandSpec* spec = find_command(request.argv[0]);
  if (spec == nullptr) {
    if (is_http(request.argv[0])) {
      log::warning("client {} closed: it speaks HTTP", session.identity().address);
      session.close_after_replies();
      return false;
    }
    if (session.worker().backend().forwards_unknown()) return true;
    append_unknown_command(request.reply, request.argv);
    return false;
  }
  if (spec->flags.has(Flag::container) && request.argv.size() > 1) {
    const CommandSpec* subcommand = find_subcommand(*spec, request.argv[1]);
    // On redis a subcommand that we do not know may exist there, unless the server runs the container itself.
    if (subcommand == nullptr && spec->runner != Runner::connection &&
        session.worker().backend().forwards_unknown())
      return true;
    if (subcommand == nullptr) {
      append_unknown_subcommand(request.reply, spec->name, request.argv[1]);
      return false;
    }
    spec = subcommand;
  }
  request.spec = spec;
  if (!spec->accepts(request.argv.size())) {
    refuse_arity(session, request, *spec);
    return false;
  }
  if (spec->runner == Runner::connection && find_connection_handler(*spec) == nullptr) {
    append_unknown_command(request.reply, request.argv);
    return false;
  }
  return true;
}

/// What the server itself does for those who run it.
bool administers_larder(const Request& request) {
  return request.spec != nullptr && request.spec->runner == Runner::connection &&
         request.spec->flags.has(Flag::admin);
}

/// In RESP2 nothing else tells messages from replies; false when an error was answered.
bool is_for_subscribers(const Request& request) {
  constexpr ByteView kTheirs[] = {"ping",       "psubscribe", "punsubscribe", "quit",       "reset",
                                  "ssubscribe", "subscribe",  "sunsubscribe", "unsubscribe"};
  std::string name(request.spec != nullptr ? request.spec->name : request.argv[0].substr(0, 128));
  if (std::ranges::find(kTheirs, name) != std::end(kTheirs)) return true;
  std::ranges::transform(name, name.begin(), ascii_lower);
  request.reply.error(fmt::format(
      "{} Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
      "this context",
      name == "exec" ? "EXECABORT Transaction discarded because of:" : "ERR", name));
  return false;
}

}  // namespace

bool admit(Session& session, Request& request) {
  if (!resolve(session, request)) return false;
  const CommandSpec* spec = request.spec;
  if (session.state.transaction != nullptr && spec != nullptr && spec->flags.has(Flag::no_multi)) {
    request.reply.error("ERR Command not allowed inside a transaction");
    return false;
  }
  if (!session.state.authenticated && (spec == nullptr || !spec->flags.has(Flag::no_auth))) {
    request.reply.error("NOAUTH Authentication required.");
    return false;
  }
  if (session.holds.subscribing && session.protocol() == Protocol::resp2 && session.holds.subscribed.any() &&
      !is_for_subscribers(request))
    return false;
  if (session.acts_as != nullptr && administers_larder(request)) {
    // Larder's own commands know nothing of the rights of Redis' users, and CONFIG GET tells passwords.
    request.reply.error(
        fmt::format("NOPERM this user has no permissions to run the '{}' command", spec->name));
    return false;
  }
  return true;
}

}  // namespace larder
