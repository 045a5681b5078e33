// SPDX-License-Identifier: Apache-2.0
// check --format sarif: what the format requires is there, and places are those of the text.
#include "cli/sarif.h"

#include <boost/test/unit_test.hpp>

#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bulkhead;
using test::Parsed;

BOOST_AUTO_TEST_SUITE(Sarif)

BOOST_AUTO_TEST_CASE(MistakesOfAPolicy) {
  const test::TemporaryDirectory directory;
  const std::string policy = directory / "a policy.yaml";
  std::string text = test::SmallPolicy();
  text.replace(text.find("enclave: small"), 14, "enclav: small");
  test::WriteText(policy, text);
  const auto run = Bulkhead({"check", "--format", "sarif", policy});
  BOOST_TEST(run.exit == 1);
  BOOST_TEST(run.err == "");
  const auto log = Parsed(run.out);
  BOOST_TEST(log["version"] == "2.1.0");
  BOOST_TEST(log["runs"].size() == 1U);
  const auto& one = log["runs"][0];
  BOOST_TEST(one["tool"]["driver"]["name"] == "bulkhead");
  BOOST_TEST(one["columnKind"] == "unicodeCodePoints");
  BOOST_TEST(one["results"].size() == 2U);
  std::vector<std::string> rules;
  for (const auto& rule : one["tool"]["driver"]["rules"]) {
    rules.push_back(rule["id"].get<std::string>());
  }
  bool found = false;
  for (const auto& result : one["results"]) {
    BOOST_TEST(result["level"] == "error");
    BOOST_TEST(!result["message"]["text"].get<std::string>().empty());
    BOOST_TEST(std::ranges::count(rules, result["ruleId"].get<std::string>()) == 1);
    const auto& place = result["locations"][0]["physicalLocation"];
    const auto uri = place["artifactLocation"]["uri"].get<std::string>();
    BOOST_TEST(uri.starts_with("file:///"), uri);
    BOOST_TEST(uri.ends_with("/a%20policy.yaml"), uri);
    found = found || (place["region"]["startLine"] == 2 && place["region"]["startColumn"] == 1 &&
                      place["region"]["endColumn"] == 7);
  }
  BOOST_TEST(found);
}

BOOST_AUTO_TEST_CASE(WhatIsWellHasNoResults) {
  const test::TemporaryDirectory directory;
  test::WriteText(directory / "small.yaml", test::SmallPolicy());
  const auto run = Bulkhead({"check", "--format", "sarif", directory / "small.yaml"});
  BOOST_TEST(run.exit == 0, run.err);
  BOOST_TEST(Parsed(run.out)["runs"][0]["results"].empty());
  const auto all =
      Bulkhead({"check", "--format", "sarif", "--target", "all", directory / "small.yaml"});
  BOOST_TEST(all.exit == 2);
}

// Our columns count bytes, those of the format what an editor counts.
BOOST_AUTO_TEST_CASE(ColumnsCountCodePoints) {
  const Sources sources{{"dir/ä.yaml", "first\nkey: \"äöü\" ☃ wrong\n"},
                        {"<library/x.yaml>", "a\n"}};
  Diagnostics diagnostics;
  diagnostics.Error({0, 2, 18, 5}, "E1", "wrong", "write right");
  diagnostics.Note({1, 1, 1, 1}, "E2", "there");
  const auto results = Parsed(SarifText(diagnostics.Sorted(), sources))["runs"][0]["results"];
  const auto& first = results[0]["locations"][0]["physicalLocation"];
  BOOST_TEST(first["artifactLocation"]["uri"] == "dir/%C3%A4.yaml");
  BOOST_TEST(first["region"]["startColumn"] == 13);
  BOOST_TEST(first["region"]["endColumn"] == 18);
  BOOST_TEST(results[0]["message"]["text"] == "wrong\nwrite right");
  BOOST_TEST(results[1]["level"] == "note");
  BOOST_TEST(results[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] ==
             "bulkhead:library/x.yaml");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
