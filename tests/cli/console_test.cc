// SPDX-License-Identifier: Apache-2.0
#include "cli/console.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "cli/json.h"
#include "cli/ledger.h"
#include "cli/names.h"
#include "profiles/landlock.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

BOOST_AUTO_TEST_SUITE(Console)

BOOST_AUTO_TEST_CASE(TablesAlignByCharacters) {
  BOOST_TEST(Table({{"A", "LONG", "C"}, {"é", "x", ""}, {"wide", "y", "z"}}) ==
             "A     LONG  C\n"
             "é     x\n"
             "wide  y     z\n");
}

BOOST_AUTO_TEST_CASE(NothingReachesATerminalRaw) {
  const std::string evil = "a\x1b[2J\n\xff";
  LedgerRow row;
  row.component = evil;
  row.statement = evil;
  row.note = evil;
  row.controls = {{Layer::kView, evil}};
  const std::string all = LedgerTable({row}) + LedgerInFull({row}) +
                          WaiverTable({{evil, evil, evil, evil}}) +
                          Outline(Json{{"k", evil}, {"l", {evil}}});
  BOOST_TEST(all.find('\x1b') == std::string::npos);
  BOOST_TEST(all.find('\xff') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(OutlineOfEveryShape) {
  const Json json{{"word", "x"},
                  {"empty", ""},
                  {"none", nullptr},
                  {"list", {"a", "b"}},
                  {"spaced", {"a b", "c"}},
                  {"inner", {{"n", 1}}},
                  {"rows", Json::array({{{"a", 1}, {"b", "x"}, {"no", false}, {"nil", nullptr}},
                                        {{"a", 22}, {"c", {"y", "z"}}, {"d", true}}})}};
  BOOST_TEST(Outline(json) ==
             "word: x\n"
             "list: a b\n"
             "spaced:\n"
             "  a b\n"
             "  c\n"
             "inner:\n"
             "  n: 1\n"
             "rows:\n"
             "  a   b  c    d\n"
             "  1   x\n"
             "  22     y z  yes\n");
}

BOOST_AUTO_TEST_CASE(OutlineBreaksLongListsOfWords) {
  Json list = Json::array();
  for (int i = 0; i < 40; ++i) list.push_back("word" + std::to_string(i));
  const std::string text = Outline(Json{{"list", list}});
  BOOST_TEST(text.starts_with("list:\n  word0 word1"));
  for (size_t from = 0; from < text.size();) {
    const size_t end = text.find('\n', from);
    BOOST_TEST(end - from <= 100U);
    from = end + 1;
  }
}

BOOST_AUTO_TEST_CASE(LandlockRightsByName) {
  BOOST_TEST((FileRightNames(landlock::kExecute | landlock::kReadFile) ==
              std::vector<std::string>{"fs.execute", "fs.read_file"}));
  BOOST_TEST(
      (PortRightNames(landlock::kConnectTcp) == std::vector<std::string>{"net.connect_tcp"}));
  BOOST_TEST((ScopeNames(1U << 5) == std::vector<std::string>{"bit-5"}));
}

// A file is no terminal; NO_COLOR is honoured by ColorOn before the terminal is looked at.
BOOST_AUTO_TEST_CASE(NoColourOutsideATerminal) {
  const auto run = test::Bulkhead({"nonsense"}, {.environment = {"TERM=xterm-256color"}});
  BOOST_TEST(run.err.find('\x1b') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(ColourOnATerminalUnlessNotWanted) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  BOOST_REQUIRE(terminal >= 0);
  unsetenv("NO_COLOR");
  setenv("TERM", "xterm", 1);
  BOOST_TEST(ColorOn(terminal));
  setenv("NO_COLOR", "1", 1);
  BOOST_TEST(!ColorOn(terminal));
  setenv("NO_COLOR", "", 1);
  BOOST_TEST(ColorOn(terminal));
  setenv("TERM", "dumb", 1);
  BOOST_TEST(!ColorOn(terminal));
  close(terminal);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
