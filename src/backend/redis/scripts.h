#pragma once

#include <list>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "base/bytes.h"

namespace larder::redis {

/// What a request has to do with the scripts that a server knows by their SHA1.
enum class ScriptUse : std::uint8_t {
  none,
  eval,    ///< EVAL, EVAL_RO: the script is the second word
  load,    ///< SCRIPT LOAD: it is the third
  by_sha,  ///< EVALSHA, EVALSHA_RO: the second word names it
  flush,   ///< SCRIPT FLUSH
};

[[nodiscard]] ScriptUse script_use(std::span<const ByteView> argv) noexcept;

/// 40 hexadecimal digits, in small letters.
[[nodiscard]] std::string sha1_hex(ByteView text);

/// The scripts that went through Larder, so that a server which lacks one (a new master, one whose scripts
/// were flushed) can be given it. Those used longest ago make room.
///
/// Thread: any; shared by all workers, as clients of one may call what clients of another have loaded.
class Scripts {
 public:
  static constexpr std::size_t kBudgetBytes = std::size_t{16} << 20;

  explicit Scripts(std::size_t budget_bytes = kBudgetBytes) : budget_bytes_(budget_bytes) {}

  void remember(ByteView body);

  /// The script of that SHA1, in large or small letters.
  [[nodiscard]] std::optional<Bytes> find(ByteView sha);
  [[nodiscard]] bool knows(ByteView sha);

  void forget_all();

 private:
  struct Script {
    std::string sha;
    Bytes body;
  };
  using Place = std::list<Script>::iterator;

  [[nodiscard]] std::optional<Place> find_used(const std::string& sha);
  [[nodiscard]] static std::size_t cost(const Script& script) noexcept;
  void drop_last();

  const std::size_t budget_bytes_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::list<Script> scripts_;  ///< the one used last first
  std::unordered_map<std::string, Place> by_sha_;
  std::size_t bytes_ = 0;
};

}  // namespace larder::redis
