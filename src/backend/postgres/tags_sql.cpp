#include "backend/postgres/tags_sql.h"

namespace larder::postgres {

// Tags stand in the key's own row: whatever deletes, sweeps, truncates or swaps rows takes them along, a
// change of them moves the row's version, and there is nothing to orphan. The index holds every path that
// covers a tag, so that what lies below one is found by equality; rows without tags are not in it, and a
// write that leaves the tags alone stays a HOT update.
//
// A row that is renamed or copied while its tag is invalidated could escape: gone under the old name, not yet
// visible under the new. So store() takes tags_lock exclusively when it carries tags from one key to another,
// and an invalidation shares it; whoever comes second sees, in its next statement, what the first has done.
const char* const kTagColumn = R"sql(
alter table kv add column tags bytea[];  -- sorted, distinct; null and empty: none
)sql";

const char* const kTagIndex = R"sql(
create index kv_by_tag on kv using gin (tag_paths(tags)) with (gin_pending_list_limit = 512) where tags <> '{}';
)sql";

// Between an application's call and its COMMIT Larder may write keys under the tag. So the call leaves a
// note, and a trigger at the end of the transaction deletes once more what carries the tag by then.
//
// An invalidation that nobody waits for (ASYNC) is a row of sweeps until it is done, by whichever Larder.
const char* const kInvalidations = R"sql(
create unlogged table invalidated (xact xid8, db smallint, tag bytea, primary key (xact, db, tag));
create constraint trigger invalidate_again after insert on invalidated deferrable initially deferred
  for each row execute function invalidate_again();

create {unlogged} table sweeps (
  id bigint generated always as identity primary key,
  db smallint not null, tags bytea[] not null, is_exact boolean not null, needs_all boolean not null);
)sql";

// Functions that act with their owner's rights see no schema but PostgreSQL's own: nothing that a caller has
// made is taken for something else. Nobody may make triggers of them: a table of one's own can have columns
// whose types run one's own functions.
const char* const kTagFunctions = R"sql(
create or replace function tag_paths(tags bytea[]) returns bytea[] immutable strict parallel safe language plpgsql as $$
declare
  paths bytea[] := tags; tag bytea; length int; colon int; step int;
begin
  foreach tag in array tags loop
    continue when tag is null;
    length := 0;
    loop
      step := position('\x3a'::bytea in substr(tag, length + 1));
      exit when step = 0;
      colon := length + step;
      paths := paths || substr(tag, 1, colon - 1);
      length := colon;
    end loop;
  end loop;
  return paths;
end $$;

create or replace view keys_by_tag as
  select dbs.db, u.tag, kv.k, kv.exp from kv join dbs on dbs.place = kv.db cross join lateral unnest(kv.tags) u(tag)
  where kv.tags <> '{}' and u.tag is not null and (kv.exp is null or kv.exp > extract(epoch from clock_timestamp()) * 1000);

create or replace function tags_lock() returns bigint immutable language sql
  as $$ select hashtextextended('larder tags {schema}', 0) $$;

-- Deletes the rows of a database that carry the tags, all or so many, and returns them. Rows are locked in key
-- order, as every batch does it, and deleted by the next statement, which sees what the lock has waited for.
-- `db + 0`: with `db` PostgreSQL reads all of kv_by_hash besides, to find rows that are in both indexes. That
-- was 21 of 24 ms at 110,000 rows, and more with every row.
create or replace function drop_tagged(p_db smallint, p_tags bytea[], p_exact boolean, p_all boolean, p_limit bigint)
returns table (k bytea, exp bigint) language plpgsql set enable_seqscan = off as $$
declare
  home smallint; meant text; found bytea[];
begin
  perform pg_advisory_xact_lock_shared({schema}.tags_lock());
  select place into home from {schema}.dbs where dbs.db = p_db;
  if home is null then return; end if;
  meant := format('from {schema}.kv where db + 0 = %1$s and tags <> ''{}'' and {schema}.tag_paths(tags) %2$s $1%3$s', home,
    case when p_all then '@>' else '&&' end, case when not p_exact then '' when p_all then ' and tags @> $1' else ' and tags && $1' end);
  execute 'select array_agg(l.k) from (select k ' || meant || ' order by k limit $2 for update) l' into found using p_tags, p_limit;
  if found is null then return; end if;
  if p_limit is null then
    return query execute 'delete ' || meant || ' returning k, exp' using p_tags;
  else
    return query execute 'delete ' || meant || ' and k = any($2) returning k, exp' using p_tags, found;
  end if;
end $$;

create or replace function invalidate_again() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform {schema}.drop_tagged(new.db, array[new.tag], false, false, null);
  delete from {schema}.invalidated i where i.xact = new.xact and i.db = new.db and i.tag = new.tag;
  return null;
end $$;

-- For programs, inside a transaction of their own: deletes the keys that carry the tag or one below it, now and
-- when the transaction commits; returns how many those are now.
create or replace function invalidate_tag(tag text, db int default 0) returns bigint language plpgsql
  security definer set search_path = pg_catalog, pg_temp as $$
declare
  dropped bigint;
begin
  if tag is null or tag !~ '^[^:]+(:[^:]+){0,7}$' or octet_length(convert_to(tag, 'UTF8')) > 512 then
    raise exception 'a tag has 1 to 8 segments joined by ":", none of them empty, and at most 512 bytes'
      using errcode = '22023';
  end if;
  insert into {schema}.invalidated values (pg_current_xact_id(), db::smallint, convert_to(tag, 'UTF8')) on conflict do nothing;
  select count(*) filter (where d.exp is null or d.exp > extract(epoch from clock_timestamp()) * 1000) into dropped
  from {schema}.drop_tagged(db::smallint, array[convert_to(tag, 'UTF8')], false, false, null) d;
  return dropped;
end $$;

-- For Larder: the same, and the other Larders are told. Returns each key with 1 if it was live, else 0; of many
-- keys only how many were live.
create or replace function invalidate_tags(p_db smallint, p_tags bytea[], p_exact boolean, p_all boolean, p_limit bigint,
  p_who bigint, p_now bigint)
returns table (k bytea, live bigint) language plpgsql as $$
#variable_conflict use_column
declare
  keys bytea[]; lives bigint[]; told text;
begin
  select array_agg(d.k), array_agg((d.exp is null or d.exp > p_now)::int::bigint) into keys, lives
  from {schema}.drop_tagged(p_db, p_tags, p_exact, p_all, p_limit) d;
  if keys is null then return; end if;
  if exists (select 1 from {schema}.peers where id <> p_who) then
    if cardinality(keys) > 2000 or exists (select 1 from unnest(keys) u(k) where octet_length(u.k) > 3900) then
      perform pg_notify('{channel}', p_who || ' *');
    else
      -- A payload holds 7999 bytes; each key takes twice its length in it.
      for told in
        select string_agg(p_db || ':' || encode(n.k, 'hex'), ',') from (
          select u.k, sum(octet_length(u.k) * 2 + 8) over (order by u.k) / 4000 as part from unnest(keys) u(k)) n
        group by n.part, octet_length(n.k) > 1900, case when octet_length(n.k) > 1900 then n.k end
      loop
        perform pg_notify('{channel}', p_who || ' ' || told);
      end loop;
    end if;
  end if;
  if cardinality(keys) <= 10000 then
    return query select * from unnest(keys, lives);
  else
    return query select null::bytea, sum(l)::bigint from unnest(lives) u(l);
  end if;
end $$;

-- A step of the oldest sweep that nobody else works on and that finds keys: deletes 10000. Returns none when no
-- sweep is left. A step that finds fewer is a whole invalidation of its own: it finds what was renamed between
-- those before.
create or replace function sweep_some(p_who bigint, p_now bigint) returns table (db smallint, k bytea, live bigint) language plpgsql as $$
#variable_conflict use_column
declare
  sweep record; found_keys bigint;
begin
  loop
    select * into sweep from {schema}.sweeps order by id limit 1 for update skip locked;
    exit when not found;
    return query select sweep.db, i.k, i.live
      from {schema}.invalidate_tags(sweep.db, sweep.tags, sweep.is_exact, sweep.needs_all, 10000, p_who, p_now) i;
    get diagnostics found_keys = row_count;
    if found_keys < 10000 then delete from {schema}.sweeps s where s.id = sweep.id; end if;
    exit when found_keys > 0;
  end loop;
end $$;

revoke execute on function invalidate_tag, invalidate_again from public;
)sql";

}  // namespace larder::postgres
