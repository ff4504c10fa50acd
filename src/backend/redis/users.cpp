#include "backend/redis/users.h"

#include <algorithm>

#include "backend/redis/handshake.h"
#include "backend/redis/topology.h"
#include "base/clock.h"

namespace larder::redis {
namespace {

constexpr std::size_t kMostUsers = 256;            // each has connections of its own, on every node
constexpr std::int64_t kUnusedForUs = 10'000'000;  // then its connections are closed
constexpr ByteView kTooMany = "ERR too many users of Redis are logged in through Larder; try again later";

/// An error reply without its `-` and its line end.
ByteView text_of(const Reply& error) noexcept {
  return error.bytes.substr(1, error.bytes.size() - 3);
}

}  // namespace

void Users::log_in(ByteView user, ByteView password, LoginDone done) {
  Lane& door = topology_.any_node().door();
  if (const ByteView refusal = door.refusal(); !refusal.empty()) return done({.error = Bytes(refusal)});
  InFlight entry;
  entry.kind = InFlight::Kind::login;
  entry.index = logins_.take();
  logins_[entry.index] = {std::string(user), std::string(password), std::move(done)};
  append_request(door.output(), {"AUTH", user, password});
  door.expect(entry);
}

void Users::on_reply(const InFlight& entry, const Reply& reply) {
  const bool accepted = reply.type == '+';
  if (!entry.expired)
    answer(entry.index, accepted ? welcome(logins_[entry.index]) : Login{.error = Bytes(text_of(reply))});
  forget(entry);
}

void Users::fail(const InFlight& entry, ByteView error) {
  answer(entry.index, {.error = Bytes(error)});
}

void Users::answer(std::uint32_t index, const Login& login) {
  logins_[index].password.clear();
  std::exchange(logins_[index].done, nullptr)(login);
}

/// The user is who it says it is.
Login Users::welcome(const Attempt& attempt) {
  if (is_own(attempt.user)) return {.accepted = true};
  const auto is_it = [&](const Known& known) {
    return known.user->user == attempt.user && known.user->password == attempt.password;
  };
  auto found = std::ranges::find_if(known_, is_it);
  if (found == known_.end()) {
    if (known_.size() >= kMostUsers)
      std::erase_if(known_, [this](const Known& known) { return try_drop(known); });
    if (known_.size() >= kMostUsers) return {.error = Bytes(kTooMany)};
    known_.push_back({std::make_shared<const UpstreamUser>(UpstreamUser{attempt.user, attempt.password})});
    found = std::prev(known_.end());
  }
  // What Redis refused before it may take now.
  topology_.for_each_node([&](Node& node) { node.forgive(*found->user); });
  return {.accepted = true, .user = found->user};
}

bool Users::is_own(ByteView user) const noexcept {
  const std::string& own = context_.options.address.user;
  return user == (own.empty() ? "default" : own);
}

/// False while a client is logged in so, or its requests are under way.
bool Users::try_drop(const Known& known) {
  if (known.user.use_count() > 1) return false;
  bool quiet = true;
  topology_.for_each_node([&](const Node& node) { quiet = quiet && node.is_quiet_for(*known.user); });
  if (quiet) topology_.for_each_node([&](Node& node) { node.forget(*known.user); });
  return quiet;
}

void Users::tick(std::int64_t now_us) {
  std::erase_if(known_, [&](Known& known) {
    if (known.user.use_count() > 1)
      known.unused_since_us = 0;
    else if (known.unused_since_us == 0)
      known.unused_since_us = now_us;
    const bool is_due = known.unused_since_us != 0 && now_us - known.unused_since_us >= kUnusedForUs;
    return is_due && try_drop(known);
  });
}

}  // namespace larder::redis
