// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <boost/test/unit_test.hpp>

#include "cli/cli.h"
#include "cli/help.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using Words = std::vector<std::string>;

Answer AnswerTo(const Words& words) {
  const auto parsed = ParseCommandLine(words);
  BOOST_REQUIRE(std::holds_alternative<Answer>(parsed));
  return std::get<Answer>(parsed);
}

Invocation Understood(const Words& words) {
  const auto parsed = ParseCommandLine(words);
  const auto* answer = std::get_if<Answer>(&parsed);
  BOOST_REQUIRE_MESSAGE(answer == nullptr, (answer ? answer->text : ""));
  return std::get<Invocation>(parsed);
}

Words Split(std::string_view name) {
  const size_t space = name.find(' ');
  if (space == name.npos) return {std::string(name)};
  return {std::string(name.substr(0, space)), std::string(name.substr(space + 1))};
}

BOOST_AUTO_TEST_SUITE(CommandLine)

BOOST_AUTO_TEST_CASE(EveryCommandHasHelpThatNamesAllItTakes) {
  for (const CommandRow& row : Commands()) {
    for (const char* flag : {"--help", "-h"}) {
      Words words = Split(row.name);
      words.emplace_back(flag);
      const Answer answer = AnswerTo(words);
      BOOST_TEST(answer.exit == 0);
      BOOST_TEST(answer.text.starts_with("usage: bulkhead " + std::string(row.name)));
      for (const Parameter parameter : row.parameters) {
        const ParameterRow& taken = Row(parameter);
        const std::string_view word = taken.option.empty() ? taken.value : taken.option;
        BOOST_TEST(answer.text.find("\n  " + std::string(taken.letter)) != std::string::npos);
        BOOST_TEST(answer.text.find(word) != std::string::npos, row.name << " lacks " << word);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(HelpLinesFitATerminal) {
  std::string all = GeneralHelp() + FamilyHelp("audit");
  for (const CommandRow& row : Commands()) all += CommandHelp(row);
  for (size_t from = 0; from < all.size();) {
    const size_t end = all.find('\n', from);
    BOOST_TEST(end - from <= 80U, all.substr(from, end - from));
    from = end + 1;
  }
}

BOOST_AUTO_TEST_CASE(GeneralHelpListsEveryCommandAndExitCode) {
  const std::string help = AnswerTo({"--help"}).text;
  for (const CommandRow& row : Commands()) BOOST_TEST(help.find(row.name) != std::string::npos);
  for (const ExitRow& row : ExitCodes()) {
    BOOST_TEST(help.find("\n  " + std::to_string(row.code) + " ") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(OptionsAndArgumentsInAnyOrder) {
  for (const Words& words :
       {Words{"compile", "p.yaml", "-o", "x", "--set", "a=1", "--set", "b=2", "--format", "json"},
        Words{"compile", "--set=a=1", "--format=json", "--set=b=2", "--output=x", "p.yaml"}}) {
    const Invocation invocation = Understood(words);
    BOOST_TEST((invocation.command == Command::kCompile));
    BOOST_TEST(invocation.One(Parameter::kPolicy) == "p.yaml");
    BOOST_TEST(invocation.One(Parameter::kOutput) == "x");
    BOOST_TEST(invocation.One(Parameter::kFormat) == "json");
    BOOST_TEST((invocation.All(Parameter::kSet) == Words{"a=1", "b=2"}));
    BOOST_TEST(!invocation.Has(Parameter::kTarget));
  }
}

BOOST_AUTO_TEST_CASE(TheFirstChoiceIsTheDefault) {
  BOOST_TEST(Understood({"check", "p"}).One(Parameter::kFormat) == "text");
  BOOST_TEST(Understood({"doctor"}).One(Parameter::kTargetFormat) == "yaml");
}

BOOST_AUTO_TEST_CASE(EverythingAfterTwoHyphensIsTheProgram) {
  const Invocation invocation =
      Understood({"exec", "b", "tools", "--init", "/i", "--", "ls", "--help", "--", "-x"});
  BOOST_TEST(invocation.One(Parameter::kInit) == "/i");
  BOOST_TEST((invocation.All(Parameter::kProgram) == Words{"ls", "--help", "--", "-x"}));
  BOOST_TEST(!Understood({"exec", "b", "tools"}).Has(Parameter::kProgram));
}

BOOST_AUTO_TEST_CASE(AComponentMayBeCalledLikeACommand) {
  const Invocation invocation = Understood({"why", "b", "run", "syscall", "ioctl", "request=1"});
  BOOST_TEST(invocation.One(Parameter::kComponent) == "run");
  BOOST_TEST((invocation.All(Parameter::kObject) == Words{"ioctl", "request=1"}));
}

BOOST_AUTO_TEST_CASE(WrongUsageIsExplained) {
  const struct {
    Words words;
    std::string error;
    std::string help;
  } cases[] = {
      {{"chek", "p"}, "`chek` is not a command", "did you mean `check`?"},
      {{"audit", "verfy", "f"}, "`audit verfy` is not a command", "did you mean `verify`?"},
      {{"zzzzzzzz"}, "`zzzzzzzz` is not a command", "`bulkhead --help` lists the commands"},
      {{"audit"}, "`audit` needs a second word", "`bulkhead audit --help` lists them"},
      {{"--hepl"},
       "`--hepl` is not an option",
       "options follow the command: `bulkhead COMMAND --help`"},
      {{"check"}, "check: POLICY is required", "`bulkhead check --help` shows its usage"},
      {{"check", "a", "b"}, "`check` does not take `b`", "`bulkhead check --help` shows its usage"},
      {{"check", "a", "--taget", "x"},
       "`check` does not take `--taget`",
       "did you mean `--target`?"},
      {{"check", "a", "--taget=x"},
       "`check` does not take `--taget=x`",
       "did you mean `--target`?"},
      {{"check", "a", "--date", "x", "--date", "y"},
       "check: `--date` is given twice",
       "`bulkhead check --help` shows its usage"},
      {{"check", "a", "--format", "xml"},
       "check: --format: xml not in {text,json,sarif}",
       "`bulkhead check --help` shows its usage"},
      {{"exec", "b", "c", "--"},
       "no program follows `--`",
       "`bulkhead exec --help` shows its usage"},
      {{"why", "b", "c", "read"},
       "why: OBJECT is required",
       "`bulkhead why --help` shows its usage"},
      {{"chec\x1b[2J"}, "`chec\\x1B[2J` is not a command", "did you mean `check`?"},
  };
  for (const auto& row : cases) {
    const Answer answer = AnswerTo(row.words);
    BOOST_TEST(answer.exit == kExitWrongUsage);
    if (row.words[0][4] == '\x1b') {  // escaped one way or the other, never raw
      BOOST_TEST(answer.text.find('\x1b') == std::string::npos);
      continue;
    }
    BOOST_TEST(answer.text == "bulkhead: error: " + row.error + "\n  help: " + row.help + "\n");
  }
}

BOOST_AUTO_TEST_CASE(VersionIsThatOfTheProject) {
  const auto version = test::Bulkhead({"--version"});
  BOOST_TEST(version.exit == 0);
  BOOST_TEST(version.err == "");
  const std::string project = test::ReadText(BULKHEAD_SOURCE_DIR "/CMakeLists.txt");
  BOOST_TEST(version.out == "bulkhead " + std::string(kVersion) + "\n");
  BOOST_TEST(project.find("VERSION " + std::string(kVersion) + " ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(HelpGoesToOutputAndWrongUsageToErrors) {
  const auto help = test::Bulkhead({"run", "--help"});
  BOOST_TEST(help.exit == 0);
  BOOST_TEST(help.err == "");
  const auto wrong = test::Bulkhead({"nonsense"});
  BOOST_TEST(wrong.exit == 2);
  BOOST_TEST(wrong.out == "");
  const auto nothing = test::Bulkhead({});
  BOOST_TEST(nothing.exit == 2);
  BOOST_TEST(nothing.err == GeneralHelp());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
