#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace larder {

/// Something with a file descriptor that wants to know when it is ready.
class Pollable {
 public:
  /// `events` are EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP as epoll reports them.
  virtual void on_ready(std::uint32_t events) = 0;

 protected:
  ~Pollable() = default;
};

/// Drives the data sockets of one worker.
///
/// A private, level-triggered epoll set that is itself one descriptor of the worker's io_context. While there
/// is traffic the private set is waited on directly, so that a batch of ready sockets costs one system call
/// as in a bare epoll loop, where Asio alone costs one more per read (numbers: docs/performance.md). Timers,
/// name look-ups and calls from other threads stay with Asio, which has its turn when it is called for from
/// another thread, when there was no traffic for 10 ms, or else after 10 ms: so timers may be late by 20 ms.
///
/// Invariant: a Pollable that was removed (or removes itself inside on_ready) is never called again.
/// Thread:    one worker, but for interrupt(); no locking.
class Poller {
 public:
  explicit Poller(boost::asio::io_context& io);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// Watches `fd` (non-blocking) for `events`. The descriptor stays the caller's: remove() before close().
  void add(int fd, std::uint32_t events, Pollable& target);
  void modify(int fd, std::uint32_t events, Pollable& target);
  void remove(int fd, Pollable& target) noexcept;

  /// Runs `hook` once, after all sockets of the current batch were served (or soon, when called from
  /// elsewhere). This is where writes are flushed: one send per socket and batch.
  void at_end_of_batch(std::function<void()> hook);

  /// Registers a hook that runs at the end of every batch, for as long as the poller lives.
  void at_every_end_of_batch(std::function<void()> hook);

  /// There is no hurry: before the next wait other threads that are ready run first, if this batch had one
  /// event. A thread that sleeps is woken by the first event, often on the processor of whoever sends it,
  /// which then cannot send the others: they would be served and passed on one by one (docs/performance.md).
  void gather_events() noexcept;

  /// Gives Asio its turn now: to be called after a post() from another thread. Thread: any.
  void interrupt() noexcept;

 private:
  void wait();
  void serve();
  void yield() noexcept;
  bool serve_batch();
  void run_hooks();

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder
