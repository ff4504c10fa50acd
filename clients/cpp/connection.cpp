#include "connection.h"

#include <cerrno>
#include <sys/socket.h>

namespace larder {
namespace {

timeval to_timeval(std::chrono::milliseconds time) noexcept {
  return {.tv_sec = time.count() / 1000, .tv_usec = time.count() % 1000 * 1000};
}

}  // namespace

Connection::Connection(const Address& address, const ClientOptions& options) {
  connect(address, options);
  if (context_ == nullptr) throw ConnectionError("no memory for a connection");
  if (context_->err != 0) fail();
  if (redisSetTimeout(context_.get(), to_timeval(options.command_timeout)) != REDIS_OK) fail();
  log_in(address);
}

void Connection::connect(const Address& address, const ClientOptions& options) {
  const timeval timeout = to_timeval(options.connect_timeout);
  if (address.path.empty())
    context_.reset(redisConnectWithTimeout(address.host.c_str(), address.port, timeout));
  else
    context_.reset(redisConnectUnixWithTimeout(address.path.c_str(), timeout));
}

void Connection::log_in(const Address& address) {
  std::vector<Words> commands;
  if (!address.user.empty())
    commands.push_back({"AUTH", address.user, address.password});
  else if (!address.password.empty())
    commands.push_back({"AUTH", address.password});
  const std::string db = std::to_string(address.db);
  if (address.db != 0) commands.push_back({"SELECT", db});
  for (const Reply& reply : ask(commands)) checked(reply);
}

std::vector<Reply> Connection::ask(std::span<const Words> commands) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const Words& words : commands) {
    texts.clear();
    sizes.clear();
    for (const std::string_view word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    const int count = static_cast<int>(words.size());
    if (redisAppendCommandArgv(context_.get(), count, texts.data(), sizes.data()) != REDIS_OK) fail();
  }
  std::vector<Reply> replies;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    void* reply = nullptr;
    if (redisGetReply(context_.get(), &reply) != REDIS_OK) fail();
    replies.emplace_back(static_cast<redisReply*>(reply));
  }
  return replies;
}

bool Connection::is_usable() const noexcept {
  char byte = 0;
  const ssize_t count = ::recv(context_->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count < 0 && errno == EAGAIN;
}

void Connection::fail() const {
  const bool timed_out = context_->err == REDIS_ERR_IO && errno == EAGAIN;
  throw ConnectionError(timed_out ? "the server did not answer in time" : context_->errstr);
}

const Reply& checked(const Reply& reply) {
  if (reply->type == REDIS_REPLY_ERROR) throw ServerError(std::string(reply->str, reply->len));
  return reply;
}

}  // namespace larder
