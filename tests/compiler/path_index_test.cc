// SPDX-License-Identifier: Apache-2.0
// The index against asking every path.
#include "compiler/path_index.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "compiler/planner.h"
#include "tests/compiler/calls_support.h"

namespace bulkhead {
namespace {

// Few names, some of which begin like others and sort before or after the slash.
std::string SomePath(testing::PlanMaker& maker) {
  static constexpr std::string_view kNames[] = {"a", "b", "a-b", "a.b", "ab", "a0"};
  std::string path;
  for (uint32_t i = maker.Below(4); i > 0; --i) {
    path += "/" + std::string(kNames[maker.Below(std::size(kNames))]);
  }
  return path.empty() ? "/" : path;
}

BOOST_AUTO_TEST_SUITE(PathIndexes)

BOOST_AUTO_TEST_CASE(SameAsAskingEach) {
  testing::PlanMaker maker(testing::Seed());
  size_t met = 0;
  for (int i = 0; i < 200; ++i) {
    std::vector<std::string> paths(maker.Below(40));
    for (std::string& path : paths) path = SomePath(maker);
    PathIndex index;
    for (size_t j = 0; j < paths.size(); ++j) index.Add(paths[j], j % 7);
    index.Sort();
    for (int j = 0; j < 20; ++j) {
      const std::string path = SomePath(maker);
      std::vector<OwnedPath> meeting;
      std::vector<OwnedPath> beneath;
      for (size_t k = 0; k < paths.size(); ++k) {
        const OwnedPath owned{paths[k], k % 7};
        if (Covers(path, paths[k]) || Covers(paths[k], path)) meeting.push_back(owned);
        if (Covers(path, paths[k]) && paths[k] != path) beneath.push_back(owned);
      }
      std::ranges::sort(meeting, {}, [](const auto& p) { return std::tie(p.owner, p.path); });
      BOOST_REQUIRE(index.Meeting(path) == meeting);
      auto found = index.Beneath(path);
      std::ranges::sort(found);
      std::ranges::sort(beneath);
      BOOST_REQUIRE(found == beneath);
      met += meeting.size();
    }
  }
  BOOST_TEST(met > 1000U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
