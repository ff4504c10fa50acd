#include <algorithm>
#include <utility>

#include "command/error_reply.h"
#include "resp/reply_cursor.h"
#include "server/connection_commands.h"
#include "server/dispatch.h"
#include "server/session.h"
#include "server/tracking.h"
#include "server/transaction.h"
#include "server/worker.h"

namespace larder {
namespace {

constexpr ByteView kUnwatch[] = {"UNWATCH"};
constexpr ByteView kRawUnwatch = "*1\r\n$7\r\nUNWATCH\r\n";

Step multi(Session& session, const Request& request) {
  if (!session.worker().backend().has_transactions()) {
    append_unknown_command(request.reply, request.argv);
  } else if (session.state.transaction != nullptr) {
    request.reply.error("ERR MULTI calls can not be nested");
  } else {
    session.state.transaction = std::make_unique<Transaction>();
    request.reply.ok();
  }
  return Step::done;
}

// --- what is watched, the backend knows ---

Step watch(Session& session, const Request& request) {
  if (!session.worker().backend().has_transactions()) {
    append_unknown_command(request.reply, request.argv);
  } else if (session.state.transaction != nullptr) {
    // Keys of several slots Redis refuses as those of a command that it would queue.
    if (session.worker().backend().may_queue(request))
      request.reply.error("ERR WATCH inside MULTI is not allowed");
    else
      session.state.transaction->spoil();
  } else {
    return session.worker().backend().execute(request);
  }
  return Step::done;
}

Step unwatch(Session& session, const Request& request) {
  if (!session.worker().backend().has_transactions()) {
    append_unknown_command(request.reply, request.argv);
  } else if (!session.holds.watching) {
    request.reply.ok();
  } else {
    const Request plain{find_command("unwatch"), kUnwatch, kRawUnwatch,
                        request.now_ms,          session,  request.reply};
    return session.worker().backend().execute(plain);
  }
  return Step::done;
}

/// What was watched is forgotten too, and UNWATCH answers the same.
Step discard(Session& session, const Request& request) {
  if (session.state.transaction == nullptr) {
    request.reply.error("ERR DISCARD without MULTI");
    return Step::done;
  }
  const Step step = unwatch(session, request);
  if (step != Step::hold) session.state.transaction.reset();
  return step;
}

// --- EXEC ---

/// Puts the array together: the backend's replies and, between them, those of the server's own commands.
void append_replies(Session& session, const Transaction& transaction, ByteView array) {
  ReplyCursor cursor(array);
  cursor.skip_header();
  std::size_t position = 0;
  const auto copy_up_to = [&](std::size_t end) {
    for (; position < end; ++position) session.append(cursor.take());
  };
  for (const Transaction::Own& own : transaction.own()) {
    copy_up_to(own.position);
    const bool is_followed = own.place == Transaction::Place::both;
    const ByteView said = own.place == Transaction::Place::server ? ByteView() : cursor.take();
    const bool is_refused = said.starts_with('-');
    if (is_followed || is_refused) session.append(said);
    if (is_followed && !is_refused) session.follow_select(own.raw);
    if (!is_followed && !is_refused) session.run_queued(*own.spec, own.raw);
    ++position;
  }
  copy_up_to(transaction.size());
}

/// EXEC's own place has the header; what is in the array takes the places behind it, which are nobody's yet.
void settle(Session& session, Ticket ticket, const Transaction& transaction, ByteView reply) {
  using Mode = Session::ReplyMode;
  const bool has_array = reply.starts_with('*') && !reply.starts_with("*-");
  if (!has_array)
    session.reply_to(ticket).raw(reply);  // none was run
  else
    session.reply_to(ticket).begin_array(transaction.size());
  if (has_array && !session.is_closed()) {
    const bool discards = session.discards(ticket);
    const Mode before = session.state.reply_mode;
    if (discards) session.state.reply_mode = Mode::off;
    append_replies(session, transaction, reply);
    if (discards && session.state.reply_mode == Mode::off) session.state.reply_mode = before;
  }
  session.finish(ticket);
}

/// With commands of the server's own: all that came before is answered first, and what follows waits.
Step run_mixed(Session& session, const Request& request) {
  if (session.pending() > 0) return Step::hold;
  Transaction& transaction = *session.state.transaction;
  Bytes at_once;
  ReplyWriter reply(at_once, session.protocol());
  const bool is_own_only = transaction.own().size() == transaction.size() &&
                           std::ranges::all_of(transaction.own(), [](const Transaction::Own& own) {
                             return own.place == Transaction::Place::server;
                           });
  Step step = Step::done;
  Tracking::Keys read;
  if (is_own_only && !session.holds.watching) {
    reply.begin_array(0);
  } else {
    const Request block{request.spec, request.argv, transaction.block(), request.now_ms, transaction, reply};
    transaction.start(session, nullptr);
    if (session.tracking != nullptr) read = session.tracking->note(block);
    step = session.worker().backend().execute(block);
  }
  if (step == Step::hold) return step;
  if (step == Step::done) session.worker().backend().unwatch(session);
  const Ticket ticket = session.defer();
  if (!read.empty()) session.tracking->await(ticket, std::move(read));
  session.executing = std::exchange(session.state.transaction, nullptr);
  if (step == Step::done) {
    settle(session, ticket, transaction, at_once);
    session.executing.reset();
  } else {
    transaction.start(session, [&session, ticket](ByteView answer) {
      const auto executed = std::exchange(session.executing, nullptr);
      settle(session, ticket, *executed, answer);
    });
  }
  return Step::blocking;
}

Step exec(Session& session, const Request& request) {
  if (session.state.transaction == nullptr) {
    request.reply.error("ERR EXEC without MULTI");
    return Step::done;
  }
  Transaction& transaction = *session.state.transaction;
  if (transaction.is_spoiled()) {
    Request block = request;
    block.raw = transaction.block();
    if (session.worker().backend().may_abort(block))
      request.reply.error("EXECABORT Transaction discarded because of previous errors.");
    session.drop_transaction();
    return Step::done;
  }
  if (!transaction.own().empty() || transaction.size() == 0) return run_mixed(session, request);
  Request block = request;
  block.raw = transaction.block();
  const Step step = execute(session, block);
  if (step == Step::done) session.worker().backend().unwatch(session);  // none was run
  if (step != Step::hold) session.state.transaction.reset();
  return step;
}

constexpr ConnectionCommand kTransactionCommands[] = {
    {"discard", discard}, {"exec", exec}, {"multi", multi}, {"unwatch", unwatch}, {"watch", watch},
};

}  // namespace

std::span<const ConnectionCommand> transaction_commands() noexcept {
  return kTransactionCommands;
}

}  // namespace larder
