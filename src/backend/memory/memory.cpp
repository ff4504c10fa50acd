#include <memory>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "backend/block.h"
#include "backend/memory/make_tier.h"
#include "backend/memory/watches.h"
#include "command/error_reply.h"
#include "command/keyspace_wide.h"
#include "command/tags.h"
#include "io/poller.h"

namespace larder::memory {
namespace {

/// Runs every command at once, on the locked shards of its keys, and a transaction on those of all its keys.
/// TAGINVALIDATE of many keys goes in steps, between which other clients are served.
class MemoryBackend final : public Backend {
 public:
  MemoryBackend(Keyspace& keyspace, boost::asio::io_context& io, Poller& poller)
      : keyspace_(keyspace), watches_(keyspace), io_(io), poller_(poller) {}

  Step execute(const Request& request) override {
    const CommandSpec& spec = *request.spec;
    request.caller.is_heard_of = true;
    keys_.clear();
    if (spec.runner == Runner::connection)
      run_of_transactions(request);
    else if (refuses(spec))
      append_error(request.reply, Errc::out_of_memory);
    else if (spec.name == "taginvalidate")
      return invalidate(request);
    else
      run(request);
    return Step::done;
  }

  bool has_transactions() const noexcept override { return true; }

  bool may_queue(const Request& request) override {
    const bool refused = refuses(*request.spec);
    if (refused) append_error(request.reply, Errc::out_of_memory);
    return !refused;
  }

  void append_read_keys(const Request& request, std::vector<KeyRef>& keys) override {
    if (!is_transaction(request)) return Backend::append_read_keys(request, keys);
    for_each_queued(request, [&](const Request& queued) { Backend::append_read_keys(queued, keys); });
  }

  void unwatch(Caller& caller) override { watches_.drop(caller); }
  void abandon(Caller& caller) override { watches_.drop(caller); }
  void drain(std::function<void()> done) override { done(); }

 private:
  [[nodiscard]] bool refuses(const CommandSpec& spec) const noexcept {
    return spec.flags.has(Flag::denyoom) && keyspace_.out_of_memory();
  }

  void run(const Request& request) {
    Call call{request.argv, request.caller.db(), request.now_ms, request.reply};
    if (request.spec->runner == Runner::keyspace) return run_on_keyspace(*request.spec, call, keyspace_);
    collect_keys(*request.spec, call, keys_);
    Keyspace::Locked records(keyspace_, keys_, request.now_ms, request.caller.spared);
    request.spec->run(call, records);
  }

  /// EXEC, WATCH and UNWATCH.
  void run_of_transactions(const Request& request) {
    if (is_transaction(request)) return run_block(request);
    if (request.spec->name == "watch") return watches_.add(request);
    watches_.drop(request.caller);
    request.reply.ok();
  }

  void run_block(const Request& exec);

  /// A TAGINVALIDATE that is under way.
  struct Sweep {
    Keyspace::Invalidation invalidation;
    UnixMs now_ms;
    Caller& caller;
    Ticket ticket = 0;
  };
  Step invalidate(const Request& request);
  void go_on(std::unique_ptr<Sweep> sweep);
  void go_on_soon(std::unique_ptr<Sweep> sweep);

  Keyspace& keyspace_;
  Watches watches_;
  boost::asio::io_context& io_;
  Poller& poller_;
  std::vector<KeyRef> keys_;  ///< of the command being run; kept for its allocation
};

/// What its client has sent behind it waits: it must not be taken for what was there before. ASYNC changes
/// nothing, the sweep would be as far by the time it was handed on.
Step MemoryBackend::invalidate(const Request& request) {
  Result<InvalidateArguments> arguments = parse_taginvalidate(request.argv);
  if (!arguments) {
    append_error(request.reply, arguments.error());
    return Step::done;
  }
  std::unique_ptr<Sweep> sweep(new Sweep{
      {keyspace_, request.caller.db(), std::move(arguments->query)}, request.now_ms, request.caller});
  if (sweep->invalidation.step(sweep->now_ms)) {
    request.reply.integer(static_cast<std::int64_t>(sweep->invalidation.live()));
    return Step::done;
  }
  sweep->ticket = request.caller.defer();
  go_on_soon(std::move(sweep));
  return Step::blocking;
}

void MemoryBackend::go_on_soon(std::unique_ptr<Sweep> sweep) {
  boost::asio::post(io_, [this, sweep = std::move(sweep)]() mutable { go_on(std::move(sweep)); });
  poller_.interrupt();
}

void MemoryBackend::go_on(std::unique_ptr<Sweep> sweep) {
  if (!sweep->invalidation.step(sweep->now_ms)) return go_on_soon(std::move(sweep));
  Caller& caller = sweep->caller;
  caller.reply_to(sweep->ticket).integer(static_cast<std::int64_t>(sweep->invalidation.live()));
  caller.is_heard_of = true;
  caller.finish(sweep->ticket);
}

void MemoryBackend::run_block(const Request& exec) {
  std::size_t count = 0;
  bool wants_memory = false, is_wide = false;
  for_each_queued(exec, [&](const Request& queued) {
    ++count;
    wants_memory |= refuses(*queued.spec);
    is_wide |= queued.spec->runner == Runner::keyspace;
    // In whatever database: that has no part in which shard it is.
    collect_keys(*queued.spec, Call{queued.argv, exec.caller.db(), exec.now_ms, exec.reply}, keys_);
  });
  Caller& client = *exec.caller.principal;
  watches_.append_keys(client, keys_);
  if (wants_memory)
    return exec.reply.error(
        "EXECABORT Transaction discarded because of: OOM command not allowed when used "
        "memory > 'maxmemory'.");
  const auto run_all = [&](Keyspace::Locked& records) {
    if (watches_.is_touched(client, records)) return exec.reply.null_array();
    exec.reply.begin_array(count);
    int db = exec.caller.db();
    for_each_queued(exec, [&](const Request& queued) {
      Call call{queued.argv, db, exec.now_ms, exec.reply};
      if (queued.spec->name == "select")
        run_queued_select(call, db);
      else if (queued.spec->runner == Runner::keyspace)
        run_on_keyspace(*queued.spec, call, keyspace_);
      else
        queued.spec->run(call, records);
    });
  };
  if (is_wide) {
    Keyspace::Locked all(keyspace_, exec.now_ms, Keyspace::Locked::AllShards(), client.spared);
    run_all(all);
  } else {
    Keyspace::Locked some(keyspace_, keys_, exec.now_ms, client.spared);
    run_all(some);
  }
}

class MemoryTier final : public Tier {
 public:
  explicit MemoryTier(Keyspace& keyspace) : keyspace_(keyspace) {}

  std::unique_ptr<Backend> make_backend(boost::asio::io_context& io, Poller& poller) override {
    return std::make_unique<MemoryBackend>(keyspace_, io, poller);
  }
  BackendReport report() const override { return {}; }
  void reset_statistics() override {}
  void stop() override {}

 private:
  Keyspace& keyspace_;
};

}  // namespace

std::unique_ptr<Tier> make_tier(Keyspace& keyspace) {
  return std::make_unique<MemoryTier>(keyspace);
}

}  // namespace larder::memory
