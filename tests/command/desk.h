#pragma once

#include <vector>

#include "command/error_reply.h"
#include "command/introspection.h"
#include "command/keyspace_wide.h"
#include "command/limits.h"
#include "command/spec.h"
#include "keyspace/keyspace.h"
#include "resp/request_parser.h"
#include "support/map_records.h"

namespace larder {

/// Stands in for server and backend: takes a line as one types it, answers in RESP.
///
/// Data commands run twice, on a std::map and on a real keyspace, which must agree.
class Desk {
 public:
  UnixMs now_ms = 1'700'000'000'000;
  int db = 0;
  Protocol protocol = Protocol::resp2;
  MapRecords records;

  /// Forgets every record, as if it were new.
  void clear() {
    keyspace_.clear_all();
    records = MapRecords();
    map_is_behind_ = false;
  }

  Bytes ask(ByteView line) {
    RequestParser parser;
    const Bytes request = Bytes(line) + "\r\n";
    const Result<RequestParser::Status> status = parser.parse(request, {});
    if (!status || *status != RequestParser::Status::ready) return "no request";
    const std::vector<ByteView> argv(parser.argv().begin(), parser.argv().end());
    return run(argv);
  }

  Bytes run(std::span<const ByteView> argv) {
    Bytes out;
    ReplyWriter reply(out, protocol);
    const CommandSpec* spec = find_command(argv[0]);
    if (!spec) {
      append_unknown_command(reply, argv);
    } else if (const CommandSpec* const resolved = resolve(*spec, argv); !resolved) {
      append_unknown_subcommand(reply, spec->name, argv[1]);
    } else if (!resolved->accepts(argv.size())) {
      append_wrong_arity(reply, resolved->name);
    } else {
      out = run_spec(*resolved, argv);
    }
    return out;
  }

 private:
  static const CommandSpec* resolve(const CommandSpec& spec, std::span<const ByteView> argv) {
    return spec.flags.has(Flag::container) && argv.size() > 1 ? find_subcommand(spec, argv[1]) : &spec;
  }

  Bytes run_spec(const CommandSpec& spec, std::span<const ByteView> argv) {
    Bytes out, same;
    ReplyWriter reply(out, protocol), same_reply(same, protocol);
    Call call{argv, db, now_ms, reply}, same_call{argv, db, now_ms, same_reply};
    if (spec.runner == Runner::connection) {
      if (!spec.name.starts_with("command")) return "not here";
      run_introspection(spec, argv, reply);
    } else if (spec.runner == Runner::keyspace) {
      run_on_keyspace(spec, call, keyspace_);
      if (spec.flags.has(Flag::write)) map_is_behind_ = true;
    } else {
      records.now_ms = now_ms;
      spec.run(call, records);
      std::vector<KeyRef> keys;
      collect_keys(spec, same_call, keys);
      Keyspace::Locked locked(keyspace_, keys, now_ms);
      spec.run(same_call, locked);
      if (map_is_behind_) return same;
      if (is_same_everywhere(spec) && same != out) return "map: " + out + "keyspace: " + same;
    }
    return out;
  }

  static bool is_same_everywhere(const CommandSpec& spec) {
    return spec.name != "memory|usage" && spec.name != "object|freq";
  }

  bool map_is_behind_ = false;  ///< databases were flushed or swapped, which a map cannot
  Keyspace keyspace_{Keyspace::Options{.budget_bytes = 64 << 20}};
};

}  // namespace larder
