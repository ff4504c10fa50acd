#include "backend/redis/slot_map.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "resp/reply_cursor.h"

namespace larder::redis {
namespace {

bool is_array(const ReplyCursor::Value& value) noexcept {
  return value.type == '*' && value.count >= 0;
}

template <class Number>
std::optional<Number> parse_decimal(ByteView text) noexcept {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The index of `node` in `nodes`, where it is put if it is new.
std::uint16_t index_in(std::vector<Endpoint>& nodes, Endpoint node) {
  const auto found = std::ranges::find(nodes, node);
  const auto index = static_cast<std::uint16_t>(found - nodes.begin());
  if (found == nodes.end()) nodes.push_back(std::move(node));
  return index;
}

class SlotsReader {
 public:
  SlotsReader(ByteView reply, const std::string& asked_host) : cursor_(reply), asked_host_(asked_host) {}

  std::optional<SlotMap> read() {
    map_.owner.fill(SlotMap::kNobody);
    const ReplyCursor::Value ranges = cursor_.next();
    if (!is_array(ranges)) return std::nullopt;
    for (std::int64_t left = ranges.count; left > 0; --left)
      if (!read_range()) return std::nullopt;
    sort_masters();
    return std::move(map_);
  }

 private:
  /// First slot, last slot, master, replicas.
  bool read_range() {
    const ReplyCursor::Value range = cursor_.next();
    if (!is_array(range) || range.count < 3) return false;
    const auto first = read_number(kHashSlots - 1), last = read_number(kHashSlots - 1);
    if (!first || !last || *first > *last) return false;
    const auto master = read_node();
    if (!master) return false;
    const std::uint16_t owner = index_in(map_.masters, *master);
    for (std::int64_t left = range.count - 3; left > 0; --left) {
      const auto replica = read_node();
      if (!replica) return false;
      if (index_in(map_.replicas, *replica) == map_.replicated.size()) map_.replicated.push_back(owner);
    }
    return assign(*first, *last, owner);
  }

  bool assign(std::uint16_t first, std::uint16_t last, std::uint16_t owner) noexcept {
    for (std::uint32_t slot = first; slot <= last; ++slot)
      if (std::exchange(map_.owner[slot], owner) != SlotMap::kNobody) return false;
    return true;
  }

  /// Host, port, and from Redis 4 and 7 on its id and metadata.
  std::optional<Endpoint> read_node() {
    const ReplyCursor::Value node = cursor_.next();
    if (!is_array(node) || node.count < 2) return std::nullopt;
    const ReplyCursor::Value host = cursor_.next();
    if (ByteView("$+_").find(host.type) == ByteView::npos) return std::nullopt;
    const auto port = read_number(65535);
    if (!port || *port == 0) return std::nullopt;
    cursor_.skip(node.count - 2);
    // `?`: the node is to be reached by its name, which it does not know.
    if (host.is_null() || host.text.empty() || host.text == "?") return Endpoint{asked_host_, *port};
    return Endpoint{std::string(host.text), *port};
  }

  std::optional<std::uint16_t> read_number(std::uint16_t most) {
    const ReplyCursor::Value value = cursor_.next();
    if (value.type != ':') {
      for (std::int64_t left = value.count; left > 0; --left) cursor_.skip();
      return std::nullopt;
    }
    const auto number = parse_decimal<std::uint16_t>(value.text);
    return number && *number <= most ? number : std::nullopt;
  }

  void sort_masters() {
    std::vector<Endpoint> sorted;
    std::vector<std::uint16_t> place(map_.masters.size(), SlotMap::kNobody);
    for (std::uint16_t& owner : map_.owner) {
      if (owner == SlotMap::kNobody) continue;
      if (place[owner] == SlotMap::kNobody) {
        place[owner] = static_cast<std::uint16_t>(sorted.size());
        sorted.push_back(map_.masters[owner]);
      }
      owner = place[owner];
    }
    for (std::uint16_t& master : map_.replicated) master = place[master];
    map_.masters = std::move(sorted);
  }

  ReplyCursor cursor_;
  const std::string& asked_host_;
  SlotMap map_;
};

/// `3999 127.0.0.1:6381`; an IPv6 address has no brackets.
Redirect parse_target(Redirect::Kind kind, ByteView text, const std::string& asked_host) {
  const std::size_t space = text.find(' '), colon = text.rfind(':');
  if (space == ByteView::npos || colon == ByteView::npos || colon < space) return {};
  const auto slot = parse_decimal<std::uint16_t>(text.substr(0, space));
  const auto port = parse_decimal<std::uint16_t>(text.substr(colon + 1));
  if (!slot || *slot >= kHashSlots || !port || *port == 0) return {};
  const ByteView host = text.substr(space + 1, colon - space - 1);
  return {kind, *slot, {host.empty() || host == "?" ? asked_host : std::string(host), *port}};
}

}  // namespace

std::optional<SlotMap> parse_cluster_slots(ByteView reply, const std::string& asked_host) {
  return SlotsReader(reply, asked_host).read();
}

Redirect parse_redirect(ByteView reply, const std::string& asked_host) {
  if (!reply.starts_with('-') || reply.size() < 3) return {};
  const ByteView text = reply.substr(1, reply.size() - 3);
  const std::size_t space = std::min(text.find(' '), text.size());
  const ByteView code = text.substr(0, space), rest = text.substr(std::min(space + 1, text.size()));
  if (code == "MOVED") return parse_target(Redirect::Kind::moved, rest, asked_host);
  if (code == "ASK") return parse_target(Redirect::Kind::ask, rest, asked_host);
  if (code == "TRYAGAIN") return {.kind = Redirect::Kind::try_again};
  if (code == "CLUSTERDOWN") return {.kind = Redirect::Kind::cluster_down};
  if (code == "READONLY") return {.kind = Redirect::Kind::read_only};
  return {};
}

}  // namespace larder::redis
