#include "config/postgres_address.h"

#include <array>

#include <doctest/doctest.h>

#include "config/support.h"

namespace larder::config {
namespace {

TEST_CASE("postgres address: what applications write becomes what libpq takes") {
  struct Case {
    std::string_view written, address;
  };
  constexpr std::array kCases{
      Case{"postgres://me:pw@h:5433/db", "postgresql://me:pw@h:5433/db"},
      Case{"postgresql://h/db", "postgresql://h/db"},
      Case{"postgresql://", "postgresql://"},
      Case{"postgresql+psycopg2://h/db", "postgresql://h/db"},
      Case{"postgresql://me:a+b@h/db", "postgresql://me:a+b@h/db"},
      Case{"postgresql://h/db?schema=public", "postgresql://h/db"},
      Case{"postgresql://h/db?schema=public&sslmode=require&connection_limit=5",
           "postgresql://h/db?sslmode=require"},
      Case{"postgresql:///db?host=/run/postgresql&user=me", "postgresql:///db?host=/run/postgresql&user=me"},
      Case{"postgresql://h/db?", "postgresql://h/db"},
      Case{"host=/run/postgresql dbname=app", "host=/run/postgresql dbname=app"},
      Case{"dbname=a+b", "dbname=a+b"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.written);
    CHECK(parse_postgres_address(c.written) == c.address);
  }
}

TEST_CASE("postgres address: another database's is an error that does not repeat it") {
  for (const char* const address :
       {"mysql://u:sesame@h/db", "sqlite://sesame", "sesame", "file:sesame", "postgresqlx://sesame"}) {
    CAPTURE(address);
    const std::string error = error_of([&] { static_cast<void>(parse_postgres_address(address)); });
    CHECK(error.starts_with("it must be postgres://"));
    CHECK(error.find("sesame") == std::string::npos);
  }
}

}  // namespace
}  // namespace larder::config
