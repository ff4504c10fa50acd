#include "server/rights.h"

#include <algorithm>
#include <iterator>

#include "server/asking.h"
#include "server/session.h"

namespace larder {
namespace {

struct Question {
  ByteView command, words;
};

constexpr Question kQuestions[] = {
    // Larder's connections of other users do not track.
    {"client|tracking", "*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$3\r\nOFF\r\n"},
    {"info", "*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"},
    {"memory|doctor", "*2\r\n$6\r\nMEMORY\r\n$6\r\nDOCTOR\r\n"},
    {"memory|malloc-stats", "*2\r\n$6\r\nMEMORY\r\n$12\r\nMALLOC-STATS\r\n"},
    {"memory|purge", "*2\r\n$6\r\nMEMORY\r\n$5\r\nPURGE\r\n"},
    {"memory|stats", "*2\r\n$6\r\nMEMORY\r\n$5\r\nSTATS\r\n"},
    {"role", "*1\r\n$4\r\nROLE\r\n"},
};

}  // namespace

ByteView question_for(const CommandSpec& spec) noexcept {
  const Question* const found = std::ranges::find(kQuestions, spec.name, &Question::command);
  return found == std::end(kQuestions) ? ByteView() : found->words;
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
