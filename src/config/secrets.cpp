#include "config/secrets.h"

#include <algorithm>

namespace larder::config {
namespace {

constexpr std::string_view kMask = "***";
constexpr auto kNone = std::string_view::npos;

// A password may hold an unescaped '/' or '@' by mistake, so it is taken to reach to the last '@' of all.
// Without a ':' the user info is Redis' short form for a password, but PostgreSQL's for a user.
std::string mask_user_info(std::string_view url) {
  const std::size_t start = url.find("://");
  const std::size_t at = url.rfind('@');
  if (start == kNone || at == kNone || at < start) return std::string(url);
  const std::size_t user = start + 3;
  const std::size_t colon = url.find(':', user);
  if (colon < at) return std::string(url.substr(0, colon + 1)).append(kMask).append(url.substr(at));
  const bool user_only = url.starts_with("postgres") || url.substr(user, at - user).find('/') != kNone;
  if (user_only) return std::string(url);
  return std::string(url.substr(0, user)).append(kMask).append(url.substr(at));
}

std::size_t skip_spaces(std::string_view text, std::size_t i) {
  return std::min(text.find_first_not_of(" \t\r\n", i), text.size());
}

// The end of a value of libpq's connection string or of a URL parameter; a backslash protects what follows
// it.
std::size_t end_of_value(std::string_view text, std::size_t i) {
  const bool quoted = i < text.size() && text[i] == '\'';
  const std::string_view enders = quoted ? "'" : " \t\r\n&";
  for (i += quoted ? 1 : 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (enders.find(text[i]) != kNone) {
      return quoted ? i + 1 : i;
    }
  }
  return text.size();
}

// Of "password=..." and "sslpassword=...", with the spaces libpq allows around '='.
std::string mask_parameters(std::string_view text) {
  constexpr std::string_view kName = "password";
  std::string masked;
  for (std::size_t at = text.find(kName); at != kNone; at = text.find(kName)) {
    const std::size_t equals = skip_spaces(text, at + kName.size());
    if (equals == text.size() || text[equals] != '=') {
      masked += text.substr(0, equals);
      text.remove_prefix(equals);
      continue;
    }
    const std::size_t value = skip_spaces(text, equals + 1);
    masked.append(text.substr(0, value)).append(kMask);
    text.remove_prefix(end_of_value(text, value));
  }
  return masked.append(text);
}

}  // namespace

std::string mask_secrets(std::string_view address) {
  return mask_parameters(mask_user_info(address));
}

}  // namespace larder::config
