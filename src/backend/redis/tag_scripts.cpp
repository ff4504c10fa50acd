#include "backend/redis/tag_scripts.h"

#include "backend/redis/scripts.h"

namespace larder::redis {
namespace {

/// Names of the group's bookkeeping, and a key's way in and out of it. `records` is set by what comes before.
constexpr ByteView kGroup = R"(
local call = redis.call
local group = string.sub(records, 1, -2)
local registry, moves, index = group .. 't', group .. 'm', group .. 'i:'
local function enter(key, tag)
  if call('HSET', index .. tag, key, '') == 1 then call('ZADD', registry, '0', tag) end
end
local function leave(key, tag)
  local name = index .. tag
  if call('HDEL', name, key) == 1 and call('EXISTS', name) == 0 then call('ZREM', registry, tag) end
end
local function forget(key, record)
  for _, tag in ipairs(cmsgpack.unpack(record)) do leave(key, tag) end
  call('HDEL', records, key)
end
local function moved(key)
  if call('RPUSHX', moves, key) > 100000 then call('UNLINK', moves) end
end
)";

/// A step is bounded by what it does, not by how many keys it looks at: a key may have 32 tags of 512 bytes.
/// So `work` counts, in about as many microseconds; a step ends when that exceeds `budget`, of which a slice
/// is a small part. What reads records does so in slices of `few`, other things are done for `many` at once.
constexpr ByteView kWork = R"(
local work, budget, few, many = 0, math.huge, 20, 200
local function tags_of(record)
  local tags = cmsgpack.unpack(record)
  work = work + 1 + #tags / 4 + #record / 200
  return tags
end
local function fields_of(found)
  local fields = {}
  for n = 1, #found, 2 do fields[#fields + 1] = found[n] end
  return fields
end
)";

/// Forgets keys that are gone, of which `own` are the records; `tag`, if there is one: they are in its index.
/// Replies how many of them, at least one: the others are left for later when the budget is spent.
constexpr ByteView kForgetMany = R"(
local function deregister(tags)
  local left, names, several = {}, {}, 1000
  for first = 1, #tags, several do
    local last = math.min(first + several - 1, #tags)
    for n = first, last do names[n] = index .. tags[n] end
    if call('EXISTS', unpack(names, first, last)) <= last - first then
      for n = first, last do
        if call('EXISTS', names[n]) == 0 then left[#left + 1] = tags[n] end
      end
    end
  end
  for first = 1, #left, several do
    call('ZREM', registry, unpack(left, first, math.min(first + several - 1, #left)))
  end
end
local function forget_many(keys, own, tag)
  local gone, leaving, touched = {}, {}, {tag}
  for n, key in ipairs(keys) do
    if n > 1 and work >= budget then break end
    gone[n] = key
    for _, other in ipairs(own[n] and tags_of(own[n]) or {}) do
      local list = leaving[other]
      work = work + 1
      if other == tag then
      elseif list then
        list[#list + 1] = key
      else
        leaving[other] = {key}
        touched[#touched + 1] = other
        work = work + 2
      end
    end
  end
  if #gone == 0 then return 0 end
  for first = 1, #gone, many do
    local last = math.min(first + many - 1, #gone)
    call('HDEL', records, unpack(gone, first, last))
    if tag then call('HDEL', index .. tag, unpack(gone, first, last)) end
  end
  for other, list in pairs(leaving) do
    for first = 1, #list, many do
      call('HDEL', index .. other, unpack(list, first, math.min(first + many - 1, #list)))
    end
  end
  if #touched > 0 then deregister(touched) end
  return #gone
end
)";

constexpr ByteView kOrder = R"(
local function before(a, b)
  for n = 1, math.min(#a, #b) do
    local x, y = string.byte(a, n), string.byte(b, n)
    if x ~= y then return x < y end
  end
  return #a < #b
end
)";

/// Which keys the words of a query mean. Those in the index of a tag carry it, whatever else they carry.
constexpr ByteView kMeaning = R"(
local function covers(query, tag)
  if query == tag then return true end
  return not exact and string.sub(tag, 1, #query + 1) == query .. ':'
end
local function carries(tags, query)
  for _, tag in ipairs(tags) do if covers(query, tag) then return true end end
  return false
end
local function present(keys)
  if #keys == 0 or call('EXISTS', unpack(keys)) == #keys then return keys end
  local found = {}
  for _, key in ipairs(keys) do if call('EXISTS', key) == 1 then found[#found + 1] = key end end
  return found
end
)";

/// The same for ALL, of which the tags are the arguments from `first` on. A key that carries all is in the
/// index of each, or of one below it; so it is enough to walk through those of the tag with the fewest.
constexpr ByteView kAll = R"(
local function carries_all(tags, first, walked)
  local own, has_paths = {}, exact
  for _, tag in ipairs(tags) do own[tag] = true end
  work = work + (#tags + #ARGV - first) / 10
  local function add_paths()
    for _, tag in ipairs(tags) do
      local at = string.find(tag, ':', 1, true)
      while at do
        own[string.sub(tag, 1, at - 1)] = true
        at = string.find(tag, ':', at + 1, true)
        work = work + 0.4
      end
    end
    has_paths = true
  end
  for n = first, #ARGV do
    if n ~= walked and not own[ARGV[n]] then
      if not has_paths then add_paths() end
      if not own[ARGV[n]] then return false end
    end
  end
  return true
end
local function fewest(first)
  local best, least = nil, math.huge
  for n = first, #ARGV do
    local size = call('HLEN', index .. ARGV[n])
    if not exact then
      local from, to = '[' .. ARGV[n] .. ':', '(' .. ARGV[n] .. ';'
      local below = call('ZRANGEBYLEX', registry, from, to, 'LIMIT', 0, few)
      for _, tag in ipairs(below) do size = size + call('HLEN', index .. tag) end
      if #below == few then size = size + call('ZLEXCOUNT', registry, from, to) - few end
    end
    if size == 0 then return nil end
    if size < least then best, least = n, size end
  end
  return best
end
)";

/// What is written again with the tags that it has goes no further than this.
constexpr ByteView kSet = R"(
local key, record, when = KEYS[1], ARGV[1], ARGV[2]
local old = redis.call('HGET', records, key)
local reply = redis.pcall('SET', key, unpack(ARGV, 3))
if type(reply) == 'table' and reply.err then return reply end
local written = reply
if when == 'always' then written = true elseif when == 'absent' then written = not reply end
if not written or (old or '') == record then return reply end
)";
constexpr ByteView kSetChanged = R"(
local kept, entered = {}, {}
for n = 3, #KEYS do kept[string.sub(KEYS[n], #index + 1)] = true end
if old then
  for _, tag in ipairs(cmsgpack.unpack(old)) do
    if kept[tag] then kept[tag] = nil else leave(key, tag) end
  end
end
if record == '' then call('HDEL', records, key) else call('HSET', records, key, record) end
for tag in pairs(kept) do
  call('HSET', index .. tag, key, '')
  entered[#entered + 1] = '0'
  entered[#entered + 1] = tag
end
if #entered > 0 then call('ZADD', registry, unpack(entered)) end
return reply
)";

/// Each call of a command, and each argument, costs more than what is done for one key, so there are as few
/// as can be. MSET is first to write: where Redis lets it not, nothing is done.
constexpr ByteView kSetMany = R"(local call, records, count = redis.call, ARGV[1], tonumber(ARGV[2])
local fresh, keys, changed, any = 2 + 2 * count, {}, {}, false
for n = 1, count do keys[n] = ARGV[1 + 2 * n] end
local old = call('HMGET', records, unpack(keys))
call('MSET', unpack(ARGV, 3, fresh))
local ok = redis.status_reply('OK')
local function expire()
  local last = fresh + count
  for n = 1, (#ARGV - last) / 2 do
    local command = ARGV[last + 2 * n - 1]
    if command ~= '' then call(command, keys[n], ARGV[last + 2 * n]) end
  end
  return ok
end
for n = 1, count do
  if old[n] ~= ARGV[fresh + n] then
    changed[n] = keys[n]
    any = true
  end
end
if not any then return expire() end
)";
constexpr ByteView kSetManyChanged = R"(
local written, entering, entered = {}, {}, {}
for n, key in pairs(changed) do
  local record = ARGV[fresh + n]
  local tags = cmsgpack.unpack(record)
  if old[n] then
    local kept = {}
    for _, tag in ipairs(tags) do kept[tag] = true end
    for _, tag in ipairs(cmsgpack.unpack(old[n])) do if not kept[tag] then leave(key, tag) end end
  end
  written[#written + 1] = key
  written[#written + 1] = record
  for _, tag in ipairs(tags) do
    local list = entering[tag]
    if not list then
      entering[tag] = key
      entered[#entered + 1] = '0'
      entered[#entered + 1] = tag
    elseif type(list) == 'string' then
      entering[tag] = {list, '', key, ''}
    else
      list[#list + 1] = key
      list[#list + 1] = ''
    end
  end
end
call('HSET', records, unpack(written))
for tag, list in pairs(entering) do
  if type(list) == 'string' then
    call('HSET', index .. tag, list, '')
  else
    call('HSET', index .. tag, unpack(list))
  end
end
call('ZADD', registry, unpack(entered))
return expire()
)";

constexpr ByteView kAdd = R"(
local key, own, has, added = KEYS[1], {}, {}, 0
if call('EXISTS', key) == 0 then return 0 end
local old = call('HGET', records, key)
if old then own = cmsgpack.unpack(old) end
for _, tag in ipairs(own) do has[tag] = true end
for n = 3, #ARGV do
  if not has[ARGV[n]] then
    added = added + 1
    own[#own + 1] = ARGV[n]
  end
end
if #own > tonumber(ARGV[1]) then return redis.error_reply(ARGV[2]) end
if added == 0 then return 0 end
table.sort(own, before)
call('HSET', records, key, cmsgpack.pack(own))
for _, tag in ipairs(own) do if not has[tag] then enter(key, tag) end end
return added
)";

constexpr ByteView kRemove = R"(
local key, left, without, removed = KEYS[1], {}, {}, 0
local old = call('HGET', records, key)
if not old or call('EXISTS', key) == 0 then return 0 end
for _, tag in ipairs(ARGV) do without[tag] = true end
for _, tag in ipairs(cmsgpack.unpack(old)) do
  if without[tag] then
    removed = removed + 1
    leave(key, tag)
  else
    left[#left + 1] = tag
  end
end
if removed == 0 then return 0 end
if #left == 0 then call('HDEL', records, key) else call('HSET', records, key, cmsgpack.pack(left)) end
moved(key)
return removed
)";

constexpr ByteView kList = R"(
local record = redis.call('HGET', records, KEYS[1])
if not record or redis.call('EXISTS', KEYS[1]) == 0 then return {} end
return cmsgpack.unpack(record)
)";

constexpr ByteView kCarry = R"(
local from, to, target, what = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local reply = redis.pcall(what, from, to, unpack(ARGV, 3))
if (type(reply) == 'table' and reply.err) or reply == 0 or (from == to and target == '') then return reply end
local record = call('HGET', records, from)
if target ~= '' then call('SELECT', target) end
local old = call('HGET', records, to)
if old then forget(to, old) end
if record then
  call('HSET', records, to, record)
  for _, tag in ipairs(cmsgpack.unpack(record)) do enter(to, tag) end
  if what ~= 'COPY' then forget(from, record) end
  moved(to)
end
return reply
)";

constexpr ByteView kMove = R"(
local key, target = KEYS[1], ARGV[1]
local reply = redis.pcall('MOVE', key, target)
if reply ~= 1 then return reply end
local record = call('HGET', records, key)
if record then forget(key, record) end
call('SELECT', target)
local old = call('HGET', records, key)
if old then forget(key, old) end
if record then
  call('HSET', records, key, record)
  for _, tag in ipairs(cmsgpack.unpack(record)) do enter(key, tag) end
end
return reply
)";

/// Before most plain writes there is nothing to be forgotten. Keys that come as such are in a cluster;
/// otherwise they are arguments, for the reason that tag_batch.h says.
constexpr ByteView kTidy = R"(local keys = #KEYS > 0 and KEYS or ARGV
local records = string.sub(keys[1], 1, -2) .. 'r'
local known = {}
for first = 2, #keys, 1000 do
  local last = math.min(first + 999, #keys)
  for n, record in ipairs(redis.call('HMGET', records, unpack(keys, first, last))) do
    if record then known[#known + 1] = {keys[first + n - 1], record} end
  end
end
if #known == 0 then return end
)";
constexpr ByteView kTidyKnown = R"(
for _, one in ipairs(known) do if call('EXISTS', one[1]) == 0 then forget(one[1], one[2]) end end
)";

/// The cursor's low bit says which hash is walked: the tag's index, or all records where tags lie below it.
constexpr ByteView kKeys = R"(
local query, found, meant = ARGV[1], nil, {}
local cursor = tonumber(ARGV[3])
local all = cursor % 2 == 1
if cursor == 0 and not exact then
  all = #call('ZRANGEBYLEX', registry, '[' .. query .. ':', '(' .. query .. ';', 'LIMIT', 0, 1) > 0
end
local place, wanted, seen = string.format('%.0f', math.floor(cursor / 2)), tonumber(ARGV[4]), 0
budget = 1500
repeat
  found = call('HSCAN', all and records or index .. query, place, 'COUNT', math.min(wanted, all and few or many))
  for n = 1, #found[2], 2 do
    if not all or carries(tags_of(found[2][n + 1]), query) then meant[#meant + 1] = found[2][n] end
  end
  place = found[1]
  seen = seen + #found[2] / 2
  work = work + 0.7 * #found[2] / 2
until place == '0' or seen >= wanted or work >= budget
local next_cursor = tonumber(place) * 2
if all and next_cursor > 0 then next_cursor = next_cursor + 1 end
return {string.format('%.0f', next_cursor), present(meant)}
)";

/// One bounded step. Replies how many keys, the log of moves and how far it was read (if the sweep takes more
/// than this step), where to go on, the keys, whether there is something to be cleaned up, which of the tags
/// of ALL it walks through, at how many keys it has looked, and how many are in the index where it goes on.
///
/// A small index is given in one piece. If the budget is spent in the middle of it the cursor has the names
/// of the keys that were seen to, as others may change the index meanwhile.
///
/// Where it ends, the keys in the log are looked at, until there are no more: they may have been where it was
/// still to come and are where it was. That takes no longer than to move them did, however many are moved. A
/// log that is lost, as it was too long or nobody went on for a minute, takes the sweep back to its begin.
///
/// While keys are dropped nothing is done that can be done later: their records stay, as those of keys that
/// have expired. A sweep of one step cleans up at once, of a longer one `clean` does it.
constexpr ByteView kSweep = R"(
redis.replicate_commands()
local aim, place, cursor, log, first_tag = ARGV[1], ARGV[4], ARGV[5], ARGV[6], 8
local drops, cleans, tells = aim == 'drop' or aim == 'tell', aim == 'clean', aim == 'tell'
local needs_all = #ARGV > first_tag
local walked = tonumber(ARGV[7])
if walked == 0 then
  if needs_all then walked = fewest(first_tag) else walked = first_tag end
end
if not walked then return {0, log, '', '0', {}, 1, 0, 0, 0} end
local query, count, seen, keys, dropped, is_clean = ARGV[walked], 0, 0, {}, {}, true
budget = tonumber(ARGV[2])
local function following(tag)
  if exact then return nil end
  local from = tag == query and '[' .. query .. ':' or '(' .. tag
  return call('ZRANGEBYLEX', registry, from, '(' .. query .. ';', 'LIMIT', 0, 1)[1]
end
local function with_all(members)
  if not needs_all then return members end
  local meant = {}
  for n, record in ipairs(call('HMGET', records, unpack(members))) do
    if not record or carries_all(tags_of(record), first_tag, walked) then meant[#meant + 1] = members[n] end
  end
  return meant
end
local function drop(tag, members)
  local meant = with_all(members)
  if #meant == 0 then return end
  work = work + #meant
  count = count + call('UNLINK', unpack(meant))
  dropped[#dropped + 1] = {tag, meant}
  if tells then for _, key in ipairs(meant) do keys[#keys + 1] = key end end
end
local function forget_gone(tag, members)
  local gone = members
  if call('EXISTS', unpack(members)) > 0 then
    gone = {}
    for _, key in ipairs(members) do if call('EXISTS', key) == 0 then gone[#gone + 1] = key end end
  end
  for first = 1, #gone, few do
    local some = {unpack(gone, first, math.min(first + few - 1, #gone))}
    if forget_many(some, call('HMGET', records, unpack(some)), tag) < #some then return false end
  end
  return true
end
local function is_first(tags, tag)
  for _, own in ipairs(tags) do if covers(query, own) then return own == tag end end
  return false
end
local function add_up(tag, members)
  local meant = members
  if tag ~= query then
    meant = {}
    for n, record in ipairs(call('HMGET', records, unpack(members))) do
      if not record or is_first(tags_of(record), tag) then meant[#meant + 1] = members[n] end
    end
  end
  work = work + 0.2 * #members
  count = count + #present(meant)
end
local function visit(tag, members)
  if #members == 0 then return true end
  if cleans then return forget_gone(tag, members) end
  if drops then drop(tag, members) else add_up(tag, members) end
  return true
end
local function go_on_in(tag)
  local slice = (drops and needs_all or aim == 'count' and tag ~= query) and few or many
  local at, names = string.match(cursor, '^(%d+)/?(.*)$')
  local done, is_done, members, first = names ~= '' and cmsgpack.unpack(names) or {}, {}, {}, 1
  for _, key in ipairs(done) do is_done[key] = true end
  local found = call('HSCAN', index .. tag, at, 'COUNT', slice)
  for n = 1, #found[2], 2 do
    if not is_done[found[2][n]] then members[#members + 1] = found[2][n] end
  end
  work = work + 2 + 0.3 * #found[2]
  repeat
    local some = {unpack(members, first, math.min(first + slice - 1, #members))}
    -- What is left to be cleaned up is found once more.
    if not visit(tag, some) then return tag end
    first = first + #some
    seen = seen + #some
    if not cleans then for _, key in ipairs(some) do done[#done + 1] = key end end
  until first > #members or work >= budget and not cleans
  if first <= #members then
    cursor = at .. '/' .. cmsgpack.pack(done)
    return tag
  end
  cursor = found[1]
  if cursor == '0' then return following(tag) end
  return tag
end
local function follow_moves()
  local name, at = string.match(log, '^(.*):(%d+)$')
  if call('LINDEX', moves, 0) ~= name then
    log, cursor = 'lost', '0'
    return nil
  end
  local found
  repeat
    found = call('LRANGE', moves, at, at + few - 1)
    local own, meant = #found > 0 and call('HMGET', records, unpack(found)) or {}, {}
    for n, key in ipairs(found) do
      if own[n] and carries(tags_of(own[n]), query) then meant[#meant + 1] = key end
    end
    if #meant > 0 then drop(query, meant) end
    at = at + #found
    seen = seen + #found
  until #found < few or work >= budget
  log = string.format('%s:%d', name, at)
  return #found == few and query or nil
end
local tag = place == '' and query or place
if cursor == 'moves' then
  tag = follow_moves()
else
  repeat tag = go_on_in(tag) until not tag or work >= budget
end
if tag or place ~= '' or ARGV[5] ~= '0' then
  is_clean = #dropped == 0
else
  budget = budget + 1000
  for _, part in ipairs(dropped) do is_clean = is_clean and forget_gone(part[1], part[2]) end
end
if drops and (tag or log ~= '') then
  if log == '' then
    local now = call('TIME')
    if call('EXISTS', moves) == 0 then call('RPUSH', moves, string.format('%s.%06d', now[1], now[2])) end
    log = string.format('%s:%d', call('LINDEX', moves, 0), call('LLEN', moves))
  end
  call('PEXPIRE', moves, 60000)
end
local size = tag and call('HLEN', index .. tag) or 0
return {count, log, tag or '', cursor, keys, is_clean and 1 or 0, walked, seen, size}
)";

/// A sweep as one step, for what is between MULTI and EXEC. It looks first at all that it would touch: where
/// that is too much nothing is done. Replies how many keys; if it was to tell, it drops them and says which.
constexpr ByteView kWhole = R"(
local aim, need_all, most, refusal, first_tag = ARGV[1], ARGV[3] == 'all', tonumber(ARGV[4]), ARGV[5], 6
local keys, own, seen, walked = {}, {}, {}, nil
local function look_at(tag, members, first, last)
  for n, record in ipairs(call('HMGET', records, unpack(members, first, last))) do
    local tags = record and cmsgpack.unpack(record)
    if tags then work = work + #tags + #record / 200 end
    if not tags or not need_all or carries_all(tags, first_tag, walked) then
      keys[#keys + 1] = members[first + n - 1]
      own[#keys] = record or cmsgpack.pack({tag})
    end
  end
end
local function walk(tag)
  work = work + 5 + call('HLEN', index .. tag)
  if work > most then return end
  local fresh = {}
  for _, key in ipairs(call('HKEYS', index .. tag)) do
    if not seen[key] then
      seen[key] = true
      fresh[#fresh + 1] = key
    end
  end
  for first = 1, #fresh, few do
    if work <= most then look_at(tag, fresh, first, math.min(first + few - 1, #fresh)) end
  end
end
local function walk_all(query)
  walk(query)
  if exact or work > most then return end
  local below = call('ZRANGEBYLEX', registry, '[' .. query .. ':', '(' .. query .. ';', 'LIMIT', 0, most)
  for _, tag in ipairs(below) do if work <= most then walk(tag) end end
end
if need_all then
  walked = fewest(first_tag)
  if walked then walk_all(ARGV[walked]) end
else
  for n = first_tag, #ARGV do walk_all(ARGV[n]) end
end
if work > most then return redis.error_reply(refusal) end
if aim == 'count' then return #present(keys) end
if #keys == 0 then return {0, keys} end
local count = call('UNLINK', unpack(keys))
forget_many(keys, own, nil)
return {count, keys}
)";

constexpr ByteView kPrune = R"(
redis.replicate_commands()
local cursor, most, seen, forgotten = ARGV[1], tonumber(ARGV[2]), 0, 0
budget = 1500
repeat
  local found = call('HSCAN', records, cursor, 'COUNT', few)
  local keys, gone, own = fields_of(found[2]), {}, {}
  if #keys > 0 and call('EXISTS', unpack(keys)) < #keys then
    for n, key in ipairs(keys) do
      if call('EXISTS', key) == 0 then
        gone[#gone + 1] = key
        own[#own + 1] = found[2][2 * n]
      end
    end
  end
  for n = 2, #found[2], 2 do work = work + 1 + #found[2][n] / 200 end
  seen = seen + #keys
  local done = forget_many(gone, own)
  forgotten = forgotten + done
  -- What is left is found once more.
  if done < #gone then break end
  cursor = found[1]
until cursor == '0' or seen >= most or work >= budget
return {cursor, seen, forgotten}
)";

/// How many keys of the bookkeeping there are in a group; 0 where that may not be known. `d` and `s`:
/// tag_directory.h.
constexpr ByteView kHidden = R"(
local function hidden_in(group)
  local names = {}
  for n, letter in ipairs({'r', 't', 'm', 'j', 'd', 's'}) do names[n] = group .. letter end
  local tags, others = redis.pcall('ZCARD', group .. 't'), redis.pcall('EXISTS', unpack(names))
  if type(tags) == 'number' and type(others) == 'number' then return tags + others end
  return 0
end
)";

constexpr ByteView kSize = R"(
local size = redis.call('DBSIZE')
for _, group in ipairs(ARGV) do size = size - hidden_in(group) end
return size
)";

constexpr ByteView kSlot = R"(
local slot, hidden, prefix, most = ARGV[1], hidden_in(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local all = redis.call('CLUSTER', 'COUNTKEYSINSLOT', slot)
if not most then return all - hidden end
local shown = {}
for _, key in ipairs(redis.call('CLUSTER', 'GETKEYSINSLOT', slot, math.min(most + hidden, all))) do
  if #shown < most and string.sub(key, 1, #prefix) ~= prefix then shown[#shown + 1] = key end
end
return shown
)";

constexpr ByteView kPick = R"(local prefix = ARGV[1]
for n = 1, 1000 do
  local key = redis.call('RANDOMKEY')
  if not key or string.sub(key, 1, #prefix) ~= prefix then return key end
end
for _, key in ipairs(redis.call('SCAN', 0, 'COUNT', 1000)[2]) do
  if string.sub(key, 1, #prefix) ~= prefix then return key end
end
return false
)";

/// Moves on those that are named first and removes the others; replies those that are overdue, moved on too.
constexpr ByteView kJournal = R"(
redis.replicate_commands()
local call, journal, most, others = redis.call, KEYS[1], ARGV[2], 4 + ARGV[3]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function move_on(member) call('ZADD', journal, string.format('%.0f', now + ARGV[1]), member) end
for n = 4, others - 1 do move_on(ARGV[n]) end
for n = others, #ARGV do call('ZREM', journal, ARGV[n]) end
if most == '0' then return {} end
local overdue = call('ZRANGEBYSCORE', journal, '-inf', string.format('%.0f', now), 'LIMIT', 0, most)
for _, member in ipairs(overdue) do move_on(member) end
return overdue
)";

constexpr ByteView kRecordsFirst = "local records = string.sub(KEYS[1], 1, -2) .. 'r'\n";
constexpr ByteView kRecordsSecond = "local records = string.sub(KEYS[2], 1, -2) .. 'r'\n";
constexpr ByteView kRecordsThird = "local records = string.sub(KEYS[3], 1, -2) .. 'r'\n";
constexpr ByteView kReachSecond = "local exact = ARGV[2] == 'exact'\n";
constexpr ByteView kReachThird = "local exact = ARGV[3] == 'exact'\n";

LoadedScript make(std::initializer_list<ByteView> parts) {
  LoadedScript script;
  for (const ByteView part : parts) script.body += part;
  script.sha = sha1_hex(script.body);
  return script;
}

}  // namespace

const std::array<LoadedScript, kTagScripts>& tag_scripts() {
  static const std::array<LoadedScript, kTagScripts> scripts = {
      make({kRecordsSecond, kSet, kGroup, kSetChanged}),
      make({kSetMany, kGroup, kSetManyChanged}),
      make({kRecordsSecond, kGroup, kOrder, kAdd}),
      make({kRecordsSecond, kGroup, kRemove}),
      make({kRecordsSecond, kList}),
      make({kRecordsThird, kGroup, kCarry}),
      make({kRecordsSecond, kGroup, kMove}),
      make({kTidy, kGroup, kTidyKnown}),
      make({kRecordsFirst, kGroup, kReachSecond, kWork, kMeaning, kKeys}),
      make({kRecordsFirst, kGroup, kReachThird, kWork, kMeaning, kAll, kForgetMany, kSweep}),
      make({kRecordsFirst, kGroup, kReachSecond, kWork, kMeaning, kAll, kForgetMany, kWhole}),
      make({kRecordsFirst, kGroup, kWork, kForgetMany, kPrune}),
      make({kHidden, kSize}),
      make({kHidden, kSlot}),
      make({kPick}),
      make({kJournal}),
  };
  return scripts;
}

}  // namespace larder::redis
