#include "config/machine.h"

#include <fstream>
#include <string>
#include <unistd.h>

#include <doctest/doctest.h>

namespace larder::config {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMb = 1ULL << 20;

/// A file system with a /proc and a /sys of our own making.
class FakeRoot {
 public:
  FakeRoot() {
    std::string name = (fs::temp_directory_path() / "larder-machine-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    write("proc/meminfo", "MemTotal:       8388608 kB\nMemFree:         100000 kB\n");
  }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;
  ~FakeRoot() { fs::remove_all(root_); }

  void write(const fs::path& name, const std::string& text) const {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  [[nodiscard]] std::uint64_t usable_mb() const { return usable_memory_bytes(root_) / kMb; }
  void remove(const fs::path& name) const { fs::remove(root_ / name); }

 private:
  fs::path root_;
};

TEST_CASE("machine: without a cgroup the memory is the machine's") {
  CHECK(FakeRoot().usable_mb() == 8192);
}

TEST_CASE("machine: a v2 cgroup and its ancestors set limits") {
  const FakeRoot root;
  root.write("proc/self/cgroup", "0::/a/b\n");
  CHECK(root.usable_mb() == 8192);
  root.write("sys/fs/cgroup/a/b/memory.max", "max\n");
  CHECK(root.usable_mb() == 8192);
  root.write("sys/fs/cgroup/a/memory.max", "1073741824\n");
  CHECK(root.usable_mb() == 1024);
  root.write("sys/fs/cgroup/a/b/memory.max", "536870912\n");
  CHECK(root.usable_mb() == 512);
}

TEST_CASE("machine: in a container the group's path may be the host's, and the mount is the group") {
  const FakeRoot root;
  root.write("proc/self/cgroup", "0::/docker/0123\n");
  root.write("sys/fs/cgroup/memory.max", "268435456\n");
  CHECK(root.usable_mb() == 256);
}

TEST_CASE("machine: a v1 memory cgroup sets a limit, other controllers do not") {
  const FakeRoot root;
  root.write("proc/self/cgroup", "5:cpuset:/c\n4:cpu,memory:/m\n3:pids:/p\n");
  root.write("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "1048576\n");
  root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(root.usable_mb() == 8192);
  root.write("sys/fs/cgroup/memory/m/memory.limit_in_bytes", "134217728\n");
  CHECK(root.usable_mb() == 128);
}

TEST_CASE("machine: files that are absent or odd set no limit") {
  const FakeRoot root;
  root.write("proc/self/cgroup", "no colons\n0::/x\n");
  root.write("sys/fs/cgroup/memory.max", "");
  CHECK(root.usable_mb() == 8192);
  root.write("proc/meminfo", "MemTotal: much kB\n");
  CHECK(root.usable_mb() == 1024);
  root.remove("proc/meminfo");
  CHECK(root.usable_mb() == 1024);
}

TEST_CASE("machine: a share is in whole megabytes") {
  CHECK(memory_share_bytes(25) % kMb == 0);
  CHECK(memory_share_bytes(25) <= usable_memory_bytes() / 4);
  CHECK(memory_share_bytes(25) + kMb > usable_memory_bytes() / 4 - kMb);
}

}  // namespace
}  // namespace larder::config
