// SPDX-License-Identifier: Apache-2.0
#include "engine/kept_paths.h"

#include <boost/test/unit_test.hpp>

#include <map>
#include <string>

namespace bulkhead {
namespace {

const std::map<std::string, std::string> kLinks = {
    {"/absolute", "/real/there"}, {"/real/relative", "../other"}, {"/real/up", "../../.."},
    {"/first", "second"},         {"/second", "real//./there/"},  {"/round", "/round/on"},
    {"/dangling", "none/x"},      {"/last", "/dangling"},
};

std::string Name(const std::string& path) {
  return NameWithoutLinks(path, [](const std::string& link) {
    const auto found = kLinks.find(link);
    return found == kLinks.end() ? std::string() : found->second;
  });
}

BOOST_AUTO_TEST_SUITE(Kept)

BOOST_AUTO_TEST_CASE(NamesWithoutLinks) {
  BOOST_TEST(Name("/") == "/");
  BOOST_TEST(Name("/real/there/file") == "/real/there/file");
  BOOST_TEST(Name("/absolute/file") == "/real/there/file");
  BOOST_TEST(Name("/real/relative/file") == "/other/file");
  BOOST_TEST(Name("/real/up/absolute") == "/real/there");
  BOOST_TEST(Name("/real/up") == "/");
  BOOST_TEST(Name("/first/file") == "/real/there/file");
  // Of what is not there as far as links lead to it.
  BOOST_TEST(Name("/last/deeper") == "/none/x/deeper");
  BOOST_TEST(Name("/round/file") == "/round/file");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
