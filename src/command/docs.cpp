#include "command/docs.h"

#include <algorithm>
#include <cassert>

namespace larder {
namespace {

// Bits of ArgumentDoc::flags.
constexpr unsigned kOptional = 1;
constexpr unsigned kMultiple = 2;
constexpr unsigned kMultipleToken = 4;

constexpr ArgumentDoc kKeyValue[] = {
    {.name = "key", .type = "key"},
    {.name = "value", .type = "string"},
};

constexpr ArgumentDoc kAuthArguments[] = {
    {.name = "username", .type = "string", .since = "6.0.0", .flags = kOptional},
    {.name = "password", .type = "string"},
};

constexpr ArgumentDoc kClientKillFilterNewFormatNormalMasterSlavePubsubArguments[] = {
    {.name = "normal", .type = "pure-token", .token = "NORMAL"},
    {.name = "master", .type = "pure-token", .token = "MASTER", .since = "3.2.0"},
    {.name = "slave", .type = "pure-token", .token = "SLAVE"},
    {.name = "replica", .type = "pure-token", .token = "REPLICA", .since = "5.0.0"},
    {.name = "pubsub", .type = "pure-token", .token = "PUBSUB"},
};

constexpr ArgumentDoc kClientKillFilterNewFormatArguments[] = {
    {.name = "client-id", .type = "integer", .token = "ID", .since = "2.8.12", .flags = kOptional},
    {.name = "normal_master_slave_pubsub",
     .type = "oneof",
     .token = "TYPE",
     .since = "2.8.12",
     .flags = kOptional,
     .arguments = kClientKillFilterNewFormatNormalMasterSlavePubsubArguments},
    {.name = "username", .type = "string", .token = "USER", .flags = kOptional},
    {.name = "ip:port", .type = "string", .token = "ADDR", .flags = kOptional},
    {.name = "ip:port", .type = "string", .token = "LADDR", .since = "6.2.0", .flags = kOptional},
    {.name = "yes/no", .type = "string", .token = "SKIPME", .flags = kOptional},
};

constexpr ArgumentDoc kClientKillFilterArguments[] = {
    {.name = "ip:port", .type = "string"},
    {.name = "new-format",
     .type = "oneof",
     .flags = kMultiple,
     .arguments = kClientKillFilterNewFormatArguments},
};

constexpr ArgumentDoc kClientKillArguments[] = {
    {.name = "filter", .type = "oneof", .arguments = kClientKillFilterArguments},
};

constexpr ArgumentDoc kClientListNormalMasterReplicaPubsubArguments[] = {
    {.name = "normal", .type = "pure-token", .token = "NORMAL"},
    {.name = "master", .type = "pure-token", .token = "MASTER"},
    {.name = "replica", .type = "pure-token", .token = "REPLICA"},
    {.name = "pubsub", .type = "pure-token", .token = "PUBSUB"},
};

constexpr ArgumentDoc kClientListIdArguments[] = {
    {.name = "client-id", .type = "integer", .flags = kMultiple},
};

constexpr ArgumentDoc kClientListArguments[] = {
    {.name = "normal_master_replica_pubsub",
     .type = "oneof",
     .token = "TYPE",
     .since = "5.0.0",
     .flags = kOptional,
     .arguments = kClientListNormalMasterReplicaPubsubArguments},
    {.name = "id",
     .type = "block",
     .token = "ID",
     .since = "6.2.0",
     .flags = kOptional,
     .arguments = kClientListIdArguments},
};

constexpr ArgumentDoc kOnOff[] = {
    {.name = "on", .type = "pure-token", .token = "ON"},
    {.name = "off", .type = "pure-token", .token = "OFF"},
};

constexpr ArgumentDoc kClientNoEvictArguments[] = {
    {.name = "enabled", .type = "oneof", .arguments = kOnOff},
};

constexpr ArgumentDoc kClientPauseModeArguments[] = {
    {.name = "write", .type = "pure-token", .token = "WRITE"},
    {.name = "all", .type = "pure-token", .token = "ALL"},
};

constexpr ArgumentDoc kClientPauseArguments[] = {
    {.name = "timeout", .type = "integer"},
    {.name = "mode",
     .type = "oneof",
     .since = "6.2.0",
     .flags = kOptional,
     .arguments = kClientPauseModeArguments},
};

constexpr ArgumentDoc kClientReplyOnOffSkipArguments[] = {
    {.name = "on", .type = "pure-token", .token = "ON"},
    {.name = "off", .type = "pure-token", .token = "OFF"},
    {.name = "skip", .type = "pure-token", .token = "SKIP"},
};

constexpr ArgumentDoc kClientReplyArguments[] = {
    {.name = "on_off_skip", .type = "oneof", .arguments = kClientReplyOnOffSkipArguments},
};

constexpr ArgumentDoc kClientSetinfoAttrArguments[] = {
    {.name = "libname", .type = "string", .token = "LIB-NAME"},
    {.name = "libver", .type = "string", .token = "LIB-VER"},
};

constexpr ArgumentDoc kClientSetinfoArguments[] = {
    {.name = "attr", .type = "oneof", .arguments = kClientSetinfoAttrArguments},
};

constexpr ArgumentDoc kClientSetnameArguments[] = {
    {.name = "connection-name", .type = "string"},
};

constexpr ArgumentDoc kCommandNames[] = {
    {.name = "command-name", .type = "string", .flags = kOptional | kMultiple},
};

constexpr ArgumentDoc kCommandListFilterbyArguments[] = {
    {.name = "module-name", .type = "string", .token = "MODULE"},
    {.name = "category", .type = "string", .token = "ACLCAT"},
    {.name = "pattern", .type = "pattern", .token = "PATTERN"},
};

constexpr ArgumentDoc kCommandListArguments[] = {
    {.name = "filterby",
     .type = "oneof",
     .token = "FILTERBY",
     .flags = kOptional,
     .arguments = kCommandListFilterbyArguments},
};

constexpr ArgumentDoc kConfigGetParameterArguments[] = {
    {.name = "parameter", .type = "string"},
};

constexpr ArgumentDoc kConfigGetArguments[] = {
    {.name = "parameter", .type = "block", .flags = kMultiple, .arguments = kConfigGetParameterArguments},
};

constexpr ArgumentDoc kConfigSetParameterValueArguments[] = {
    {.name = "parameter", .type = "string"},
    {.name = "value", .type = "string"},
};

constexpr ArgumentDoc kConfigSetArguments[] = {
    {.name = "parameter_value",
     .type = "block",
     .flags = kMultiple,
     .arguments = kConfigSetParameterValueArguments},
};

constexpr ArgumentDoc kCopyArguments[] = {
    {.name = "source", .type = "key"},
    {.name = "destination", .type = "key", .key_spec = 1},
    {.name = "destination-db", .type = "integer", .token = "DB", .flags = kOptional},
    {.name = "replace", .type = "pure-token", .token = "REPLACE", .flags = kOptional},
};

constexpr ArgumentDoc kKeyArgument[] = {
    {.name = "key", .type = "key"},
};

constexpr ArgumentDoc kDecrbyArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "decrement", .type = "integer"},
};

constexpr ArgumentDoc kClientUnblockTimeoutErrorArguments[] = {
    {.name = "timeout", .type = "pure-token", .token = "TIMEOUT"},
    {.name = "error", .type = "pure-token", .token = "ERROR"},
};

constexpr ArgumentDoc kClientUnblockArguments[] = {
    {.name = "client-id", .type = "integer"},
    {.name = "timeout_error",
     .type = "oneof",
     .flags = kOptional,
     .arguments = kClientUnblockTimeoutErrorArguments},
};

constexpr ArgumentDoc kKeys[] = {
    {.name = "key", .type = "key", .flags = kMultiple},
};

constexpr ArgumentDoc kPublishArguments[] = {
    {.name = "channel", .type = "string"},
    {.name = "message", .type = "string"},
};

constexpr ArgumentDoc kSpublishArguments[] = {
    {.name = "shardchannel", .type = "string"},
    {.name = "message", .type = "string"},
};

constexpr ArgumentDoc kPubsubChannelsArguments[] = {
    {.name = "pattern", .type = "pattern", .flags = kOptional},
};

constexpr ArgumentDoc kPattern[] = {
    {.name = "pattern", .type = "pattern"},
};

constexpr ArgumentDoc kPsubscribeArguments[] = {
    {.name = "pattern", .type = "block", .flags = kMultiple, .arguments = kPattern},
};

constexpr ArgumentDoc kPunsubscribeArguments[] = {
    {.name = "pattern", .type = "pattern", .flags = kOptional | kMultiple},
};

constexpr ArgumentDoc kSsubscribeArguments[] = {
    {.name = "shardchannel", .type = "string", .flags = kMultiple},
};

constexpr ArgumentDoc kSubscribeArguments[] = {
    {.name = "channel", .type = "string", .flags = kMultiple},
};

constexpr ArgumentDoc kSunsubscribeArguments[] = {
    {.name = "shardchannel", .type = "string", .flags = kOptional | kMultiple},
};

constexpr ArgumentDoc kUnsubscribeArguments[] = {
    {.name = "channel", .type = "string", .flags = kOptional | kMultiple},
};

constexpr ArgumentDoc kEchoArguments[] = {
    {.name = "message", .type = "string"},
};

constexpr ArgumentDoc kNxXxGtLt[] = {
    {.name = "nx", .type = "pure-token", .token = "NX"},
    {.name = "xx", .type = "pure-token", .token = "XX"},
    {.name = "gt", .type = "pure-token", .token = "GT"},
    {.name = "lt", .type = "pure-token", .token = "LT"},
};

constexpr ArgumentDoc kExpireArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "seconds", .type = "integer"},
    {.name = "condition", .type = "oneof", .since = "7.0.0", .flags = kOptional, .arguments = kNxXxGtLt},
};

constexpr ArgumentDoc kExpireatArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "unix-time-seconds", .type = "unix-time"},
    {.name = "condition", .type = "oneof", .since = "7.0.0", .flags = kOptional, .arguments = kNxXxGtLt},
};

constexpr ArgumentDoc kAsyncSync[] = {
    {.name = "async", .type = "pure-token", .token = "ASYNC", .since = "4.0.0"},
    {.name = "sync", .type = "pure-token", .token = "SYNC", .since = "6.2.0"},
};

constexpr ArgumentDoc kFlushallArguments[] = {
    {.name = "async", .type = "oneof", .flags = kOptional, .arguments = kAsyncSync},
};

constexpr ArgumentDoc kGetexExpirationArguments[] = {
    {.name = "seconds", .type = "integer", .token = "EX"},
    {.name = "milliseconds", .type = "integer", .token = "PX"},
    {.name = "unix-time-seconds", .type = "unix-time", .token = "EXAT"},
    {.name = "unix-time-milliseconds", .type = "unix-time", .token = "PXAT"},
    {.name = "persist", .type = "pure-token", .token = "PERSIST"},
};

constexpr ArgumentDoc kGetexArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "expiration", .type = "oneof", .flags = kOptional, .arguments = kGetexExpirationArguments},
};

constexpr ArgumentDoc kKeyStartEnd[] = {
    {.name = "key", .type = "key"},
    {.name = "start", .type = "integer"},
    {.name = "end", .type = "integer"},
};

constexpr ArgumentDoc kHelloArgumentsUsernamePasswordArguments[] = {
    {.name = "username", .type = "string"},
    {.name = "password", .type = "string"},
};

constexpr ArgumentDoc kHelloArgumentsArguments[] = {
    {.name = "protover", .type = "integer"},
    {.name = "username_password",
     .type = "block",
     .token = "AUTH",
     .flags = kOptional,
     .arguments = kHelloArgumentsUsernamePasswordArguments},
    {.name = "clientname", .type = "string", .token = "SETNAME", .flags = kOptional},
};

constexpr ArgumentDoc kHelloArguments[] = {
    {.name = "arguments", .type = "block", .flags = kOptional, .arguments = kHelloArgumentsArguments},
};

constexpr ArgumentDoc kIncrbyArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "increment", .type = "integer"},
};

constexpr ArgumentDoc kIncrbyfloatArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "increment", .type = "double"},
};

constexpr ArgumentDoc kInfoArguments[] = {
    {.name = "section", .type = "string", .flags = kOptional | kMultiple},
};

constexpr ArgumentDoc kKeysArguments[] = {
    {.name = "pattern", .type = "pattern"},
};

constexpr ArgumentDoc kLarderHotkeysArguments[] = {
    {.name = "count", .type = "integer", .token = "COUNT", .flags = kOptional},
};

constexpr ArgumentDoc kLatencyHistogramArguments[] = {
    {.name = "command", .type = "string", .flags = kOptional | kMultiple},
};

constexpr ArgumentDoc kLcsArguments[] = {
    {.name = "key1", .type = "key"},
    {.name = "key2", .type = "key"},
    {.name = "len", .type = "pure-token", .token = "LEN", .flags = kOptional},
    {.name = "idx", .type = "pure-token", .token = "IDX", .flags = kOptional},
    {.name = "len", .type = "integer", .token = "MINMATCHLEN", .flags = kOptional},
    {.name = "withmatchlen", .type = "pure-token", .token = "WITHMATCHLEN", .flags = kOptional},
};

constexpr ArgumentDoc kMemoryUsageArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "count", .type = "integer", .token = "SAMPLES", .flags = kOptional},
};

constexpr ArgumentDoc kMoveArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "db", .type = "integer"},
};

constexpr ArgumentDoc kMsetArguments[] = {
    {.name = "key_value", .type = "block", .flags = kMultiple, .arguments = kKeyValue},
};

constexpr ArgumentDoc kPexpireArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "milliseconds", .type = "integer"},
    {.name = "condition", .type = "oneof", .since = "7.0.0", .flags = kOptional, .arguments = kNxXxGtLt},
};

constexpr ArgumentDoc kPexpireatArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "unix-time-milliseconds", .type = "unix-time"},
    {.name = "condition", .type = "oneof", .since = "7.0.0", .flags = kOptional, .arguments = kNxXxGtLt},
};

constexpr ArgumentDoc kPingArguments[] = {
    {.name = "message", .type = "string", .flags = kOptional},
};

constexpr ArgumentDoc kPsetexArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "milliseconds", .type = "integer"},
    {.name = "value", .type = "string"},
};

constexpr ArgumentDoc kKeyNewkey[] = {
    {.name = "key", .type = "key"},
    {.name = "newkey", .type = "key", .key_spec = 1},
};

constexpr ArgumentDoc kScanArguments[] = {
    {.name = "cursor", .type = "integer"},
    {.name = "pattern", .type = "pattern", .token = "MATCH", .flags = kOptional},
    {.name = "count", .type = "integer", .token = "COUNT", .flags = kOptional},
    {.name = "type", .type = "string", .token = "TYPE", .since = "6.0.0", .flags = kOptional},
};

constexpr ArgumentDoc kSelectArguments[] = {
    {.name = "index", .type = "integer"},
};

constexpr ArgumentDoc kSetConditionArguments[] = {
    {.name = "nx", .type = "pure-token", .token = "NX"},
    {.name = "xx", .type = "pure-token", .token = "XX"},
};

constexpr ArgumentDoc kSetExpirationArguments[] = {
    {.name = "seconds", .type = "integer", .token = "EX", .since = "2.6.12"},
    {.name = "milliseconds", .type = "integer", .token = "PX", .since = "2.6.12"},
    {.name = "unix-time-seconds", .type = "unix-time", .token = "EXAT", .since = "6.2.0"},
    {.name = "unix-time-milliseconds", .type = "unix-time", .token = "PXAT", .since = "6.2.0"},
    {.name = "keepttl", .type = "pure-token", .token = "KEEPTTL", .since = "6.0.0"},
};

constexpr ArgumentDoc kCountedTags[] = {
    {.name = "numtags", .type = "integer"},
    {.name = "tag", .type = "string", .flags = kMultiple},
};

constexpr ArgumentDoc kSetArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "value", .type = "string"},
    {.name = "condition",
     .type = "oneof",
     .since = "2.6.12",
     .flags = kOptional,
     .arguments = kSetConditionArguments},
    {.name = "get", .type = "pure-token", .token = "GET", .since = "6.2.0", .flags = kOptional},
    {.name = "expiration", .type = "oneof", .flags = kOptional, .arguments = kSetExpirationArguments},
    {.name = "tags",
     .type = "block",
     .token = "TAGS",
     .since = "7.0.0",
     .flags = kOptional,
     .arguments = kCountedTags},
};

constexpr ArgumentDoc kKeyTags[] = {
    {.name = "key", .type = "key"},
    {.name = "tag", .type = "string", .flags = kMultiple},
};

constexpr ArgumentDoc kTagcountArguments[] = {
    {.name = "tag", .type = "string"},
    {.name = "exact", .type = "pure-token", .token = "EXACT", .flags = kOptional},
};

constexpr ArgumentDoc kTaginvalidateArguments[] = {
    {.name = "tag", .type = "string", .flags = kMultiple},
    {.name = "exact", .type = "pure-token", .token = "EXACT", .flags = kOptional},
    {.name = "all", .type = "pure-token", .token = "ALL", .flags = kOptional},
    {.name = "async", .type = "pure-token", .token = "ASYNC", .flags = kOptional},
};

constexpr ArgumentDoc kTagkeysArguments[] = {
    {.name = "tag", .type = "string"},
    {.name = "exact", .type = "pure-token", .token = "EXACT", .flags = kOptional},
    {.name = "cursor", .type = "integer", .token = "CURSOR", .flags = kOptional},
    {.name = "count", .type = "integer", .token = "COUNT", .flags = kOptional},
};

constexpr ArgumentDoc kSetexArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "seconds", .type = "integer"},
    {.name = "value", .type = "string"},
};

constexpr ArgumentDoc kSetrangeArguments[] = {
    {.name = "key", .type = "key"},
    {.name = "offset", .type = "integer"},
    {.name = "value", .type = "string"},
};

constexpr ArgumentDoc kShutdownNosaveSaveArguments[] = {
    {.name = "nosave", .type = "pure-token", .token = "NOSAVE"},
    {.name = "save", .type = "pure-token", .token = "SAVE"},
};

constexpr ArgumentDoc kShutdownArguments[] = {
    {.name = "nosave_save", .type = "oneof", .flags = kOptional, .arguments = kShutdownNosaveSaveArguments},
    {.name = "now", .type = "pure-token", .token = "NOW", .since = "7.0.0", .flags = kOptional},
    {.name = "force", .type = "pure-token", .token = "FORCE", .since = "7.0.0", .flags = kOptional},
    {.name = "abort", .type = "pure-token", .token = "ABORT", .since = "7.0.0", .flags = kOptional},
};

constexpr ArgumentDoc kSlowlogGetArguments[] = {
    {.name = "count", .type = "integer", .flags = kOptional},
};

constexpr ArgumentDoc kSwapdbArguments[] = {
    {.name = "index1", .type = "integer"},
    {.name = "index2", .type = "integer"},
};

constexpr ArgumentDoc kClientCachingModeArguments[] = {
    {.name = "yes", .type = "pure-token", .token = "YES"},
    {.name = "no", .type = "pure-token", .token = "NO"},
};

constexpr ArgumentDoc kClientCachingArguments[] = {
    {.name = "mode", .type = "oneof", .arguments = kClientCachingModeArguments},
};

constexpr ArgumentDoc kClientTrackingStatusArguments[] = {
    {.name = "on", .type = "pure-token", .token = "ON"},
    {.name = "off", .type = "pure-token", .token = "OFF"},
};

constexpr ArgumentDoc kClientTrackingArguments[] = {
    {.name = "status", .type = "oneof", .arguments = kClientTrackingStatusArguments},
    {.name = "client-id", .type = "integer", .token = "REDIRECT", .flags = kOptional},
    {.name = "prefix", .type = "string", .token = "PREFIX", .flags = kOptional | kMultiple | kMultipleToken},
    {.name = "bcast", .type = "pure-token", .token = "BCAST", .flags = kOptional},
    {.name = "optin", .type = "pure-token", .token = "OPTIN", .flags = kOptional},
    {.name = "optout", .type = "pure-token", .token = "OPTOUT", .flags = kOptional},
    {.name = "noloop", .type = "pure-token", .token = "NOLOOP", .flags = kOptional},
};

constexpr ArgumentDoc kLatencyHistoryArguments[] = {
    {.name = "event", .type = "string"},
};

constexpr ArgumentDoc kLatencyResetArguments[] = {
    {.name = "event", .type = "string", .flags = kOptional | kMultiple},
};

constexpr ArgumentDoc kWaitArguments[] = {
    {.name = "numreplicas", .type = "integer"},
    {.name = "timeout", .type = "integer"},
};

constexpr CommandDoc kDocs[] = {
    {.name = "acl",
     .group = "server",
     .since = "6.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "A container for Access List Control commands "},
    {.name = "append",
     .group = "string",
     .since = "2.0.0",
     .complexity = "O(1). The amortized time complexity is O(1) assuming the appended value is small and the "
                   "already present value is of any size, since the dynamic string library used by Redis "
                   "will double the free space available on every reallocation.",
     .summary = "Append a value to a key",
     .arguments = kKeyValue},
    {.name = "auth",
     .group = "connection",
     .since = "1.0.0",
     .complexity = "O(N) where N is the number of passwords defined for the user",
     .summary = "Authenticate to the server",
     .arguments = kAuthArguments},
    {.name = "client",
     .group = "connection",
     .since = "2.4.0",
     .complexity = "Depends on subcommand.",
     .summary = "A container for client connection commands"},
    {.name = "client|caching",
     .group = "connection",
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "Instruct the server about tracking or not keys in the next request",
     .arguments = kClientCachingArguments},
    {.name = "client|getname",
     .group = "connection",
     .since = "2.6.9",
     .complexity = "O(1)",
     .summary = "Get the current connection name"},
    {.name = "client|getredir",
     .group = "connection",
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "Get tracking notifications redirection client ID if any"},
    {.name = "client|help",
     .group = "connection",
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Show helpful text about the different subcommands"},
    {.name = "client|id",
     .group = "connection",
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Returns the client ID for the current connection"},
    {.name = "client|info",
     .group = "connection",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Returns information about the current client connection."},
    {.name = "client|kill",
     .group = "connection",
     .since = "2.4.0",
     .complexity = "O(N) where N is the number of client connections",
     .summary = "Kill the connection of a client",
     .arguments = kClientKillArguments},
    {.name = "client|list",
     .group = "connection",
     .since = "2.4.0",
     .complexity = "O(N) where N is the number of client connections",
     .summary = "Get the list of client connections",
     .arguments = kClientListArguments},
    {.name = "client|no-evict",
     .group = "connection",
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Set client eviction mode for the current connection",
     .arguments = kClientNoEvictArguments},
    {.name = "client|no-touch",
     .group = "connection",
     .since = "7.2.0",
     .complexity = "O(1)",
     .summary = "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
     .arguments = kClientNoEvictArguments},
    {.name = "client|pause",
     .group = "connection",
     .since = "2.9.50",
     .complexity = "O(1)",
     .summary = "Stop processing commands from clients for some time",
     .arguments = kClientPauseArguments},
    {.name = "client|reply",
     .group = "connection",
     .since = "3.2.0",
     .complexity = "O(1)",
     .summary = "Instruct the server whether to reply to commands",
     .arguments = kClientReplyArguments},
    {.name = "client|setinfo",
     .group = "connection",
     .since = "7.2.0",
     .complexity = "O(1)",
     .summary = "Sets information specific to the client or connection.",
     .arguments = kClientSetinfoArguments},
    {.name = "client|setname",
     .group = "connection",
     .since = "2.6.9",
     .complexity = "O(1)",
     .summary = "Set the current connection name",
     .arguments = kClientSetnameArguments},
    {.name = "client|tracking",
     .group = "connection",
     .since = "6.0.0",
     .complexity = "O(1). Some options may introduce additional complexity.",
     .summary = "Enable or disable server assisted client side caching support",
     .arguments = kClientTrackingArguments},
    {.name = "client|trackinginfo",
     .group = "connection",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Return information about server assisted client side caching for the current connection"},
    {.name = "client|unblock",
     .group = "connection",
     .since = "5.0.0",
     .complexity = "O(log N) where N is the number of client connections",
     .summary = "Unblock a client blocked in a blocking command from a different connection",
     .arguments = kClientUnblockArguments},
    {.name = "client|unpause",
     .group = "connection",
     .since = "6.2.0",
     .complexity = "O(N) Where N is the number of paused clients",
     .summary = "Resume processing of clients that were paused"},
    {.name = "cluster",
     .group = "cluster",
     .since = "3.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "A container for cluster commands"},
    {.name = "command",
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(N) where N is the total number of Redis commands",
     .summary = "Get array of Redis command details"},
    {.name = "command|count",
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Get total number of Redis commands"},
    {.name = "command|docs",
     .group = "server",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of commands to look up",
     .summary = "Get array of specific Redis command documentation",
     .arguments = kCommandNames},
    {.name = "command|getkeys",
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(N) where N is the number of arguments to the command",
     .summary = "Extract keys given a full Redis command"},
    {.name = "command|getkeysandflags",
     .group = "server",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of arguments to the command",
     .summary = "Extract keys and access flags given a full Redis command"},
    {.name = "command|help",
     .group = "server",
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Show helpful text about the different subcommands"},
    {.name = "command|info",
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(N) where N is the number of commands to look up",
     .summary = "Get array of specific Redis command details, or all when no argument is given.",
     .arguments = kCommandNames},
    {.name = "command|list",
     .group = "server",
     .since = "7.0.0",
     .complexity = "O(N) where N is the total number of Redis commands",
     .summary = "Get an array of Redis command names",
     .arguments = kCommandListArguments},
    {.name = "config",
     .group = "server",
     .since = "2.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "A container for server configuration commands"},
    {.name = "config|get",
     .group = "server",
     .since = "2.0.0",
     .complexity = "O(N) when N is the number of configuration parameters provided",
     .summary = "Get the values of configuration parameters",
     .arguments = kConfigGetArguments},
    {.name = "config|help",
     .group = "server",
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Show helpful text about the different subcommands"},
    {.name = "config|resetstat",
     .group = "server",
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Reset the stats returned by INFO"},
    {.name = "config|rewrite",
     .group = "server",
     .since = "2.8.0",
     .complexity = "O(1)",
     .summary = "Rewrite the configuration file with the in memory configuration"},
    {.name = "config|set",
     .group = "server",
     .since = "2.0.0",
     .complexity = "O(N) when N is the number of configuration parameters provided",
     .summary = "Set configuration parameters to the given values",
     .arguments = kConfigSetArguments},
    {.name = "copy",
     .group = "generic",
     .since = "6.2.0",
     .complexity =
         "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
     .summary = "Copy a key",
     .arguments = kCopyArguments},
    {.name = "dbsize",
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Return the number of keys in the selected database"},
    {.name = "debug",
     .group = "server",
     .since = "1.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "A container for debugging commands"},
    {.name = "decr",
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Decrement the integer value of a key by one",
     .arguments = kKeyArgument},
    {.name = "decrby",
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Decrement the integer value of a key by the given number",
     .arguments = kDecrbyArguments},
    {.name = "del",
     .group = "generic",
     .since = "1.0.0",
     .complexity =
         "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other "
         "than a string, the individual complexity for this key is O(M) where M is the number of elements in "
         "the list, set, sorted set or hash. Removing a single key that holds a string value is O(1).",
     .summary = "Delete a key",
     .arguments = kKeys},
    {.name = "discard",
     .group = "transactions",
     .since = "2.0.0",
     .complexity = "O(N), when N is the number of queued commands",
     .summary = "Discard all commands issued after MULTI"},
    {.name = "echo",
     .group = "connection",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Echo the given string",
     .arguments = kEchoArguments},
    {.name = "exec",
     .group = "transactions",
     .since = "1.2.0",
     .complexity = "Depends on commands in the transaction",
     .summary = "Execute all commands issued after MULTI"},
    {.name = "exists",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys to check.",
     .summary = "Determine if a key exists",
     .arguments = kKeys},
    {.name = "expire",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Set a key's time to live in seconds",
     .arguments = kExpireArguments},
    {.name = "expireat",
     .group = "generic",
     .since = "1.2.0",
     .complexity = "O(1)",
     .summary = "Set the expiration for a key as a UNIX timestamp",
     .arguments = kExpireatArguments},
    {.name = "expiretime",
     .group = "generic",
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Get the expiration Unix timestamp for a key",
     .arguments = kKeyArgument},
    {.name = "flushall",
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(N) where N is the total number of keys in all databases",
     .summary = "Remove all keys from all databases",
     .arguments = kFlushallArguments},
    {.name = "flushdb",
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys in the selected database",
     .summary = "Remove all keys from the current database",
     .arguments = kFlushallArguments},
    {.name = "get",
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Get the value of a key",
     .arguments = kKeyArgument},
    {.name = "getdel",
     .group = "string",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Get the value of a key and delete the key",
     .arguments = kKeyArgument},
    {.name = "getex",
     .group = "string",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Get the value of a key and optionally set its expiration",
     .arguments = kGetexArguments},
    {.name = "getrange",
     .group = "string",
     .since = "2.4.0",
     .complexity = "O(N) where N is the length of the returned string. The complexity is ultimately "
                   "determined by the returned length, but because creating a substring from an existing "
                   "string is very cheap, it can be considered O(1) for small strings.",
     .summary = "Get a substring of the string stored at a key",
     .arguments = kKeyStartEnd},
    {.name = "getset",
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Set the string value of a key and return its old value",
     .deprecated_since = "6.2.0",
     .replaced_by = "`SET` with the `!GET` argument",
     .arguments = kKeyValue},
    {.name = "hello",
     .group = "connection",
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "Handshake with Redis",
     .arguments = kHelloArguments},
    {.name = "incr",
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Increment the integer value of a key by one",
     .arguments = kKeyArgument},
    {.name = "incrby",
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Increment the integer value of a key by the given amount",
     .arguments = kIncrbyArguments},
    {.name = "incrbyfloat",
     .group = "string",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Increment the float value of a key by the given amount",
     .arguments = kIncrbyfloatArguments},
    {.name = "info",
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Get information and statistics about the server",
     .arguments = kInfoArguments},
    {.name = "keys",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(N) with N being the number of keys in the database, under the assumption that the key "
                   "names in the database and the given pattern have limited length.",
     .summary = "Find all keys matching the given pattern",
     .arguments = kKeysArguments},
    {.name = "larder",
     .group = "server",
     .since = "7.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "A container for commands that only Larder has"},
    {.name = "larder|help",
     .group = "server",
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Show helpful text about the different subcommands"},
    {.name = "larder|hotkeys",
     .group = "server",
     .since = "7.0.0",
     .complexity = "O(N log N) where N is the number of keys that are counted.",
     .summary = "Return the keys that are asked for most",
     .arguments = kLarderHotkeysArguments},
    {.name = "larder|slowlog",
     .group = "server",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of entries returned",
     .summary = "Get the slow log's entries and where their time went",
     .arguments = kSlowlogGetArguments},
    {.name = "latency",
     .group = "server",
     .since = "2.8.13",
     .complexity = "Depends on subcommand.",
     .summary = "A container for latency diagnostics commands"},
    {.name = "latency|doctor",
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Return a human readable latency analysis report."},
    {.name = "latency|graph",
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Return a latency graph for the event.",
     .arguments = kLatencyHistoryArguments},
    {.name = "latency|help",
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Show helpful text about the different subcommands."},
    {.name = "latency|histogram",
     .group = "server",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of commands with latency information being retrieved.",
     .summary = "Return the cumulative distribution of latencies of a subset of commands or all.",
     .arguments = kLatencyHistogramArguments},
    {.name = "latency|history",
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Return timestamp-latency samples for the event.",
     .arguments = kLatencyHistoryArguments},
    {.name = "latency|latest",
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Return the latest latency samples for all events."},
    {.name = "latency|reset",
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Reset latency data for one or more events.",
     .arguments = kLatencyResetArguments},
    {.name = "lcs",
     .group = "string",
     .since = "7.0.0",
     .complexity = "O(N*M) where N and M are the lengths of s1 and s2, respectively",
     .summary = "Find longest common substring",
     .arguments = kLcsArguments},
    {.name = "memory",
     .group = "server",
     .since = "4.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "A container for memory diagnostics commands"},
    {.name = "memory|doctor",
     .group = "server",
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Outputs memory problems report"},
    {.name = "memory|help",
     .group = "server",
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Show helpful text about the different subcommands"},
    {.name = "memory|malloc-stats",
     .group = "server",
     .since = "4.0.0",
     .complexity = "Depends on how much memory is allocated, could be slow",
     .summary = "Show allocator internal stats"},
    {.name = "memory|purge",
     .group = "server",
     .since = "4.0.0",
     .complexity = "Depends on how much memory is allocated, could be slow",
     .summary = "Ask the allocator to release memory"},
    {.name = "memory|stats",
     .group = "server",
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Show memory usage details"},
    {.name = "memory|usage",
     .group = "server",
     .since = "4.0.0",
     .complexity = "O(N) where N is the number of samples.",
     .summary = "Estimate the memory usage of a key",
     .arguments = kMemoryUsageArguments},
    {.name = "mget",
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys to retrieve.",
     .summary = "Get the values of all the given keys",
     .arguments = kKeys},
    {.name = "module",
     .group = "server",
     .since = "4.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "A container for module commands"},
    {.name = "monitor",
     .group = "server",
     .since = "1.0.0",
     .summary = "Listen for all requests received by the server in real time"},
    {.name = "move",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Move a key to another database",
     .arguments = kMoveArguments},
    {.name = "mset",
     .group = "string",
     .since = "1.0.1",
     .complexity = "O(N) where N is the number of keys to set.",
     .summary = "Set multiple keys to multiple values",
     .arguments = kMsetArguments},
    {.name = "msetnx",
     .group = "string",
     .since = "1.0.1",
     .complexity = "O(N) where N is the number of keys to set.",
     .summary = "Set multiple keys to multiple values, only if none of the keys exist",
     .arguments = kMsetArguments},
    {.name = "multi",
     .group = "transactions",
     .since = "1.2.0",
     .complexity = "O(1)",
     .summary = "Mark the start of a transaction block"},
    {.name = "object",
     .group = "generic",
     .since = "2.2.3",
     .complexity = "Depends on subcommand.",
     .summary = "A container for object introspection commands"},
    {.name = "object|encoding",
     .group = "generic",
     .since = "2.2.3",
     .complexity = "O(1)",
     .summary = "Inspect the internal encoding of a Redis object",
     .arguments = kKeyArgument},
    {.name = "object|freq",
     .group = "generic",
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Get the logarithmic access frequency counter of a Redis object",
     .arguments = kKeyArgument},
    {.name = "object|help",
     .group = "generic",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Show helpful text about the different subcommands"},
    {.name = "object|idletime",
     .group = "generic",
     .since = "2.2.3",
     .complexity = "O(1)",
     .summary = "Get the time since a Redis object was last accessed",
     .arguments = kKeyArgument},
    {.name = "object|refcount",
     .group = "generic",
     .since = "2.2.3",
     .complexity = "O(1)",
     .summary = "Get the number of references to the value of the key",
     .arguments = kKeyArgument},
    {.name = "persist",
     .group = "generic",
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Remove the expiration from a key",
     .arguments = kKeyArgument},
    {.name = "pexpire",
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Set a key's time to live in milliseconds",
     .arguments = kPexpireArguments},
    {.name = "pexpireat",
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Set the expiration for a key as a UNIX timestamp specified in milliseconds",
     .arguments = kPexpireatArguments},
    {.name = "pexpiretime",
     .group = "generic",
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Get the expiration Unix timestamp for a key in milliseconds",
     .arguments = kKeyArgument},
    {.name = "ping",
     .group = "connection",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Ping the server",
     .arguments = kPingArguments},
    {.name = "psetex",
     .group = "string",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Set the value and expiration in milliseconds of a key",
     .arguments = kPsetexArguments},
    {.name = "psubscribe",
     .group = "pubsub",
     .since = "2.0.0",
     .complexity = "O(N) where N is the number of patterns the client is already subscribed to.",
     .summary = "Listen for messages published to channels matching the given patterns",
     .arguments = kPsubscribeArguments},
    {.name = "pttl",
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Get the time to live for a key in milliseconds",
     .arguments = kKeyArgument},
    {.name = "publish",
     .group = "pubsub",
     .since = "2.0.0",
     .complexity = "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the "
                   "total number of subscribed patterns (by any client).",
     .summary = "Post a message to a channel",
     .arguments = kPublishArguments},
    {.name = "pubsub",
     .group = "pubsub",
     .since = "2.8.0",
     .complexity = "Depends on subcommand.",
     .summary = "A container for Pub/Sub commands"},
    {.name = "pubsub|channels",
     .group = "pubsub",
     .since = "2.8.0",
     .complexity = "O(N) where N is the number of active channels, and assuming constant time pattern "
                   "matching (relatively short channels and patterns)",
     .summary = "List active channels",
     .arguments = kPubsubChannelsArguments},
    {.name = "pubsub|help",
     .group = "pubsub",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Show helpful text about the different subcommands"},
    {.name = "pubsub|numpat",
     .group = "pubsub",
     .since = "2.8.0",
     .complexity = "O(1)",
     .summary = "Get the count of unique patterns pattern subscriptions"},
    {.name = "pubsub|numsub",
     .group = "pubsub",
     .since = "2.8.0",
     .complexity = "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
     .summary = "Get the count of subscribers for channels",
     .arguments = kUnsubscribeArguments},
    {.name = "pubsub|shardchannels",
     .group = "pubsub",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of active shard channels, and assuming constant time pattern "
                   "matching (relatively short shard channels).",
     .summary = "List active shard channels",
     .arguments = kPubsubChannelsArguments},
    {.name = "pubsub|shardnumsub",
     .group = "pubsub",
     .since = "7.0.0",
     .complexity = "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
     .summary = "Get the count of subscribers for shard channels",
     .arguments = kSunsubscribeArguments},
    {.name = "punsubscribe",
     .group = "pubsub",
     .since = "2.0.0",
     .complexity = "O(N+M) where N is the number of patterns the client is already subscribed and M is the "
                   "number of total patterns subscribed in the system (by any client).",
     .summary = "Stop listening for messages posted to channels matching the given patterns",
     .arguments = kPunsubscribeArguments},
    {.name = "quit",
     .group = "connection",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Close the connection"},
    {.name = "randomkey",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Return a random key from the keyspace"},
    {.name = "readonly",
     .group = "cluster",
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Enables read queries for a connection to a cluster replica node"},
    {.name = "readwrite",
     .group = "cluster",
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Disables read queries for a connection to a cluster replica node"},
    {.name = "rename",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Rename a key",
     .arguments = kKeyNewkey},
    {.name = "renamenx",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Rename a key, only if the new key does not exist",
     .arguments = kKeyNewkey},
    {.name = "reset",
     .group = "connection",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Reset the connection"},
    {.name = "role",
     .group = "server",
     .since = "2.8.12",
     .complexity = "O(1)",
     .summary = "Return the role of the instance in the context of replication"},
    {.name = "scan",
     .group = "generic",
     .since = "2.8.0",
     .complexity = "O(1) for every call. O(N) for a complete iteration, including enough command calls for "
                   "the cursor to return back to 0. N is the number of elements inside the collection.",
     .summary = "Incrementally iterate the keys space",
     .arguments = kScanArguments},
    {.name = "select",
     .group = "connection",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Change the selected database for the current connection",
     .arguments = kSelectArguments},
    {.name = "set",
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Set the string value of a key",
     .arguments = kSetArguments},
    {.name = "setex",
     .group = "string",
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Set the value and expiration of a key",
     .arguments = kSetexArguments},
    {.name = "setnx",
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Set the value of a key, only if the key does not exist",
     .arguments = kKeyValue},
    {.name = "setrange",
     .group = "string",
     .since = "2.2.0",
     .complexity = "O(1), not counting the time taken to copy the new string in place. Usually, this string "
                   "is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M "
                   "being the length of the value argument.",
     .summary = "Overwrite part of a string at key starting at the specified offset",
     .arguments = kSetrangeArguments},
    {.name = "shutdown",
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(N) when saving, where N is the total number of keys in all databases when saving data, "
                   "otherwise O(1)",
     .summary = "Synchronously save the dataset to disk and then shut down the server",
     .arguments = kShutdownArguments},
    {.name = "slowlog",
     .group = "server",
     .since = "2.2.12",
     .complexity = "Depends on subcommand.",
     .summary = "A container for slow log commands"},
    {.name = "slowlog|get",
     .group = "server",
     .since = "2.2.12",
     .complexity = "O(N) where N is the number of entries returned",
     .summary = "Get the slow log's entries",
     .arguments = kSlowlogGetArguments},
    {.name = "slowlog|help",
     .group = "server",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Show helpful text about the different subcommands"},
    {.name = "slowlog|len",
     .group = "server",
     .since = "2.2.12",
     .complexity = "O(1)",
     .summary = "Get the slow log's length"},
    {.name = "slowlog|reset",
     .group = "server",
     .since = "2.2.12",
     .complexity = "O(N) where N is the number of entries in the slowlog",
     .summary = "Clear all entries from the slow log"},
    {.name = "spublish",
     .group = "pubsub",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of clients subscribed to the receiving shard channel.",
     .summary = "Post a message to a shard channel",
     .arguments = kSpublishArguments},
    {.name = "ssubscribe",
     .group = "pubsub",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of shard channels to subscribe to.",
     .summary = "Listen for messages published to the given shard channels",
     .arguments = kSsubscribeArguments},
    {.name = "strlen",
     .group = "string",
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Get the length of the value stored in a key",
     .arguments = kKeyArgument},
    {.name = "subscribe",
     .group = "pubsub",
     .since = "2.0.0",
     .complexity = "O(N) where N is the number of channels to subscribe to.",
     .summary = "Listen for messages published to the given channels",
     .arguments = kSubscribeArguments},
    {.name = "substr",
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(N) where N is the length of the returned string. The complexity is ultimately "
                   "determined by the returned length, but because creating a substring from an existing "
                   "string is very cheap, it can be considered O(1) for small strings.",
     .summary = "Get a substring of the string stored at a key",
     .deprecated_since = "2.0.0",
     .replaced_by = "`GETRANGE`",
     .arguments = kKeyStartEnd},
    {.name = "sunsubscribe",
     .group = "pubsub",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of clients already subscribed to a shard channel.",
     .summary = "Stop listening for messages posted to the given shard channels",
     .arguments = kSunsubscribeArguments},
    {.name = "swapdb",
     .group = "server",
     .since = "4.0.0",
     .complexity = "O(N) where N is the count of clients watching or blocking on keys from both databases.",
     .summary = "Swaps two Redis databases",
     .arguments = kSwapdbArguments},
    {.name = "tagadd",
     .group = "generic",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of tags that are given.",
     .summary = "Give tags to a key. Returns how many it did not have yet.",
     .arguments = kKeyTags},
    {.name = "tagcount",
     .group = "generic",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of keys with the tag.",
     .summary = "Count the keys that carry a tag, or one below it",
     .arguments = kTagcountArguments},
    {.name = "taginvalidate",
     .group = "generic",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of keys with the tags.",
     .summary = "Delete the keys that carry one of the tags, or one below it. Returns how many those were.",
     .arguments = kTaginvalidateArguments},
    {.name = "tagkeys",
     .group = "generic",
     .since = "7.0.0",
     .complexity = "O(N log N) where N is the number of keys with the tag.",
     .summary = "Iterate over the keys that carry a tag, or one below it",
     .arguments = kTagkeysArguments},
    {.name = "taglist",
     .group = "generic",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of the key's tags.",
     .summary = "Get the tags of a key",
     .arguments = kKeyArgument},
    {.name = "tagrem",
     .group = "generic",
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of tags that are given.",
     .summary = "Take tags from a key. Returns how many of them it had.",
     .arguments = kKeyTags},
    {.name = "time",
     .group = "server",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Return the current server time"},
    {.name = "touch",
     .group = "generic",
     .since = "3.2.1",
     .complexity = "O(N) where N is the number of keys that will be touched.",
     .summary = "Alters the last access time of a key(s). Returns the number of existing keys specified.",
     .arguments = kKeys},
    {.name = "ttl",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Get the time to live for a key in seconds",
     .arguments = kKeyArgument},
    {.name = "type",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Determine the type stored at key",
     .arguments = kKeyArgument},
    {.name = "unlink",
     .group = "generic",
     .since = "4.0.0",
     .complexity = "O(1) for each key removed regardless of its size. Then the command does O(N) work in a "
                   "different thread in order to reclaim memory, where N is the number of allocations the "
                   "deleted objects where composed of.",
     .summary =
         "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.",
     .arguments = kKeys},
    {.name = "unsubscribe",
     .group = "pubsub",
     .since = "2.0.0",
     .complexity = "O(N) where N is the number of clients already subscribed to a channel.",
     .summary = "Stop listening for messages posted to the given channels",
     .arguments = kUnsubscribeArguments},
    {.name = "unwatch",
     .group = "transactions",
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Forget about all watched keys"},
    {.name = "wait",
     .group = "generic",
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Wait for the synchronous replication of all the write commands sent in the context of the "
                "current connection",
     .arguments = kWaitArguments},
    {.name = "watch",
     .group = "transactions",
     .since = "2.2.0",
     .complexity = "O(1) for every key.",
     .summary = "Watch the given keys to determine execution of the MULTI/EXEC block",
     .arguments = kKeys},
};

static_assert(std::ranges::is_sorted(kDocs, {}, &CommandDoc::name));

}  // namespace

const CommandDoc& doc_of(ByteView name) noexcept {
  const CommandDoc* const doc = std::ranges::lower_bound(kDocs, name, {}, &CommandDoc::name);
  assert(doc != std::end(kDocs) && doc->name == name);
  return *doc;
}

}  // namespace larder
