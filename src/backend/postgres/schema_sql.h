#pragma once

#include <string>

#include "backend/postgres/options.h"

namespace larder::postgres {

/// The schema in its newest version, to be run once, inside a transaction, with search_path set to it.
///
/// `kv` has one row a key; `dbs` says where a database of Redis lies (so SWAPDB exchanges two rows), `peers`
/// which Larders listen. A row's version is its xmin: the transaction that wrote it last, whoever that was.
[[nodiscard]] std::string new_schema(const Options& options);

/// What makes the newest version of an older one. Version 3 brought tags, 6 the index by which reads find
/// keys, 7 what is to be invalidated once more or later; all others changed functions only.
[[nodiscard]] std::string upgraded_schema(int version, const Options& options);

}  // namespace larder::postgres
