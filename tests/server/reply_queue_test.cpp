#include "server/reply_queue.h"

#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace larder {
namespace {

struct Queue {
  Bytes out;
  ReplyQueue queue{out};

  Ticket defer(bool discard = false) {
    ReplyQueue::Place place;
    place.discard = discard;
    return queue.defer(std::move(place));
  }
  void answer(Ticket ticket, ByteView reply) {
    queue.bytes(ticket).append(reply);
    queue.finish(ticket);
  }
};

TEST_CASE("reply queue: replies without waiting requests go straight out") {
  Queue q;
  q.queue.tail().append("a");
  q.queue.tail().append("b");
  CHECK(q.out == "ab");
  CHECK(q.queue.empty());
}

TEST_CASE("reply queue: replies leave in the order of their requests") {
  Queue q;
  const Ticket first = q.defer();
  q.queue.tail().append("2");
  const Ticket third = q.defer();
  q.queue.tail().append("4");
  q.queue.tail().append("5");
  CHECK(q.queue.waiting() == 2);
  q.answer(third, "3");
  CHECK(q.out.empty());
  q.answer(first, "1");
  CHECK(q.out == "12345");
  CHECK(q.queue.waiting() == 0);
  CHECK(q.queue.empty());
}

TEST_CASE("reply queue: the head writes to the output as it comes") {
  Queue q;
  const Ticket first = q.defer(), second = q.defer();
  q.queue.bytes(second).append("begun ");
  q.queue.bytes(first).append("1 ");
  CHECK(q.out == "1 ");
  q.queue.finish(first);
  CHECK(q.out == "1 begun ");
  q.queue.bytes(second).append("and ended");
  CHECK(q.out == "1 begun and ended");
}

TEST_CASE("reply queue: a place that was opened and stayed empty is taken by the next ticket") {
  Queue q;
  const Ticket first = q.defer();
  (void)q.queue.tail();
  const Ticket second = q.defer();
  CHECK(second == first + 1);
  q.answer(first, "1");
  q.answer(second, "2");
  CHECK(q.out == "12");
}

TEST_CASE("reply queue: a discarded reply is not sent, the one behind it is") {
  Queue q;
  const Ticket first = q.defer(), skipped = q.defer(true);
  q.answer(skipped, "nobody sees this");
  q.queue.tail().append("3");
  q.answer(first, "1");
  CHECK(q.out == "13");
}

TEST_CASE("reply queue: a discarded reply at the head is not sent either") {
  Queue q;
  const Ticket skipped = q.defer(true), second = q.defer();
  q.answer(second, "2");
  q.answer(skipped, "1");
  CHECK(q.out == "2");
}

TEST_CASE("reply queue: the reply of a ticket is what was appended since it was asked for") {
  Queue q;
  q.queue.tail().append("sent before ");
  const Ticket first = q.defer(), second = q.defer();
  q.queue.bytes(first).append("-ERR no");
  CHECK(q.queue.reply(first) == "-ERR no");
  q.queue.bytes(second).append("+OK");
  CHECK(q.queue.reply(second) == "+OK");
}

TEST_CASE("reply queue: any mix of requests, answered in any order, leaves in order") {
  std::mt19937 random(31);
  for (int round = 0; round < 200; ++round) {
    Queue q;
    std::string expected;
    std::vector<std::pair<Ticket, std::string>> open;
    const auto answer_one = [&] {
      const std::size_t index = random() % open.size();
      q.answer(open[index].first, open[index].second);
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(index));
    };
    for (int i = 0; i < 300; ++i) {
      const std::string reply = std::to_string(i) + " ";
      const bool discard = random() % 8 == 0;
      if (random() % 2 == 0) {
        q.queue.tail().append(reply);
        expected += reply;
      } else {
        open.emplace_back(q.defer(discard), reply);
        if (!discard) expected += reply;
      }
      if (!open.empty() && random() % 3 == 0) answer_one();
    }
    while (!open.empty()) answer_one();
    CHECK(q.out == expected);
    CHECK(q.queue.empty());
  }
}

}  // namespace
}  // namespace larder
