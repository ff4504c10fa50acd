#include "resp/reply_framer.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <hiredis/hiredis.h>

using namespace larder;

namespace {

struct Frame {
  std::string bytes;
  char type;
  bool needs_resp3;
  bool operator==(const Frame&) const = default;
};

/// All frames of a stream that arrives in `pieces`, in a buffer that keeps only what is unfinished.
std::vector<Frame> frames_of(const std::vector<ByteView>& pieces) {
  ReplyFramer framer;
  std::vector<Frame> frames;
  std::string buffer;
  for (const ByteView piece : pieces) {
    buffer.append(piece);
    for (;;) {
      const auto status = framer.parse(buffer);
      REQUIRE(status.has_value());
      if (*status == ReplyFramer::Status::need_more) break;
      frames.push_back({buffer.substr(0, framer.size()), framer.type(), framer.needs_resp3()});
      buffer.erase(0, framer.size());
    }
  }
  REQUIRE(buffer.empty());
  return frames;
}

Errc error_of(ByteView stream, ReplyLimits limits = {}) {
  ReplyFramer framer(limits);
  const auto status = framer.parse(stream);
  return status ? Errc::ok : static_cast<Errc>(status.error().value());
}

const std::vector<Frame> kReplies = {
    {"+OK\r\n", '+', false},
    {"-ERR no\r\n", '-', false},
    {":-12\r\n", ':', false},
    {"$5\r\nhello\r\n", '$', false},
    {"$0\r\n\r\n", '$', false},
    {"$4\r\n\r\n\r\n\r\n", '$', false},
    {"$-1\r\n", '$', false},
    {"*-1\r\n", '*', false},
    {"*0\r\n", '*', false},
    {"*2\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n", '*', false},
    {"*5\r\n$1\r\na\r\n$12\r\nabcdefghijkl\r\n$0\r\n\r\n$-1\r\n$2\r\n\r\n\r\n", '*', false},
    {"*2\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n", '*', false},
    // Runs of elements of one length, and what looks like one for a while.
    {"*6\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\n$\r\n$2\r\ncd\r\n$2\r\n\r\n\r\n$1\r\na\r\n", '*', false},
    {"*4\r\n$12\r\nabcdefghijkl\r\n$12\r\nabcdefghijkl\r\n$12\r\n$12\r\nabcde\r\n\r\n$1\r\n2\r\n", '*',
     false},
    {"*4\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n$1\r\nc\r\n", '*', false},
    {"*3\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n", '*', false},
    {"_\r\n", '_', true},
    {"#t\r\n", '#', true},
    {",1.5\r\n", ',', true},
    {",inf\r\n", ',', true},
    {"(3492890328409238509324850943850943825024385\r\n", '(', true},
    {"!10\r\nERR a\r\nb c\r\n", '!', true},
    {"=8\r\ntxt:a\r\nb\r\n", '=', true},
    {"%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n_\r\n#f\r\n", '%', true},
    {"~0\r\n", '~', true},
    {"%0\r\n", '%', true},
    {">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", '>', true},
    {">2\r\n$10\r\ninvalidate\r\n_\r\n", '>', true},
    {"|1\r\n+ttl\r\n:3600\r\n*1\r\n|1\r\n+x\r\n%1\r\n+y\r\n:1\r\n+z\r\n", '*', true},
    {"|0\r\n:7\r\n", ':', true},
};

}  // namespace

TEST_CASE("reply framer: every kind of reply is found at every split") {
  for (const Frame& reply : kReplies) {
    CAPTURE(reply.bytes);
    for (std::size_t cut = 0; cut <= reply.bytes.size(); ++cut) {
      const ByteView whole(reply.bytes);
      CHECK(frames_of({whole.substr(0, cut), whole.substr(cut)}) == std::vector<Frame>{reply});
    }
  }
}

TEST_CASE("reply framer: a stream of replies byte by byte and at once") {
  std::string stream;
  for (const Frame& reply : kReplies) stream += reply.bytes;
  std::vector<ByteView> bytes;
  for (std::size_t i = 0; i < stream.size(); ++i) bytes.push_back(ByteView(stream).substr(i, 1));
  CHECK(frames_of(bytes) == kReplies);
  CHECK(frames_of({stream}) == kReplies);
}

TEST_CASE("reply framer: hiredis finds the same ends in RESP2") {
  const std::vector<std::string> replies = {
      "+OK\r\n", "-ERR no\r\n",    ":7\r\n", "$-1\r\n",
      "*-1\r\n", "$3\r\na\nb\r\n", "*0\r\n", "*3\r\n:1\r\n$-1\r\n*2\r\n+a\r\n-b\r\n"};
  for (const std::string& first : replies)
    for (const std::string& second : replies) {
      const std::string stream = first + second;
      const std::vector<Frame> frames = frames_of({stream});
      REQUIRE(frames.size() == 2);
      redisReader* reader = redisReaderCreate();
      for (const Frame& frame : frames) {
        void* object = nullptr;
        redisReaderFeed(reader, frame.bytes.data(), frame.bytes.size() - 1);
        CHECK(redisReaderGetReply(reader, &object) == REDIS_OK);
        CHECK(object == nullptr);  // one byte is missing
        redisReaderFeed(reader, frame.bytes.data() + frame.bytes.size() - 1, 1);
        CHECK(redisReaderGetReply(reader, &object) == REDIS_OK);
        REQUIRE(object != nullptr);
        freeReplyObject(object);
      }
      redisReaderFree(reader);
    }
}

TEST_CASE("reply framer: what is no RESP is refused") {
  for (const ByteView stream : {"hello\r\n",
                                "\r\n",
                                "$x\r\n",
                                "$-2\r\n",
                                "$3\r\nabcd\r\n",
                                "*1x\r\n",
                                "*99999999999\r\n",
                                "%-1\r\n",
                                "~-1\r\n",
                                "*3\r\n$1\r\nab\r\n",
                                "*3\r\n$1\rxa\r\n",
                                "*3\r\n$1x\r\na\r\n",
                                "*3\r\n$2\r\nabc\r\n",
                                "*3\r\n$1\r\na\r\n$1\r\nbc\r\n",
                                "*3\r\n$10\r\nabcdefghij\r\n$10\rxabcdefghij\r\n$1\r\na\r\n",
                                "+ok\n",
                                "$?\r\n",
                                "*?\r\n",
                                "*1\r\n>1\r\n+a\r\n",
                                "$ 1\r\n",
                                "=-1\r\n"})
    CHECK_MESSAGE(error_of(stream) == Errc::malformed_reply, std::string(stream));
}

TEST_CASE("reply framer: depth and size are bounded") {
  std::string nested;
  for (std::size_t i = 0; i < ReplyFramer::kMaxDepth; ++i) nested += "*1\r\n";
  CHECK(error_of(nested + ":1\r\n") == Errc::ok);
  CHECK(error_of(nested + "*1\r\n:1\r\n") == Errc::reply_too_deep);
  CHECK(error_of("$11\r\n", {.max_bytes = 10}) == Errc::malformed_reply);
  CHECK(error_of("*3\r\n:1\r\n:2\r\n:3\r\n", {.max_bytes = 10}) == Errc::malformed_reply);
  CHECK(error_of("+" + std::string(2 << 20, 'x')) == Errc::malformed_reply);
}

TEST_CASE("reply framer: after reset() a new stream begins") {
  ReplyFramer framer;
  REQUIRE(*framer.parse("*2\r\n$10\r\nabc") == ReplyFramer::Status::need_more);
  framer.reset();
  REQUIRE(*framer.parse(":1\r\n") == ReplyFramer::Status::ready);
  CHECK(framer.size() == 4);
}
