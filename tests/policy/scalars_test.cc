// SPDX-License-Identifier: Apache-2.0
#include "policy/scalars.h"

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <limits>
#include <string>

#include "policy/cycles.h"
#include "policy/text.h"

namespace bulkhead::testing {
namespace {

BOOST_AUTO_TEST_SUITE(Scalars)

BOOST_AUTO_TEST_CASE(IntegersHaveOneSpelling) {
  BOOST_TEST(ParseInteger("0").value() == 0U);
  BOOST_TEST(ParseInteger("18446744073709551615").value() == UINT64_MAX);
  for (const char* bad : {"", "00", "01", "+1", "-1", " 1", "1 ", "1_000", "0x1", "1e3", "1.0",
                          "18446744073709551616", "１"}) {
    BOOST_TEST(!ParseInteger(bad).has_value(), bad);
  }
  BOOST_TEST(ParseSigned("-9223372036854775807").value() == -INT64_MAX);
  for (const char* bad : {"-0", "--1", "-", "9223372036854775808"}) {
    BOOST_TEST(!ParseSigned(bad).has_value(), bad);
  }
}

BOOST_AUTO_TEST_CASE(UnitsMultiplyAndNeverWrap) {
  BOOST_TEST(ParseSize("64M").value() == 64ULL << 20);
  BOOST_TEST(ParseSize("17179869183G").value() == 17179869183ULL << 30);
  for (const char* bad : {"17179869184G", "64", "64m", "64MB", "M", "-1M", "1.5G", " 1M"}) {
    BOOST_TEST(!ParseSize(bad).has_value(), bad);
  }
  BOOST_TEST(ParseTime("90s").value() == 90000U);
  BOOST_TEST(ParseTime("2m").value() == 120000U);
  BOOST_TEST(ParseTime("1h").value() == 3600000U);
  for (const char* bad : {"90", "90ms", "1d", "s", "18446744073709551615s"}) {
    BOOST_TEST(!ParseTime(bad).has_value(), bad);
  }
  BOOST_TEST(ParsePercent("50%").value() == 50U);
  BOOST_TEST(!ParsePercent("50").has_value());
  BOOST_TEST(!ParsePercent("4294967296%").has_value());
}

BOOST_AUTO_TEST_CASE(DatesExist) {
  for (const char* good : {"2024-02-29", "2027-12-31", "2000-02-29"}) BOOST_TEST(IsDate(good));
  for (const char* bad : {"2027-02-29", "1900-02-29", "2027-13-01", "2027-00-01", "2027-01-00",
                          "2027-1-1", "2027/01/01", "20270101"}) {
    BOOST_TEST(!IsDate(bad), bad);
  }
}

BOOST_AUTO_TEST_CASE(AddressesAndMasks) {
  for (const char* good : {"0.0.0.0", "127.0.0.1", "255.255.255.255"}) BOOST_TEST(IsIpv4(good));
  for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.", "::1"}) {
    BOOST_TEST(!IsIpv4(bad), bad);
  }
  BOOST_TEST(ParseUmask("0027").value() == 027U);
  for (const char* bad : {"27", "0028", "027", "00270", "1027"}) {
    BOOST_TEST(!ParseUmask(bad).has_value(), bad);
  }
}

BOOST_AUTO_TEST_CASE(WordsThatReadersDisagreeAbout) {
  for (const char* word : {"y", "N", "yes", "No", "TRUE", "false", "on", "Off"}) {
    BOOST_TEST(ReadsAsBoolean(word), word);
  }
  for (const char* word : {"yess", "none", "1", "onto"}) BOOST_TEST(!ReadsAsBoolean(word), word);
  for (const char* word :
       {"0x1F", "0o17", "0b1", "08", "-07", "1_000", "1e3", "1.5E-3", "1:30", "190:20:30"}) {
    BOOST_TEST(ReadsAsOddNumber(word), word);
  }
  for (const char* word :
       {"0", "42", "-1", "6.18", "1:99", "0xg", "1e", "e3", "3:9001", "v1_0", "1.2.3"}) {
    BOOST_TEST(!ReadsAsOddNumber(word), word);
  }
}

BOOST_AUTO_TEST_CASE(TextForMessagesIsHarmless) {
  BOOST_TEST(Quoted("plain") == "`plain`");
  BOOST_TEST(Quoted("a\x1b[31m") == "`a\\x1b[31m`");
  BOOST_TEST(Quoted("a\nb") == "`a\\x0ab`");
  BOOST_TEST(Quoted(std::string(100, 'x')) == "`" + std::string(64, 'x') + "…`");
  BOOST_TEST(Escaped("\xe2\x80\xae") == "\\xe2\\x80\\xae");
  BOOST_TEST(Escaped("\xff") == "\\xff");
}

BOOST_AUTO_TEST_CASE(NearestNeedsLikeness) {
  constexpr std::string_view kWords[] = {"network", "limits", "on"};
  BOOST_TEST(Nearest("netwrok", kWords).value() == "network");
  BOOST_TEST(Nearest("limit", kWords).value() == "limits");
  BOOST_TEST(!Nearest("zz", kWords).has_value());
}

BOOST_AUTO_TEST_CASE(CyclesAreFoundWithoutTheirTails) {
  BOOST_TEST(FindCycles({{"a", {"b"}}, {"b", {"c"}}, {"c", {}}}).empty());
  const auto cycles = FindCycles(
      {{"a", {"b"}}, {"b", {"c"}}, {"c", {"b"}}, {"d", {"d"}}, {"e", {"unknown", "f"}}, {"f", {}}});
  BOOST_TEST_REQUIRE(cycles.size() == 2U);
  BOOST_TEST(cycles[0] == (std::vector<std::string>{"b", "c"}), boost::test_tools::per_element());
  BOOST_TEST(cycles[1] == std::vector<std::string>{"d"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead::testing
