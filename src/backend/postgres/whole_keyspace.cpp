#include "backend/postgres/whole_keyspace.h"

#include <algorithm>
#include <random>

#include <fmt/core.h>

#include "backend/postgres/tag_columns.h"
#include "command/error_reply.h"
#include "command/keyspace_wide.h"
#include "command/tags.h"

namespace larder::postgres {
namespace {

// Sought by key range or by hash; where an index is of use the planner sees that itself.
constexpr const char* kDbsize =
    "select count(*) from kv where db = (select place from dbs where db = $1::int8)"
    " and (exp is null or exp > $2::int8)";
constexpr const char* kCounts =
    "select dbs.db::int8, count(*), count(exp) from kv join dbs on kv.db = dbs.place"
    " where exp is null or exp > $1::int8 group by dbs.db order by dbs.db";
constexpr const char* kKeys =
    "select k from kv where db = (select place from dbs where db = $1::int8)"
    " and (exp is null or exp > $2::int8) and k >= $3::bytea";
constexpr const char* kKeysBelow =
    "select k from kv where db = (select place from dbs where db = $1::int8)"
    " and (exp is null or exp > $2::int8) and k >= $3::bytea and k < $4::bytea";
// With ties: a cursor cannot point between keys of one hash.
constexpr const char* kScan =
    "select k, key_hash(k), coalesce(exp, -1) from kv where db = (select place from dbs where db = $1::int8)"
    " and key_hash(k) >= $2::int8 order by key_hash(k) fetch first ($3::int8) rows with ties";
constexpr const char* kRandomkey =
    "(select k from kv where db = (select place from dbs where db = $1::int8)"
    "   and (exp is null or exp > $2::int8) and key_hash(k) >= $3::int8 order by key_hash(k) limit 1)"
    " union all"
    " (select k from kv where db = (select place from dbs where db = $1::int8)"
    "   and (exp is null or exp > $2::int8) order by key_hash(k) limit 1)"
    " limit 1";
// The tagged rows first, by their index: a walk over all hashes would look at every row (tags_sql.cpp: why `+
// 0`).
#define LARDER_TAGGED                                                                                   \
  "with tagged as materialized (select k, exp from kv where db + 0 = (select place from dbs where db =" \
  " $1::int8) and tags <> '{}' and tag_paths(tags) && $2::bytea[] and ($3::int8 = 0 or tags && "        \
  "$2::bytea[]))"
constexpr const char* kTagcount =
    LARDER_TAGGED " select count(*) from tagged where exp is null or exp > $4::int8";
constexpr const char* kTagkeys = LARDER_TAGGED
    " select k, key_hash(k), coalesce(exp, -1) from tagged where key_hash(k) >= $4::int8"
    " order by key_hash(k) fetch first ($5::int8) rows with ties";
#undef LARDER_TAGGED
constexpr const char* kFlushdb = "select flush($1::int8::smallint)";
constexpr const char* kFlushall = "select flush(null)";
constexpr const char* kSwapdb = "select swap($1::int8::smallint, $2::int8::smallint)";

constexpr std::uint64_t kHashes = std::uint64_t{1} << 48;
constexpr std::size_t kMostPerStep = 1'000'000;
constexpr int kAttempts = 3;

void ok(const Result&, ReplyWriter& reply) {
  reply.ok();
}

/// What a pattern starts with before its first special character.
ByteView literal_prefix(ByteView pattern) noexcept {
  return pattern.substr(0, pattern.find_first_of("*?[\\"));
}

/// The least string that is greater than all with this prefix; nothing if there is none.
std::optional<Bytes> end_of_prefix(ByteView prefix) {
  Bytes end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return std::nullopt;
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

/// One step of a walk in the order of hashes; `rows` are key, hash and expiry.
void answer_step(const Result& rows, ReplyWriter& reply, std::size_t count, UnixMs now_ms,
                 FunctionRef<bool(ByteView key)> matches) {
  std::vector<Bytes> keys;
  for (int row = 0; row < rows.rows(); ++row) {
    const UnixMs expire_at = rows.number(row, 2);
    const bool is_live = expire_at == kNoExpiry || expire_at > now_ms;
    if (is_live && matches(rows.bytes(row, 0))) keys.emplace_back(rows.bytes(row, 0));
  }
  const bool is_end = static_cast<std::size_t>(rows.rows()) < count;
  const auto next = is_end ? 0 : (static_cast<std::uint64_t>(rows.number(rows.rows() - 1, 1)) + 1) % kHashes;
  append_scan(reply, next, keys);
}

void add_query(Params& params, int db, const TagQuery& query) {
  params.add_int8(db);
  params.begin_array(Params::Element::bytes);
  for (const Bytes& tag : query.tags) params.element(tag);
  params.end_array();
  params.add_int8(query.reach == TagQuery::Reach::exact ? 1 : 0);
}

}  // namespace

WholeKeyspace::WholeKeyspace(boost::asio::io_context& io, Poller& poller, Shared& shared)
    : shared_(shared), connection_(io, poller, shared, SessionUse::wide) {}

WholeKeyspace::Parser WholeKeyspace::parser_of(ByteView name) noexcept {
  struct Row {
    ByteView name;
    Parser parser;
  };
  constexpr Row kRows[] = {
      {"dbsize", &WholeKeyspace::parse_dbsize},
      {"keys", &WholeKeyspace::parse_keys},
      {"scan", &WholeKeyspace::parse_scan},
      {"randomkey", &WholeKeyspace::parse_randomkey},
      {"flushdb", &WholeKeyspace::parse_flushdb},
      {"flushall", &WholeKeyspace::parse_flushall},
      {"swapdb", &WholeKeyspace::parse_swapdb},
      {"info", &WholeKeyspace::parse_info},
      {"tagcount", &WholeKeyspace::parse_tagcount},
      {"tagkeys", &WholeKeyspace::parse_tagkeys},
      {"taginvalidate", &WholeKeyspace::parse_taginvalidate},
  };
  const auto* row = std::ranges::find(kRows, name, &Row::name);
  return row == std::end(kRows) ? nullptr : row->parser;
}

Step WholeKeyspace::execute(const Request& request, UnixMs now_ms) {
  if (request.caller.pending() > 0) return Step::hold;
  const Parser parse = parser_of(request.spec->name);
  if (parse == nullptr) {
    append_error(request.reply, Errc::not_supported_here);
    return Step::done;
  }
  Job job;
  if (!(this->*parse)(request, now_ms, job)) return Step::done;
  job.caller = &request.caller;
  job.ticket = request.caller.defer();
  if (job.changes) shared_.keyspace.void_all_early();
  jobs_.push_back(std::move(job));
  if (jobs_.size() == 1) start_next();
  return Step::pending;
}

void WholeKeyspace::keep_for_later(const Request& request) {
  if (request.spec->name != "taginvalidate") return;
  auto parsed = larder::parse_taginvalidate(request.argv);
  if (!parsed) return;
  shared_.keyspace.void_all();
  shared_.pending.add({request.caller.db(), std::move(parsed->query)});
}

bool WholeKeyspace::occupies(const Caller& caller) const noexcept {
  return std::ranges::any_of(jobs_, [&caller](const Job& job) { return job.caller == &caller; });
}

// --- the commands ---

bool WholeKeyspace::parse_dbsize(const Request& request, UnixMs now_ms, Job& job) {
  job.sql = kDbsize;
  job.params.add_int8(request.caller.db());
  job.params.add_int8(now_ms);
  job.answer = [](const Result& rows, ReplyWriter& reply) { reply.integer(rows.number(0, 0)); };
  return true;
}

/// INFO keyspace, as the server asks it.
bool WholeKeyspace::parse_info(const Request&, UnixMs now_ms, Job& job) {
  job.sql = kCounts;
  job.params.add_int8(now_ms);
  job.answer = [](const Result& rows, ReplyWriter& reply) {
    Bytes text = "# Keyspace\r\n";
    for (int row = 0; row < rows.rows(); ++row)
      text += fmt::format("db{}:keys={},expires={},avg_ttl=0\r\n", rows.number(row, 0), rows.number(row, 1),
                          rows.number(row, 2));
    reply.bulk(text);
  };
  return true;
}

bool WholeKeyspace::parse_keys(const Request& request, UnixMs now_ms, Job& job) {
  const ByteView prefix = literal_prefix(request.argv[1]);
  const std::optional<Bytes> end = end_of_prefix(prefix);
  job.sql = end ? kKeysBelow : kKeys;
  job.params.add_int8(request.caller.db());
  job.params.add_int8(now_ms);
  job.params.add_text(prefix);
  if (end) job.params.add_text(*end);
  job.answer = [pattern = Bytes(request.argv[1])](const Result& rows, ReplyWriter& reply) {
    const KeyPattern glob(pattern);
    std::vector<Bytes> keys;
    for (int row = 0; row < rows.rows(); ++row)
      if (glob.matches_all() || glob.matches(rows.bytes(row, 0))) keys.emplace_back(rows.bytes(row, 0));
    append_keys(reply, keys);
  };
  return true;
}

bool WholeKeyspace::parse_scan(const Request& request, UnixMs now_ms, Job& job) {
  const auto parsed = larder::parse_scan(request.argv);
  if (!parsed) {
    append_error(Call{request.argv, request.caller.db(), now_ms, request.reply}, parsed.error());
    return false;
  }
  job.sql = kScan;
  job.params.add_int8(request.caller.db());
  job.params.add_int8(static_cast<std::int64_t>(std::min(parsed->cursor, kHashes)));
  job.params.add_int8(static_cast<std::int64_t>(std::min(parsed->count, kMostPerStep)));
  // The arguments are views into a request that will be gone by then.
  auto owned = std::make_shared<std::vector<Bytes>>(request.argv.begin(), request.argv.end());
  job.answer = [owned, now_ms](const Result& rows, ReplyWriter& reply) {
    const std::vector<ByteView> argv(owned->begin(), owned->end());
    ScanArguments scan = *larder::parse_scan(argv);
    scan.count = std::min(scan.count, kMostPerStep);
    answer_step(rows, reply, scan.count, now_ms,
                [&scan](ByteView key) { return scan.matches(key, Type::string); });
  };
  return true;
}

bool WholeKeyspace::parse_randomkey(const Request& request, UnixMs now_ms, Job& job) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  job.sql = kRandomkey;
  job.params.add_int8(request.caller.db());
  job.params.add_int8(now_ms);
  job.params.add_int8(static_cast<std::int64_t>(random() % kHashes));
  job.answer = [](const Result& rows, ReplyWriter& reply) {
    append_random_key(reply, rows.rows() == 0 ? std::nullopt : std::optional<Bytes>(rows.bytes(0, 0)));
  };
  return true;
}

bool WholeKeyspace::parse_flushdb(const Request& request, UnixMs now_ms, Job& job) {
  job.sql = kFlushdb;
  job.params.add_int8(request.caller.db());
  job.changes = true;
  job.answer = ok;
  return check_flush(request, now_ms);
}

bool WholeKeyspace::parse_flushall(const Request& request, UnixMs now_ms, Job& job) {
  job.sql = kFlushall;
  job.changes = true;
  job.answer = ok;
  return check_flush(request, now_ms);
}

bool WholeKeyspace::check_flush(const Request& request, UnixMs now_ms) {
  const auto parsed = parse_flush(request.argv);
  if (!parsed) append_error(Call{request.argv, request.caller.db(), now_ms, request.reply}, parsed.error());
  return parsed.has_value();
}

bool WholeKeyspace::parse_swapdb(const Request& request, UnixMs now_ms, Job& job) {
  const auto parsed = larder::parse_swapdb(request.argv);
  if (!parsed) {
    append_error(Call{request.argv, request.caller.db(), now_ms, request.reply}, parsed.error());
    return false;
  }
  job.sql = kSwapdb;
  job.params.add_int8(parsed->first);
  job.params.add_int8(parsed->second);
  job.changes = true;
  job.answer = ok;
  return true;
}

bool WholeKeyspace::parse_tagcount(const Request& request, UnixMs now_ms, Job& job) {
  const auto query = larder::parse_tagcount(request.argv);
  if (!query) {
    append_error(request.reply, query.error());
    return false;
  }
  job.sql = kTagcount;
  add_query(job.params, request.caller.db(), *query);
  job.params.add_int8(now_ms);
  job.answer = [](const Result& rows, ReplyWriter& reply) { reply.integer(rows.number(0, 0)); };
  return true;
}

bool WholeKeyspace::parse_tagkeys(const Request& request, UnixMs now_ms, Job& job) {
  const auto parsed = larder::parse_tagkeys(request.argv);
  if (!parsed) {
    append_error(request.reply, parsed.error());
    return false;
  }
  const std::size_t count = std::min(parsed->count, kMostPerStep);
  job.sql = kTagkeys;
  add_query(job.params, request.caller.db(), parsed->query);
  job.params.add_int8(static_cast<std::int64_t>(std::min(parsed->cursor, kHashes)));
  job.params.add_int8(static_cast<std::int64_t>(count));
  job.answer = [count, now_ms](const Result& rows, ReplyWriter& reply) {
    answer_step(rows, reply, count, now_ms, [](ByteView) { return true; });
  };
  return true;
}

/// ASYNC: upkeep does it, and the own L1 forgets everything now. A transaction, whose parts are not asked for
/// by the client itself, waits for it: it goes on with what is left.
bool WholeKeyspace::parse_taginvalidate(const Request& request, UnixMs now_ms, Job& job) {
  auto parsed = larder::parse_taginvalidate(request.argv);
  if (!parsed) {
    append_error(request.reply, parsed.error());
    return false;
  }
  const int db = request.caller.db();
  job.invalidation = {db, parsed->query};
  if (parsed->sweep == Sweep::behind && request.caller.principal == &request.caller) {
    shared_.keyspace.void_all();
    job.sql = kInvalidateLater;
    add_query(job.params, db, parsed->query);
    job.params.add_int8(parsed->query.need == TagQuery::Need::all ? 1 : 0);
    job.answer = [](const Result&, ReplyWriter& reply) { reply.integer(0); };
    return true;
  }
  job.sql = kInvalidate;
  job.params = invalidation_params(db, parsed->query, shared_.coherence.id(), now_ms);
  job.answer = [this, db](const Result& rows, ReplyWriter& reply) {
    reply.integer(void_invalidated(shared_.keyspace, db, rows));
  };
  return true;
}

// --- running them ---

void WholeKeyspace::start_next() {
  Job& job = jobs_.front();
  if (!connection_.is_open()) {
    Outcome unreachable{{}, Failure{Failure::Kind::lost, shared_.dialer.last_error()}};
    return finish(unreachable);
  }
  connection_.send(job.sql, job.params);
  if (job.changes) send_notification();
  connection_.finish([this](Outcome& outcome) { finish(outcome); });
}

void WholeKeyspace::send_notification() {
  Params params;
  params.add_text(shared_.coherence.channel());
  params.begin_array(Params::Element::text);
  params.element(fmt::format("{} *", shared_.coherence.id()));
  params.end_array();
  params.add_int8(shared_.coherence.id());
  connection_.send(text_of(Statement::tell).sql, params);
}

void WholeKeyspace::finish(Outcome& outcome) {
  Job& first = jobs_.front();
  const bool conflict = outcome.failure && outcome.failure->kind == Failure::Kind::conflict;
  if (conflict && ++first.attempts < kAttempts) return start_next();
  if (first.changes || (first.invalidation && outcome.failure)) shared_.keyspace.void_all();
  if (first.invalidation && outcome.failure) shared_.pending.add(*first.invalidation);
  Job job = std::move(first);
  jobs_.pop_front();
  ReplyWriter reply = job.caller->reply_to(job.ticket);
  if (!outcome.failure)
    job.answer(outcome.results.front(), reply);
  else if (outcome.failure->kind == Failure::Kind::lost)
    reply.error("ERR the database is unreachable: " + outcome.failure->text);
  else
    reply.error("ERR the database refused: " + outcome.failure->text);
  const bool others_wait = !jobs_.empty();  // what finish() adds has begun then
  job.caller->finish(job.ticket);
  if (others_wait) start_next();
}

}  // namespace larder::postgres
