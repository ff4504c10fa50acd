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

/// Their parameters.
[[nodiscard]] Params invalidation_params(int db, const TagQuery& query, std::int64_t id, std::int64_t now_ms);

/// Voids the keys that `kInvalidate` returned in the L1; returns how many were live.
std::int64_t void_invalidated(Keyspace& l1, int db, const Result& rows);

}  // namespace larder::postgres
