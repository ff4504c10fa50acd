#include "backend/redis/tag_caller.h"

#include "backend/redis/handshake.h"
#include "backend/redis/tag_requests.h"
#include "resp/request_parser.h"

namespace larder::redis {
namespace {

/// A call of a script has its first key there.
constexpr KeyRange kScriptKey = {3, 3, 1};
constexpr KeyRange kFirstWord = {1, 1, 1};

}  // namespace

bool OwnCaller::ask(TagHost& host, std::span<const ByteView> argv) {
  raw_.clear();
  ReplyWriter writer(raw_, Protocol::resp2);
  writer.begin_array(argv.size());
  for (const ByteView word : argv) writer.bulk(word);
  Route route;
  route.readonly = true;
  route.keys = kFirstWord;
  return send(host, route);
}

bool OwnCaller::call(TagHost& host, TagScript script, std::span<const ByteView> keys,
                     std::span<const ByteView> arguments) {
  raw_.clear();
  TagRequests::append_call(script, keys, arguments, raw_);
  Route route;
  route.keys = kScriptKey;
  route.tags = TagRole::own;
  return send(host, route);
}

bool OwnCaller::send(TagHost& host, const Route& route) {
  reply_.clear();
  RequestParser parser;
  static_cast<void>(parser.parse(raw_, {.max_bulk_bytes = INT64_MAX}));
  ReplyWriter writer(reply_, protocol_);
  Route own = route;
  own.effect = Effect::none;
  own.scalar_reply = true;
  return host.send_own({nullptr, parser.argv(), raw_, 0, *this, writer}, own) == Step::done;
}

}  // namespace larder::redis
