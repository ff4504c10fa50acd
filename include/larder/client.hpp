#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/key.hpp"

namespace larder {

/// The server answered with an error; what() is its text, as `WRONGTYPE …`.
class ServerError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// No answer: the server cannot be reached, was lost, or is too slow. A write may have taken effect.
class ConnectionError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct ClientOptions {
  /// `redis://[user:password@]host[:port][/db]` or `unix://[user:password@]/path[?db=n]`.
  std::string url = "redis://127.0.0.1:6379";
  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds command_timeout{2000};  ///< without a byte from the server
  std::size_t idle_connections = 8;                 ///< kept open between calls
};

/// What a write does to the tags of its key: a list replaces those that it had, the empty list leaves none;
/// keep() leaves them as they are.
class Tags {
 public:
  Tags() = default;
  Tags(std::initializer_list<std::string> list) : list_(list) {}
  Tags(std::vector<std::string> list) : list_(std::move(list)) {}
  [[nodiscard]] static Tags keep() {
    Tags tags;
    tags.are_kept_ = true;
    return tags;
  }

  [[nodiscard]] bool are_kept() const noexcept { return are_kept_; }
  [[nodiscard]] const std::vector<std::string>& list() const noexcept { return list_; }

 private:
  std::vector<std::string> list_;
  bool are_kept_ = false;
};

/// How long a value lives, and what it hangs on.
struct SetOptions {
  std::chrono::milliseconds ttl{0};  ///< 0: for ever; negative: std::invalid_argument
  Tags tags = Tags::keep();
};

struct Entry {
  std::string_view key;
  std::string_view value;
};

/// Which keys invalidate_tags() drops.
enum class TagMatch : std::uint8_t {
  any,  ///< those that carry one of the tags
  all,  ///< those that carry all of them
};

/// A Larder seen from a program: values with time to live and tags.
///
/// Connects at the first call, and again after a connection was lost. A read is tried a second time when its
/// connection breaks; a write is not, because it may have taken effect.
///
/// Errors: ServerError and ConnectionError from every call; std::invalid_argument for a URL that is none and
/// a
///         ttl that is negative or ends after the end of time.
/// Thread: any number of threads may call at once; each call has a connection for itself.
class Client {
 public:
  explicit Client(ClientOptions options = {});
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  /// Nothing: there is no such key.
  [[nodiscard]] std::optional<std::string> get(std::string_view key);

  void set(std::string_view key, std::string_view value, const SetOptions& options = {});

  /// Shape: a value or nothing for each key, in the order of the keys.
  [[nodiscard]] std::vector<std::optional<std::string>> mget(std::span<const std::string> keys);

  /// Sets every entry, in one round trip. Not atomic: when it throws, some may have been set.
  void mset(std::span<const Entry> entries, const SetOptions& options = {});

  /// Returns how many of the keys there were.
  std::size_t mdel(std::span<const std::string> keys);

  /// Drops every key under the tags, in every tier and in every Larder; returns how many.
  std::size_t invalidate_tags(std::span<const std::string> tags, TagMatch match = TagMatch::any);

  using Compute = std::function<std::string(std::string_view key)>;
  using TagsOf = std::function<std::vector<std::string>(std::string_view key)>;

  /// Makes a cached function out of one that computes a value for a key: the result looks the key up, and
  /// computes and stores the value when it is not there.
  ///
  /// Threads that ask for the same key at once share one computation. What the function throws reaches all
  /// that wait, and nothing is stored. When the server cannot be used the value is computed all the same.
  /// A tag that is invalidated while the function computes does not reach the value it will return: give such
  /// values a short `ttl`.
  ///
  /// Life: the Client must outlive what is returned, which may be copied and called from any thread.
  [[nodiscard]] Compute cached(Compute function, std::chrono::milliseconds ttl, TagsOf tags);
  [[nodiscard]] Compute cached(Compute function, std::chrono::milliseconds ttl,
                               std::vector<std::string> tags = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder
