#include "stale_reads/requests.h"

#include <charconv>

#include <fmt/format.h>

#include "resp/reply_cursor.h"
#include "stale_reads/connection.h"

namespace larder::stale {
namespace {

constexpr ByteView kField = "f";
constexpr ByteView kFarAway = "100000000";
constexpr ByteView kHset =
    "local was = redis.call('HGET', KEYS[1], 'f') redis.call('HSET', KEYS[1], 'f', ARGV[1]) return was";
constexpr ByteView kHdel =
    "local was = redis.call('HGET', KEYS[1], 'f') redis.call('DEL', KEYS[1]) return was";

Bytes request(const std::vector<ByteView>& words) {
  Bytes out;
  append_request(out, words);
  return out;
}

}  // namespace

Bytes value_of(ByteView key, Version version) {
  return fmt::format("{}={}", key, version);
}

std::optional<Version> version_in(ByteView reply, ByteView key) {
  // HGETALL's value comes after its field.
  ByteView text;
  for (ReplyCursor cursor(reply); !cursor.at_end();)
    if (const ReplyCursor::Value value = cursor.next(); !value.text.empty()) text = value.text;
  if (text.empty()) return kAbsent;
  if (!text.starts_with(key) || !text.substr(key.size()).starts_with('=')) return std::nullopt;
  text.remove_prefix(key.size() + 1);
  Version version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return version;
}

std::vector<Bytes> reads_of(ByteView key, bool is_hash) {
  if (is_hash)
    return {request({"HGET", key, kField}), request({"HMGET", key, kField}), request({"HGETALL", key}),
            request({"HVALS", key})};
  return {request({"GET", key}), request({"GET", key}), request({"GET", key}),
          request({"GETRANGE", key, "0", "-1"})};
}

Bytes write_of(ByteView key, bool is_hash, Version state, std::minstd_rand& random) {
  if (state == kAbsent) return is_hash ? request({"EVAL", kHdel, "1", key}) : request({"GETDEL", key});
  const Bytes value = value_of(key, state);
  if (is_hash) return request({"EVAL", kHset, "1", key, value});
  switch (random() % 3) {
    case 0:
      return request({"SET", key, value, "GET"});
    case 1:
      return request({"GETSET", key, value});
    default:
      return request({"SET", key, value, "PX", kFarAway, "GET"});
  }
}

}  // namespace larder::stale
