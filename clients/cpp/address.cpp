#include "address.h"

#include <charconv>
#include <stdexcept>

namespace larder {
namespace {

int parse_number(std::string_view text, int least, int most, std::string_view what) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < least || number > most)
    throw std::invalid_argument(
        std::string(what).append(" '").append(text).append("' of the url is not one"));
  return number;
}

/// `%3A` is `:`.
std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, code, 16).ptr == digits + 2) {
      out.push_back(static_cast<char>(code));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

/// Takes `user:password@` or `password@` off the front.
void take_login(std::string_view& rest, Address& address) {
  const std::size_t at = rest.rfind('@');
  if (at == std::string_view::npos) return;
  const std::string_view login = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  const std::size_t colon = login.find(':');
  if (colon != std::string_view::npos) address.user = decoded(login.substr(0, colon));
  address.password = decoded(login.substr(colon == std::string_view::npos ? 0 : colon + 1));
}

void parse_unix(std::string_view rest, Address& address) {
  const std::size_t query = rest.find('?');
  address.path = decoded(rest.substr(0, query));
  if (query == std::string_view::npos) return;
  const std::string_view parameter = rest.substr(query + 1);
  if (!parameter.starts_with("db=")) throw std::invalid_argument("the url knows ?db=number and no other");
  address.db = parse_number(parameter.substr(3), 0, 1 << 20, "the database");
}

void parse_tcp(std::string_view rest, Address& address) {
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    if (slash + 1 < rest.size())
      address.db = parse_number(rest.substr(slash + 1), 0, 1 << 20, "the database");
    rest = rest.substr(0, slash);
  }
  const bool is_bracketed = rest.starts_with('[');
  const std::size_t host_end = is_bracketed ? rest.find(']') : rest.rfind(':');
  if (is_bracketed && host_end == std::string_view::npos)
    throw std::invalid_argument("the host of the url has no ']'");
  if (const std::string_view host = rest.substr(is_bracketed ? 1 : 0, host_end - (is_bracketed ? 1 : 0));
      !host.empty())
    address.host = host;
  const std::size_t colon = is_bracketed ? host_end + 1 : host_end;
  if (colon < rest.size()) address.port = parse_number(rest.substr(colon + 1), 1, 65535, "the port");
}

}  // namespace

Address parse_address(std::string_view url) {
  Address address;
  const std::size_t end = url.find("://");
  const std::string_view scheme = url.substr(0, end == std::string_view::npos ? 0 : end);
  if (scheme != "redis" && scheme != "unix")
    throw std::invalid_argument("a url begins with redis:// or unix:// (TLS is not for this client)");
  std::string_view rest = url.substr(end + 3);
  take_login(rest, address);
  if (scheme == "unix")
    parse_unix(rest, address);
  else
    parse_tcp(rest, address);
  return address;
}

}  // namespace larder
