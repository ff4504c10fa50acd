#include "server/rights.h"

#include "server/asking.h"
#include "server/session.h"

namespace larder {

/// Larder's connections of other users do not track.
ByteView question_for(const CommandSpec& spec) noexcept {
  return spec.name == "client|tracking" ? "*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$3\r\nOFF\r\n"
                                        : ByteView();
}

Step ask_and_run(Session& session, const Request& request) {
  const CommandSpec& spec = *request.spec;
  return ask(session, request, question_for(spec),
             [&session, &spec, raw = Bytes(request.raw)](Ticket ticket, ByteView answer) {
               if (!answer.starts_with('-')) return session.run_at(ticket, spec, raw);
               session.reply_to(ticket).raw(answer);
               session.finish(ticket);
             });
}

}  // namespace larder
