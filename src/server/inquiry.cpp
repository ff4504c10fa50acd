#include "server/inquiry.h"

#include "resp/request_parser.h"
#include "server/worker.h"

namespace larder {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPatience{250};
constexpr std::chrono::milliseconds kPause{10};  // while the backend is not ready
constexpr ByteView kAskKeyspace = "*2\r\n$4\r\nINFO\r\n$8\r\nkeyspace\r\n";
constexpr CommandSpec kInfo = {"info", -1, {}, {}, Runner::keyspace};

}  // namespace

Inquiry::Inquiry(Worker& worker, const CommandSpec* spec, ByteView raw, std::chrono::milliseconds patience,
                 Answered answered)
    : worker_(worker),
      spec_(spec),
      raw_(raw),
      deadline_(Clock::now() + patience),
      timer_(worker.io()),
      answered_(std::move(answered)) {}

void Inquiry::ask_keyspace(Worker& worker, Answered answered) {
  ask(worker, worker.backend().forwards_unknown() ? nullptr : &kInfo, kAskKeyspace, kPatience,
      std::move(answered));
}

void Inquiry::ask_redis(Worker& worker, ByteView raw, std::chrono::milliseconds patience, Answered answered) {
  ask(worker, nullptr, raw, patience, std::move(answered));
}

void Inquiry::ask(Worker& worker, const CommandSpec* spec, ByteView raw, std::chrono::milliseconds patience,
                  Answered answered) {
  const auto inquiry = std::make_shared<Inquiry>(worker, spec, raw, patience, std::move(answered));
  inquiry->weak_self_ = inquiry;
  inquiry->try_to_ask();
}

void Inquiry::try_to_ask() {
  const auto self = weak_self_.lock();
  RequestParser parser;
  if (!parser.parse(raw_, {.max_bulk_bytes = INT64_MAX})) return answer({});
  ReplyWriter reply(reply_, Protocol::resp2);
  const Request request{spec_, parser.argv(), raw_, worker_.now_ms(), *this, reply};
  switch (worker_.backend().execute(request)) {
    case Step::pending:
      return;
    case Step::hold:
      if (Clock::now() + kPause >= deadline_) break;
      self_ = self;
      return wait_until(Clock::now() + kPause, &Inquiry::try_to_ask);
    default:
      break;
  }
  self_ = nullptr;
  answer(reply_);
}

void Inquiry::wait_until(Clock::time_point when, void (Inquiry::*then)()) {
  timer_.expires_at(when);
  timer_.async_wait([weak = weak_self_, then](const boost::system::error_code& error) {
    if (const auto self = weak.lock(); self != nullptr && !error) (self.get()->*then)();
  });
}

Ticket Inquiry::defer() {
  is_asked_ = true;
  self_ = weak_self_.lock();
  wait_until(deadline_, &Inquiry::give_up);
  return 0;
}

void Inquiry::finish(Ticket) {
  is_asked_ = false;
  timer_.cancel();
  answer(reply_);
  // The backend is still at work with its caller: the end comes when it is done.
  worker_.post([self = std::move(self_)] {});
}

/// Once: a reply that comes after the deadline is nobody's any more.
void Inquiry::answer(ByteView reply) {
  if (answered_) std::exchange(answered_, nullptr)(reply);
}

}  // namespace larder
