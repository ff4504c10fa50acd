#include "server/asking.h"

#include <memory>

#include "resp/request_parser.h"
#include "server/session.h"
#include "server/stand_in.h"
#include "server/worker.h"

namespace larder {

Step ask(Session& session, const Request& request, ByteView question, AnswerUse use) {
  if (session.pending() > 0) return Step::hold;
  auto asking = std::make_unique<StandIn>();
  asking->start(session, nullptr);
  RequestParser parser;
  if (!parser.parse(question, {})) return Step::done;
  const Request asked{request.spec, parser.argv(), question, request.now_ms, *asking, request.reply};
  const Step step = session.worker().backend().execute(asked);
  if (step != Step::pending) return step;
  const Ticket ticket = session.defer();
  session.asking = std::move(asking);
  session.asking->start(session, [&session, ticket, use = std::move(use)](ByteView answer) {
    const auto asked_until_now = std::exchange(session.asking, nullptr);
    use(ticket, answer);
  });
  return Step::blocking;
}

}  // namespace larder
