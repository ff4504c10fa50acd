#pragma once

#include "backend/redis/node.h"

namespace larder::redis {

/// The servers of the deployment, and which of them serves a key.
///
/// Thread: one worker.
class Topology {
 public:
  Topology(const NodeContext& context, Health& health) : only_(context, context.options.address, health) {}

  [[nodiscard]] Node& node_of(ByteView /*key*/) noexcept { return only_; }

  /// For requests that name no key.
  [[nodiscard]] Node& any_node() noexcept { return only_; }

  template <class Visit>
  void for_each_node(Visit visit) {
    visit(only_);
  }

 private:
  Node only_;
};

}  // namespace larder::redis
