#pragma once

namespace larder {

/// The version of RESP a connection speaks.
enum class Protocol : unsigned char { resp2 = 2, resp3 = 3 };

}  // namespace larder
