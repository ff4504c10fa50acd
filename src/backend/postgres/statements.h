#pragma once

#include <array>
#include <cstdint>

namespace larder::postgres {

/// The prepared statements of a lane; $1 is the database where there is one.
enum class Statement : std::uint8_t {
  load,           ///< $2 keys → k, v (null when large), exp, xmin, size of a large v, tags
  load_locked,    ///< the same, the rows locked in key order
  load_large,     ///< $2 keys → k, v, exp, xmin, null, tags, however large
  upsert,         ///< $2 keys (sorted), $3 values, $4 expiries (-1: none), $5 now
  upsert_tagged,  ///< the same, and $6 tags (tag_columns.h)
  remove,         ///< $2 keys (sorted) → k, exp of the removed rows
  store,          ///< $2 keys, $3 modes, $4 seen, $5 expiries, $6 values, $7 now, $8 tags, $9 1: carries
                  ///< tags → live keys removed blindly
  tell,           ///< $1 channel, $2 payloads, $3 own id: notifies if there is another Larder
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
#define LARDER_LOAD                                                                           \
  "select kv.k, case when octet_length(kv.v) <= 65536 then kv.v end, coalesce(kv.exp, -1),"   \
  " kv.xmin, case when octet_length(kv.v) > 65536 then octet_length(kv.v)::int8 end, kv.tags" \
  " from "

#define LARDER_HOME "(select place from dbs where db = $1::int8)"

// Joined, the keys are found by kv_by_key, one after another as they stand in $2.
#define LARDER_KEYS "unnest($2::bytea[]) w(k)"
#define LARDER_FOUND " kv.db = " LARDER_HOME " and kv.k = w.k"

inline constexpr std::array<StatementText, 11> kStatements{{
    {"load", LARDER_LOAD LARDER_KEYS " join kv on" LARDER_FOUND},
    {"load_locked",
     LARDER_LOAD "kv where db = " LARDER_HOME " and k = any($2::bytea[]) order by k for update"},
    {"load_large", "select kv.k, kv.v, coalesce(kv.exp, -1), kv.xmin, null::int8, kv.tags from " LARDER_KEYS
                   " join kv on" LARDER_FOUND},
    {"upsert",
     "insert into kv (db, k, v, exp)"
     " select " LARDER_HOME ", u.k, u.v, nullif(u.exp, -1)"
     " from unnest($2::bytea[], $3::bytea[], $4::int8[]) u(k, v, exp)"
     " on conflict (db, k) do update set v = excluded.v, exp = excluded.exp,"
     " tags = case when kv.exp <= $5::int8 then null else kv.tags end"},
    {"upsert_tagged",
     // An empty array is what a new row may have for none, and says here that an old row keeps its own.
     "insert into kv (db, k, v, exp, tags)"
     " select " LARDER_HOME ", u.k, u.v, nullif(u.exp, -1), nullif(u.tags, '')::bytea[]"
     " from unnest($2::bytea[], $3::bytea[], $4::int8[], $6::text[]) u(k, v, exp, tags)"
     " on conflict (db, k) do update set v = excluded.v, exp = excluded.exp, tags = case"
     " when excluded.tags is distinct from '{}' then excluded.tags"
     " when kv.exp <= $5::int8 then null else kv.tags end"},
    {"remove",
     "delete from kv using " LARDER_KEYS " where" LARDER_FOUND " returning kv.k, coalesce(kv.exp, -1)"},
    {"store",
     "select unnest(store($1::int8::smallint, $2::bytea[], $3::int2[], $4::xid[], $5::int8[], $6::bytea[],"
     " $7::int8, $8::text[], $9::int8 = 1))"},
    {"tell",
     "select pg_notify($1::text, p) from unnest($2::text[]) p"
     " where exists (select 1 from peers where id <> $3::int8)"},
    {"begin", "begin"},
    {"commit", "commit"},
    {"rollback", "rollback"},
}};

#undef LARDER_FOUND
#undef LARDER_KEYS
#undef LARDER_HOME
#undef LARDER_LOAD

[[nodiscard]] constexpr const StatementText& text_of(Statement statement) noexcept {
  return kStatements[static_cast<std::size_t>(statement)];
}

}  // namespace larder::postgres
