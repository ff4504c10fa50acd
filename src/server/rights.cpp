#include "server/rights.h"

#include <memory>

#include "resp/request_parser.h"
#include "server/session.h"
#include "server/stand_in.h"
#include "server/worker.h"

namespace larder {

/// Larder's connections of other users do not track.
ByteView question_for(const CommandSpec& spec) noexcept {
  return spec.name == "client|tracking" ? "*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$3\r\nOFF\r\n"
                                        : ByteView();
}

/// All that came before is answered first, as it may change the rights, and what follows waits.
Step ask_and_run(Session& session, const Request& request) {
  if (session.pending() > 0) return Step::hold;
  const CommandSpec& spec = *request.spec;
  auto asking = std::make_unique<StandIn>();
  asking->start(session, nullptr);
  RequestParser question;
  if (!question.parse(question_for(spec), {})) return Step::done;
  const Request asked{&spec, question.argv(), question_for(spec), request.now_ms, *asking, request.reply};
  const Step step = session.worker().backend().execute(asked);
  if (step != Step::pending) return step;
  const Ticket ticket = session.defer();
  session.asking = std::move(asking);
  session.asking->start(session, [&session, ticket, &spec, raw = Bytes(request.raw)](ByteView answer) {
    const auto asked_until_now = std::exchange(session.asking, nullptr);
    if (!answer.starts_with('-')) return session.run_at(ticket, spec, raw);
    session.reply_to(ticket).raw(answer);
    session.finish(ticket);
  });
  return Step::blocking;
}

}  // namespace larder
