#include "server/transaction.h"

#include <doctest/doctest.h>

#include "backend/block.h"

namespace larder {
namespace {

class NoClient final : public Caller {
 public:
  Ticket defer() override { return 0; }
  ReplyWriter reply_to(Ticket) override { return {bytes, Protocol::resp2}; }
  void finish(Ticket) override {}
  std::size_t pending() const noexcept override { return 0; }
  Bytes bytes;
};

struct Block {
  NoClient client;
  ReplyWriter reply{client.bytes, Protocol::resp2};
  Transaction transaction;

  void add(std::vector<ByteView> words, Transaction::Place place) {
    Bytes raw;
    ReplyWriter writer(raw, Protocol::resp2);
    writer.begin_array(words.size());
    for (const ByteView word : words) writer.bulk(word);
    transaction.queue({find_row(words), words, raw, 0, client, reply}, place);
  }

  /// The first words of what the backend would run.
  std::vector<Bytes> in_block() {
    std::vector<Bytes> names;
    const Request exec{find_command("exec"), {}, transaction.block(), 0, client, reply};
    for_each_queued(exec, [&](const Request& queued) { names.emplace_back(queued.argv[0]); });
    return names;
  }
};

}  // namespace

TEST_CASE(
    "transaction: the backend gets its commands as one block, the server keeps its own with their places") {
  Block queue;
  queue.add({"SET", "k", "*1\r\n$4\r\nEXEC\r\n"}, Transaction::Place::backend);
  queue.add({"PING"}, Transaction::Place::server);
  queue.add({"SELECT", "3"}, Transaction::Place::both);
  queue.add({"client", "id"}, Transaction::Place::server);
  queue.add({"GET", "k"}, Transaction::Place::backend);
  CHECK(queue.transaction.size() == 5);
  CHECK(queue.in_block() == std::vector<Bytes>{"SET", "SELECT", "GET"});
  CHECK(queue.in_block().size() == 3);  // asked for twice it is the same
  const auto own = queue.transaction.own();
  REQUIRE(own.size() == 3);
  CHECK((own[0].position == 1 && own[0].spec->name == "ping"));
  CHECK((own[1].position == 2 && own[1].place == Transaction::Place::both));
  CHECK((own[2].position == 3 && own[2].spec->name == "client|id"));
}

TEST_CASE("transaction: it writes if one of its commands does, or nobody knows") {
  Block reads, writes, unknown;
  reads.add({"GET", "k"}, Transaction::Place::backend);
  CHECK_FALSE(reads.transaction.writes());
  writes.add({"GET", "k"}, Transaction::Place::backend);
  writes.add({"INCR", "k"}, Transaction::Place::backend);
  CHECK(writes.transaction.writes());
  unknown.add({"MOD.CMD", "k"}, Transaction::Place::backend);
  CHECK(unknown.transaction.writes());
}

TEST_CASE("transaction: what is queued is counted, and a block without commands is MULTI and EXEC") {
  Block queue;
  const std::size_t empty = queue.transaction.bytes();
  queue.add({"SET", "k", "0123456789"}, Transaction::Place::backend);
  queue.add({"ECHO", "0123456789"}, Transaction::Place::server);
  CHECK(queue.transaction.bytes() > empty + 40);
  CHECK(Block().in_block().empty());
  CHECK(Block().transaction.block() == Bytes(kBlockBegin).append(kBlockEnd));
}

TEST_CASE("transaction: who asks for the reply when it is there gets it at once, and once") {
  Block queue;
  std::vector<Bytes> heard;
  queue.transaction.start(queue.client, nullptr);
  queue.transaction.reply_to(queue.transaction.defer()).error("ERR no");
  queue.transaction.finish(0);
  queue.transaction.start(queue.client, [&](ByteView reply) { heard.emplace_back(reply); });
  CHECK(heard == std::vector<Bytes>{"-ERR no\r\n"});
}

}  // namespace larder
