// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <functional>

#include "engine/options.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

const struct {
  const char* path;
  std::string (*make)();
} kPages[] = {
    {BULKHEAD_SOURCE_DIR "/packaging/man/bulkhead.1", ManualPage},
    {BULKHEAD_SOURCE_DIR "/packaging/man/bulkhead-init.8", InitManualPage},
    {BULKHEAD_SOURCE_DIR "/packaging/completions/bulkhead.bash", BashCompletion},
    {BULKHEAD_SOURCE_DIR "/packaging/completions/_bulkhead", ZshCompletion},
    {BULKHEAD_SOURCE_DIR "/packaging/completions/bulkhead.fish", FishCompletion},
};

BOOST_AUTO_TEST_SUITE(Help)

BOOST_AUTO_TEST_CASE(PackagedPagesAreUpToDate) {
  const bool regenerate = std::getenv("BULKHEAD_REGENERATE") != nullptr;
  for (const auto& page : kPages) {
    if (regenerate) test::WriteText(page.path, page.make());
    BOOST_TEST(test::ReadText(page.path) == page.make(),
               page.path << " is old; write it anew with BULKHEAD_REGENERATE=1 test-cli");
  }
}

BOOST_AUTO_TEST_CASE(ManualNamesEveryCommandAndOption) {
  const std::string page = ManualPage();
  std::string plain = page;
  std::erase(plain, '\\');  // of escaped dashes
  for (const CommandRow& row : Commands()) {
    BOOST_TEST(plain.find(".SH \"" + std::string(row.name) + "\"\n") != std::string::npos);
  }
  for (const std::string& part : {std::string("\\-\\-target"), std::string("EXIT STATUS")}) {
    BOOST_TEST(page.find(part) != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(TheFirstChoiceIsTheDefault) {
  BOOST_TEST(ChoicesText("text|json") == "text (default) or json");
  BOOST_TEST(ChoicesText("text|json|sarif") == "text (default), json or sarif");
  BOOST_TEST(ManualPage().find("text (default), json or sarif") != std::string::npos);
}

// bulkhead-init has its own small parser: both must know the same options.
BOOST_AUTO_TEST_CASE(ManualOfInitNamesTheOptionsOfItsOwnHelp) {
  std::string program = "bulkhead-init";
  std::string flag = "--help";
  char* argv[] = {program.data(), flag.data(), nullptr};
  const std::string help = ParseInitOptions(2, argv).text;
  std::string page = InitManualPage();
  std::erase(page, '\\');
  size_t options = 0;
  for (size_t at = help.find("\n  --"); at != std::string::npos; at = help.find("\n  --", at + 1)) {
    const std::string option = help.substr(at + 3, help.find(' ', at + 3) - at - 3);
    BOOST_TEST(page.find(option) != std::string::npos, option << " is not in the manual");
    ++options;
  }
  BOOST_TEST(options >= 3U);
  for (const Parameter parameter : InitRow().parameters) {
    if (!Row(parameter).option.empty()) {
      BOOST_TEST(help.find(Row(parameter).option) != std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(CompletionsNameEveryCommand) {
  for (const std::string& text : {BashCompletion(), ZshCompletion(), FishCompletion()}) {
    for (const CommandRow& row : Commands()) {
      const std::string_view last = row.name.substr(row.name.rfind(' ') + 1);
      BOOST_TEST(text.find(last) != std::string::npos, last << " is missing");
    }
  }
}

BOOST_AUTO_TEST_CASE(BashCompletesWordsOptionsAndChoices) {
  const auto words = [](const std::string& line) {
    const std::string script =
        "source " BULKHEAD_SOURCE_DIR "/packaging/completions/bulkhead.bash; COMP_WORDS=(" + line +
        "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _bulkhead; echo \"${COMPREPLY[*]}\"";
    return test::Bash(script).out;
  };
  BOOST_TEST(words("bulkhead ins") == "inspect\n");
  BOOST_TEST(words("bulkhead test p.yaml --format ''") == "text tap junit json\n");
  BOOST_TEST(words("bulkhead check --format ''") == "text json sarif\n");
  BOOST_TEST(words("bulkhead doctor --format ''") == "yaml json\n");
  BOOST_TEST(words("bulkhead export ''") == "bpf oci-seccomp\n");
  BOOST_TEST(words("bulkhead export bpf --refuse ''") == "notify errno kill\n");
  BOOST_TEST(words("bulkhead audit v") == "verify\n");
  BOOST_TEST(words("bulkhead why --fo") == "--format\n");
  BOOST_TEST(words("bulkhead why some") == "\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
