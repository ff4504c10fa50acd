#include "larder/client.hpp"

#include <future>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

#include "address.h"
#include "connection.h"

namespace larder {
namespace {

std::optional<std::string> to_value(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_NIL) return std::nullopt;
  return std::string(reply.str, reply.len);
}

void check(const std::string& fault) {
  if (!fault.empty()) throw std::invalid_argument(fault);
}

void check_ttl(std::chrono::milliseconds ttl) {
  constexpr auto kLongest = std::chrono::milliseconds::max() / 2;  // the server adds the time of day
  if (ttl.count() < 0) check("the ttl is negative");
  if (ttl > kLongest) check("the ttl is too long");
}

/// The tags of a value that is cached.
Tags checked_tags(std::vector<std::string> tags) {
  for (const std::string& tag : tags) check(find_tag_fault(tag));
  if (tags.size() > kMaxTagsOfKey) check("a key has at most " + std::to_string(kMaxTagsOfKey) + " tags");
  return tags.empty() ? Tags::keep() : Tags(std::move(tags));  // a key that is not there has none to replace
}

/// The words of SET that `options` are, kept while commands refer to them.
class SetWords {
 public:
  explicit SetWords(const SetOptions& options)
      : ttl_ms_(std::to_string(options.ttl.count())), tag_count_(std::to_string(options.tags.list().size())) {
    check_ttl(options.ttl);
    if (options.ttl.count() > 0) words_.insert(words_.end(), {"PX", ttl_ms_});
    if (options.tags.are_kept()) return;
    words_.insert(words_.end(), {"TAGS", tag_count_});
    words_.insert(words_.end(), options.tags.list().begin(), options.tags.list().end());
  }
  SetWords(const SetWords&) = delete;
  SetWords& operator=(const SetWords&) = delete;

  [[nodiscard]] Words command(std::string_view key, std::string_view value) const {
    Words words{"SET", key, value};
    words.insert(words.end(), words_.begin(), words_.end());
    return words;
  }

 private:
  const std::string ttl_ms_, tag_count_;
  Words words_;
};

/// A cache that is out of order is as good as none: the program goes on without.
template <class Work>
void if_server_can(Work work) {
  try {
    work();
  } catch (const ServerError&) {
  } catch (const ConnectionError&) {
  }
}

Words command_of(std::string_view name, std::span<const std::string> arguments) {
  Words words{name};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

}  // namespace

/// Idle connections, and computations under way, both guarded by mutex_.
class Client::Impl {
 public:
  explicit Impl(ClientOptions options)
      : options_(std::move(options)), address_(parse_address(options_.url)) {}

  std::vector<Reply> read(std::span<const Words> commands) {
    try {
      return write(commands);
    } catch (const ConnectionError&) {
      return write(commands);
    }
  }

  std::vector<Reply> write(std::span<const Words> commands) {
    std::unique_ptr<Connection> connection = take_connection();
    std::vector<Reply> replies = connection->ask(commands);
    give_back(std::move(connection));
    for (const Reply& reply : replies) checked(reply);
    return replies;
  }

  /// Computes what nobody else is computing, else waits for who is.
  std::string compute_once(std::string_view key, const std::function<std::string()>& compute) {
    std::promise<std::string> promise;
    const auto [result, is_first] = join(std::string(key), promise);
    if (!is_first) return result.get();
    try {
      promise.set_value(compute());
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    under_way_.erase(std::string(key));
    return result.get();
  }

 private:
  struct Joined {
    std::shared_future<std::string> result;
    bool is_first;
  };

  Joined join(std::string key, std::promise<std::string>& promise) {
    const std::lock_guard lock(mutex_);
    const auto found = under_way_.find(key);
    if (found != under_way_.end()) return {found->second, false};
    std::shared_future<std::string> result = promise.get_future().share();
    under_way_.emplace(std::move(key), result);
    return {std::move(result), true};
  }

  std::unique_ptr<Connection> take_connection() {
    while (std::unique_ptr<Connection> idle = take_idle())
      if (idle->is_usable()) return idle;
    return std::make_unique<Connection>(address_, options_);
  }

  std::unique_ptr<Connection> take_idle() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return nullptr;
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    return connection;
  }

  void give_back(std::unique_ptr<Connection> connection) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < options_.idle_connections) idle_.push_back(std::move(connection));
  }

  const ClientOptions options_;
  const Address address_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::unordered_map<std::string, std::shared_future<std::string>> under_way_;
};

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

std::optional<std::string> Client::get(std::string_view key) {
  return to_value(*impl_->read(std::vector<Words>{{"GET", key}}).front());
}

void Client::set(std::string_view key, std::string_view value, const SetOptions& options) {
  const Entry entry{key, value};
  mset({&entry, 1}, options);
}

std::vector<std::optional<std::string>> Client::mget(std::span<const std::string> keys) {
  std::vector<std::optional<std::string>> values;
  if (keys.empty()) return values;
  const std::vector<Reply> replies = impl_->read(std::vector<Words>{command_of("MGET", keys)});
  const redisReply& all = *replies.front();
  for (std::size_t i = 0; i < all.elements; ++i) values.push_back(to_value(*all.element[i]));
  return values;
}

void Client::mset(std::span<const Entry> entries, const SetOptions& options) {
  const SetWords set(options);
  std::vector<Words> commands;
  for (const Entry& entry : entries) commands.push_back(set.command(entry.key, entry.value));
  impl_->write(commands);
}

std::size_t Client::mdel(std::span<const std::string> keys) {
  if (keys.empty()) return 0;
  const auto replies = impl_->write(std::vector<Words>{command_of("DEL", keys)});
  return static_cast<std::size_t>(replies.front()->integer);
}

std::size_t Client::invalidate_tags(std::span<const std::string> tags, TagMatch match) {
  if (tags.empty()) return 0;
  std::vector<Words> commands{command_of("TAGINVALIDATE", tags)};
  commands.front().push_back("");  // ends the tags: the last one may be spelled like an option
  if (match == TagMatch::all) commands.front().push_back("ALL");
  return static_cast<std::size_t>(impl_->write(commands).front()->integer);
}

Client::Compute Client::cached(Compute function, std::chrono::milliseconds ttl, TagsOf tags) {
  // The Client may be moved; its Impl stays where it is.
  Impl* const impl = impl_.get();
  check_ttl(ttl);
  return [impl, function = std::move(function), ttl, tags = std::move(tags)](std::string_view key) {
    check(find_key_fault(key));
    return impl->compute_once(key, [&] {
      std::optional<std::string> value;
      if_server_can([&] { value = to_value(*impl->read(std::vector<Words>{{"GET", key}}).front()); });
      if (value) return *std::move(value);
      const SetOptions options{ttl, checked_tags(tags(key))};
      value = function(key);
      if_server_can([&] { impl->write(std::vector<Words>{SetWords(options).command(key, *value)}); });
      return *std::move(value);
    });
  };
}

Client::Compute Client::cached(Compute function, std::chrono::milliseconds ttl,
                               std::vector<std::string> tags) {
  static_cast<void>(checked_tags(tags));
  return cached(std::move(function), ttl, [tags = std::move(tags)](std::string_view) { return tags; });
}

}  // namespace larder
