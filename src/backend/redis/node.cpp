#include "backend/redis/node.h"

#include <fmt/format.h>

namespace larder::redis {
namespace {

std::string label_of(const config::RedisAddress& address) {
  return address.path.empty() ? fmt::format("{}:{}", address.host, address.port) : address.path;
}

}  // namespace

Node::Node(const NodeContext& context, config::RedisAddress address, Health& health)
    : address_(std::move(address)), context_{context, address_, label_of(address_), health} {}

Lane& Node::lane(Protocol protocol, int db) {
  const std::size_t index = static_cast<std::size_t>(db) * 2 + (protocol == Protocol::resp3 ? 1 : 0);
  if (index >= lanes_.size()) lanes_.resize(index + 1);
  std::unique_ptr<Lane>& lane = lanes_[index];
  if (lane == nullptr) {
    const bool tracking = context_.worker.caching && protocol == Protocol::resp3;
    const SourceId source = tracking ? context_.worker.keyspace.add_source() : 0;
    lane = std::make_unique<Lane>(context_, Lane::Purpose{protocol, db, tracking, source});
  }
  return *lane;
}

void Node::tick(std::int64_t now_us) {
  for (const auto& lane : lanes_)
    if (lane != nullptr) lane->tick(now_us);
}

bool Node::is_quiet() const noexcept {
  for (const auto& lane : lanes_)
    if (lane != nullptr && !lane->is_quiet()) return false;
  return true;
}

void Node::close() {
  for (const auto& lane : lanes_)
    if (lane != nullptr) lane->close();
}

}  // namespace larder::redis
