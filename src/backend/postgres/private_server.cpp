#include "backend/postgres/private_server.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <fmt/core.h>
#include <libpq-fe.h>

#include "backend/postgres/options.h"
#include "backend/postgres/sql.h"
#include "base/log.h"

namespace larder::postgres {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStartDeadline{60};
constexpr std::chrono::seconds kStopDeadline{20};
constexpr std::chrono::milliseconds kPoll{10};

/// Between looks at a server that is not ours.
constexpr std::chrono::milliseconds kLook{1'000};

/// One that ran for so long is started again at once.
constexpr std::chrono::minutes kStable{1};

constexpr const char* kOwner = "larder";

bool has_programs(const fs::path& directory) {
  return access((directory / "initdb").c_str(), X_OK) == 0 &&
         access((directory / "postgres").c_str(), X_OK) == 0;
}

/// "15" of /usr/lib/postgresql/15/bin; 0 for what is no number.
int version_of(const fs::path& directory) {
  return std::atoi(directory.parent_path().filename().c_str());
}

/// The sockaddr of a Unix socket holds 107 bytes.
constexpr std::size_t kLongestSocketDir = 107 - sizeof("/.s.PGSQL.5432");

std::string describe_end(int status) {
  return WIFSIGNALED(status) ? fmt::format("was ended by signal {}", WTERMSIG(status))
                             : fmt::format("has ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace

std::optional<fs::path> find_server_programs() {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", ignored))
    if (has_programs(version.path() / "bin")) found.push_back(version.path() / "bin");
  if (!found.empty()) return *std::ranges::max_element(found, {}, version_of);

  std::istringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
  for (std::string directory; std::getline(path, directory, ':');)
    if (has_programs(directory)) return directory;
  return std::nullopt;
}

PrivateServer::PrivateServer(const fs::path& data_dir)
    : data_dir_(fs::absolute(data_dir)),
      cluster_(data_dir_ / "cluster"),
      socket_dir_(data_dir_ / "run"),
      log_(data_dir_ / "log"),
      programs_(find_server_programs().value_or("")),
      user_(choose_user()),
      conninfo_(fmt::format("host='{}' user={} dbname=postgres", socket_dir_.string(), kOwner)) {
  if (programs_.empty())
    throw std::runtime_error("private PostgreSQL: initdb and postgres are not installed");
  if (socket_dir_.string().size() > kLongestSocketDir)
    throw std::runtime_error(fmt::format(
        "private PostgreSQL: the path {} is too long for a Unix socket: choose a shorter data_dir",
        socket_dir_.string()));
  make_directories();
  if (!fs::exists(cluster_ / "PG_VERSION")) make_cluster();
  std::promise<void> started;
  std::future<void> outcome = started.get_future();
  keeper_ = std::jthread([this, promise = std::move(started)]() mutable { keep(std::move(promise)); });
  outcome.get();
}

PrivateServer::User PrivateServer::choose_user() {
  if (geteuid() != 0) return {geteuid(), getegid(), false};
  for (const char* name : {"postgres", "nobody"})
    if (const passwd* entry = getpwnam(name)) return {entry->pw_uid, entry->pw_gid, true};
  throw std::runtime_error(
      "private PostgreSQL: it does not run as root, and there is neither a user postgres nor nobody");
}

/// A directory of root's is often closed to the user we have to become.
void PrivateServer::check_access() const {
  for (fs::path path = data_dir_; user_.is_other; path = path.parent_path()) {
    struct stat found {};
    const bool may_enter =
        stat(path.c_str(), &found) == 0 && (found.st_uid == user_.uid || (found.st_mode & S_IXOTH) != 0);
    if (!may_enter)
      throw std::runtime_error(
          fmt::format("private PostgreSQL: it cannot run as root, and its user may not enter {}: choose "
                      "another postgres.data_dir",
                      path.string()));
    if (path == path.parent_path()) return;
  }
}

void PrivateServer::make_directories() {
  fs::create_directories(data_dir_);
  check_access();
  for (const fs::path& directory : {cluster_, socket_dir_}) {
    fs::create_directories(directory);
    fs::permissions(directory, fs::perms::owner_all);
    if (user_.is_other && chown(directory.c_str(), user_.uid, user_.gid) != 0)
      fail("cannot give away " + directory.string());
  }
  const int log = open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0 || (user_.is_other && fchown(log, user_.uid, user_.gid) != 0))
    fail("cannot write " + log_.string());
  close(log);
}

void PrivateServer::make_cluster() {
  log::info("private PostgreSQL: making a cluster in {} (once; a second or two)", cluster_.string());
  const pid_t initdb =
      spawn({(programs_ / "initdb").string(), "-D", cluster_.string(), "-U", kOwner, "--auth=trust",
             "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"});
  int status = 0;
  while (waitpid(initdb, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0) fail("initdb failed");
}

// --- the keeper ---

void PrivateServer::keep(std::promise<void> started) {
  try {
    start();
  } catch (...) {
    return started.set_exception(std::current_exception());
  }
  started.set_value();
  restart_whenever_it_ends();
}

void PrivateServer::restart_whenever_it_ends() {
  using Clock = std::chrono::steady_clock;
  log::Outage outage;
  Clock::time_point started_at = Clock::now();
  for (auto wait = kFirstPause; await_end(); wait = std::min(wait * 2, kLongestPause)) {
    if (Clock::now() - started_at > kStable) wait = kFirstPause;
    if (!pause(wait)) return;
    started_at = Clock::now();
    try {
      start();
      outage.end();  // start() has told it
    } catch (const std::runtime_error& error) {
      if (outage.is_to_be_told(log::now_us())) log::warning("{}", error.what());
    }
  }
}

/// Ours, unless another one is there.
void PrivateServer::start() {
  const bool is_ours = PQping(conninfo_.c_str()) == PQPING_NO_RESPONSE;
  if (is_ours && !start_ours()) return;
  await_ready();
  if (is_stopping()) return;
  if (pid_ != 0)
    log::info("private PostgreSQL: runs in {} (process {})", data_dir_.string(), pid_);
  else
    log::info("private PostgreSQL: one already runs in {}; it is used and left running", data_dir_.string());
}

/// False when there is to be none any more.
bool PrivateServer::start_ours() {
  const std::lock_guard lock(mutex_);
  if (stopping_) return false;
  // A stale postmaster.pid of a server that was killed is recognised and replaced by postgres itself.
  pid_ = spawn({(programs_ / "postgres").string(), "-D", cluster_.string(), "-k", socket_dir_.string(), "-c",
                "listen_addresses=", "-c", "unix_socket_permissions=0700", "-c", "shared_buffers=256MB", "-c",
                "max_connections=200", "-c", "max_wal_size=1GB", "-c", "logging_collector=off"});
  return true;
}

void PrivateServer::await_ready() {
  const auto deadline = std::chrono::steady_clock::now() + kStartDeadline;
  for (;;) {
    const PGPing answer = PQping(conninfo_.c_str());
    if (answer == PQPING_OK) return;
    // Another Larder's may have been faster: then that one answers, if only that it starts.
    if (pid_ != 0 && has_ended()) reap();
    if (pid_ == 0 && answer == PQPING_NO_RESPONSE) fail("postgres ended at its start");
    if (std::chrono::steady_clock::now() > deadline) fail("postgres did not get ready in time");
    if (!pause(kPoll)) return;
  }
}

/// Until the server has gone: true, and it was reaped if it was ours. False when there is to be none any
/// more.
bool PrivateServer::await_end() {
  while (pid_ == 0) {
    if (is_stopping()) return false;
    if (PQping(conninfo_.c_str()) == PQPING_NO_RESPONSE) return true;
    pause(kLook);
  }
  const pid_t pid = pid_;
  const int status = reap();
  if (is_stopping()) return false;
  log::warning("private PostgreSQL: process {} {}: it is started again", pid, describe_end(status));
  return true;
}

bool PrivateServer::has_ended() const noexcept {
  siginfo_t end{};
  return waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid != 0;
}

/// Waits for the end of our server; returns its status.
int PrivateServer::reap() noexcept {
  siginfo_t end{};
  while (waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOWAIT) < 0 && errno == EINTR) continue;
  // The number is nobody else's until it is reaped: stop() may send signals to it.
  const std::lock_guard lock(mutex_);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = 0;
  changed_.notify_all();
  return status;
}

/// False when there is to be no server any more.
bool PrivateServer::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return stopping_; });
}

bool PrivateServer::is_stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

/// Starts a program as the chosen user, its output in the log; it ends when we do.
pid_t PrivateServer::spawn(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) fail("cannot start a process");
  if (child > 0) return child;

  // Between fork and exec only calls that are safe in a process with threads.
  const int log = open(log_.c_str(), O_WRONLY | O_APPEND);
  const int none = open("/dev/null", O_RDONLY);
  dup2(none, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  setpgid(0, 0);  // Ctrl-C at the terminal is for us; we then stop the server in order
  if (user_.is_other && (setgroups(0, nullptr) != 0 || setgid(user_.gid) != 0 || setuid(user_.uid) != 0))
    _exit(126);
  if (chdir(cluster_.c_str()) != 0) _exit(126);
  // After setuid, which would clear it. SIGINT is the fast shutdown.
  prctl(PR_SET_PDEATHSIG, SIGINT);
  if (getppid() != parent) _exit(126);
  execv(argv[0], argv.data());
  _exit(127);
}

void PrivateServer::stop() noexcept {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    if (pid_ != 0) kill(pid_, SIGINT);
    if (!changed_.wait_for(lock, kStopDeadline, [this] { return pid_ == 0; }))
      kill(pid_, SIGQUIT);  // no checkpoint: it recovers at its next start
  }
  if (keeper_.joinable()) keeper_.join();
}

void PrivateServer::fail(const std::string& what) const {
  std::ifstream log(log_);
  std::vector<std::string> lines;
  for (std::string line; std::getline(log, line);) lines.push_back(line);
  std::string tail;
  for (std::size_t i = lines.size() > 3 ? lines.size() - 3 : 0; i < lines.size(); ++i)
    tail += "\n  " + lines[i];
  throw std::runtime_error(
      fmt::format("private PostgreSQL: {}; the end of {} says:{}", what, log_.string(), tail));
}

}  // namespace larder::postgres
