#include "backend/redis/cached_read.h"

#include <algorithm>
#include <array>

namespace larder::redis {
namespace {

constexpr auto kCachedReads = std::to_array<CachedRead>({
    {"bitcount"},
    {"bitpos"},
    {"exists", Nesting::kept, 2},
    {"getbit"},
    {"getrange"},
    {"hexists"},
    {"hget"},
    {"hgetall"},
    {"hkeys"},
    {"hlen"},
    {"hmget"},
    {"hstrlen"},
    {"hvals"},
    {"lindex"},
    {"llen"},
    {"lrange"},
    {"scard"},
    {"sismember"},
    {"smembers"},
    {"smismember"},
    {"strlen"},
    {"substr"},
    {"type", Nesting::kept, 2},
    {"xlen"},
    {"zcard"},
    {"zcount"},
    {"zlexcount"},
    {"zmscore"},
    {"zrange", Nesting::flattened},
    {"zrangebylex"},
    {"zrangebyscore", Nesting::flattened},
    {"zrank", Nesting::kept, 3},
    {"zrevrange", Nesting::flattened},
    {"zrevrangebylex"},
    {"zrevrangebyscore", Nesting::flattened},
    {"zrevrank", Nesting::kept, 3},
    {"zscore"},
});
static_assert(std::ranges::is_sorted(kCachedReads, {}, &CachedRead::name));

void append_length(std::size_t size, Bytes& out) {
  const auto number = static_cast<std::uint32_t>(size);
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

}  // namespace

const CachedRead* find_cached_read(ByteView name) noexcept {
  const auto found = std::ranges::lower_bound(kCachedReads, name, {}, &CachedRead::name);
  return found != kCachedReads.end() && found->name == name ? &*found : nullptr;
}

void append_question(const CachedRead& read, const Request& request, Bytes& question) {
  question.push_back(static_cast<char>(&read - kCachedReads.data()));
  question.push_back(static_cast<char>(request.caller.protocol()));
  for (const ByteView word : request.argv.subspan(2)) {
    append_length(word.size(), question);
    question.append(word);
  }
}

}  // namespace larder::redis
