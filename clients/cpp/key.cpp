#include "larder/key.hpp"

#include <algorithm>
#include <stdexcept>

namespace larder {
namespace {

bool is_forbidden(char byte) noexcept {
  const auto code = static_cast<unsigned char>(byte);
  return code <= ' ' || code == 0x7f;
}

std::string find_fault(std::string_view path, std::string_view what) {
  const auto fault = [what](std::string_view text) { return std::string(what).append(text); };
  if (path.empty()) return fault(" is empty");
  if (path.size() > kMaxPathBytes)
    return fault(" is longer than " + std::to_string(kMaxPathBytes) + " bytes");
  if (path.front() == ':' || path.back() == ':' || path.find("::") != std::string_view::npos)
    return fault(" has an empty segment");
  if (std::ranges::any_of(path, is_forbidden)) return fault(" has a space or a control character");
  return {};
}

std::string join(std::initializer_list<Segment> segments) {
  std::string path;
  for (const Segment& segment : segments) {
    if (segment.text().find(':') != std::string_view::npos)
      throw std::invalid_argument("the segment '" + std::string(segment.text()) + "' has a ':'");
    if (&segment != segments.begin()) path.push_back(':');
    path.append(segment.text());
  }
  return path;
}

std::string checked(std::string path, const std::string& fault) {
  if (!fault.empty()) throw std::invalid_argument(fault);
  return path;
}

}  // namespace

std::string find_key_fault(std::string_view key) {
  return find_fault(key, "the key");
}

std::string find_tag_fault(std::string_view tag) {
  if (const std::string fault = find_fault(tag, "the tag"); !fault.empty()) return fault;
  if (static_cast<std::size_t>(std::ranges::count(tag, ':')) >= kMaxTagSegments)
    return "the tag has more than " + std::to_string(kMaxTagSegments) + " segments";
  return {};
}

std::string make_key(std::initializer_list<Segment> segments) {
  std::string key = join(segments);
  const std::string fault = find_key_fault(key);
  return checked(std::move(key), fault);
}

std::string make_tag(std::initializer_list<Segment> segments) {
  std::string tag = join(segments);
  const std::string fault = find_tag_fault(tag);
  return checked(std::move(tag), fault);
}

}  // namespace larder
