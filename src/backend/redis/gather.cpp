#include "backend/redis/gather.h"

#include <algorithm>

#include <boost/unordered/unordered_flat_map.hpp>

#include "backend/redis/hash_slot.h"

namespace larder::redis {

void Gather::start(const Request& request, Spread spread, std::size_t parts) {
  client_ = &request.caller;
  stand_in_for(*client_);
  spread_ = spread;
  ticket_.reset();
  parts_.clear();
  parts_.resize(parts);
  open_ = parts;
  slowest_us_ = 0;
  all_heard_of_ = true;
}

Step Gather::settle(const Request& request) {
  if (open_ == 0) {
    write(request.reply);
    client_->is_heard_of = all_heard_of_;
    client_ = nullptr;
    return Step::done;
  }
  ticket_ = client_->defer();
  return Step::pending;
}

void Gather::finish(Ticket) {
  slowest_us_ = std::max(slowest_us_, std::exchange(upstream_us, 0));
  note_heard_of();
  if (--open_ > 0 || !ticket_) return;
  Caller& client = *std::exchange(client_, nullptr);
  ReplyWriter out = client.reply_to(*ticket_);
  write(out);
  client.upstream_us = slowest_us_;
  client.is_heard_of = all_heard_of_;
  client.finish(*ticket_);
}

void Gather::write(ReplyWriter& out) const {
  if (spread_ == Spread::scan) return merge_scan(parts_.front(), scan, next_slot, out);
  merge_replies(spread_, parts_, part_of_key, out);
}

Split::Split(std::span<const ByteView> argv, std::span<const std::uint32_t> positions, std::size_t stride) {
  boost::unordered_flat_map<std::uint16_t, std::uint32_t> part_of_slot;
  for (const std::uint32_t position : positions) {
    const std::uint16_t slot = hash_slot(argv[position]);
    const auto [found, is_new] = part_of_slot.try_emplace(slot, static_cast<std::uint32_t>(parts_.size()));
    if (is_new) parts_.push_back({slot, {argv[0]}});
    std::vector<ByteView>& part = parts_[found->second].argv;
    for (std::size_t i = 0; i < stride; ++i) part.push_back(argv[position + i]);
    part_of_key_.push_back(found->second);
  }
}

}  // namespace larder::redis
