#include "server/redact.h"

#include <algorithm>

namespace larder {
namespace {

constexpr ByteView kRedacted = "(redacted)";

/// `HELLO 3 AUTH user password`
void redact_hello(std::vector<ByteView>& argv) {
  for (std::size_t i = 1; i < argv.size(); ++i) {
    if (!equals_ignore_case(argv[i], "auth")) continue;
    for (std::size_t secret = i + 1; secret <= i + 2 && secret < argv.size(); ++secret)
      argv[secret] = kRedacted;
    return;
  }
}

/// `CONFIG SET requirepass password`, among other pairs
void redact_config(std::vector<ByteView>& argv) {
  for (std::size_t i = 2; i + 1 < argv.size(); i += 2)
    if (equals_ignore_case(argv[i], "requirepass") || equals_ignore_case(argv[i], "masterauth"))
      argv[i + 1] = kRedacted;
}

void redact_from(std::vector<ByteView>& argv, std::size_t first) {
  std::fill(argv.begin() + static_cast<std::ptrdiff_t>(std::min(first, argv.size())), argv.end(), kRedacted);
}

}  // namespace

std::vector<ByteView> redacted(std::span<const ByteView> argv) {
  std::vector<ByteView> shown(argv.begin(), argv.end());
  const ByteView name = argv[0];
  if (equals_ignore_case(name, "auth"))
    redact_from(shown, 1);
  else if (equals_ignore_case(name, "hello"))
    redact_hello(shown);
  else if (equals_ignore_case(name, "config"))
    redact_config(shown);
  else if (equals_ignore_case(name, "acl"))
    redact_from(shown, 3);
  else if (equals_ignore_case(name, "migrate"))
    redact_from(shown, 6);
  return shown;
}

}  // namespace larder
