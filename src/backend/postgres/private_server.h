#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace larder::postgres {

/// Where Debian and others keep `initdb` and `postgres`: the newest version; nothing when they are not
/// installed.
[[nodiscard]] std::optional<std::filesystem::path> find_server_programs();

/// A PostgreSQL of our own: one cluster under a data directory, reachable through a Unix socket in it and no
/// other way, started again when it ends, stopped when we end.
///
/// Shape:  data_dir/cluster is the cluster, data_dir/run the socket's directory (0700), data_dir/log its log.
/// Errors: std::runtime_error with what was tried and the last lines of the log.
/// Life:   if this process is killed the server ends too. A server that runs in the directory already
/// (another
///         Larder's) is used and left alone; when that one has gone, a server of ours takes its place.
/// Thread: any. A thread of its own starts the server and reaps it: the kernel ends the server with the
/// thread
///         that has started it.
class PrivateServer {
 public:
  explicit PrivateServer(const std::filesystem::path& data_dir);
  ~PrivateServer() { stop(); }
  PrivateServer(const PrivateServer&) = delete;
  PrivateServer& operator=(const PrivateServer&) = delete;

  [[nodiscard]] const std::string& conninfo() const noexcept { return conninfo_; }

  /// Fast shutdown, for good; does nothing to a server that another process started.
  void stop() noexcept;

 private:
  /// Whom the server runs as: PostgreSQL refuses to be root.
  struct User {
    uid_t uid;
    gid_t gid;
    bool is_other;  ///< we are root and have to become this user
  };

  static User choose_user();
  void check_access() const;
  void make_directories();
  void make_cluster();
  void keep(std::promise<void> started);
  void restart_whenever_it_ends();
  void start();
  bool start_ours();
  void await_ready();
  [[nodiscard]] bool await_end();
  [[nodiscard]] bool has_ended() const noexcept;
  int reap() noexcept;
  bool pause(std::chrono::milliseconds time);
  [[nodiscard]] bool is_stopping();
  pid_t spawn(const std::vector<std::string>& arguments);
  [[noreturn]] void fail(const std::string& what) const;

  const std::filesystem::path data_dir_, cluster_, socket_dir_, log_;
  const std::filesystem::path programs_;
  const User user_;
  std::string conninfo_;

  std::mutex mutex_;  // guards what follows; only the keeper changes pid_
  std::condition_variable changed_;
  pid_t pid_ = 0;  ///< 0: no server of ours
  bool stopping_ = false;

  std::jthread keeper_;
};

}  // namespace larder::postgres
