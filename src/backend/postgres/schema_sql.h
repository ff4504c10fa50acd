#pragma once

#include <string>

#include "backend/postgres/options.h"

namespace larder::postgres {

/// The schema in its newest version, to be run once, inside a transaction, with search_path set to it.
///
/// `kv` has one row a key; `dbs` says where a database of Redis lies (so SWAPDB exchanges two rows), `peers`
/// which Larders listen. A row's version is its xmin: the transaction that wrote it last, whoever that was.
[[nodiscard]] std::string new_schema(const Options& options);

/// What makes version 3 of versions 1 and 2: tags, and a store() that knows them. (Version 1 had a store()
/// that could lose an update of a key that two Larders create; it is replaced.)
[[nodiscard]] std::string upgrade_to_version_3(const Options& options);

/// The functions that were rewritten since version 3: in version 4 an invalidation that reads the index of
/// tags only, in version 5 a store() that finds every row by its key.
[[nodiscard]] std::string replaced_functions(const Options& options);

/// For versions before 6: the index by which reads find keys.
[[nodiscard]] std::string index_by_key();

}  // namespace larder::postgres
