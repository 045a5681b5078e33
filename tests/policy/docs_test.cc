// SPDX-License-Identifier: Apache-2.0
// The documents that are made from the schema are those that it makes.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "policy/schema.h"
#include "policy/schema_docs.h"
#include "policy/shipped_docs.h"
#include "tests/policy/support.h"

namespace bulkhead::testing {
namespace {

constexpr std::string_view kBegin = "<!-- generated: begin -->\n";
constexpr std::string_view kEnd = "<!-- generated: end -->\n";

std::filesystem::path Document(const char* name) {
  return std::filesystem::path(BULKHEAD_SOURCE_DIR) / "docs" / name;
}

void Compare(const std::filesystem::path& path, const std::string& expected) {
  if (std::getenv("BULKHEAD_REGENERATE") != nullptr) std::ofstream(path) << expected;
  BOOST_TEST((ReadAll(path) == expected),
             path.filename().string() +
                 " is not what the schema makes; run BULKHEAD_REGENERATE=1 test-policy");
}

BOOST_AUTO_TEST_SUITE(Docs)

BOOST_AUTO_TEST_CASE(ShippedFilesAreDocumented) {
  const std::string text = RenderShippedMarkdown();
  Compare(Document("PROFILES.md"), text);
  for (const char* name : {"| `batch` | Does one job", "| `python` | ",
                           "| `@io` | reads and writes", "| `debian-12` | Debian 12"}) {
    BOOST_TEST(text.find(name) != std::string::npos, name);
  }
  BOOST_TEST(text.find("|  |") == std::string::npos, "an item without a description");
}

BOOST_AUTO_TEST_CASE(LanguageReferenceIsTheTable) {
  const std::string text = ReadAll(Document("LANGUAGE.md"));
  const size_t begin = text.find(kBegin);
  const size_t end = text.find(kEnd);
  BOOST_TEST_REQUIRE(begin != std::string::npos);
  BOOST_TEST_REQUIRE(end != std::string::npos);
  Compare(Document("LANGUAGE.md"),
          text.substr(0, begin + kBegin.size()) + "\n" + RenderSchemaMarkdown() + text.substr(end));
}

BOOST_AUTO_TEST_CASE(JsonSchemaIsTheTable) {
  Compare(Document("policy.schema.json"), RenderJsonSchema());
}

BOOST_AUTO_TEST_CASE(JsonSchemaRefersOnlyToWhatItDefines) {
  const std::string text = RenderJsonSchema();
  const auto schema = nlohmann::json::parse(text);
  constexpr std::string_view kReference = "\"$ref\": \"#/$defs/";
  size_t found = 0;
  for (size_t at = text.find(kReference); at != std::string::npos;
       at = text.find(kReference, at + 1), ++found) {
    const size_t start = at + kReference.size();
    const std::string name = text.substr(start, text.find('"', start) - start);
    BOOST_TEST(schema["$defs"].contains(name), name);
  }
  BOOST_TEST(found > 40U);
}

BOOST_AUTO_TEST_CASE(EveryShapeIsReachedAndDescribed) {
  std::set<std::string_view> shapes;
  for (const Shape& shape : Shapes()) shapes.insert(shape.name);
  std::set<std::string_view> reached = {"policy", "library", "target", "profile", "acceptances"};
  for (const Row& row : Rows()) {
    BOOST_TEST(shapes.contains(row.shape), row.shape);
    BOOST_TEST(!row.doc.empty(), row.key);
    BOOST_TEST((row.type != Type::kNone || !row.map.empty()), row.key);
    if (!row.map.empty()) reached.insert(row.map);
  }
  for (const std::string_view shape : shapes) BOOST_TEST(reached.contains(shape), shape);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead::testing
