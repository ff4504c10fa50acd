#pragma once

#include <string>

#include "backend/postgres/options.h"

namespace larder::postgres {

/// Version 1 of the schema, to be run once, inside a transaction, with search_path set to it.
///
/// `kv` has one row a key; `dbs` says where a database of Redis lies (so SWAPDB exchanges two rows), `peers`
/// which Larders listen. A row's version is its xmin: the transaction that wrote it last, whoever that was.
[[nodiscard]] std::string schema_version_1(const Options& options);

}  // namespace larder::postgres
