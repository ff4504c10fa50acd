#include "server/server.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random_name.h"
#include "server/listener.h"
#include "server/live_settings.h"

namespace larder {

namespace asio = boost::asio;

namespace {

/// Kept free for what is opened later: connections to the backend, files. As many as in Redis.
constexpr std::uint64_t kDescriptorsInReserve = 32;

/// Of this process, as many as the system lets it have.
std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

std::uint64_t open_descriptors() {
  std::error_code ignored;
  const std::filesystem::directory_iterator all("/proc/self/fd", ignored);
  return static_cast<std::uint64_t>(std::distance(begin(all), end(all)));
}

}  // namespace

Server::Server(const config::Settings& settings, config::BackendChoice choice, Keyspace& keyspace, Tier& tier,
               std::shared_ptr<TlsContext> tls)
    : started_us(steady_now_us()),
      run_id(random_name()),
      settings_(settings),
      last_read_(settings),
      choice_(std::move(choice)),
      keyspace_(keyspace),
      tier_(tier),
      tls_(std::move(tls)) {
  keyspace_.tracked().set_audience(&invalidations_);
  apply_live_settings(*this, settings_);
}

Server::~Server() = default;

void Server::run() {
  raise_descriptor_limit();
  listener_ = std::make_unique<Listener>(
      io_, [this](int fd, ClientIdentity identity) { accepted(fd, std::move(identity)); },
      [this](int fd, const ClientIdentity& identity) { refuse(fd, identity); });
  listener_->open(settings_.server);
  tcp_port_ = listener_->tcp_port();
  tls_port_ = listener_->tls_port();

  const int count = static_cast<int>(config::worker_count(settings_.server));
  for (int i = 0; i < count; ++i) workers_.push_back(std::make_unique<Worker>(*this, tier_, i));
  own_descriptors_ = open_descriptors();
  fit_max_clients();
  for (const auto& worker : workers_) invalidations_.add(*worker);
  for (const auto& worker : workers_) worker->start();

  asio::signal_set signals(io_, SIGTERM, SIGINT);
  signals.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    log::info("stopping: no new connections, open requests are answered");
    listener_->close();
    const std::int64_t deadline_us =
        steady_now_us() + std::chrono::microseconds(settings_.server.shutdown_deadline).count();
    for (const auto& worker : workers_) worker->post([&worker, deadline_us] { worker->drain(deadline_us); });
    io_.stop();
  });
  asio::signal_set hangups(io_, SIGHUP);
  await_hangup(hangups);
  log_ready();
  io_.run();
  for (const auto& worker : workers_) worker->join();
  listener_.reset();
}

void Server::await_hangup(asio::signal_set& signals) {
  signals.async_wait([this, &signals](const boost::system::error_code& error, int) {
    if (error) return;
    reload();
    await_hangup(signals);
  });
}

void Server::reload() {
  if (settings_.config_file.empty() || !read_settings_again)
    return log::warning("SIGHUP: there is no file to read again, as Larder was started without --config");
  try {
    config::Settings fresh = read_settings_again();
    const Reloaded keys = larder::reload(*this, settings_, last_read_, fresh);
    last_read_ = std::move(fresh);
    fit_max_clients();
    log::info("SIGHUP: {} was read again; in force now: {}", settings_.config_file,
              keys.in_force.empty() ? "nothing else than before"
                                    : fmt::format("{}", fmt::join(keys.in_force, ", ")));
    if (!keys.after_restart.empty())
      log::warning("SIGHUP: only a restart puts in force: {}", fmt::join(keys.after_restart, ", "));
  } catch (const std::exception& error) {
    log::error("SIGHUP: nothing was changed: {}", error.what());
  }
}

void Server::stop() {
  ::kill(::getpid(), SIGTERM);
}

void Server::log_ready() const {
  log::info("ready to accept connections on {}", fmt::join(listener_->addresses(), ", "));
}

void Server::accepted(int fd, ClientIdentity identity) {
  if (clients() >= live.max_clients.load(std::memory_order_relaxed)) return refuse(fd, identity);
  identity.id = next_client_id++;
  identity.connected_at_ms = unix_now_ms();
  const auto clients_of = [](const auto& worker) { return worker->statistics().clients.load(); };
  Worker& worker = **std::ranges::min_element(workers_, {}, clients_of);
  // Counted here, not when adopted: a burst of connections is spread evenly.
  worker.statistics().clients.fetch_add(1, std::memory_order_relaxed);
  worker.post([&worker, fd, identity = std::move(identity)] { worker.adopt(fd, identity); });
}

void Server::refuse(int fd, const ClientIdentity& identity) {
  static constexpr std::string_view kText = "-ERR max number of clients reached\r\n";
  if (!identity.is_tls) (void)::send(fd, kText.data(), kText.size(), MSG_NOSIGNAL);
  ::close(fd);
  rejected_connections.fetch_add(1, std::memory_order_relaxed);
}

std::uint64_t Server::room_for(std::uint64_t clients) const {
  const std::uint64_t limit = raise_descriptor_limit(), own = own_descriptors_ + kDescriptorsInReserve;
  return std::min(clients, limit - std::min(limit, own));
}

/// Rather fewer clients than some that hang.
void Server::fit_max_clients() {
  const std::uint64_t wanted = live.max_clients, room = room_for(wanted);
  if (room == 0)
    throw std::runtime_error(fmt::format(
        "the system allows too few open files for any client: raise the limit (ulimit -n) to {} at least",
        own_descriptors_ + kDescriptorsInReserve + 1));
  if (room == wanted) return;
  log::warning("the system allows too few open files for {} clients: maxclients is {} (ulimit -n)", wanted,
               room);
  live.max_clients = room;
}

std::uint64_t Server::clients() const noexcept {
  std::uint64_t total = 0;
  for (const auto& worker : workers_) total += worker->statistics().clients.load(std::memory_order_relaxed);
  return total;
}

void Server::pause(UnixMs now_ms, std::int64_t duration_ms, PauseOf what) {
  const UnixMs present = paused_until_ms;
  const bool holds_all = present > now_ms && !pause_writes_only;
  pause_writes_only = what == PauseOf::writes && !holds_all;
  paused_until_ms = std::max(present, now_ms + duration_ms);
}

void Server::reset_statistics() {
  for (const auto& worker : workers_) worker->statistics().reset();
  rejected_connections = 0;
  keyspace_.reset_counters();
  tier_.reset_statistics();
}

std::string Server::password() const {
  const std::lock_guard lock(password_mutex_);
  return password_;
}

void Server::set_password(std::string password) {
  const std::lock_guard lock(password_mutex_);
  password_ = std::move(password);
}

std::uint64_t Server::note_memory(std::uint64_t bytes) noexcept {
  std::uint64_t peak = peak_memory_.load(std::memory_order_relaxed);
  while (peak < bytes && !peak_memory_.compare_exchange_weak(peak, bytes, std::memory_order_relaxed)) {
  }
  return std::max(peak, bytes);
}

void Server::on_every_worker(Worker& home, std::function<void(Worker&)> work, std::function<void()> done) {
  auto left = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  auto shared_work = std::make_shared<const std::function<void(Worker&)>>(std::move(work));
  auto shared_done = std::make_shared<const std::function<void()>>(std::move(done));
  for (const auto& worker : workers_) {
    worker->post([&worker, &home, left, shared_work, shared_done] {
      (*shared_work)(*worker);
      if (left->fetch_sub(1) == 1) home.post([shared_done] { (*shared_done)(); });
    });
  }
}

void Server::show_monitors(std::string line) {
  const auto shared = std::make_shared<const std::string>(std::move(line));
  for (const auto& worker : workers_)
    if (worker->monitors.load(std::memory_order_relaxed) > 0)
      worker->post([&worker, shared] { worker->show_monitors(*shared); });
}

}  // namespace larder
