#pragma once

#include <span>

#include "base/error.h"
#include "command/call.h"
#include "command/spec.h"

// Every error text a client can read is written in error_reply.cpp, once.
// Source: the texts of Redis 7.0.15, byte for byte.
namespace larder {

/// The text behind an error's `-`, for errors that name nothing.
[[nodiscard]] ByteView error_text(Errc code) noexcept;

void append_error(ReplyWriter& reply, Errc code);

/// The same for an error that make_error_code(Errc) made.
void append_error(ReplyWriter& reply, boost::system::error_code error);

/// The same; `invalid_expire` names the call's command.
void append_error(const Call& call, boost::system::error_code error);

/// `argv` is the request as sent; its arguments are quoted up to 128 bytes.
void append_unknown_command(ReplyWriter& reply, std::span<const ByteView> argv);

void append_unknown_subcommand(ReplyWriter& reply, ByteView container, ByteView subcommand);

/// Of a subcommand whose arity allows more arguments than it takes.
void append_subcommand_syntax(ReplyWriter& reply, std::span<const ByteView> argv);

/// `name` is the row's: lower case, `container|subcommand` for a subcommand.
void append_wrong_arity(ReplyWriter& reply, ByteView name);

/// EXPIRE's answer to an option it does not know.
void append_unsupported_option(ReplyWriter& reply, ByteView option);

}  // namespace larder
