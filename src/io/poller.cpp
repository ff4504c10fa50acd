#include "io/poller.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <ctime>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include "base/clock.h"
#include "io/stream.h"

namespace larder {

namespace asio = boost::asio;

namespace {

/// How long Asio waits for its turn while there is traffic, and how long a pause in it may be.
constexpr int kTurnMs = 10;

/// Who keeps the processor for longer than this when it is left to others keeps it from clients as well: then
/// it is not left to anybody for a while.
constexpr std::int64_t kLongUs = 2000, kRestUs = 100'000;

/// As of the last tick, some milliseconds ago at most, and a tenth of the price of the exact time.
std::int64_t coarse_now_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

struct Poller::Impl {
  /// Ends a wait for sockets from another thread.
  struct Waker final : Pollable {
    UniqueFd fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

    void on_ready(std::uint32_t) override {
      eventfd_t count = 0;
      ::eventfd_read(fd.get(), &count);
    }
  };

  asio::io_context& io;
  asio::posix::stream_descriptor epoll;
  std::array<epoll_event, 512> ready;
  int ready_count = 0;
  Waker waker;
  std::atomic<bool> interrupted{false};
  std::atomic<bool> waiting{false};
  bool gathers = false;
  std::int64_t no_yield_before_us = 0;
  int last_count = 0;  // of events in the last batch
  bool serving = false;
  bool hooks_posted = false;
  std::vector<std::function<void()>> once;
  std::vector<std::function<void()>> always;

  Impl(asio::io_context& context, int epoll_fd) : io(context), epoll(context, epoll_fd) {}
};

namespace {

int make_epoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return fd;
}

void control(int epoll_fd, int operation, int fd, std::uint32_t events, Pollable& target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  if (::epoll_ctl(epoll_fd, operation, fd, &event) < 0)
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

}  // namespace

Poller::Poller(asio::io_context& io) : impl_(std::make_unique<Impl>(io, make_epoll())) {
  if (!impl_->waker.fd) throw std::system_error(errno, std::generic_category(), "eventfd");
  add(impl_->waker.fd.get(), EPOLLIN, impl_->waker);
  wait();
}

Poller::~Poller() = default;

void Poller::add(int fd, std::uint32_t events, Pollable& target) {
  control(impl_->epoll.native_handle(), EPOLL_CTL_ADD, fd, events, target);
}

void Poller::modify(int fd, std::uint32_t events, Pollable& target) {
  control(impl_->epoll.native_handle(), EPOLL_CTL_MOD, fd, events, target);
}

void Poller::remove(int fd, Pollable& target) noexcept {
  ::epoll_ctl(impl_->epoll.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
  // Events of this batch that were reported before the removal must not reach a dead object.
  for (int i = 0; i < impl_->ready_count; ++i)
    if (impl_->ready[static_cast<std::size_t>(i)].data.ptr == &target)
      impl_->ready[static_cast<std::size_t>(i)].data.ptr = nullptr;
}

void Poller::at_end_of_batch(std::function<void()> hook) {
  impl_->once.push_back(std::move(hook));
  if (impl_->serving || impl_->hooks_posted) return;
  impl_->hooks_posted = true;
  asio::post(impl_->io, [this] { run_hooks(); });
}

void Poller::at_every_end_of_batch(std::function<void()> hook) {
  impl_->always.push_back(std::move(hook));
}

void Poller::interrupt() noexcept {
  // Whoever comes second, this thread or the one that begins to wait, sees what the other has stored.
  impl_->interrupted.store(true);
  if (impl_->waiting.load()) ::eventfd_write(impl_->waker.fd.get(), 1);
}

void Poller::gather_events() noexcept {
  impl_->gathers = true;
}

void Poller::wait() {
  impl_->epoll.async_wait(asio::posix::stream_descriptor::wait_read,
                          [this](const boost::system::error_code& error) {
                            if (error) return;  // the poller is being destroyed
                            serve();
                            wait();
                          });
}

void Poller::serve() {
  const std::int64_t started_ms = coarse_now_ms();
  while (serve_batch()) {
    run_hooks();
    if (impl_->interrupted.load(std::memory_order_relaxed) || coarse_now_ms() - started_ms >= kTurnMs) break;
  }
  // What was posted before is in Asio's queue, and run before the next turn of this one.
  impl_->interrupted.store(false);
}

/// Lets the threads run that are ready to: what they have to say is then one batch.
void Poller::yield() noexcept {
  const std::int64_t began_us = steady_now_us();
  if (began_us < impl_->no_yield_before_us) return;
  ::sched_yield();
  const std::int64_t ended_us = steady_now_us();
  if (ended_us - began_us > kLongUs) impl_->no_yield_before_us = ended_us + kRestUs;
}

bool Poller::serve_batch() {
  Impl& state = *impl_;
  if (std::exchange(state.gathers, false) && state.last_count == 1) yield();
  state.waiting.store(true);
  // A wait of a millisecond would end before the kernel's own next tick: to set a timer for it costs more
  // than the wait.
  const int patience_ms = state.interrupted.load() || state.hooks_posted ? 0 : kTurnMs;
  const int count = ::epoll_wait(state.epoll.native_handle(), state.ready.data(),
                                 static_cast<int>(state.ready.size()), patience_ms);
  state.waiting.store(false);
  state.ready_count = state.last_count = std::max(count, 0);
  state.serving = true;
  for (int i = 0; i < state.ready_count; ++i) {
    const epoll_event event = state.ready[static_cast<std::size_t>(i)];
    if (event.data.ptr != nullptr) static_cast<Pollable*>(event.data.ptr)->on_ready(event.events);
  }
  state.ready_count = 0;
  state.serving = false;
  return count > 0;
}

void Poller::run_hooks() {
  Impl& state = *impl_;
  state.hooks_posted = false;
  // A hook may ask for another one (an upstream flush that fails answers clients, which then flush): until
  // none is left.
  while (!state.once.empty()) {
    std::vector<std::function<void()>> hooks;
    hooks.swap(state.once);
    state.serving = true;
    for (const auto& hook : hooks) hook();
    state.serving = false;
  }
  for (const auto& hook : state.always) hook();
}

}  // namespace larder
