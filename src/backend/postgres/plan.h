#pragma once

#include "backend/postgres/batch.h"

namespace larder::postgres {

/// Decides which rows a batch needs before its handlers can run, and which DELs need none.
///
/// A command that only puts (SET, MSET …) needs no row, and after it the key is known to those behind it. The
/// guess may be wrong (an option, a bad argument): the run then finds a key it does not know and has it
/// loaded.
void plan_loads(Batch& batch);

}  // namespace larder::postgres
