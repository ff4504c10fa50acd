#pragma once

#include <string>
#include <string_view>

namespace larder {

/// Where a server listens and who asks it.
struct Address {
  std::string path = {};  ///< of a Unix socket; empty: TCP
  std::string host = "127.0.0.1";
  int port = 6379;
  int db = 0;
  std::string user = {};
  std::string password = {};
};

/// Reads ClientOptions::url. Errors: std::invalid_argument, which says what is wrong without the password.
[[nodiscard]] Address parse_address(std::string_view url);

}  // namespace larder
