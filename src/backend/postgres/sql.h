#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <libpq-fe.h>

#include "base/bytes.h"

namespace larder::postgres {

struct CloseConnection {
  void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
using ConnectionHandle = std::unique_ptr<PGconn, CloseConnection>;

/// Why a statement, or a whole transaction, came to nothing.
struct Failure {
  enum class Kind : std::uint8_t {
    conflict,  ///< somebody else was first: run it again
    refused,   ///< PostgreSQL said no to this very work
    lost,      ///< no connection; whether the work was done is not known
  };

  Kind kind;
  std::string text;  ///< one line, without the word ERROR
};

/// The same as an exception, for start-up and upkeep.
class SqlError : public std::runtime_error {
 public:
  explicit SqlError(const Failure& failure) : std::runtime_error(failure.text), kind(failure.kind) {}
  const Failure::Kind kind;
};

/// The rows of one statement, in binary form.
///
/// Life: views die with the Result.
class Result {
 public:
  Result() = default;
  explicit Result(PGresult* result) noexcept : result_(result) {}

  [[nodiscard]] int rows() const noexcept { return PQntuples(result_.get()); }
  [[nodiscard]] int columns() const noexcept { return PQnfields(result_.get()); }
  [[nodiscard]] bool is_null(int row, int column) const noexcept {
    return PQgetisnull(result_.get(), row, column) != 0;
  }
  [[nodiscard]] ByteView bytes(int row, int column) const noexcept {
    return {PQgetvalue(result_.get(), row, column),
            static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
  }
  /// Units: the column is an int8.
  [[nodiscard]] std::int64_t number(int row, int column) const noexcept;
  /// Units: the column is an xid.
  [[nodiscard]] std::uint32_t xid(int row, int column) const noexcept;

  [[nodiscard]] bool ok() const noexcept;
  [[nodiscard]] Failure failure() const;

 private:
  struct Clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

/// The parameters of one statement in binary form, $1 first.
///
/// Shape: arrays are begun, filled with elements and ended; they have one dimension and no nulls.
/// Life:  owns all bytes; reset() keeps the memory for the next batch.
class Params {
 public:
  enum class Element : std::uint32_t {
    bytes = 17,
    int8 = 20,
    int2 = 21,
    text = 25,
    xid = 28
  };  // pg_type oids

  void reset();
  void add_int8(std::int64_t value);
  void add_text(ByteView text);
  void begin_array(Element type);
  void element(ByteView bytes);
  void element_int8(std::int64_t value);
  void element_int2(std::int16_t value);
  void element_xid(std::uint32_t value);
  void end_array();

  [[nodiscard]] std::size_t size_bytes() const noexcept { return bytes_.size(); }

  struct Raw {
    std::vector<const char*> values;
    std::vector<int> lengths, formats;
  };
  /// As libpq wants it. Life: dies with the next change.
  [[nodiscard]] const Raw& raw() const;

 private:
  struct Range {
    std::size_t begin, end;
  };

  Bytes bytes_;
  std::vector<Range> ranges_;
  std::uint32_t elements_ = 0;
  mutable Raw raw_;
};

/// Appends two digits a byte.
void append_hex(Bytes& out, ByteView bytes);

/// The error message of a connection, on one line.
[[nodiscard]] std::string one_line(const char* message);

}  // namespace larder::postgres
