#pragma once

#include <bit>
#include <cstddef>
#include <vector>

namespace larder::redis {

/// A queue in one block of memory, doubled when it is full: no allocation once it has its size.
template <class T>
class Ring {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T& operator[](std::size_t index) noexcept { return slots_[at(index)]; }
  [[nodiscard]] T& front() noexcept { return slots_[first_]; }
  [[nodiscard]] const T& front() const noexcept { return slots_[first_]; }

  void push_back(const T& value) {
    if (size_ == slots_.size()) grow();
    slots_[at(size_++)] = value;
  }

  void pop_front() noexcept {
    first_ = at(1);
    --size_;
  }

 private:
  [[nodiscard]] std::size_t at(std::size_t index) const noexcept {
    return (first_ + index) & (slots_.size() - 1);
  }

  void grow() {
    std::vector<T> larger(slots_.empty() ? 64 : 2 * slots_.size());
    for (std::size_t i = 0; i < size_; ++i) larger[i] = slots_[at(i)];
    slots_.swap(larger);
    first_ = 0;
  }

  std::vector<T> slots_;  ///< a power of two
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace larder::redis
