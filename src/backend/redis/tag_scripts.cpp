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

/// Forgets keys that are gone, of which `own` are the records; `tag`, if there is one: they are in its index.
/// A key may have 32 tags, so that many keys would take long: false when some of them are left for later.
constexpr ByteView kForgetMany = R"(
local function deregister(tags)
  local names, left = {}, {}
  for n, tag in ipairs(tags) do names[n] = index .. tag end
  local alive = call('EXISTS', unpack(names))
  for n, tag in ipairs(tags) do
    if alive == 0 or alive < #tags and call('EXISTS', names[n]) == 0 then left[#left + 1] = tag end
  end
  if #left > 0 then call('ZREM', registry, unpack(left)) end
end
local function forget_many(keys, own, tag, most)
  local gone, leaving, touched, spent = {}, {}, {tag}, 0
  for n, key in ipairs(keys) do
    if spent >= (most or 500) then break end
    gone[n] = key
    for _, other in ipairs(own[n] and cmsgpack.unpack(own[n]) or {}) do
      spent = spent + 1
      local list = leaving[other]
      if other == tag then
      elseif list then
        list[#list + 1] = key
      else
        leaving[other] = {key}
        touched[#touched + 1] = other
      end
    end
  end
  if #gone == 0 then return true end
  call('HDEL', records, unpack(gone))
  if tag then call('HDEL', index .. tag, unpack(gone)) end
  for other, list in pairs(leaving) do call('HDEL', index .. other, unpack(list)) end
  if #touched > 0 then deregister(touched) end
  return #gone == #keys
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

/// Which keys the words of a query mean.
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
local place = string.format('%.0f', math.floor(cursor / 2))
if all then
  found = call('HSCAN', records, place, 'COUNT', ARGV[4])
  for n = 1, #found[2], 2 do
    if carries(cmsgpack.unpack(found[2][n + 1]), query) then meant[#meant + 1] = found[2][n] end
  end
else
  found = call('HSCAN', index .. query, place, 'COUNT', ARGV[4])
  local members = {}
  for n = 1, #found[2], 2 do members[#members + 1] = found[2][n] end
  if #members > 0 then
    for n, record in ipairs(call('HMGET', records, unpack(members))) do
      if not record or carries(cmsgpack.unpack(record), query) then meant[#meant + 1] = members[n] end
    end
  end
end
local next_cursor = tonumber(found[1]) * 2
if all and next_cursor > 0 then next_cursor = next_cursor + 1 end
return {string.format('%.0f', next_cursor), present(meant)}
)";

/// One bounded step. Replies how many keys, the log of moves and how far it was read (if the sweep takes more
/// than this step), where to go on, the keys, and whether there is something to be cleaned up.
///
/// Where it ends, the keys in the log are looked at, until there are no more: they may have been where it was
/// still to come and are where it was. That takes no longer than to move them did, however many are moved. A
/// log that is lost, as it was too long or nobody went on for a minute, takes the sweep back to its begin.
///
/// While keys are dropped nothing is done that can be done later: their records stay, as those of keys that
/// have expired. A sweep of one step cleans up at once, of a longer one `clean` does it.
constexpr ByteView kSweep = R"(
redis.replicate_commands()
local aim, budget = ARGV[1], tonumber(ARGV[2])
local drops, cleans, tells = aim == 'drop' or aim == 'tell', aim == 'clean', aim == 'tell'
local place, cursor, log = ARGV[4], ARGV[5], ARGV[6]
local query, count, keys, spent, dropped, is_clean = ARGV[7], 0, {}, 0, {}, true
local function following(tag)
  if exact then return nil end
  local from = tag == query and '[' .. query .. ':' or '(' .. tag
  return call('ZRANGEBYLEX', registry, from, '(' .. query .. ';', 'LIMIT', 0, 1)[1]
end
local function has_others(tags)
  for n = 8, #ARGV do if not carries(tags, ARGV[n]) then return false end end
  return true
end
local function counted(tags, tag)
  for _, own in ipairs(tags) do if covers(query, own) then return own == tag end end
  return false
end
local function with_others(members)
  if #ARGV < 8 then return members end
  local meant = {}
  for n, record in ipairs(call('HMGET', records, unpack(members))) do
    if not record or has_others(cmsgpack.unpack(record)) then meant[#meant + 1] = members[n] end
  end
  return meant
end
local function drop(tag, members)
  local meant = with_others(members)
  if #meant == 0 then return end
  count = count + call('UNLINK', unpack(meant))
  dropped[#dropped + 1] = {tag, meant}
  if tells then for _, key in ipairs(meant) do keys[#keys + 1] = key end end
end
local function forget_gone(tag, members)
  local gone = members
  if call('EXISTS', unpack(members)) > 0 then
    gone = {}
    for _, key in ipairs(members) do if call('EXISTS', key) == 0 then gone[#gone + 1] = key end end
    if #gone == 0 then return true end
  end
  return forget_many(gone, call('HMGET', records, unpack(gone)), tag)
end
local function add_up(tag, members)
  local meant = {}
  for n, record in ipairs(call('HMGET', records, unpack(members))) do
    if not record or counted(cmsgpack.unpack(record), tag) then meant[#meant + 1] = members[n] end
  end
  count = count + #present(meant)
end
local function follow_moves()
  local name, at = string.match(log, '^(.*):(%d+)$')
  if call('LINDEX', moves, 0) ~= name then
    log = 'lost'
    return nil
  end
  local found, own, meant, seen = call('LRANGE', moves, at, at + budget - 1), {}, {}, {}
  if #found > 0 then own = call('HMGET', records, unpack(found)) end
  for n, key in ipairs(found) do
    if own[n] and not seen[key] and carries(cmsgpack.unpack(own[n]), query) then meant[#meant + 1] = key end
    seen[key] = true
  end
  if #meant > 0 then drop(query, meant) end
  log = string.format('%s:%d', name, at + #found)
  return #found == budget and query or nil
end
local tag = place == '' and query or place
if cursor == 'moves' then
  tag, spent = follow_moves(), budget
  if log == 'lost' then cursor = '0' end
end
while tag and spent < budget do
  local found = call('HSCAN', index .. tag, cursor, 'COUNT', budget - spent)
  local members = {}
  for n = 1, #found[2], 2 do members[#members + 1] = found[2][n] end
  if #members > 0 then
    if drops then
      drop(tag, members)
    elseif cleans then
      -- What is left is found once more.
      if not forget_gone(tag, members) then break end
    else
      add_up(tag, members)
    end
  end
  spent = spent + #members + 10
  cursor = found[1]
  if cursor == '0' then tag = following(tag) end
end
if tag or place ~= '' or ARGV[5] ~= '0' then
  is_clean = #dropped == 0
else
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
return {count, log, tag or '', cursor, keys, is_clean and 1 or 0}
)";

/// A sweep as one step, for what is between MULTI and EXEC. It looks first at all that it would touch: where
/// that is too much nothing is done. Replies how many keys; if it was to tell, it drops them and says which.
constexpr ByteView kWhole = R"(
local aim, need_all, left, refusal = ARGV[1], ARGV[3] == 'all', tonumber(ARGV[4]), ARGV[5]
local keys, own, seen = {}, {}, {}
local function is_meant(tags)
  for n = 6, #ARGV do
    local carried = carries(tags, ARGV[n])
    if carried ~= need_all then return carried end
  end
  return need_all
end
local function look_at(tag, members, first, last)
  for n, record in ipairs(call('HMGET', records, unpack(members, first, last))) do
    local tags = record and cmsgpack.unpack(record)
    left = left - (tags and #tags or 0)
    if not tags or is_meant(tags) then
      keys[#keys + 1] = members[first + n - 1]
      own[#keys] = record or cmsgpack.pack({tag})
    end
  end
end
local function walk(tag)
  left = left - 5 - call('HLEN', index .. tag)
  if left < 0 then return end
  local fresh = {}
  for _, key in ipairs(call('HKEYS', index .. tag)) do
    if not seen[key] then
      seen[key] = true
      fresh[#fresh + 1] = key
    end
  end
  for first = 1, #fresh, 200 do
    if left >= 0 then look_at(tag, fresh, first, math.min(first + 199, #fresh)) end
  end
end
for n = 6, need_all and 6 or #ARGV do
  local query = ARGV[n]
  walk(query)
  if not exact and left >= 0 then
    local below = call('ZRANGEBYLEX', registry, '[' .. query .. ':', '(' .. query .. ';', 'LIMIT', 0, left + 1)
    for _, tag in ipairs(below) do if left >= 0 then walk(tag) end end
  end
end
if left < 0 then return redis.error_reply(refusal) end
if aim == 'count' then return #present(keys) end
if #keys == 0 then return {0, keys} end
local count = call('UNLINK', unpack(keys))
forget_many(keys, own, nil, math.huge)
return {count, keys}
)";

constexpr ByteView kPrune = R"(
redis.replicate_commands()
local found = call('HSCAN', records, ARGV[1], 'COUNT', ARGV[2])
local keys, gone, own, cursor = {}, {}, {}, found[1]
for n = 1, #found[2], 2 do keys[#keys + 1] = found[2][n] end
if #keys > 0 and call('EXISTS', unpack(keys)) < #keys then
  for n, key in ipairs(keys) do
    if call('EXISTS', key) == 0 then
      gone[#gone + 1] = key
      own[#own + 1] = found[2][2 * n]
    end
  end
  -- What is left is found once more.
  if not forget_many(gone, own) then cursor = ARGV[1] end
end
return {cursor, #keys, #gone}
)";

constexpr ByteView kSize = R"(
return call('DBSIZE') - call('EXISTS', records, registry, moves) - call('ZCARD', registry)
)";

/// The same of a node of a cluster, which has several groups.
constexpr ByteView kSizes = R"(local size = redis.call('DBSIZE')
for _, group in ipairs(ARGV) do
  local tags = redis.pcall('ZCARD', group .. 't')
  local others = redis.pcall('EXISTS', group .. 'r', group .. 't', group .. 'm', group .. 'd', group .. 's')
  if type(tags) == 'number' and type(others) == 'number' then size = size - tags - others end
end
return size
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

constexpr ByteView kRecordsFirst = "local records = string.sub(KEYS[1], 1, -2) .. 'r'\n";
constexpr ByteView kRecordsSecond = "local records = string.sub(KEYS[2], 1, -2) .. 'r'\n";
constexpr ByteView kRecordsThird = "local records = string.sub(KEYS[3], 1, -2) .. 'r'\n";
constexpr ByteView kRecordsFromArguments = "local records = ARGV[1]\n";
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
      make({kRecordsFirst, kGroup, kReachSecond, kMeaning, kKeys}),
      make({kRecordsFirst, kGroup, kReachThird, kMeaning, kForgetMany, kSweep}),
      make({kRecordsFirst, kGroup, kReachSecond, kMeaning, kForgetMany, kWhole}),
      make({kRecordsFirst, kGroup, kForgetMany, kPrune}),
      make({kRecordsFromArguments, kGroup, kSize}),
      make({kSizes}),
      make({kPick}),
  };
  return scripts;
}

}  // namespace larder::redis
