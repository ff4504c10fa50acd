#include "backend/redis/handshake.h"

#include <fmt/format.h>

#include "backend/redis/swap_watch.h"
#include "resp/reply_cursor.h"

namespace larder::redis {

void append_request(Bytes& out, std::initializer_list<ByteView> words) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (const ByteView word : words) {
    fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
    out.append(word).append("\r\n");
  }
}

Handshake::Handshake(const config::RedisAddress& address, const Wishes& wishes)
    : db_(wishes.db), standing_(wishes.standing), password_setting_(wishes.password_setting) {
  if (wishes.stranger) {
    ask(Step::ping, {"PING"});
    return;
  }
  if (!address.user.empty())
    ask(Step::auth, {"AUTH", address.user, address.password});
  else if (!address.password.empty())
    ask(Step::auth, {"AUTH", address.password});
  if (wishes.hurries) {
    ask(Step::ping, {"PING"});
    return;
  }
  if (wishes.standing != Standing::any) ask(Step::role, {"ROLE"});
  if (wishes.readonly) ask(Step::readonly, {"READONLY"});
  if (wishes.commands) ask(Step::commands, {"COMMAND"});
  if (wishes.protocol == Protocol::resp3) ask(Step::hello, {"HELLO", "3"});
  if (wishes.db != 0) ask(Step::select, {"SELECT", std::to_string(wishes.db)});
  ask(Step::name, {"CLIENT", "SETNAME", "larder"});
  if (wishes.client_id) ask(Step::client_id, {"CLIENT", "ID"});
  if (!wishes.tracking) return;
  request_.append(kAskStatistics);
  steps_.push_back(Step::statistics);
  if (wishes.hears_all)
    ask(Step::tracking, {"CLIENT", "TRACKING", "ON", "BCAST"});
  else
    ask(Step::tracking, {"CLIENT", "TRACKING", "ON"});
}

void Handshake::ask(Step step, std::initializer_list<ByteView> words) {
  append_request(request_, words);
  steps_.push_back(step);
}

Handshake::Outcome Handshake::take(ByteView reply) {
  const Step step = steps_[next_++];
  const ReplyCursor::Value value = ReplyCursor(reply).next();
  if (value.is_error())
    take_error(step, value.text);
  else if (step == Step::role)
    take_role(reply);
  else if (step == Step::commands)
    commands_ = reply;
  else if (step == Step::hello)
    speaks_resp3_ = true;
  else if (step == Step::client_id)
    client_id_ = value.integer();
  else if (step == Step::statistics)
    swapdb_calls_ = redis::swapdb_calls(reply);
  else if (step == Step::tracking)
    tracks_ = speaks_resp3_;  // in RESP2 the invalidations would go nowhere
  if (!refusal_.empty()) return Outcome::refused;
  return next_ == steps_.size() ? Outcome::done : Outcome::more;
}

void Handshake::take_role(ByteView reply) {
  ReplyCursor cursor(reply);
  cursor.skip_header();
  const ByteView role = cursor.next().text;
  if (standing_ == Standing::master) {
    if (role != "master") refusal_ = fmt::format("it is not a master, but a {}", role);
    return;
  }
  cursor.skip(2);
  if (role != "slave" || cursor.next().text != "connected") refusal_ = "it is no replica that has its master";
}

void Handshake::take_error(Step step, ByteView text) {
  if (step == Step::ping) return;  // NOAUTH, BUSY: somebody is there
  login_refused_ = step == Step::auth;
  if (step == Step::auth)
    refusal_ = fmt::format("it does not accept the user or password: {}", text);
  else if (text.starts_with("NOAUTH"))
    refusal_ = fmt::format("it requires a password, and {} has none", password_setting_);
  else if (step == Step::role)
    refusal_ = fmt::format("it does not tell its role: {}", text);
  else if (step == Step::select)
    refusal_ = fmt::format("it has no database {}: {}", db_, text);
  else if (step == Step::hello)
    tracking_problem_ = fmt::format("it does not speak RESP3: {}", text);
  else if (step == Step::tracking && tracking_problem_.empty())
    tracking_problem_ = fmt::format("it refuses CLIENT TRACKING: {}", text);
}

}  // namespace larder::redis
