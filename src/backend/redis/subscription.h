#pragma once

#include <cstdint>
#include <optional>

#include "backend/backend.h"

namespace larder::redis {

/// The commands that subscribe, each followed by its contrary.
enum class Subscription : std::uint8_t {
  subscribe,
  unsubscribe,
  psubscribe,
  punsubscribe,
  ssubscribe,
  sunsubscribe,
};

/// In any case.
[[nodiscard]] std::optional<Subscription> find_subscription(ByteView name) noexcept;

[[nodiscard]] constexpr bool adds(Subscription command) noexcept {
  return static_cast<unsigned>(command) % 2 == 0;
}

/// About channels of a slot of a cluster.
[[nodiscard]] constexpr bool is_sharded(Subscription command) noexcept {
  return command >= Subscription::ssubscribe;
}

/// What Redis sends to a subscriber, whoever caused it.
struct SubscriptionPush {
  enum class Kind : std::uint8_t { message, confirmation, other };

  Kind kind = Kind::other;
  // of a confirmation:
  Subscription command = Subscription::subscribe;  ///< that it confirms
  std::optional<ByteView> name = {};               ///< of the channel or pattern; nothing: there was none
  std::uint32_t count = 0;  ///< what the connection has now: channels and patterns, or channels of slots
};

/// Life: of `push`, one whole reply of either protocol.
[[nodiscard]] SubscriptionPush parse_subscription_push(ByteView push) noexcept;

/// True when `push` is an answer to `command`, though perhaps not to this very one.
[[nodiscard]] bool confirms(ByteView push, Subscription command) noexcept;

/// Takes over what a confirmation says of a connection.
void update(Subscribed& subscribed, const SubscriptionPush& confirmation) noexcept;

/// How many such subscriptions there are.
[[nodiscard]] std::uint32_t count_of(const Subscribed& subscribed, Subscription command) noexcept;

/// The count that a confirmation tells.
[[nodiscard]] std::uint32_t told_count(const Subscribed& subscribed, Subscription command) noexcept;

/// Appends it in the protocol of `out`.
void append_message(ByteView push, ReplyWriter& out);
void append_confirmation(Subscription command, std::optional<ByteView> name, std::uint32_t count,
                         ReplyWriter& out);

}  // namespace larder::redis
