#pragma once

#include <atomic>

#include "backend/pending_invalidations.h"
#include "backend/postgres/coherence.h"
#include "backend/postgres/dialer.h"
#include "backend/postgres/options.h"
#include "backend/postgres/statistics.h"
#include "keyspace/keyspace.h"

namespace larder::postgres {

/// What the workers of one process have in common.
struct Shared {
  Options options;
  Keyspace& keyspace;
  Dialer dialer{options};
  Coherence coherence{options, keyspace};
  Statistics statistics;
  PendingInvalidations pending;

  /// Add to our clock to get the database's: all Larders of a schema judge expiry by that one.
  std::atomic<std::int64_t> clock_offset_ms{0};

  Shared(Options chosen, Keyspace& l1) : options(std::move(chosen)), keyspace(l1) {}
};

}  // namespace larder::postgres
