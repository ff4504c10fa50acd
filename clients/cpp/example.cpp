// A page of posts, cached under tags: `example redis://127.0.0.1:6379`.

#include <chrono>
#include <cstdio>
#include <exception>
#include <larder/client.hpp>

using namespace std::chrono_literals;

namespace {

std::string load_posts(std::string_view key) {
  std::printf("computing %.*s\n", static_cast<int>(key.size()), key.data());
  return "<ul><li>hello</li></ul>";
}

void run(const std::string& url) {
  larder::Client client({.url = url});

  client.set("greeting", "hello", {.ttl = 60s});
  std::printf("greeting is %s\n", client.get("greeting").value_or("gone").c_str());

  const std::string user = larder::make_tag({"user", 123});
  const auto posts = client.cached(load_posts, 5min, {"posts", user});
  const std::string page = larder::make_key({"page", "posts", 123});
  posts(page);  // computed
  posts(page);  // from the cache
  const std::string tags[] = {user};
  std::printf("dropped %zu\n", client.invalidate_tags(tags));
  posts(page);  // computed again

  const std::string keys[] = {"greeting", page};
  std::printf("deleted %zu\n", client.mdel(keys));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "redis://127.0.0.1:6379");
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "example: %s\n", problem.what());
    return 1;
  }
}
