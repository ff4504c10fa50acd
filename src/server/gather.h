#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "server/server.h"
#include "server/session.h"
#include "server/worker.h"

namespace larder {

/// Collects items from all workers and then answers; nobody waits.
///
/// Shape:  `collect` runs once on every worker, one at a time; `answer` runs on the session's worker.
/// Life:   the session outlives its open ticket, so `answer` may refer to it; it may be closed by then.
template <class Item>
Step gather(Session& session, std::function<void(Worker&, std::vector<Item>&)> collect,
            std::function<void(ReplyWriter&, std::vector<Item>&)> answer) {
  struct Gathered {
    std::mutex mutex;
    std::vector<Item> items;
  };
  const auto gathered = std::make_shared<Gathered>();
  const Ticket ticket = session.defer();
  session.worker().server().on_every_worker(
      session.worker(),
      [gathered, collect = std::move(collect)](Worker& worker) {
        const std::lock_guard lock(gathered->mutex);
        collect(worker, gathered->items);
      },
      [gathered, answer = std::move(answer), &session, ticket] {
        ReplyWriter reply = session.reply_to(ticket);
        answer(reply, gathered->items);
        session.finish(ticket);
      });
  return Step::pending;
}

}  // namespace larder
