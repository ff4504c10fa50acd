#pragma once

namespace larder::postgres {

// Shape: with `{schema}`, `{channel}` and `{unlogged}` still to be replaced.

/// Version 3 of the schema: the tags of a key and their index, which needs the functions. Shape: for kv of
/// version 2.
extern const char* const kTagColumn;
extern const char* const kTagIndex;

/// Version 7: what is to be invalidated, once more or later. It needs the functions.
extern const char* const kInvalidations;

/// The view of keys by tag, what finds and deletes them, and what calls that, for programs and for Larder.
/// May be run again.
extern const char* const kTagFunctions;

}  // namespace larder::postgres
