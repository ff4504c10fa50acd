#include "backend/postgres/schema_sql.h"

#include <fmt/core.h>

#include "backend/postgres/schema.h"
#include "backend/postgres/tags_sql.h"

namespace larder::postgres {
namespace {

// No index on exp: it would end HOT updates (0 % against 100 %). The hash index order is that of SCAN
// cursors, 48 bits so that clients that read numbers as doubles keep them whole.
constexpr const char* kTables = R"sql(
create function key_hash(k bytea) returns bigint immutable strict parallel safe language sql
  as $$ select ('x' || substr(md5(k), 1, 12))::bit(48)::bigint $$;

create {unlogged} table kv (
  db  smallint not null,  -- where the database lies: dbs.place
  k   bytea    not null,
  exp bigint,             -- milliseconds since 1970; null: never
  v   bytea    not null,
  primary key (db, k)
) with (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.02,
        toast.autovacuum_vacuum_cost_delay = 0);
create index kv_by_hash on kv (db, key_hash(k));

do $$ begin
  alter table kv alter v set compression lz4;
exception when others then null;  -- a server built without lz4 keeps pglz
end $$;

create table dbs (db smallint primary key, place smallint not null);
create unlogged table peers (id bigint primary key, backend_pid integer not null, since timestamptz not null default now());
)sql";

// A key is found in a hash index with a third of the work less than in the primary key, which stays to keep
// it unique.
constexpr const char* kKeyIndex = "create index kv_by_key on kv using hash (k);";

// What is done under locks is done in statements after the one that locked: a statement that waits for a row
// goes on with the snapshot it began with.
//
// The lateral subqueries, which OFFSET keeps, say in which way a row is found: by its key. A plan made while
// the table was small would otherwise read all keys of the database for each batch, and go on doing it.
//
// Nothing locks a key that is not there: what was seen absent is inserted and never updated or deleted, or a
// row that another Larder has created since would be taken for the one that was seen (version 1 did that).
constexpr const char* kStore = R"sql(
-- Stores what a batch of commands did to keys of one database, all or nothing.
--   p_mode: 0 must be as seen, 1 put, 2 erase, 3 put if as seen, 4 erase if as seen
--   p_seen: the xmin that was seen, 0: no row
--   p_tags: an array literal, '' for none, '{}' to keep what is there
--   p_carries: tags go from one key to another (tags_sql.cpp)
-- Returns the live keys that mode 2 removed. Raises 40001 if anything is not as seen.
create or replace function store(p_db smallint, p_k bytea[], p_mode smallint[], p_seen xid[], p_exp bigint[], p_v bytea[], p_now bigint,
  p_tags text[], p_carries boolean)
returns bytea[] language plpgsql as $$
declare
  home smallint; removed bytea[]; puts int; written int;
begin
  if p_carries then perform pg_advisory_xact_lock(tags_lock()); end if;
  select place into home from dbs where dbs.db = p_db;
  perform 1 from (select k from unnest(p_k) u(k) order by k) w
    cross join lateral (select 1 from kv o where o.db = home and o.k = w.k offset 0 for update) o;
  if exists (select 1 from unnest(p_k, p_mode, p_seen) w(k, mode, seen)
             left join lateral (select o.xmin as seen from kv o where o.db = home and o.k = w.k offset 0) o on true
             where w.mode in (0, 3, 4) and coalesce(o.seen, '0'::xid) <> w.seen) then
    raise exception 'a key was changed by somebody else' using errcode = '40001';
  end if;
  if 2 = any(p_mode) or 4 = any(p_mode) then
    with gone as (
      delete from kv using unnest(p_k, p_mode, p_seen) w(k, mode, seen)
        cross join lateral (select o.ctid as place from kv o where o.db = home and o.k = w.k offset 0) o
      where kv.ctid = o.place and (w.mode = 2 or w.mode = 4 and w.seen <> '0'::xid) returning kv.k, kv.exp, w.mode)
    select array_agg(gone.k) into removed from gone where mode = 2 and (exp is null or exp > p_now);
  end if;
  select count(*) into puts from unnest(p_mode) w(mode) where mode in (1, 3);
  if puts > 0 then
    update kv set v = w.v, exp = nullif(w.exp, -1), tags = case
        when w.tags <> '{}' then nullif(w.tags, '')::bytea[]
        when w.mode = 1 and kv.exp <= p_now then null
        else kv.tags end
    from unnest(p_k, p_mode, p_seen, p_exp, p_v, p_tags) w(k, mode, seen, exp, v, tags)
      cross join lateral (select o.ctid as place from kv o where o.db = home and o.k = w.k offset 0) o
    where kv.ctid = o.place and (w.mode = 1 or w.mode = 3 and w.seen <> '0'::xid);
    get diagnostics written = row_count;
    if written < puts then
      puts := puts - written;
      insert into kv (db, k, exp, v, tags)
        select home, w.k, nullif(w.exp, -1), w.v, nullif(nullif(w.tags, '{}'), '')::bytea[]
        from unnest(p_k, p_mode, p_exp, p_v, p_tags) w(k, mode, exp, v, tags)
        where w.mode in (1, 3) and not exists (select 1 from kv o where o.db = home and o.k = w.k offset 0)
        order by w.k
      on conflict do nothing;
      get diagnostics written = row_count;
      if written < puts then
        raise exception 'a key was created by somebody else' using errcode = '40001';
      end if;
    end if;
  end if;
  return coalesce(removed, '{}');
end $$;
)sql";

constexpr const char* kDropOldStore =
    "drop function store(smallint, bytea[], smallint[], xid[], bigint[], bytea[], bigint);";

constexpr const char* kWholeDatabases = R"sql(
-- Empties one database, or all (null). Few rows are deleted, many are truncated: TRUNCATE costs milliseconds
-- even for an empty table.
create or replace function flush(p_db smallint) returns void language plpgsql as $$
declare
  home smallint; others boolean;
begin
  lock table kv in share row exclusive mode;
  select place into home from dbs where dbs.db = p_db;
  select exists (select 1 from kv where db <> home) into others;
  if others or (select count(*) from (select 1 from kv limit 50000) few) < 50000 then
    delete from kv where home is null or db = home;
  else
    truncate kv;
  end if;
end $$;

-- Exchanges two databases. The lock waits for writers and keeps them out: none sees the map change half way.
create or replace function swap(p_a smallint, p_b smallint) returns void language plpgsql as $$
begin
  lock table kv in share row exclusive mode;
  update dbs d set place = o.place from dbs o
  where (d.db = p_a and o.db = p_b) or (d.db = p_b and o.db = p_a);
  update sweeps set db = case db when p_a then p_b else p_a end where db in (p_a, p_b);
end $$;
)sql";

// Statements that are not Larder's own are told to every Larder, as long as there is one.
constexpr const char* kTellers = R"sql(
create or replace function tell(p_places smallint[], p_keys bytea[]) returns void language plpgsql as $$
begin
  if cardinality(p_keys) > 256 or exists (select 1 from unnest(p_keys) u(k) where octet_length(k) > 3900) then
    perform pg_notify('{channel}', 'sql *');
  else
    perform pg_notify('{channel}', 'sql ' || d.db || ':' || encode(u.k, 'hex'))
    from unnest(p_places, p_keys) u(place, k) join {schema}.dbs d on d.place = u.place;
  end if;
end $$;

create or replace function tell_all() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from {schema}.peers) then perform pg_notify('{channel}', 'sql *'); end if;
  return null;
end $$;

create or replace function tell_changes() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  places smallint[]; keys bytea[];
begin
  if not exists (select 1 from {schema}.peers) then return null; end if;
  if tg_op = 'UPDATE' then
    select array_agg(c.db), array_agg(c.k) into places, keys from (
      (select db, k from changed limit 300) union (select db, k from became limit 300)) c;
  else
    select array_agg(c.db), array_agg(c.k) into places, keys from (select db, k from changed limit 300) c;
  end if;
  if keys is not null then perform {schema}.tell(places, keys); end if;
  return null;
end $$;

revoke execute on function tell_changes, tell_all from public;
)sql";

constexpr const char* kTriggers = R"sql(
create trigger tell_insert after insert on kv referencing new table as changed for each statement
  when (current_setting('larder.origin', true) is distinct from 'larder') execute function tell_changes();
create trigger tell_update after update on kv referencing old table as changed new table as became for each statement
  when (current_setting('larder.origin', true) is distinct from 'larder') execute function tell_changes();
create trigger tell_delete after delete on kv referencing old table as changed for each statement
  when (current_setting('larder.origin', true) is distinct from 'larder') execute function tell_changes();
create trigger tell_truncate after truncate on kv for each statement
  when (current_setting('larder.origin', true) is distinct from 'larder') execute function tell_all();
create trigger tell_map after insert or update or delete or truncate on dbs for each statement
  when (current_setting('larder.origin', true) is distinct from 'larder') execute function tell_all();
)sql";

/// Replaces every `{name}` by `value`.
std::string with(std::string text, const std::string& name, const std::string& value) {
  for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + value.size()))
    text.replace(at, name.size(), value);
  return text;
}

/// Fills in what the scripts leave open.
std::string complete(std::string sql, const Options& options) {
  sql = with(sql, "{unlogged}", options.durability == Durability::durable ? "" : "unlogged");
  sql = with(sql, "{channel}", channel_of(options.schema));
  return with(sql, "{schema}", options.schema);
}

/// Those of the newest version, in place of older ones.
std::string functions(const Options& options) {
  return complete(std::string(kTagFunctions) + kStore + kWholeDatabases + kTellers, options);
}

}  // namespace

std::string new_schema(const Options& options) {
  return complete(std::string(kTables) + kTagColumn, options) + functions(options) +
         complete(std::string(kKeyIndex) + kTagIndex + kTriggers + kInvalidations, options);
}

std::string upgraded_schema(int version, const Options& options) {
  std::string sql = "set local statement_timeout = 0;";
  if (version < 3) sql += complete(std::string(kDropOldStore) + kTagColumn, options);
  sql += functions(options);
  if (version < 3) sql += kTagIndex;
  if (version < 6) sql += kKeyIndex;
  if (version < 7) sql += complete(kInvalidations, options);
  return sql;
}

}  // namespace larder::postgres
