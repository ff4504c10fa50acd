#pragma once

namespace larder::postgres {

/// Version 3 of the schema: the tags of a key, their index, and a view of keys by tag. Shape: for kv of
/// version 2.
extern const char* const kTagTables;

/// Finds and deletes keys by tag, in the words of version 4. Shape: with `{schema}` still to be replaced.
extern const char* const kDropTagged;

/// What calls it, for programs and for Larder. Shape: with `{schema}` and `{channel}` still to be replaced.
extern const char* const kTagFunctions;

}  // namespace larder::postgres
