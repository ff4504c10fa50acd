#include "backend/postgres/sql.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

namespace larder::postgres {
namespace {

template <class Integer>
Integer read_big_endian(const char* bytes) noexcept {
  std::make_unsigned_t<Integer> value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i)
    value = static_cast<std::make_unsigned_t<Integer>>(value << 8) | static_cast<unsigned char>(bytes[i]);
  return static_cast<Integer>(value);
}

template <class Integer>
void append_big_endian(Bytes& out, Integer value) {
  char bytes[sizeof(Integer)];
  auto rest = static_cast<std::make_unsigned_t<Integer>>(value);
  for (std::size_t i = sizeof(Integer); i-- > 0; rest = static_cast<decltype(rest)>(rest >> 8))
    bytes[i] = static_cast<char>(rest & 0xff);
  out.append(bytes, sizeof bytes);
}

template <class Integer>
void write_big_endian(char* out, Integer value) {
  Bytes bytes;
  append_big_endian(bytes, value);
  std::memcpy(out, bytes.data(), bytes.size());
}

/// Where the number of elements stands in the binary form of an array: after dimensions, flags and type.
constexpr std::size_t kArrayCountOffset = 12;

/// Serialization failure, deadlock, a key somebody else just inserted, and a lock not had in time.
bool is_conflict(ByteView sqlstate) {
  constexpr ByteView kConflicts[] = {"40001", "40P01", "23505"};
  return std::ranges::find(kConflicts, sqlstate) != std::end(kConflicts);
}

/// Broken connections, shutdowns and recovery: the session is gone or about to go.
bool is_lost(ByteView sqlstate) {
  return sqlstate.starts_with("0800") || sqlstate.starts_with("57P0") || sqlstate.empty();
}

}  // namespace

std::int64_t Result::number(int row, int column) const noexcept {
  return read_big_endian<std::int64_t>(PQgetvalue(result_.get(), row, column));
}

std::uint32_t Result::xid(int row, int column) const noexcept {
  return read_big_endian<std::uint32_t>(PQgetvalue(result_.get(), row, column));
}

bool Result::ok() const noexcept {
  const ExecStatusType status = PQresultStatus(result_.get());
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

Failure Result::failure() const {
  const char* state = PQresultErrorField(result_.get(), PG_DIAG_SQLSTATE);
  const char* primary = PQresultErrorField(result_.get(), PG_DIAG_MESSAGE_PRIMARY);
  const ByteView sqlstate = state != nullptr ? state : "";
  const auto kind = is_conflict(sqlstate) ? Failure::Kind::conflict
                    : is_lost(sqlstate)   ? Failure::Kind::lost
                                          : Failure::Kind::refused;
  return {kind, one_line(primary != nullptr ? primary : PQresultErrorMessage(result_.get()))};
}

void Params::reset() {
  constexpr std::size_t kKeptBytes = 1 << 20;
  if (bytes_.capacity() > kKeptBytes) bytes_ = Bytes();
  bytes_.clear();
  ranges_.clear();
}

void Params::add_int8(std::int64_t value) {
  const std::size_t begin = bytes_.size();
  append_big_endian(bytes_, value);
  ranges_.push_back({begin, bytes_.size()});
}

void Params::add_text(ByteView text) {
  const std::size_t begin = bytes_.size();
  bytes_.append(text);
  ranges_.push_back({begin, bytes_.size()});
}

void Params::begin_array(Element type) {
  ranges_.push_back({bytes_.size(), 0});
  elements_ = 0;
  append_big_endian<std::int32_t>(bytes_, 1);  // dimensions
  append_big_endian<std::int32_t>(bytes_, 0);  // no nulls
  append_big_endian(bytes_, static_cast<std::uint32_t>(type));
  append_big_endian<std::int32_t>(bytes_, 0);  // number of elements, set by end_array()
  append_big_endian<std::int32_t>(bytes_, 1);  // lower bound
}

void Params::element(ByteView bytes) {
  append_big_endian(bytes_, static_cast<std::int32_t>(bytes.size()));
  bytes_.append(bytes);
  ++elements_;
}

void Params::element_int8(std::int64_t value) {
  append_big_endian<std::int32_t>(bytes_, sizeof value);
  append_big_endian(bytes_, value);
  ++elements_;
}

void Params::element_int2(std::int16_t value) {
  append_big_endian<std::int32_t>(bytes_, sizeof value);
  append_big_endian(bytes_, value);
  ++elements_;
}

void Params::element_xid(std::uint32_t value) {
  append_big_endian<std::int32_t>(bytes_, sizeof value);
  append_big_endian(bytes_, value);
  ++elements_;
}

void Params::end_array() {
  write_big_endian(bytes_.data() + ranges_.back().begin + kArrayCountOffset, elements_);
  ranges_.back().end = bytes_.size();
}

const Params::Raw& Params::raw() const {
  raw_.values.clear();
  raw_.lengths.clear();
  raw_.formats.assign(ranges_.size(), 1);
  for (const Range& range : ranges_) {
    raw_.values.push_back(bytes_.data() + range.begin);
    raw_.lengths.push_back(static_cast<int>(range.end - range.begin));
  }
  return raw_;
}

void append_hex(Bytes& out, ByteView bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

std::string one_line(const char* message) {
  std::string text = message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::ranges::replace(text, '\n', ' ');
  return text;
}

}  // namespace larder::postgres
