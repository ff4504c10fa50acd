#include "server/invalidations.h"

#include <set>

#include "server/session.h"
#include "server/tracking.h"
#include "server/worker.h"

namespace larder {

void Invalidations::add(Worker& worker) {
  mailboxes_.emplace_back(worker);
}

void Invalidations::join(const std::string& prefix) {
  const std::lock_guard lock(prefixes_mutex_);
  ++prefixes_[prefix];
}

void Invalidations::leave(const std::string& prefix) {
  const std::lock_guard lock(prefixes_mutex_);
  if (const auto found = prefixes_.find(prefix); --found->second == 0) prefixes_.erase(found);
}

std::size_t Invalidations::prefixes() const {
  const std::lock_guard lock(prefixes_mutex_);
  return prefixes_.size();
}

void Invalidations::tell(std::span<const ReaderId> readers, ByteView key) {
  std::vector<ReaderId> left(readers.begin(), readers.end());
  while (!left.empty()) {
    const ReaderId of_worker = left.front() >> kClientBits;
    Letter letter{Letter::Kind::key, Bytes(key)};
    std::erase_if(left, [&](ReaderId reader) {
      const bool is_theirs = reader >> kClientBits == of_worker;
      if (is_theirs) letter.readers.push_back(reader & ((ReaderId{1} << kClientBits) - 1));
      return is_theirs;
    });
    send(mailboxes_[of_worker], std::move(letter));
  }
}

void Invalidations::tell_all() {
  for (Mailbox& mailbox : mailboxes_) send(mailbox, {Letter::Kind::everything});
}

void Invalidations::broadcast(ByteView key, ReaderId author) {
  for (Mailbox& mailbox : mailboxes_)
    if (mailbox.worker.broadcasting.load(std::memory_order_relaxed) > 0)
      send(mailbox, {Letter::Kind::broadcast, Bytes(key), {author}});
}

void Invalidations::send(Mailbox& mailbox, Letter letter) {
  bool is_first;
  {
    const std::lock_guard lock(mailbox.mutex);
    is_first = mailbox.letters.empty();
    mailbox.letters.push_back(std::move(letter));
  }
  if (is_first) mailbox.worker.post([&mailbox] { deliver(mailbox); });
}

void Invalidations::deliver(Mailbox& mailbox) {
  std::vector<Letter> letters;
  {
    const std::lock_guard lock(mailbox.mutex);
    letters.swap(mailbox.letters);
  }
  Worker& worker = mailbox.worker;
  bool has_broadcasts = false;
  for (const Letter& letter : letters) {
    has_broadcasts |= letter.kind == Letter::Kind::broadcast;
    if (letter.kind == Letter::Kind::everything)
      for (Session* const session : std::vector(worker.trackers.begin(), worker.trackers.end()))
        if (session->tracking != nullptr) session->tracking->forget_everything();
    if (letter.kind == Letter::Kind::key)
      for (const std::uint64_t id : letter.readers)
        if (Session* const session = worker.find_session(id);
            session != nullptr && session->tracking != nullptr)
          session->tracking->forget({letter.key});
  }
  if (has_broadcasts) broadcast_all(worker, letters);
}

/// As Redis: what changed in one go is one message for each prefix.
void Invalidations::broadcast_all(Worker& worker, const std::vector<Letter>& letters) {
  for (Session* const session : std::vector(worker.trackers.begin(), worker.trackers.end())) {
    if (session->tracking == nullptr || !session->tracking->options().broadcasts) continue;
    Tracking& tracking = *session->tracking;
    for (const std::string& prefix : tracking.options().prefixes) {
      std::set<Bytes> keys;
      for (const Letter& letter : letters)
        if (letter.kind == Letter::Kind::broadcast && letter.key.starts_with(prefix) &&
            (session->spared == 0 || letter.readers.front() != session->spared))
          keys.insert(letter.key);
      if (!keys.empty()) tracking.forget({keys.begin(), keys.end()});
      if (session->tracking == nullptr) break;  // it does not read, and was closed
    }
  }
}

}  // namespace larder
