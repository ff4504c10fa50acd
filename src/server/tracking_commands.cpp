#include <atomic>
#include <memory>

#include <fmt/format.h>

#include "command/error_reply.h"
#include "server/connection_commands.h"
#include "server/server.h"
#include "server/session.h"
#include "server/tracking.h"
#include "server/worker.h"
#include "value/number.h"

namespace larder {
namespace {

/// What CLIENT TRACKING was told, and the first thing that is wrong with it.
struct TrackingRequest {
  Tracking::Options options;
  std::vector<std::string> prefixes;  ///< as they were given
  std::string error;
};

/// The options behind ON or OFF.
/// Source: order of checks and texts as Redis 7.0 networking.c, clientCommand().
TrackingRequest parse_tracking(std::span<const ByteView> words) {
  TrackingRequest parsed;
  Tracking::Options& options = parsed.options;
  for (std::size_t i = 0; i < words.size() && parsed.error.empty(); ++i) {
    const bool has_argument = i + 1 < words.size();
    if (equals_ignore_case(words[i], "redirect") && has_argument) {
      const auto id = parse_integer(words[++i]);
      if (options.redirect != 0)
        parsed.error = "ERR A client can only redirect to a single other client";
      else if (!id)
        parsed.error = "ERR value is not an integer or out of range";
      else if (*id <= 0)
        parsed.error = "ERR The client ID you want redirect to does not exist";
      else
        options.redirect = static_cast<std::uint64_t>(*id);
    } else if (equals_ignore_case(words[i], "bcast")) {
      options.broadcasts = true;
    } else if (equals_ignore_case(words[i], "optin")) {
      options.opts_in = true;
    } else if (equals_ignore_case(words[i], "optout")) {
      options.opts_out = true;
    } else if (equals_ignore_case(words[i], "noloop")) {
      options.no_loop = true;
    } else if (equals_ignore_case(words[i], "prefix") && has_argument) {
      parsed.prefixes.emplace_back(words[++i]);
    } else {
      parsed.error = "ERR syntax error";
    }
  }
  return parsed;
}

bool overlap(ByteView a, ByteView b) noexcept {
  return a.starts_with(b) || b.starts_with(a);
}

/// Empty: they are fit for each other and for those that the client has.
std::string check_prefixes(const Session& session, const std::vector<std::string>& prefixes) {
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    if (session.tracking != nullptr)
      for (const std::string& existing : session.tracking->options().prefixes)
        if (overlap(existing, prefixes[i]))
          return fmt::format(
              "ERR Prefix '{}' overlaps with an existing prefix '{}'. Prefixes for a single client must not "
              "overlap.",
              prefixes[i], existing);
    for (std::size_t j = i + 1; j < prefixes.size(); ++j)
      if (overlap(prefixes[i], prefixes[j]))
        return fmt::format(
            "ERR Prefix '{}' overlaps with another provided prefix '{}'. Prefixes for a single client must "
            "not "
            "overlap.",
            prefixes[i], prefixes[j]);
  }
  return {};
}

/// Empty: the options are fit for each other and for the state of the client.
std::string check_modes(Session& session, const TrackingRequest& parsed) {
  const Tracking::Options& options = parsed.options;
  const Tracking::Options* const present =
      session.tracking == nullptr ? nullptr : &session.tracking->options();
  if (!options.broadcasts && !parsed.prefixes.empty())
    return "ERR PREFIX option requires BCAST mode to be enabled";
  if (present != nullptr && present->broadcasts != options.broadcasts)
    return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
           "re-enabling it with a different mode.";
  if (options.broadcasts && (options.opts_in || options.opts_out))
    return "ERR OPTIN and OPTOUT are not compatible with BCAST";
  if (options.opts_in && options.opts_out) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
  if (present != nullptr &&
      ((options.opts_in && present->opts_out) || (options.opts_out && present->opts_in)))
    return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
           "re-enabling it with a different mode.";
  return options.broadcasts ? check_prefixes(session, parsed.prefixes) : std::string();
}

/// Returns what is wrong; empty: it is done.
std::string set_tracking(Session& session, bool on, TrackingRequest parsed) {
  if (parsed.error.empty() && on) parsed.error = check_modes(session, parsed);
  if (!parsed.error.empty()) return parsed.error;
  if (!on) {
    session.tracking.reset();
    return {};
  }
  Tracking::Options& options = parsed.options;
  options.prefixes.insert(parsed.prefixes.begin(), parsed.prefixes.end());
  if (options.broadcasts && options.prefixes.empty()) options.prefixes.emplace();
  if (session.tracking != nullptr)
    session.tracking->change(std::move(options));
  else
    session.tracking = std::make_unique<Tracking>(session, std::move(options));
  return {};
}

void answer(Session& session, Ticket ticket, ByteView error) {
  ReplyWriter reply = session.reply_to(ticket);
  if (error.empty())
    reply.ok();
  else
    reply.error(error);
  session.finish(ticket);
}

/// Who begins to hear of everything has the answer when the backend does so too.
void set_tracking_later(Session& session, Ticket ticket, bool on, TrackingRequest parsed) {
  if (session.is_closed()) return session.finish(ticket);
  const bool begins = on && parsed.options.broadcasts && session.tracking == nullptr;
  const std::string error = set_tracking(session, on, std::move(parsed));
  if (!begins || !error.empty()) return answer(session, ticket, error);
  session.worker().backend().hear_everything([&session, ticket](ByteView problem) {
    session.worker().post([&session, ticket, error = std::string(problem)] {
      if (!error.empty()) session.tracking.reset();
      answer(session, ticket, error);
    });
  });
}

/// The client that is to be told is looked for first.
Step redirect_tracking(Session& session, bool on, const TrackingRequest& parsed) {
  const Ticket ticket = session.defer();
  const auto found = std::make_shared<std::atomic<Worker*>>(nullptr);
  session.worker().server().on_every_worker(
      session.worker(),
      [found, to = parsed.options.redirect](Worker& worker) {
        const Session* const target = worker.find_session(to);
        if (target != nullptr && !target->is_closed()) *found = &worker;
      },
      [&session, ticket, on, parsed, found] {
        if (*found == nullptr)
          return answer(session, ticket, "ERR The client ID you want redirect to does not exist");
        TrackingRequest complete = parsed;
        complete.options.redirect_worker = *found;
        set_tracking_later(session, ticket, on, std::move(complete));
      });
  return Step::pending;
}

Step client_tracking(Session& session, const Request& request) {
  const bool on = equals_ignore_case(request.argv[2], "on");
  TrackingRequest parsed = parse_tracking(request.argv.subspan(3));
  if (parsed.error.empty() && !on && !equals_ignore_case(request.argv[2], "off"))
    parsed.error = "ERR syntax error";
  const bool redirects = parsed.options.redirect != 0;
  if (!redirects && !parsed.options.broadcasts) {
    const std::string error = set_tracking(session, on, std::move(parsed));
    if (error.empty())
      request.reply.ok();
    else
      request.reply.error(error);
    return Step::done;
  }
  // What is read behind it must be tracked.
  session.hold_next();
  if (redirects) return redirect_tracking(session, on, parsed);
  set_tracking_later(session, session.defer(), on, std::move(parsed));
  return Step::pending;
}

Step client_caching(Session& session, const Request& request) {
  const Tracking* const tracking = session.tracking.get();
  const bool yes = equals_ignore_case(request.argv[2], "yes");
  if (tracking == nullptr) {
    request.reply.error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode "
        "enabled");
  } else if (!yes && !equals_ignore_case(request.argv[2], "no")) {
    append_error(request.reply, Errc::syntax);
  } else if (yes && !tracking->options().opts_in) {
    request.reply.error("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
  } else if (!yes && !tracking->options().opts_out) {
    request.reply.error("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
  } else {
    session.tracking->caching_said = true;
    request.reply.ok();
  }
  return Step::done;
}

Step client_trackinginfo(Session& session, const Request& request) {
  const Tracking* const tracking = session.tracking.get();
  std::vector<ByteView> flags = {tracking == nullptr ? "off" : "on"};
  const auto add_if = [&flags](bool set, ByteView flag) {
    if (set) flags.push_back(flag);
  };
  if (tracking != nullptr) {
    const Tracking::Options& options = tracking->options();
    add_if(options.broadcasts, "bcast");
    add_if(options.opts_in, "optin");
    add_if(options.opts_in && tracking->caching_said, "caching-yes");
    add_if(options.opts_out, "optout");
    add_if(options.opts_out && tracking->caching_said, "caching-no");
    add_if(options.no_loop, "noloop");
    add_if(tracking->redirect_is_broken, "broken_redirect");
  }
  ReplyWriter& reply = request.reply;
  reply.begin_map(3);
  reply.bulk("flags");
  reply.begin_set(flags.size());
  for (const ByteView flag : flags) reply.bulk(flag);
  reply.bulk("redirect");
  reply.integer(session.tracking_redirect());
  reply.bulk("prefixes");
  reply.begin_array(tracking == nullptr ? 0 : tracking->options().prefixes.size());
  if (tracking != nullptr)
    for (const std::string& prefix : tracking->options().prefixes) reply.bulk(prefix);
  return Step::done;
}

Step client_getredir(Session& session, const Request& request) {
  request.reply.integer(session.tracking_redirect());
  return Step::done;
}

constexpr ConnectionCommand kTrackingCommands[] = {
    {"client|caching", client_caching},
    {"client|getredir", client_getredir},
    {"client|tracking", client_tracking},
    {"client|trackinginfo", client_trackinginfo},
};

}  // namespace

std::span<const ConnectionCommand> tracking_commands() noexcept {
  return kTrackingCommands;
}

}  // namespace larder
