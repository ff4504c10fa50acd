#pragma once

#include <filesystem>
#include <string>

namespace larder::test {

/// An authority and a server's certificate ("localhost", 127.0.0.1) that it has signed, as files.
///
/// Life: the files are gone with it.
class Authority {
 public:
  Authority();
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  [[nodiscard]] std::string ca() const { return path("ca.pem"); }
  [[nodiscard]] std::string certificate() const { return path("server.pem"); }
  [[nodiscard]] std::string key() const { return path("server.key"); }

 private:
  [[nodiscard]] std::string path(const char* name) const { return directory_ / name; }

  std::filesystem::path directory_;
};

}  // namespace larder::test
