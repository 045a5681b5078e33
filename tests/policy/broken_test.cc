// SPDX-License-Identifier: Apache-2.0
// Every file of broken/ is refused with exactly the text beside it, and every code that the
// sources can give is in some of these texts.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/policy/support.h"

namespace bulkhead::testing {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> FilesOf(const fs::path& folder, const std::string& extension) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == extension) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The first line of a case may set options: `# set: front=1 target: debian-12`.
LoadOptions OptionsOf(const std::string& text) {
  LoadOptions options;
  std::smatch match;
  const std::string first = text.substr(0, text.find('\n'));
  if (std::regex_search(first, match, std::regex("^# set: ([a-z]+)=([^ ]*)"))) {
    options.set[match[1]] = match[2];
  }
  if (std::regex_search(first, match, std::regex("^# target: ([^ ]+)"))) options.target = match[1];
  return options;
}

Loaded LoadCase(const fs::path& path) {
  Loaded loaded;
  loaded.policy = LoadPolicyFile(path.filename().string(), OptionsOf(ReadAll(path)), loaded.sources,
                                 loaded.diagnostics);
  return loaded;
}

struct Generated {  // cases too large to keep as files
  std::string name;
  std::string text;
};

std::string Repeated(std::string_view part, size_t times) {
  std::string text;
  for (size_t i = 0; i < times; ++i) text += part;
  return text;
}

std::string NumberedKeys(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += "K" + std::to_string(i) + ": v, ";
  return text;
}

std::vector<Generated> GeneratedCases() {
  return {
      {"generated-huge", OneComponent("#" + Repeated("x", 1U << 20))},
      {"generated-values", OneComponent("    devices: [" + Repeated("/dev/kvm, ", 100000) + "]")},
      {"generated-items", OneComponent("    after: [" + Repeated("two, ", 1025) + "]")},
      {"generated-text", OneComponent("    env: {KEY: \"" + Repeated("x", 65537) + "\"}")},
      {"generated-keys", OneComponent("    env: {" + NumberedKeys(1030) + "}")},
      {"generated-unfinished", OneComponent("    env: {a" + Repeated(":a", 5000))},
      {"generated-open-lists", OneComponent("    after: " + Repeated("[", 500000))},
      {"generated-open-maps", OneComponent("    after: " + Repeated("{a: ", 200000))},
      {"generated-dashes", OneComponent("    after:\n    " + Repeated("- ", 100000))},
  };
}

void CompareOrRegenerate(const Loaded& loaded, const fs::path& expected) {
  BOOST_TEST(!loaded.policy.has_value());
  BOOST_TEST(loaded.diagnostics.HasErrors());
  if (std::getenv("BULKHEAD_REGENERATE") != nullptr) {
    std::ofstream(expected, std::ios::binary) << loaded.Rendered();
  }
  BOOST_TEST(loaded.Rendered() == ReadAll(expected));
}

struct InFolder {  // cases name files relative to their folder
  explicit InFolder(const fs::path& folder) : before(fs::current_path()) {
    fs::current_path(folder);
  }
  ~InFolder() { fs::current_path(before); }
  fs::path before;
};

std::set<std::string> CodesIn(const std::string& text, const std::string& pattern) {
  std::set<std::string> codes;
  const std::regex regex(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
    codes.insert((*it)[1]);
  }
  return codes;
}

BOOST_AUTO_TEST_SUITE(Broken)

BOOST_AUTO_TEST_CASE(EveryCaseGivesItsText) {
  const InFolder folder(TestFolder() / "broken");
  const auto cases = FilesOf(".", ".yaml");
  BOOST_TEST(cases.size() >= 60U);
  for (const fs::path& path : cases) {
    BOOST_TEST_CONTEXT(path.string()) {
      fs::path expected = path;
      expected.replace_extension(".expected");
      CompareOrRegenerate(LoadCase(path), expected);
    }
  }
}

BOOST_AUTO_TEST_CASE(EveryGeneratedCaseGivesItsText) {
  for (const Generated& generated : GeneratedCases()) {
    BOOST_TEST_CONTEXT(generated.name) {
      CompareOrRegenerate(LoadText(generated.text),
                          TestFolder() / "broken" / (generated.name + ".expected"));
    }
  }
}

BOOST_AUTO_TEST_CASE(EveryCodeHasACase) {
  std::set<std::string> given;
  for (const fs::path& path : FilesOf(fs::path(BULKHEAD_SOURCE_DIR) / "policy", ".cc")) {
    given.merge(CodesIn(ReadAll(path), "\"(E[0-9]{4})\""));
  }
  std::set<std::string> covered;
  for (const fs::path& path : FilesOf(TestFolder() / "broken", ".expected")) {
    covered.merge(CodesIn(ReadAll(path), "\\[(E[0-9]{4})\\]\n"));
  }
  BOOST_TEST(given.size() > 50U);
  for (const std::string& code : given) BOOST_TEST(covered.contains(code), code + " has no case");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead::testing
