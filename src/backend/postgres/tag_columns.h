#pragma once

#include "backend/postgres/sql.h"
#include "keyspace/keyspace.h"
#include "value/tag.h"

namespace larder::postgres {

/// Tags as an array literal of SQL: `{"\\x61",…}`.
[[nodiscard]] Bytes array_literal(const TagSet& tags);

/// What the statements that write take for a key's tags: keep them, drop them, or these.
inline constexpr ByteView kKeepTags = "{}";
inline constexpr ByteView kNoTags = "";

/// Tags from the binary form of a bytea[]; an empty view (null) is none.
[[nodiscard]] TagSet tags_from_array(ByteView array);

/// An invalidation in one statement, of all keys or (kInvalidateSome) of some.
inline constexpr const char* kInvalidate =
    "select k, live from invalidate_tags($1::int8::smallint, $2::bytea[], $3::int8 = 1, $4::int8 = 1, null,"
    " $5::int8, $6::int8)";
inline constexpr const char* kInvalidateSome =
    "select k, live from invalidate_tags($1::int8::smallint, $2::bytea[], $3::int8 = 1, $4::int8 = 1, 10000,"
    " $5::int8, $6::int8)";

/// Puts one into the queue, of which all Larders' upkeep takes.
inline constexpr const char* kInvalidateLater =
    "insert into sweeps (db, tags, is_exact, needs_all)"
    " values ($1::int8::smallint, $2::bytea[], $3::int8 = 1, $4::int8 = 1)";
inline constexpr const char* kInvalidateQueued =
    "select db::int8, k, live from sweep_some($1::int8, $2::int8)";

/// The parameters of the first two.
[[nodiscard]] Params invalidation_params(int db, const TagQuery& query, std::int64_t id, std::int64_t now_ms);

/// Voids in the L1 the keys that one of these returned, from `column` on; returns how many were live.
std::int64_t void_invalidated(Keyspace& l1, int db, const Result& rows, int column = 0);

}  // namespace larder::postgres
