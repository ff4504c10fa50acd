#include <algorithm>
#include <atomic>
#include <memory>

#include <fmt/format.h>

#include "base/clock.h"
#include "command/error_reply.h"
#include "server/client_filter.h"
#include "server/client_line.h"
#include "server/connection_commands.h"
#include "server/gather.h"
#include "value/number.h"

namespace larder {
namespace {

Step client_id(Session& session, const Request& request) {
  request.reply.integer(static_cast<std::int64_t>(session.identity().id));
  return Step::done;
}

Step client_info(Session& session, const Request& request) {
  request.reply.verbatim("txt", client_line(session, request.now_ms) + "\n");
  return Step::done;
}

// --- LIST and KILL ---

struct ListedClient {
  std::uint64_t id;
  std::string line;
};

Step client_list(Session& session, const Request& request) {
  ParsedFilter parsed = parse_list_filter(request.argv.subspan(2));
  if (!parsed.error.empty()) {
    request.reply.error(parsed.error);
    return Step::done;
  }
  return gather<ListedClient>(
      session,
      [filter = std::move(parsed.filter), now_ms = request.now_ms](Worker& worker, auto& clients) {
        for (const auto& [id, client] : worker.sessions())
          if (!client->is_closed() && filter.matches(*client))
            clients.push_back({id, client_line(*client, now_ms)});
      },
      [](ReplyWriter& reply, auto& clients) {
        std::ranges::sort(clients, {}, &ListedClient::id);
        Bytes text;
        for (const ListedClient& client : clients) text.append(client.line).append("\n");
        reply.verbatim("txt", text);
      });
}

enum class KillReply : std::uint8_t { count, ok_or_error };

/// Closes the clients that match. The asking one goes last, when it has its answer: whether it does is known
/// then, so what it has sent behind waits.
Step kill_clients(Session& session, ClientFilter filter, KillReply form) {
  const std::uint64_t me = session.identity().id;
  // Who is logged in nowhere is not known here, but for our own user.
  const std::string stranger = filter.user.value_or("default") == "default" ? "" : *filter.user;
  static_cast<void>(gather<std::uint64_t>(
      session,
      [filter = std::move(filter), me](Worker& worker, auto& killed) {
        for (const auto& [id, client] : worker.sessions()) {
          if (client->is_closed() || !filter.matches(*client) || (id == me && filter.skips_me)) continue;
          killed.push_back(id);
          if (id != me) client->close();
        }
      },
      [&session, me, form, stranger](ReplyWriter& reply, auto& killed) {
        if (killed.empty() && !stranger.empty())
          reply.error(fmt::format("ERR No such user '{}'", stranger));
        else if (form == KillReply::count)
          reply.integer(static_cast<std::int64_t>(killed.size()));
        else if (killed.empty())
          reply.error("ERR No such client");
        else
          reply.ok();
        if (std::ranges::find(killed, me) != killed.end()) session.close_after_replies();
      }));
  return Step::blocking;
}

Step client_kill(Session& session, const Request& request) {
  if (request.argv.size() == 3)
    return kill_clients(session, {.address = std::string(request.argv[2]), .skips_me = false},
                        KillReply::ok_or_error);
  ParsedFilter parsed = parse_kill_filter(request.argv.subspan(2));
  if (parsed.error.empty()) return kill_clients(session, std::move(parsed.filter), KillReply::count);
  request.reply.error(parsed.error);
  return Step::done;
}

// --- what a client says of itself ---

Step client_getname(Session& session, const Request& request) {
  if (session.state.name.empty())
    request.reply.null();
  else
    request.reply.bulk(session.state.name);
  return Step::done;
}

Step client_setname(Session& session, const Request& request) {
  if (!is_valid_client_name(request.argv[2])) {
    request.reply.error("ERR Client names cannot contain spaces, newlines or special characters.");
    return Step::done;
  }
  session.state.name = request.argv[2];
  request.reply.ok();
  return Step::done;
}

Step client_setinfo(Session& session, const Request& request) {
  const ByteView attribute = request.argv[2];
  std::string* const field = equals_ignore_case(attribute, "lib-name")  ? &session.state.library_name
                             : equals_ignore_case(attribute, "lib-ver") ? &session.state.library_version
                                                                        : nullptr;
  if (field == nullptr) {
    request.reply.error(fmt::format("ERR Unrecognized option '{}'", attribute));
  } else if (!is_valid_client_name(request.argv[3])) {
    request.reply.error(
        fmt::format("ERR {} cannot contain spaces, newlines or special characters.", attribute));
  } else {
    *field = request.argv[3];
    request.reply.ok();
  }
  return Step::done;
}

Step client_reply(Session& session, const Request& request) {
  using Mode = Session::ReplyMode;
  Mode& mode = session.state.reply_mode;
  const ByteView word = request.argv[2];
  if (equals_ignore_case(word, "on")) {
    mode = Mode::on;
    request.reply.ok();
  } else if (equals_ignore_case(word, "off")) {
    mode = Mode::off;
  } else if (equals_ignore_case(word, "skip")) {
    if (mode != Mode::off) mode = Mode::skip_next;
  } else {
    append_error(request.reply, Errc::syntax);
  }
  return Step::done;
}

/// An argument ON or OFF.
Step set_switch(const Request& request, bool& state) {
  const ByteView word = request.argv[2];
  if (!equals_ignore_case(word, "on") && !equals_ignore_case(word, "off")) {
    append_error(request.reply, Errc::syntax);
    return Step::done;
  }
  state = equals_ignore_case(word, "on");
  request.reply.ok();
  return Step::done;
}

Step client_no_evict(Session& session, const Request& request) {
  return set_switch(request, session.state.no_evict);
}

Step client_no_touch(Session& session, const Request& request) {
  return set_switch(request, session.state.no_touch);
}

// --- UNBLOCK ---

/// Its worker asks the backend, which may take its time; the answer comes back here.
Step unblock(Session& session, std::uint64_t id, Backend::Unblock how) {
  const Ticket ticket = session.defer();
  const auto answer = [&session, ticket](bool unblocked) {
    session.worker().post([&session, ticket, unblocked] {
      session.reply_to(ticket).integer(unblocked ? 1 : 0);
      session.finish(ticket);
    });
  };
  const auto found = std::make_shared<std::atomic<bool>>(false);
  session.worker().server().on_every_worker(
      session.worker(),
      [id, how, found, answer](Worker& worker) {
        Session* const blocked = worker.find_session(id);
        if (blocked == nullptr || !blocked->holds.blocked) return;
        *found = true;
        worker.backend().unblock(*blocked, how, answer);
      },
      [found, answer] {
        if (!*found) answer(false);
      });
  return Step::pending;
}

Step client_unblock(Session& session, const Request& request) {
  const auto argv = request.argv;
  const auto id = parse_integer(argv[2]);
  const bool as_error = argv.size() == 4 && equals_ignore_case(argv[3], "error");
  if (argv.size() > 4 || (argv.size() == 4 && !as_error && !equals_ignore_case(argv[3], "timeout"))) {
    request.reply.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  } else if (!id) {
    append_error(request.reply, Errc::not_an_integer);
  } else {
    return unblock(session, static_cast<std::uint64_t>(*id),
                   as_error ? Backend::Unblock::error : Backend::Unblock::timeout);
  }
  return Step::done;
}

// --- PAUSE ---

Step client_pause(Session& session, const Request& request) {
  const auto argv = request.argv;
  const auto duration_ms = parse_integer(argv[2]);
  const bool writes_only = argv.size() == 4 && equals_ignore_case(argv[3], "write");
  if (argv.size() > 4) {
    append_subcommand_syntax(request.reply, argv);
  } else if (argv.size() == 4 && !writes_only && !equals_ignore_case(argv[3], "all")) {
    request.reply.error("ERR CLIENT PAUSE mode must be WRITE or ALL");
  } else if (!duration_ms || *duration_ms > INT64_MAX - request.now_ms) {
    request.reply.error("ERR timeout is not an integer or out of range");
  } else if (*duration_ms < 0) {
    request.reply.error("ERR timeout is negative");
  } else {
    session.worker().server().pause(request.now_ms, *duration_ms,
                                    writes_only ? PauseOf::writes : PauseOf::all);
    request.reply.ok();
  }
  return Step::done;
}

Step client_unpause(Session& session, const Request& request) {
  session.worker().server().unpause();
  request.reply.ok();
  return Step::done;
}

constexpr ConnectionCommand kClientCommands[] = {
    {"client|getname", client_getname},
    {"client|help", answer_help},
    {"client|id", client_id},
    {"client|info", client_info},
    {"client|kill", client_kill},
    {"client|list", client_list},
    {"client|no-evict", client_no_evict},
    {"client|no-touch", client_no_touch},
    {"client|pause", client_pause},
    {"client|reply", client_reply},
    {"client|setinfo", client_setinfo},
    {"client|setname", client_setname},
    {"client|unblock", client_unblock},
    {"client|unpause", client_unpause},
};

}  // namespace

std::span<const ConnectionCommand> client_commands() noexcept {
  return kClientCommands;
}

}  // namespace larder
