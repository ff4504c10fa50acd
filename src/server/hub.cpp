#include "server/hub.h"

#include "command/glob.h"
#include "server/session.h"

namespace larder {
namespace {

/// Sends the same words to each; what leaves is made once for each protocol.
class Message {
 public:
  explicit Message(std::initializer_list<ByteView> words) : words_(words) {}

  void send_to(Session& session) {
    Bytes& bytes = session.protocol() == Protocol::resp3 ? resp3_ : resp2_;
    if (bytes.empty()) {
      ReplyWriter out(bytes, session.protocol());
      out.begin_push(words_.size());
      for (const ByteView word : words_) out.bulk(word);
    }
    session.push(bytes);
  }

 private:
  std::vector<ByteView> words_;
  Bytes resp2_, resp3_;
};

}  // namespace

void Topics::add(Topic topic, ByteView name) {
  const std::lock_guard lock(mutex_);
  ++workers_of_[static_cast<std::size_t>(topic)][std::string(name)];
}

void Topics::remove(Topic topic, ByteView name) {
  const std::lock_guard lock(mutex_);
  auto& workers_of = workers_of_[static_cast<std::size_t>(topic)];
  const auto found = workers_of.find(name);
  if (--found->second == 0) workers_of.erase(found);
}

std::size_t Topics::count(Topic topic) const {
  const std::lock_guard lock(mutex_);
  return workers_of_[static_cast<std::size_t>(topic)].size();
}

void Hub::note(Topic topic, Session& session, std::size_t count) noexcept {
  Subscribed& subscribed = session.holds.subscribed;
  (topic == Topic::channel   ? subscribed.channels
   : topic == Topic::pattern ? subscribed.patterns
                             : subscribed.shard_channels) = static_cast<std::uint32_t>(count);
  session.holds.subscribing = subscribed.any();
}

void Hub::add(Topic topic, ByteView name, Session& session) {
  Names& names = names_of_[&session][static_cast<std::size_t>(topic)];
  if (!names.emplace(name).second) return;
  Subscribers& subscribers = index(topic)[std::string(name)];
  if (subscribers.empty()) all_.add(topic, name);
  subscribers.push_back(&session);
  note(topic, session, names.size());
}

void Hub::remove(Topic topic, ByteView name, Session& session) {
  const auto held = names_of_.find(&session);
  if (held == names_of_.end()) return;
  Names& names = held->second[static_cast<std::size_t>(topic)];
  const auto found = names.find(name);
  if (found == names.end()) return;
  const auto row = index(topic).find(name);
  std::erase(row->second, &session);
  if (row->second.empty()) {
    index(topic).erase(row);
    all_.remove(topic, name);
  }
  names.erase(found);
  note(topic, session, names.size());
  if (!session.holds.subscribed.any()) names_of_.erase(held);
}

void Hub::remove_all(Session& session) {
  for (const Topic topic : {Topic::channel, Topic::pattern, Topic::shard_channel})
    for (const std::string& name : names_of(topic, session)) remove(topic, name, session);
}

Hub::Names Hub::names_of(Topic topic, const Session& session) const {
  const auto held = names_of_.find(&session);
  return held == names_of_.end() ? Names() : held->second[static_cast<std::size_t>(topic)];
}

Hub::Names Hub::names(Topic topic) const {
  Names all;
  for (const auto& [name, subscribers] : index(topic)) all.insert(name);
  return all;
}

std::size_t Hub::count(Topic topic, ByteView name) const {
  const auto found = index(topic).find(name);
  return found == index(topic).end() ? 0 : found->second.size();
}

std::size_t Hub::publish(Topic topic, ByteView channel, ByteView message) {
  std::size_t heard = 0;
  // A copy: a session that is cut off leaves.
  const auto tell = [&heard](Subscribers subscribers, Message words) {
    for (Session* session : subscribers) words.send_to(*session);
    heard += subscribers.size();
  };
  const auto found = index(topic).find(channel);
  if (found != index(topic).end())
    tell(found->second, Message({topic == Topic::channel ? "message" : "smessage", channel, message}));
  if (topic != Topic::channel) return heard;
  std::vector<Index::value_type> matching;
  for (const Index::value_type& row : index(Topic::pattern))
    if (glob_matches(row.first, channel)) matching.push_back(row);
  for (const auto& [pattern, subscribers] : matching)
    tell(subscribers, Message({"pmessage", pattern, channel, message}));
  return heard;
}

}  // namespace larder
