#include "backend/postgres/notification.h"

#include <charconv>

#include <fmt/core.h>

#include "backend/postgres/sql.h"

namespace larder::postgres {
namespace {

constexpr std::size_t kPayloadBytes = 7'900;
/// More than so many payloads cost the listeners more than an empty L1 does.
constexpr int kMostPayloads = 32;

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::optional<Bytes> parse_hex(ByteView text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

}  // namespace

NotificationWriter::NotificationWriter(std::int64_t who, std::function<void(ByteView)> emit)
    : head_(fmt::format("{} ", who)), emit_(std::move(emit)), payload_(head_) {}

void NotificationWriter::add(const KeyRef& key) {
  constexpr std::size_t kDatabaseBytes = 8;
  const std::size_t size = key.bytes.size() * 2 + kDatabaseBytes;
  if (everything_) return;
  if (payload_.size() + size > kPayloadBytes) emit();
  if (head_.size() + size > kPayloadBytes || payloads_ >= kMostPayloads) {
    everything_ = true;
    return;
  }
  if (payload_.size() > head_.size()) payload_ += ',';
  payload_ += std::to_string(key.db) + ':';
  append_hex(payload_, key.bytes);
}

void NotificationWriter::finish() {
  if (everything_)
    emit_(head_ + "*");
  else
    emit();
}

void NotificationWriter::emit() {
  if (payload_.size() == head_.size()) return;
  emit_(payload_);
  ++payloads_;
  payload_ = head_;
}

void read_notification(ByteView keys, const std::function<void(int db, ByteView key)>& key,
                       const std::function<void()>& everything) {
  while (!keys.empty()) {
    const ByteView entry = keys.substr(0, keys.find(','));
    keys.remove_prefix(std::min(keys.size(), entry.size() + 1));
    int db = 0;
    const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), db);
    const auto colon = static_cast<std::size_t>(end - entry.data());
    if (error != std::errc() || colon >= entry.size() || entry[colon] != ':') return everything();
    const std::optional<Bytes> bytes = parse_hex(entry.substr(colon + 1));
    if (!bytes) return everything();
    key(db, *bytes);
  }
}

}  // namespace larder::postgres
