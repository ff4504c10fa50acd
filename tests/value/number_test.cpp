#include "value/number.h"

#include <limits>

#include <doctest/doctest.h>

namespace larder {
namespace {

struct IntegerRow {
  ByteView text;
  std::optional<std::int64_t> value;
};

constexpr IntegerRow kIntegers[] = {
    {"0", 0},
    {"1", 1},
    {"-1", -1},
    {"42", 42},
    {"9223372036854775807", std::numeric_limits<std::int64_t>::max()},
    {"-9223372036854775808", std::numeric_limits<std::int64_t>::min()},
    {"9223372036854775808", std::nullopt},
    {"-9223372036854775809", std::nullopt},
    {"99999999999999999999", std::nullopt},
    {"", std::nullopt},
    {"-", std::nullopt},
    {"-0", std::nullopt},
    {"+1", std::nullopt},
    {"01", std::nullopt},
    {"-01", std::nullopt},
    {"00", std::nullopt},
    {" 1", std::nullopt},
    {"1 ", std::nullopt},
    {"1\n", std::nullopt},
    {"1.0", std::nullopt},
    {"1e3", std::nullopt},
    {"0x10", std::nullopt},
    {"--1", std::nullopt},
    {ByteView("1\0", 2), std::nullopt},
};

struct FloatRow {
  ByteView text;
  ByteView formatted;  ///< empty: not a float
};

constexpr FloatRow kFloats[] = {
    {"0", "0"},
    {"-0", "0"},
    {"3.0", "3"},
    {"3.140", "3.14"},
    {"0.1", "0.1"},
    {"-1.5e3", "-1500"},
    {"1e20", "100000000000000000000"},
    {"1e-17", "0.00000000000000001"},
    {"1e-18", "0"},
    {"-1e-18", "0"},
    {"0x1p4", "16"},
    {"+7", "7"},
    {".5", "0.5"},
    {"5.", "5"},
    {"100", "100"},
    {"", ""},
    {" 1", ""},
    {"1 ", ""},
    {"\t1", ""},
    {"abc", ""},
    {"1a", ""},
    {"nan", ""},
    {"-nan", ""},
    {"1e5000", ""},
    {"1e-6000", ""},
    {ByteView("1\0", 2), ""},
};

}  // namespace

TEST_CASE("number: only the canonical text of an integer is one") {
  for (const IntegerRow& row : kIntegers) {
    CAPTURE(row.text);
    CHECK(parse_integer(row.text) == row.value);
    if (row.value) CHECK(IntegerText(*row.value).view() == row.text);
  }
}

TEST_CASE("number: long doubles read as strtold does and print without exponent") {
  for (const FloatRow& row : kFloats) {
    CAPTURE(row.text);
    const std::optional<long double> value = parse_long_double(row.text);
    CHECK(value.has_value() == !row.formatted.empty());
    if (value) CHECK(format_long_double(*value) == row.formatted);
  }
}

TEST_CASE("number: infinity is a float, five kilobytes of digits are not") {
  CHECK(parse_long_double("inf") == std::numeric_limits<long double>::infinity());
  CHECK(parse_long_double("-Infinity") == -std::numeric_limits<long double>::infinity());
  CHECK(parse_long_double(std::string(5 * 1024 - 1, '0')) == 0.0L);
  CHECK(!parse_long_double(std::string(5 * 1024, '0')));
}

TEST_CASE("number: the largest long double has room") {
  CHECK(format_long_double(-std::numeric_limits<long double>::max()).size() == 4934);
}

}  // namespace larder
