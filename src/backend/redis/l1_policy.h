#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace larder::redis {

/// What L1 does for the keys that begin with a prefix.
enum class Treatment : std::uint8_t {
  cache,    ///< keeps them and answers from them
  observe,  ///< keeps them and counts what it could have answered, but Redis answers
  deny,     ///< has nothing to do with them
};

/// How the operator wants L1 to be used.
struct L1Options {
  struct Rule {
    std::string prefix;
    Treatment treatment;
  };

  std::chrono::milliseconds untracked_ttl{0};   ///< the longest life over a Redis that cannot track; 0: none
  std::chrono::milliseconds max_ttl{0};         ///< the longest life of any entry; 0: as long as the key's
  std::chrono::milliseconds negative_ttl{0};    ///< the same for the news that a key does not exist
  std::chrono::milliseconds stale_on_error{0};  ///< how long a node that is lost is answered for; 0: never
  unsigned ttl_jitter_percent = 0;              ///< those two are shortened at random by up to so much
  std::vector<Rule> rules{};                    ///< the longest prefix wins; none: cache
};

/// Decides what L1 keeps, and for how long.
///
/// Thread: one worker.
class L1Policy {
 public:
  explicit L1Policy(const L1Options& options) : options_(options) {}

  [[nodiscard]] Treatment treatment(ByteView key) const noexcept {
    return options_.rules.empty() ? Treatment::cache : treatment_by_rule(key);
  }

  /// True when some keys are not simply cached.
  [[nodiscard]] bool has_rules() const noexcept { return !options_.rules.empty(); }

  /// False when nothing that came over such a connection may be kept.
  [[nodiscard]] bool keeps_untracked() const noexcept { return options_.untracked_ttl.count() > 0; }

  /// Whether L1 answers for a node that cannot be reached.
  [[nodiscard]] bool serves_stale() const noexcept { return options_.stale_on_error.count() > 0; }

  /// What a fill is about.
  struct Fill {
    UnixMs sent_ms = 0;
    std::int64_t ttl_ms = -1;  ///< what is left of the key's life in Redis; negative: no end
    bool tracked = true;       ///< Redis tells of changes
    bool absent = false;       ///< the key does not exist
  };
  [[nodiscard]] UnixMs expiry_of(const Fill& fill) const;

 private:
  [[nodiscard]] Treatment treatment_by_rule(ByteView key) const noexcept;

  const L1Options& options_;
};

}  // namespace larder::redis
