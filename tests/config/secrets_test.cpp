#include "config/secrets.h"

#include <array>

#include <doctest/doctest.h>

namespace larder::config {
namespace {

TEST_CASE("secrets: every password of an address is masked, and nothing else") {
  struct Case {
    std::string_view address, masked;
  };
  constexpr std::array kCases{
      Case{"", ""},
      Case{"redis://h", "redis://h"},
      Case{"redis://h:6380/2", "redis://h:6380/2"},
      Case{"redis://u:pw@h:6380/2", "redis://u:***@h:6380/2"},
      Case{"redis://:pw@h", "redis://:***@h"},
      Case{"redis://pw@h", "redis://***@h"},
      Case{"redis://u:p/w@h", "redis://u:***@h"},
      Case{"redis://u:p@w@h", "redis://u:***@h"},
      Case{"redis://u:p:w@h", "redis://u:***@h"},
      Case{"unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"},
      Case{"unix:///run/a@b.sock", "unix:///run/a@b.sock"},
      Case{"unix://:pw@/run/redis.sock", "unix://:***@/run/redis.sock"},
      Case{"postgres://me@h/db", "postgres://me@h/db"},
      Case{"postgres://me:pw@h,h2:5433/db", "postgres://me:***@h,h2:5433/db"},
      Case{"postgresql://h/db?user=me&password=pw&sslmode=require",
           "postgresql://h/db?user=me&password=***&sslmode=require"},
      Case{"postgresql://h/db?sslpassword=pw", "postgresql://h/db?sslpassword=***"},
      Case{"host=h password=pw dbname=d", "host=h password=*** dbname=d"},
      Case{"host=h password = pw dbname=d", "host=h password = *** dbname=d"},
      Case{"password='p w\\' x' host=h", "password=*** host=h"},
      Case{"password=p\\ w host=h", "password=*** host=h"},
      Case{"password='open", "password=***"},
      Case{"host=password", "host=password"},
      Case{"password", "password"},
      Case{"password=", "password=***"},
      Case{"password=a sslpassword=b", "password=*** sslpassword=***"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.address);
    CHECK(mask_secrets(c.address) == c.masked);
  }
}

}  // namespace
}  // namespace larder::config
