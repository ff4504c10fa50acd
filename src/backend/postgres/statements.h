#pragma once

#include <array>
#include <cstdint>

namespace larder::postgres {

/// The prepared statements of a lane; $1 is the database where there is one.
enum class Statement : std::uint8_t {
  load,         ///< $2 keys → k, v (null when large), exp, xmin, size of a large v
  load_locked,  ///< the same, the rows locked in key order
  load_large,   ///< $2 keys → k, v, exp, xmin, however large
  upsert,       ///< $2 keys (sorted), $3 values, $4 expiries (-1: none)
  remove,       ///< $2 keys → k, exp of the removed rows
  store,        ///< $2 keys, $3 modes, $4 seen, $5 expiries, $6 values, $7 now → live keys removed blindly
  tell,         ///< $1 channel, $2 payloads, $3 own id: notifies if there is another Larder
  begin,
  commit,
  rollback,
};

struct StatementText {
  const char* name;
  const char* sql;
};

// A batch may name a thousand keys of any size: large values (64 KB) are counted first and sent when asked
// for.
#define LARDER_LOAD                                                                   \
  "select k, case when octet_length(v) <= 65536 then v end, coalesce(exp, -1), xmin," \
  " case when octet_length(v) > 65536 then octet_length(v)::int8 end"                 \
  " from kv where db = (select place from dbs where db = $1::int8) and k = any($2::bytea[])"

inline constexpr std::array<StatementText, 10> kStatements{{
    {"load", LARDER_LOAD},
    {"load_locked", LARDER_LOAD " order by k for update"},
    {"load_large",
     "select k, v, coalesce(exp, -1), xmin from kv"
     " where db = (select place from dbs where db = $1::int8) and k = any($2::bytea[])"},
    {"upsert",
     "insert into kv (db, k, v, exp)"
     " select (select place from dbs where db = $1::int8), u.k, u.v, nullif(u.exp, -1)"
     " from unnest($2::bytea[], $3::bytea[], $4::int8[]) u(k, v, exp)"
     " on conflict (db, k) do update set v = excluded.v, exp = excluded.exp"},
    {"remove",
     "delete from kv where db = (select place from dbs where db = $1::int8) and k = any($2::bytea[])"
     " returning k, coalesce(exp, -1)"},
    {"store",
     "select unnest(store($1::int8::smallint, $2::bytea[], $3::int2[], $4::xid[], $5::int8[], $6::bytea[],"
     " $7::int8))"},
    {"tell",
     "select pg_notify($1::text, p) from unnest($2::text[]) p"
     " where exists (select 1 from peers where id <> $3::int8)"},
    {"begin", "begin"},
    {"commit", "commit"},
    {"rollback", "rollback"},
}};

#undef LARDER_LOAD

[[nodiscard]] constexpr const StatementText& text_of(Statement statement) noexcept {
  return kStatements[static_cast<std::size_t>(statement)];
}

}  // namespace larder::postgres
