#include "backend/redis/subscription.h"

#include <algorithm>
#include <array>

#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

constexpr std::array<ByteView, 6> kNames = {"subscribe",    "unsubscribe", "psubscribe",
                                            "punsubscribe", "ssubscribe",  "sunsubscribe"};

ByteView name_of(Subscription command) noexcept {
  return kNames[static_cast<std::size_t>(command)];
}

}  // namespace

std::optional<Subscription> find_subscription(ByteView name) noexcept {
  const auto found =
      std::ranges::find_if(kNames, [name](ByteView known) { return equals_ignore_case(name, known); });
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Subscription>(found - kNames.begin());
}

SubscriptionPush parse_subscription_push(ByteView push) noexcept {
  ReplyCursor cursor(push);
  if (cursor.next().count < 3) return {};
  const ByteView kind = cursor.next().text;
  if (kind.ends_with("message")) return {SubscriptionPush::Kind::message};
  const std::optional<Subscription> command = find_subscription(kind);
  if (!command) return {};
  const ReplyCursor::Value name = cursor.next();
  const auto count = static_cast<std::uint32_t>(cursor.next().integer());
  return {SubscriptionPush::Kind::confirmation, *command,
          name.is_null() ? std::nullopt : std::optional(name.text), count};
}

bool confirms(ByteView push, Subscription command) noexcept {
  ReplyCursor cursor(push);
  cursor.skip_header();
  return cursor.next().text == name_of(command);
}

void update(Subscribed& subscribed, const SubscriptionPush& confirmation) noexcept {
  const std::uint32_t count = confirmation.count;
  switch (confirmation.command) {
    case Subscription::subscribe:
    case Subscription::unsubscribe:
      subscribed.channels = count - std::min(count, subscribed.patterns);
      return;
    case Subscription::psubscribe:
    case Subscription::punsubscribe:
      subscribed.patterns = count - std::min(count, subscribed.channels);
      return;
    case Subscription::ssubscribe:
    case Subscription::sunsubscribe:
      subscribed.shard_channels = count;
      return;
  }
}

std::uint32_t count_of(const Subscribed& subscribed, Subscription command) noexcept {
  switch (command) {
    case Subscription::subscribe:
    case Subscription::unsubscribe:
      return subscribed.channels;
    case Subscription::psubscribe:
    case Subscription::punsubscribe:
      return subscribed.patterns;
    default:
      return subscribed.shard_channels;
  }
}

std::uint32_t told_count(const Subscribed& subscribed, Subscription command) noexcept {
  return is_sharded(command) ? subscribed.shard_channels : subscribed.channels + subscribed.patterns;
}

void append_message(ByteView push, ReplyWriter& out) {
  out.begin_push(static_cast<std::size_t>(ReplyCursor(push).next().count));
  out.raw(push.substr(push.find("\r\n") + 2));
}

void append_confirmation(Subscription command, std::optional<ByteView> name, std::uint32_t count,
                         ReplyWriter& out) {
  out.begin_push(3);
  out.bulk(name_of(command));
  if (name)
    out.bulk(*name);
  else
    out.null();
  out.integer(count);
}

}  // namespace larder::redis
