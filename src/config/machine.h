#pragma once

#include <cstdint>
#include <filesystem>

namespace larder::config {

/// The memory this process may use: the least of what the machine has and what its cgroups (v1 and v2) allow.
///
/// Shape:  `root` is where /proc and /sys are looked for; tests bring their own.
/// Errors: none; a file that is missing or odd sets no limit, and without any the answer is 1 GB.
[[nodiscard]] std::uint64_t usable_memory_bytes(const std::filesystem::path& root = "/");

/// So many hundredths of usable_memory_bytes(), in whole megabytes.
[[nodiscard]] std::uint64_t memory_share_bytes(unsigned percent);

}  // namespace larder::config
