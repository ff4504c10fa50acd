#pragma once

#include <optional>
#include <vector>

#include "command/call.h"

// The data commands: one plain function each, over the records of the keys it names.
//
// A handler appends exactly one reply, an error included, and knows nothing of sockets or backends. The
// number of arguments was checked against the command's row. What Redis checks first is checked first here.
namespace larder::commands {

// strings.cpp
void append(Call& call, Records& records);
void decr(Call& call, Records& records);
void decrby(Call& call, Records& records);
void get(Call& call, Records& records);
void getdel(Call& call, Records& records);
void getex(Call& call, Records& records);
void getrange(Call& call, Records& records);
void getset(Call& call, Records& records);
void incr(Call& call, Records& records);
void incrby(Call& call, Records& records);
void incrbyfloat(Call& call, Records& records);
void mget(Call& call, Records& records);
void mset(Call& call, Records& records);
void msetnx(Call& call, Records& records);
void psetex(Call& call, Records& records);
void set(Call& call, Records& records);
void setex(Call& call, Records& records);
void setnx(Call& call, Records& records);
void setrange(Call& call, Records& records);
void strlen(Call& call, Records& records);

// lcs.cpp
void lcs(Call& call, Records& records);

// keys.cpp
void copy(Call& call, Records& records);
void del(Call& call, Records& records);
void exists(Call& call, Records& records);
void move(Call& call, Records& records);
void rename(Call& call, Records& records);
void renamenx(Call& call, Records& records);
void type(Call& call, Records& records);

// expiry.cpp
void expire(Call& call, Records& records);
void expireat(Call& call, Records& records);
void expiretime(Call& call, Records& records);
void persist(Call& call, Records& records);
void pexpire(Call& call, Records& records);
void pexpireat(Call& call, Records& records);
void pexpiretime(Call& call, Records& records);
void pttl(Call& call, Records& records);
void ttl(Call& call, Records& records);

// tags.cpp
void tagadd(Call& call, Records& records);
void taglist(Call& call, Records& records);
void tagrem(Call& call, Records& records);

// object.cpp
void memory_help(Call& call, Records& records);
void memory_usage(Call& call, Records& records);
void object_encoding(Call& call, Records& records);
void object_freq(Call& call, Records& records);
void object_help(Call& call, Records& records);
void object_idletime(Call& call, Records& records);
void object_refcount(Call& call, Records& records);

/// COPY's keys: the destination lies in the database that its DB option names.
void find_copy_keys(const Call& call, std::vector<KeyRef>& keys);

/// MOVE's keys: the same one in two databases.
void find_move_keys(const Call& call, std::vector<KeyRef>& keys);

/// True when a string command met another type; WRONGTYPE was answered then.
[[nodiscard]] bool refuse_other_type(Call& call, const std::optional<Item>& item);

/// Stores a string, or removes the key when its expiry has already come.
void store(const Call& call, Records& records, const KeyRef& key, ByteView value, UnixMs expire_at);

}  // namespace larder::commands
