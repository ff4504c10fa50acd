#include "base/error.h"

namespace larder {
namespace {

class Category final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "larder"; }
  // The words a client reads are made in command/error_reply.cpp; this one is for logs.
  std::string message(int code) const override { return "larder error " + std::to_string(code); }
};

}  // namespace

boost::system::error_code make_error_code(Errc code) noexcept {
  static const Category category;
  return {static_cast<int>(code), category};
}

}  // namespace larder
