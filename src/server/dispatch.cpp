#include "server/dispatch.h"

#include <utility>

#include "base/log.h"
#include "command/arguments.h"
#include "command/error_reply.h"
#include "command/tags.h"
#include "server/admission.h"
#include "server/connection_commands.h"
#include "server/monitor.h"
#include "server/redact.h"
#include "server/rights.h"
#include "server/server.h"
#include "server/session.h"
#include "server/tracking.h"
#include "server/worker.h"

namespace larder {
namespace {

bool wants_default_ttl(const Request& request) {
  if (request.spec == nullptr || request.spec->name != "set") return false;
  const Result<WriteOptions> options = parse_set_options(request.argv.subspan(3));
  return options && options->expiry == ExpiryOption::none;
}

/// Whom AUTH and HELLO log in, if they do.
ByteView user_of_login(const Request& request) {
  const auto argv = request.argv;
  if (request.spec->name == "auth") return argv.size() == 3 ? argv[1] : kOwnUser;
  for (std::size_t i = 2; request.spec->name == "hello" && i + 2 < argv.size(); ++i)
    if (equals_ignore_case(argv[i], "auth")) return argv[i + 1];
  return {};
}

bool publishes(const CommandSpec& spec) noexcept {
  return spec.name == "publish" || spec.name == "spublish";
}

/// CLIENT PAUSE: the request waits, and the session with it, until the pause ends. Of a pause of everything
/// one can be freed here, unlike in Redis.
bool is_paused(Session& session, const Request& request) {
  Server& server = session.worker().server();
  if (request.now_ms >= server.paused_until_ms.load(std::memory_order_relaxed)) return false;
  const CommandSpec* const spec = request.spec;
  const bool writes_by_exec = spec != nullptr && spec->name == "exec" &&
                              session.state.transaction != nullptr && session.state.transaction->writes();
  const bool writes = spec == nullptr || spec->flags.has(Flag::write) || publishes(*spec) || writes_by_exec;
  const bool frees = spec != nullptr && spec->name == "client|unpause";
  if (server.pause_writes_only.load(std::memory_order_relaxed) ? !writes : frees) return false;
  session.pause();
  return true;
}

void count_hot_key(Session& session, const Request& request) {
  const auto position = static_cast<std::size_t>(
      request.spec != nullptr ? request.spec->keys.first
                              : session.worker().backend().first_key_position(request));
  const bool has_key = position > 0 && position < request.argv.size();
  session.worker().hot_keys().add(session.db(), has_key ? request.argv[position] : ByteView());
}

void show_monitors(Session& session, const Request& request) {
  const bool hidden = request.spec != nullptr &&
                      (request.spec->flags.has(Flag::skip_monitor) || request.spec->flags.has(Flag::admin));
  if (hidden) return;
  session.worker().server().show_monitors(
      monitor_line(redacted(request.argv), session.db(), session.identity().address));
}

/// False: the reason was appended to the reply.
bool may_queue(Session& session, const Request& request) {
  const Result<void> checked =
      request.spec != nullptr ? check_tag_words(*request.spec, request.argv) : Result<void>();
  if (!checked) append_error(request.reply, checked.error());
  return checked && session.worker().backend().may_queue(request);
}

Step queue_up(Session& session, const Request& request, Transaction::Place place) {
  if (place != Transaction::Place::server && !may_queue(session, request)) {
    session.state.transaction->spoil();
    return Step::done;
  }
  request.reply.simple("QUEUED");
  if (session.state.transaction->is_spoiled()) return Step::done;
  session.state.transaction->queue(request, place);
  if (session.state.transaction->bytes() >
      session.worker().server().live.query_buffer_limit.load(std::memory_order_relaxed)) {
    log::warning("client {} closed: its transaction exceeds the query buffer limit",
                 session.identity().address);
    session.close();
  }
  return Step::done;
}

/// What the backend runs, now or with EXEC.
Step pass_on(Session& session, const Request& request) {
  if (session.state.transaction != nullptr) return queue_up(session, request, Transaction::Place::backend);
  return execute(session, request);
}

/// A command of the server's own, which a Redis behind it may know better.
Step run_own(Session& session, const Request& request) {
  const CommandSpec& spec = *request.spec;
  // Inside of a transaction what Redis says of its commands must do.
  const bool is_upstreams = spec.flags.has(Flag::upstream_answers) ||
                            (spec.flags.has(Flag::upstream_begins) && session.state.transaction != nullptr);
  if (is_upstreams && session.worker().backend().forwards_unknown()) {
    Request unknown = request;
    unknown.spec = nullptr;
    return pass_on(session, unknown);
  }
  // A subscriber's PING is answered behind what was published before it, as by Redis.
  if (session.state.transaction == nullptr && session.holds.subscribed.any() && spec.name == "ping" &&
      session.worker().backend().has_subscriptions())
    return pass_on(session, request);
  const bool asks = session.acts_as != nullptr && !question_for(spec).empty();
  if (asks && session.state.transaction == nullptr) return ask_and_run(session, request);
  if (session.state.transaction == nullptr || spec.flags.has(Flag::runs_in_multi))
    return find_connection_handler(spec)(session, request);
  if (const ByteView user = user_of_login(request);
      !user.empty() && (session.acts_as != nullptr || user != kOwnUser)) {
    // Redis judges each command behind it by the rights of the new user; here they have all run by then.
    request.reply.error("ERR a change of the user is not supported inside of a transaction");
    session.state.transaction->spoil();
    return Step::done;
  }
  if (asks) return queue_up(session, request, Transaction::Place::asked);
  return queue_up(session, request,
                  spec.name == "select" ? Transaction::Place::both : Transaction::Place::server);
}

/// `[cache] default_ttl`: a plain SET is run, and forwarded, as if the client had written `PX ttl` behind it.
Step set_with_default_ttl(Session& session, Request request) {
  const std::string ttl_ms = std::to_string(session.worker().server().settings().cache.default_ttl.count());
  std::vector<ByteView> argv(request.argv.begin(), request.argv.end());
  argv.insert(argv.end(), {"PX", ttl_ms});
  request.argv = argv;
  Bytes raw;  // the session still reads what the client wrote, which may stand in the worker's buffer
  ReplyWriter writer(raw, Protocol::resp2);
  writer.begin_array(argv.size());
  for (const ByteView argument : argv) writer.bulk(argument);
  request.raw = raw;
  return pass_on(session, request);
}

}  // namespace

Step execute(Session& session, const Request& request) {
  return session.tracking == nullptr ? session.worker().backend().execute(request)
                                     : session.tracking->run(request);
}

std::optional<Step> dispatch(Session& session, Request& request) {
  Server& server = session.worker().server();
  if (!admit(session, request)) {
    if (session.state.transaction != nullptr) session.state.transaction->spoil();
    return std::nullopt;
  }
  if (is_paused(session, request)) return Step::hold;
  const bool is_seen = std::exchange(session.was_shown, true);
  if (!is_seen && server.monitors.load(std::memory_order_relaxed) > 0) show_monitors(session, request);
  const CommandSpec* spec = request.spec;
  if (spec != nullptr && spec->runner == Runner::connection) return run_own(session, request);
  if (session.worker().hot_keys().wants_sample()) count_hot_key(session, request);
  if (server.settings().cache.default_ttl.count() > 0 && wants_default_ttl(request))
    return set_with_default_ttl(session, request);
  return pass_on(session, request);
}

}  // namespace larder
