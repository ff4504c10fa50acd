#include "backend/redis/subscription.h"

#include <doctest/doctest.h>

namespace larder::redis {
namespace {

Bytes message(ByteView push, Protocol protocol) {
  Bytes bytes;
  ReplyWriter out(bytes, protocol);
  append_message(push, out);
  return bytes;
}

Bytes confirmation(Subscription command, std::optional<ByteView> name, std::uint32_t count,
                   Protocol protocol) {
  Bytes bytes;
  ReplyWriter out(bytes, protocol);
  append_confirmation(command, name, count, out);
  return bytes;
}

SubscriptionPush confirmed(Subscription command, std::uint32_t count) {
  return {SubscriptionPush::Kind::confirmation, command, "x", count};
}

constexpr ByteView kMessage = ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\n\r\n>\r\n";

}  // namespace

TEST_CASE("subscription: a command is known in any case, and what it undoes with it") {
  CHECK(find_subscription("SUBSCRIBE") == Subscription::subscribe);
  CHECK(find_subscription("sUnsubscribe") == Subscription::sunsubscribe);
  CHECK_FALSE(find_subscription("publish"));
  CHECK_FALSE(find_subscription(""));
  CHECK(adds(Subscription::psubscribe));
  CHECK_FALSE(adds(Subscription::punsubscribe));
  CHECK(is_sharded(Subscription::ssubscribe));
  CHECK_FALSE(is_sharded(Subscription::punsubscribe));
}

TEST_CASE("subscription: a message keeps its bytes in either protocol") {
  CHECK(parse_subscription_push(kMessage).kind == SubscriptionPush::Kind::message);
  CHECK(message(kMessage, Protocol::resp3) == kMessage);
  CHECK(message(kMessage, Protocol::resp2) == "*" + Bytes(kMessage.substr(1)));
  const ByteView matched = ">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$0\r\n\r\n";
  CHECK(parse_subscription_push(matched).kind == SubscriptionPush::Kind::message);
  CHECK(message(matched, Protocol::resp2) == "*" + Bytes(matched.substr(1)));
}

TEST_CASE("subscription: a confirmation is read and written") {
  for (const ByteView push :
       {">3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:12\r\n", "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:12\r\n"}) {
    const SubscriptionPush parsed = parse_subscription_push(push);
    REQUIRE(parsed.kind == SubscriptionPush::Kind::confirmation);
    CHECK(parsed.command == Subscription::psubscribe);
    CHECK(parsed.name == "a*");
    CHECK(parsed.count == 12);
    CHECK(confirms(push, Subscription::psubscribe));
    CHECK_FALSE(confirms(push, Subscription::subscribe));
    const Protocol protocol = push.front() == '>' ? Protocol::resp3 : Protocol::resp2;
    CHECK(confirmation(parsed.command, parsed.name, parsed.count, protocol) == push);
  }
  const ByteView none = ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n";
  CHECK_FALSE(parse_subscription_push(none).name);
  CHECK(confirmation(Subscription::unsubscribe, std::nullopt, 0, Protocol::resp3) == none);
  CHECK(confirmation(Subscription::unsubscribe, std::nullopt, 0, Protocol::resp2) ==
        "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
  CHECK(parse_subscription_push(">2\r\n$10\r\ninvalidate\r\n_\r\n").kind == SubscriptionPush::Kind::other);
}

TEST_CASE("subscription: what a connection has follows from what was confirmed") {
  Subscribed has;
  update(has, confirmed(Subscription::subscribe, 1));
  update(has, confirmed(Subscription::subscribe, 1));  // the same once more
  update(has, confirmed(Subscription::psubscribe, 2));
  update(has, confirmed(Subscription::psubscribe, 3));
  update(has, confirmed(Subscription::ssubscribe, 1));
  CHECK((has.channels == 1 && has.patterns == 2 && has.shard_channels == 1));
  CHECK(count_of(has, Subscription::punsubscribe) == 2);
  CHECK(told_count(has, Subscription::punsubscribe) == 3);
  CHECK(told_count(has, Subscription::sunsubscribe) == 1);
  update(has, confirmed(Subscription::unsubscribe, 2));
  update(has, confirmed(Subscription::sunsubscribe, 0));
  CHECK((has.channels == 0 && has.patterns == 2 && has.shard_channels == 0));
  update(has, confirmed(Subscription::punsubscribe, 1));
  CHECK(has.any());
  update(has, confirmed(Subscription::punsubscribe, 0));
  CHECK_FALSE(has.any());
}

}  // namespace larder::redis
