#pragma once

namespace larder::postgres {

/// Version 3 of the schema: the tags of a key, their index, and a view of keys by tag. Shape: for kv of
/// version 2.
extern const char* const kTagTables;

/// What finds and deletes keys by tag. Shape: with `{schema}` and `{channel}` still to be replaced.
extern const char* const kTagFunctions;

}  // namespace larder::postgres
