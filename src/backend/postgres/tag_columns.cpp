#include "backend/postgres/tag_columns.h"

#include <algorithm>

namespace larder::postgres {
namespace {

std::uint32_t take_uint32(ByteView& bytes) noexcept {
  std::uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(c);
  bytes.remove_prefix(4);
  return value;
}

}  // namespace

Bytes array_literal(const TagSet& tags) {
  Bytes literal = "{";
  for (const Bytes& tag : tags) {
    literal += literal.size() == 1 ? "\"\\\\x" : ",\"\\\\x";
    append_hex(literal, tag);
    literal += '"';
  }
  return literal + '}';
}

TagSet tags_from_array(ByteView array) {
  constexpr std::size_t kHeaderBytes = 20;  // dimensions, flags, type, number of elements, lower bound
  if (array.size() < kHeaderBytes) return {};
  constexpr std::uint32_t kNull = 0xffffffff;
  const bool is_list = take_uint32(array) == 1;
  array.remove_prefix(kHeaderBytes - sizeof(std::uint32_t));
  std::vector<Bytes> tags;
  while (is_list && array.size() >= sizeof(std::uint32_t)) {
    const std::uint32_t size = take_uint32(array);
    if (size == kNull) continue;
    tags.emplace_back(array.substr(0, size));
    array.remove_prefix(std::min<std::size_t>(size, array.size()));
  }
  // Plain SQL may have written them in any order.
  std::ranges::sort(tags);
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  return TagSet::from_checked(std::move(tags));
}

Params invalidation_params(int db, const TagQuery& query, std::int64_t id, std::int64_t now_ms) {
  Params params;
  params.add_int8(db);
  params.begin_array(Params::Element::bytes);
  for (const Bytes& tag : query.tags) params.element(tag);
  params.end_array();
  params.add_int8(query.reach == TagQuery::Reach::exact ? 1 : 0);
  params.add_int8(query.need == TagQuery::Need::all ? 1 : 0);
  params.add_int8(id);
  params.add_int8(now_ms);
  return params;
}

std::int64_t void_invalidated(Keyspace& l1, int db, const Result& rows, int column) {
  std::int64_t live = 0;
  for (int row = 0; row < rows.rows(); ++row) {
    live += rows.number(row, column + 1);
    if (rows.is_null(row, column))
      l1.void_all();
    else
      l1.void_key({db, rows.bytes(row, column)});
  }
  return live;
}

}  // namespace larder::postgres
