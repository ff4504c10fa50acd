#include "server/tracking.h"

#include <algorithm>
#include <utility>

#include "server/server.h"
#include "server/session.h"
#include "server/worker.h"

namespace larder {
namespace {

/// A client with more that it has not read is told to forget everything, once: its requests wait too, so
/// until it has read that it comes to know nothing new.
constexpr std::size_t kMostUnread = 1 << 20;

constexpr ByteView kChannel = "__redis__:invalidate";

/// The message for a client; no keys: everything. Empty when it cannot be told: in RESP2 only a subscriber
/// can, for somebody else.
Bytes message_for(const Session& client, const Tracking::Keys& keys, bool is_redirected) {
  Bytes bytes;
  ReplyWriter out(bytes, client.protocol());
  if (client.protocol() == Protocol::resp3) {
    out.begin_push(2);
    out.bulk("invalidate");
  } else if (is_redirected && client.holds.subscribed.any()) {
    out.begin_push(3);
    out.bulk("message");
    out.bulk(kChannel);
  } else {
    return {};
  }
  if (keys.empty()) {
    out.null();
  } else {
    out.begin_array(keys.size());
    for (const Bytes& key : keys) out.bulk(key);
  }
  return bytes;
}

}  // namespace

Tracking::Tracking(Session& session, Options options)
    : session_(session), id_(Invalidations::reader_of(session.worker().index(), session.identity().id)) {
  if (options.broadcasts) ++session_.worker().broadcasting;
  apply(std::move(options));
  session_.worker().trackers.insert(&session_);
  session_.worker().server().keyspace().tracked().join(options_.broadcasts ? TrackedKeys::Mode::all
                                                                           : TrackedKeys::Mode::reads);
}

Tracking::~Tracking() {
  session_.tracks = Caller::Tracks::nothing;
  session_.spared = 0;
  session_.worker().trackers.erase(&session_);
  if (options_.broadcasts) --session_.worker().broadcasting;
  for (const std::string& prefix : options_.prefixes)
    session_.worker().server().invalidations().leave(prefix);
  session_.worker().server().keyspace().tracked().leave(options_.broadcasts ? TrackedKeys::Mode::all
                                                                            : TrackedKeys::Mode::reads);
}

void Tracking::change(Options options) {
  options.prefixes.insert(options_.prefixes.begin(), options_.prefixes.end());
  redirect_is_broken = false;
  apply(std::move(options));
}

void Tracking::apply(Options options) {
  Invalidations& invalidations = session_.worker().server().invalidations();
  for (const std::string& prefix : options.prefixes)
    if (!options_.prefixes.contains(prefix)) invalidations.join(prefix);
  options_ = std::move(options);
  session_.tracks = options_.broadcasts ? Caller::Tracks::everything : Caller::Tracks::reads;
  session_.spared = options_.no_loop ? id_ : 0;
}

// --- reading ---

Step Tracking::run(const Request& request) {
  Session& session = session_;
  Keys keys = note(request);
  session.is_heard_of = false;
  const Step step = session.worker().backend().execute(request);
  if (keys.empty() || step == Step::hold || session.is_closed()) return step;  // a closed one has no Tracking
  if (step == Step::done) {
    if (!hears_of(session_.is_heard_of)) tell_itself(keys);
  } else {
    await(session_.last_ticket(), std::move(keys));
  }
  return step;
}

Tracking::Keys Tracking::note(const Request& request) {
  if ((options_.opts_in && !caching_said) || (options_.opts_out && caching_said)) return {};
  std::vector<KeyRef> read;
  session_.worker().backend().append_read_keys(request, read);
  Keys keys;
  TrackedKeys& tracked = session_.worker().server().keyspace().tracked();
  for (const KeyRef& key : read) {
    if (!keeps(key.bytes)) continue;
    keys.emplace_back(key.bytes);
    if (!options_.broadcasts) tracked.add(key.bytes, id_);
  }
  may_keep_anything_ |= !keys.empty();
  return keys;
}

bool Tracking::keeps(ByteView key) const {
  return !options_.broadcasts ||
         std::ranges::any_of(options_.prefixes, [key](ByteView prefix) { return key.starts_with(prefix); });
}

void Tracking::await(Ticket ticket, Keys keys) {
  if (session_.waits_for(ticket))
    reads_.insert_or_assign(ticket, std::move(keys));
  else
    tell_itself(keys);
}

void Tracking::finished(Ticket ticket, bool is_heard_of) {
  if (const auto read = reads_.extract(ticket); !read.empty() && !hears_of(is_heard_of))
    tell_itself(read.mapped());
  while (!owed_.empty() && !session_.owes(owed_.front().last)) {
    say(owed_.front().keys);
    owed_.pop_front();
  }
}

/// Everything that a broadcast does not tell of at present it must not keep.
bool Tracking::hears_of(bool is_heard_of) const {
  return is_heard_of && (!options_.broadcasts || session_.worker().backend().hears_everything());
}

/// Later, when the reply can be told from those that are under way.
void Tracking::tell_itself(const Keys& keys) {
  for (const Bytes& key : keys) session_.worker().server().invalidations().tell({&id_, 1}, key);
}

// --- being told ---

void Tracking::forget(const Keys& keys) {
  if (!options_.broadcasts && !may_keep_anything_) return;
  const bool drowns = options_.redirect == 0 && session_.unsent() > kMostUnread && !session_.owes_any();
  if (!drowns) {
    drowned_ = false;
    tell(keys);
  } else if (!std::exchange(drowned_, true)) {
    forget_everything();
  }
}

void Tracking::forget_everything() {
  // Several connections to the second tier may tell of the same.
  if (!options_.broadcasts && !std::exchange(may_keep_anything_, false)) return;
  tell({});
}

/// While replies are under way, twice.
void Tracking::tell(const Keys& keys) {
  Session& session = session_;
  if (session.is_closed()) return;
  // Redis has closed the connections of that user: what changes is none of its business any more.
  if (session.acts_as != nullptr && session.acts_as->is_refused) return session.hang_up();
  say(keys);
  if (session.is_closed() || !session.owes_any()) return;  // a closed one has no Tracking
  if (options_.redirect == 0)
    session_.send_behind(message_for(session_, keys, false));
  else
    owed_.push_back({session_.last_owed(), keys});
}

void Tracking::say(const Keys& keys) {
  if (options_.redirect != 0) return redirect(keys);
  const Bytes message = message_for(session_, keys, false);
  if (!message.empty()) session_.push(message);
}

void Tracking::redirect(const Keys& keys) {
  Worker& there = *options_.redirect_worker;
  Worker& here = session_.worker();
  there.post([&there, &here, keys, to = options_.redirect, from = session_.identity().id] {
    Session* const target = there.find_session(to);
    if (target != nullptr && !target->is_closed()) {
      const Bytes message = message_for(*target, keys, true);
      if (!message.empty()) target->push(message);
      return;
    }
    here.post([&here, to, from] {
      Session* const session = here.find_session(from);
      if (session != nullptr && session->tracking != nullptr && session->tracking->options().redirect == to)
        session->tracking->find_redirect_broken();
    });
  });
}

void Tracking::find_redirect_broken() {
  redirect_is_broken = true;
  if (session_.is_closed() || session_.protocol() != Protocol::resp3) return;
  Bytes bytes;
  ReplyWriter out(bytes, Protocol::resp3);
  out.begin_push(2);
  out.bulk("tracking-redir-broken");
  out.integer(static_cast<std::int64_t>(options_.redirect));
  session_.push(bytes);
}

}  // namespace larder
