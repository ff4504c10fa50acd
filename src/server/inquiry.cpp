#include "server/inquiry.h"

#include "server/worker.h"

namespace larder {
namespace {

constexpr ByteView kArgv[] = {"INFO", "keyspace"};
constexpr ByteView kRaw = "*2\r\n$4\r\nINFO\r\n$8\r\nkeyspace\r\n";
constexpr CommandSpec kInfo = {"info", -1, {}, {}, Runner::keyspace};

}  // namespace

void Inquiry::ask_keyspace(Worker& worker, Answered answered) {
  const auto inquiry = std::make_shared<Inquiry>(worker, std::move(answered));
  inquiry->weak_self_ = inquiry;
  ReplyWriter reply(inquiry->reply_, Protocol::resp2);
  const CommandSpec* spec = worker.backend().forwards_unknown() ? nullptr : &kInfo;
  const Request request{spec, kArgv, kRaw, worker.now_ms(), *inquiry, reply};
  if (worker.backend().execute(request) == Step::done) inquiry->answered_(inquiry->reply_);
}

Ticket Inquiry::defer() {
  self_ = weak_self_.lock();
  return 0;
}

void Inquiry::finish(Ticket) {
  answered_(reply_);
  // The backend is still at work with its caller: the end comes when it is done.
  worker_.post([self = std::move(self_)] {});
}

}  // namespace larder
