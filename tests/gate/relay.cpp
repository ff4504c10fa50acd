#include "gate/relay.h"

#include <array>
#include <cerrno>
#include <sys/socket.h>

namespace larder::gate {

Relay::State Relay::read(std::int64_t now_us, std::int64_t delay_us) {
  static std::array<char, 64 * 1024> buffer;
  const ssize_t count = ::recv(from_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EINTR ? State::open : State::ended;
  Chunk chunk{now_us + delay_us, {}};
  const ByteView received(buffer.data(), static_cast<std::size_t>(count));
  if (count == 0)
    finished_ = true;
  else if (filter_)
    filter_->pass(received, chunk.bytes);
  else
    chunk.bytes = received;
  waiting_bytes_ += chunk.bytes.size();
  if (count == 0 || !chunk.bytes.empty()) waiting_.push_back(std::move(chunk));
  return State::open;
}

Relay::State Relay::write(std::int64_t now_us) {
  stuck_ = false;
  while (!waiting_.empty() && waiting_.front().due_us <= now_us) {
    const Bytes& bytes = waiting_.front().bytes;
    if (bytes.empty()) return State::ended;  // the end of the stream
    const ssize_t count =
        ::send(to_, bytes.data() + sent_, bytes.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    stuck_ = count < 0 && errno == EAGAIN;
    if (count < 0) return stuck_ ? State::open : State::ended;
    sent_ += static_cast<std::size_t>(count);
    if (sent_ < bytes.size()) continue;
    waiting_bytes_ -= bytes.size();
    sent_ = 0;
    waiting_.pop_front();
  }
  return State::open;
}

}  // namespace larder::gate
