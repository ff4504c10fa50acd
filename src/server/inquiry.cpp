#include "server/inquiry.h"

#include "server/worker.h"

namespace larder {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(250);
constexpr ByteView kArgv[] = {"INFO", "keyspace"};
constexpr ByteView kRaw = "*2\r\n$4\r\nINFO\r\n$8\r\nkeyspace\r\n";
constexpr CommandSpec kInfo = {"info", -1, {}, {}, Runner::keyspace};

}  // namespace

Inquiry::Inquiry(Worker& worker, Answered answered)
    : worker_(worker),
      deadline_(std::make_unique<boost::asio::steady_timer>(worker.io())),
      answered_(std::move(answered)) {}

Inquiry::~Inquiry() = default;

void Inquiry::ask_keyspace(Worker& worker, Answered answered) {
  const auto inquiry = std::make_shared<Inquiry>(worker, std::move(answered));
  inquiry->weak_self_ = inquiry;
  ReplyWriter reply(inquiry->reply_, Protocol::resp2);
  const CommandSpec* spec = worker.backend().forwards_unknown() ? nullptr : &kInfo;
  const Request request{spec, kArgv, kRaw, worker.now_ms(), *inquiry, reply};
  // A backend that is not ready (Step::hold) is as good as silent.
  if (worker.backend().execute(request) != Step::pending) inquiry->answer(inquiry->reply_);
}

Ticket Inquiry::defer() {
  self_ = weak_self_.lock();
  deadline_->expires_after(kPatience);
  deadline_->async_wait([weak = weak_self_](const boost::system::error_code& error) {
    if (const auto self = weak.lock(); self != nullptr && !error) self->answer({});
  });
  return 0;
}

void Inquiry::finish(Ticket) {
  deadline_->cancel();
  answer(reply_);
  // The backend is still at work with its caller: the end comes when it is done.
  worker_.post([self = std::move(self_)] {});
}

/// Once: a reply that comes after the deadline is nobody's any more.
void Inquiry::answer(ByteView reply) {
  if (answered_) std::exchange(answered_, nullptr)(reply);
}

}  // namespace larder
