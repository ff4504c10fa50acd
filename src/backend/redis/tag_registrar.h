#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "backend/redis/errands.h"
#include "backend/redis/known_commands.h"
#include "backend/redis/retries.h"
#include "backend/redis/tag_caller.h"
#include "backend/redis/tag_state.h"
#include "backend/redis/topology.h"

namespace larder::redis {

/// Enters into the book of tag_directory.h what it lacks before a request goes to its slot.
///
/// Invariant: the requests of a client leave in their order; while one waits, others than its next writes
/// with tags, which wait behind it, are held. Thread: one worker; `state` is shared with the others.
class TagRegistrar {
 public:
  using Done = std::function<void(ByteView error)>;

  TagRegistrar(TagState& state, const KnownCommands& commands, const Topology& topology, TagHost& host,
               Errands& errands, Retries& retries);
  ~TagRegistrar();

  /// What there is to do before a request may be sent on `lane`. Nothing: send it.
  [[nodiscard]] std::optional<Step> take(const Request& request, const Route& route, const Lane& lane);

  /// The same for a request that goes another way than most, and must be run again.
  [[nodiscard]] std::optional<Step> hold(const Request& request, const Route& route);

  /// Calls when the entries are in the book; perhaps at once.
  void enter(std::span<const TagDirectory::Entry> entries, Done done);

  [[nodiscard]] bool is_quiet() const noexcept { return waiting_.empty(); }

 private:
  class Write;

  /// What waits for entries.
  struct Waiting {
    std::vector<TagDirectory::Entry> entries;
    const Caller* caller = nullptr;  ///< whose order counts; null: nobody's
    std::uint32_t errand = 0;        ///< the request; 0: `done` is called
    Done done{};
    std::size_t missing = 0;
    Bytes error{};
  };

  [[nodiscard]] bool knows_all(const Request& request, const Route& route);
  [[nodiscard]] bool knows_all(std::span<const TagDirectory::Entry> entries) const noexcept;
  void collect(const Request& request, const Route& route);
  void ask_for_missing(Waiting& waiting);
  void written(Write& write, ByteView error);
  void settle();
  void end(Waiting& waiting);

  TagState& state_;
  const KnownCommands& commands_;
  const Topology& topology_;
  TagHost& host_;
  Errands& errands_;
  Retries& retries_;
  std::vector<TagDirectory::Entry> entries_;  ///< room for one request's
  std::deque<std::unique_ptr<Waiting>> waiting_;
  std::vector<std::unique_ptr<Write>> writes_;
  boost::unordered_flat_map<std::uint32_t, Write*> asked_;  ///< by number of the entry
  bool settling_ = false, ready_ = false;
  Bytes held_error_;  ///< why the last request of hold() cannot be run; empty: none failed
};

}  // namespace larder::redis
