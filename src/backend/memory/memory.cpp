#include "backend/memory/make_tier.h"
#include "command/error_reply.h"
#include "command/keyspace_wide.h"

namespace larder::memory {
namespace {

/// Runs every command at once, on the locked shards of its keys.
class MemoryBackend final : public Backend {
 public:
  explicit MemoryBackend(Keyspace& keyspace) : keyspace_(keyspace) {}

  Step execute(const Request& request) override {
    const CommandSpec& spec = *request.spec;
    request.caller.is_heard_of = true;
    Call call{request.argv, request.caller.db(), request.now_ms, request.reply};
    if (spec.flags.has(Flag::denyoom) && keyspace_.out_of_memory()) {
      append_error(request.reply, Errc::out_of_memory);
    } else if (spec.runner == Runner::keyspace) {
      run_on_keyspace(spec, call, keyspace_);
    } else {
      keys_.clear();
      collect_keys(spec, call, keys_);
      Keyspace::Locked records(keyspace_, keys_, request.now_ms, request.caller.spared);
      spec.run(call, records);
    }
    return Step::done;
  }

  void drain(std::function<void()> done) override { done(); }

 private:
  Keyspace& keyspace_;
  std::vector<KeyRef> keys_;  ///< of the command being run; kept for its allocation
};

class MemoryTier final : public Tier {
 public:
  explicit MemoryTier(Keyspace& keyspace) : keyspace_(keyspace) {}

  std::unique_ptr<Backend> make_backend(boost::asio::io_context&, Poller&) override {
    return std::make_unique<MemoryBackend>(keyspace_);
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
