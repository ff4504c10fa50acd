#include "server/accounting.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "server/session.h"
#include "server/worker.h"

namespace larder {
namespace {

constexpr std::uint32_t kQuickTogether = 64;
constexpr std::size_t kSlowlogRequestBytes = 256;  // of a pending request, kept in case it turns out slow

}  // namespace

void Accounting::answered(const Request& request, const Bytes& output, std::size_t reply_start) {
  if (!is_quick(request) || output[reply_start] == '-')
    return record_alone(request, ByteView(output).substr(reply_start));
  if (request.spec != quick_spec_ || quick_count_ == kQuickTogether) close();
  quick_spec_ = request.spec;
  ++quick_count_;
}

void Accounting::record_alone(const Request& request, ByteView reply) {
  close();
  const std::int64_t took_us = take_time();
  record(statistics_of(request), took_us, reply);
  Worker& worker = session_.worker();
  if (worker.is_slow(took_us)) worker.log_slow(session_, request.argv, {.l1_us = took_us});
}

void Accounting::refused(const Request& request, ByteView reply) {
  WorkerStatistics& statistics = session_.worker().statistics();
  if (request.spec != nullptr)
    statistics.of(*request.spec).rejected.add();
  else
    unlisted_ = {};
  if (reply.starts_with('-')) statistics.errors.record(reply);
}

void Accounting::close() {
  if (quick_count_ == 0) return;
  session_.worker().statistics().of(*quick_spec_).record(take_time(), quick_count_);
  quick_count_ = 0;
}

ReplyQueue::Place Accounting::place_for(const Request& request) {
  ReplyQueue::Place place{.statistics = &statistics_of(request),
                          .started_us = started_us_,
                          .protocol = request.caller.protocol()};
  if (session_.worker().keeps_slow_requests()) place.request = request.raw.substr(0, kSlowlogRequestBytes);
  return place;
}

void Accounting::finished(const ReplyQueue::Place& place, ByteView reply) {
  const std::int64_t took_us = steady_now_us() - place.started_us;
  record(*place.statistics, took_us, reply);
  const std::int64_t behind_us = std::min(std::exchange(session_.upstream_us, 0), took_us);
  Worker& worker = session_.worker();
  if (worker.is_slow(took_us))
    worker.log_slow(session_, place, {.queue_us = took_us - behind_us, .upstream_us = behind_us});
}

/// Too quick for the slow log, so that nobody asks how long just this one took.
bool Accounting::is_quick(const Request& request) const noexcept {
  return request.spec != nullptr && request.spec->flags.has(Flag::fast) &&
         !session_.worker().times_quick_requests();
}

/// Since the requests before; the next one starts where this one ended.
std::int64_t Accounting::take_time() noexcept {
  const std::int64_t now_us = steady_now_us();
  return now_us - std::exchange(started_us_, now_us);
}

void Accounting::record(CommandStatistics& command, std::int64_t took_us, ByteView reply) {
  command.record(took_us);
  if (!reply.starts_with('-')) return;
  command.failed.add();
  session_.worker().statistics().errors.record(reply);
}

CommandStatistics& Accounting::statistics_of(const Request& request) {
  WorkerStatistics& statistics = session_.worker().statistics();
  if (request.spec != nullptr) return statistics.of(*request.spec);
  unlisted_ = {};
  if (!session_.worker().backend().forwards_unknown()) return statistics.of_unknown();
  auto& [name, command] = statistics.of_unlisted(request.argv[0]);
  unlisted_ = name;
  return command;
}

}  // namespace larder
