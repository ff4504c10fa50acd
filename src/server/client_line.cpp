#include "server/client_line.h"

#include <fmt/format.h>

#include "server/session.h"
#include "server/tracking.h"

namespace larder {
namespace {

/// The letters of CLIENT LIST, in Redis' order.
std::string flags_of(const Session& session) {
  std::string letters;
  if (session.state.monitoring) letters += 'O';
  if (session.holds.subscribed.any()) letters += 'P';
  if (session.state.transaction != nullptr) letters += 'x';
  if (session.holds.blocked) letters += 'b';
  if (session.tracking != nullptr) letters += 't';
  if (session.tracking != nullptr && session.tracking->redirect_is_broken) letters += 'R';
  if (session.tracking != nullptr && session.tracking->options().broadcasts) letters += 'B';
  if (session.identity().is_unix) letters += 'U';
  if (session.state.no_evict) letters += 'e';
  if (session.state.no_touch) letters += 'T';
  return letters.empty() ? "N" : letters;
}

}  // namespace

std::string client_line(const Session& session, UnixMs now_ms) {
  const ClientIdentity& identity = session.identity();
  const Session::State& state = session.state;
  const Subscribed& subscribed = session.holds.subscribed;
  const Session::Usage usage = session.usage();
  const Transaction* const multi = state.transaction.get();
  return fmt::format(
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={} "
      "qbuf={} "
      "qbuf-free={} argv-mem={} multi-mem={} rbs={} rbp=0 obl=0 oll={} omem={} tot-mem={} events={} cmd={} "
      "user={} "
      "redir={} resp={} lib-name={} lib-ver={}",
      identity.id, identity.address, identity.local_address, usage.fd, state.name,
      (now_ms - identity.connected_at_ms) / 1000, usage.idle_us / 1'000'000, flags_of(session), session.db(),
      subscribed.channels, subscribed.patterns, subscribed.shard_channels,
      multi == nullptr ? -1 : static_cast<int>(multi->size()), usage.input_bytes,
      usage.input_capacity - usage.input_bytes, usage.parser_bytes, multi == nullptr ? 0 : multi->bytes(),
      usage.output_capacity, session.pending(), session.unsent(),
      sizeof(Session) + usage.input_capacity + usage.output_capacity + usage.parser_bytes,
      usage.waits_for_room ? "rw" : "r", usage.command.empty() ? "NULL" : usage.command, session.user(),
      session.tracking_redirect(), static_cast<int>(session.protocol()), state.library_name,
      state.library_version);
}

}  // namespace larder
