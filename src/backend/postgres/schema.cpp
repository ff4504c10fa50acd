#include "backend/postgres/schema.h"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <unistd.h>

#include <fmt/core.h>

#include "backend/postgres/schema_sql.h"
#include "backend/postgres/session.h"
#include "base/log.h"

namespace larder::postgres {
namespace {

constexpr int kVersion = 7;
constexpr ByteView kTestPrefix = "larder_test_";

/// How long a test schema's process may be out of touch (a restart of PostgreSQL) before others drop it.
constexpr int kOrphanSeconds = 30;

int installed_version(BlockingSession& session) {
  const Result found = session.query("select value::int8 from meta where name = 'version'");
  return found.rows() == 0 ? 0 : static_cast<int>(found.number(0, 0));
}

void install(BlockingSession& session, const Options& options) {
  session.script(new_schema(options));
  session.script(fmt::format("insert into meta values ('version', '{}'), ('seen', now()::text)", kVersion));
}

/// Brings an older schema to kVersion.
void upgrade(BlockingSession& session, const Options& options) {
  const int version = installed_version(session);
  if (version > kVersion)
    throw std::runtime_error(
        fmt::format("schema \"{}\" has version {}, this Larder knows versions up to {}: use a newer Larder "
                    "or another schema",
                    options.schema, version, kVersion));
  if (version == 0) return install(session, options);
  if (version == kVersion) return;
  session.script(upgraded_schema(version, options));
  session.script(fmt::format("update meta set value = '{}' where name = 'version'", kVersion));
}

void add_databases(BlockingSession& session, int count) {
  session.script(fmt::format(
      "insert into dbs select i, (select coalesce(max(place) + 1, 0) from dbs) + i - (select "
      "coalesce(max(db) + 1, 0) from dbs)"
      " from generate_series((select coalesce(max(db) + 1, 0) from dbs), {}) i on conflict do nothing",
      count - 1));
}

void apply_durability(BlockingSession& session, const Options& options) {
  const Result found = session.query("select relpersistence::text from pg_class where oid = 'kv'::regclass");
  const bool durable = options.durability == Durability::durable;
  if ((found.bytes(0, 0) == "p") == durable) return;
  log::info("postgres: rewriting table kv as {}", durable ? "LOGGED (durable)" : "UNLOGGED");
  session.script(
      fmt::format("set local statement_timeout = 0; alter table kv set {0}; alter table sweeps set {0}",
                  durable ? "logged" : "unlogged"));
}

}  // namespace

void prepare_schema(BlockingSession& session, const Options& options) {
  session.script("begin");
  session.script(fmt::format("select pg_advisory_xact_lock(hashtext('larder schema {}'))", options.schema));
  // IF NOT EXISTS would ask for the right to create schemas even where there is one.
  if (session.query(fmt::format("select 1 where to_regnamespace('{}') is null", options.schema)).rows() == 1)
    session.script(fmt::format("create schema {}", options.schema));
  session.script("create table if not exists meta (name text primary key, value text not null)");
  upgrade(session, options);
  add_databases(session, options.databases);
  apply_durability(session, options);
  session.script("commit");
}

bool is_valid_schema_name(const std::string& name) {
  constexpr std::size_t kLongest = 40;
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  const bool starts_well = !name.empty() && !(name[0] >= '0' && name[0] <= '9') && !name.starts_with("pg_");
  return starts_well && name.size() <= kLongest && std::ranges::all_of(name, allowed);
}

std::string channel_of(const std::string& schema) {
  return "larder_" + schema;
}

std::string new_test_schema_name() {
  return fmt::format("{}{}_{:08x}", kTestPrefix, getpid(), std::random_device{}());
}

void claim_test_schema(BlockingSession& session, const std::string& schema) {
  session.script(fmt::format("select pg_advisory_lock(hashtext('{}'))", schema));
}

void reap_test_schemas(BlockingSession& session) {
  const Result found = session.query(
      fmt::format("select nspname::text from pg_namespace where nspname like '{}%'", kTestPrefix));
  for (int row = 0; row < found.rows(); ++row) {
    const std::string schema(found.bytes(row, 0));
    try {
      const Result free = session.query(fmt::format(
          "select 1 from {0}.meta where name = 'seen' and value::timestamptz < now() - interval '{1} s'"
          " and pg_try_advisory_lock(hashtext('{0}'))",
          schema, kOrphanSeconds));
      if (free.rows() == 0) continue;
      log::info("postgres: dropping schema {}, whose process has ended", schema);
      drop_schema(session, schema);
      session.script(fmt::format("select pg_advisory_unlock(hashtext('{}'))", schema));
    } catch (const SqlError& error) {
      log::debug("postgres: schema {} was left alone: {}", schema, error.what());
    }
  }
}

void drop_schema(BlockingSession& session, const std::string& schema) {
  session.script(fmt::format("drop schema if exists {} cascade", schema));
}

}  // namespace larder::postgres
