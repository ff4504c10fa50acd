#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <hiredis/hiredis.h>

#include "address.h"
#include "larder/client.hpp"

namespace larder {

struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;
using Words = std::vector<std::string_view>;

/// One connection to the server, logged in and in its database.
///
/// Errors: ConnectionError; after one the connection is good for nothing.
/// Thread: one at a time.
class Connection {
 public:
  Connection(const Address& address, const ClientOptions& options);

  /// Sends all commands, then waits for all replies. Shape: a reply for each, which may be an error.
  [[nodiscard]] std::vector<Reply> ask(std::span<const Words> commands);

  /// False: the server has closed it, or said something that nobody asked for.
  [[nodiscard]] bool is_usable() const noexcept;

 private:
  struct Free {
    void operator()(redisContext* context) const noexcept { redisFree(context); }
  };

  void connect(const Address& address, const ClientOptions& options);
  void log_in(const Address& address);
  [[noreturn]] void fail() const;

  std::unique_ptr<redisContext, Free> context_;
};

/// Errors: ServerError when the reply is an error.
const Reply& checked(const Reply& reply);

}  // namespace larder
