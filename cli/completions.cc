// SPDX-License-Identifier: Apache-2.0
// Shell completions from the table of commands: command words, options and their choices; files
// everywhere else.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "cli/help.h"

namespace bulkhead {
namespace {

constexpr std::string_view kHead =
    "# SPDX-License-Identifier: Apache-2.0\n"
    "# Generated from cli/command_table.cc by BULKHEAD_REGENERATE=1 test-cli.\n";

std::string Spaced(std::string_view choices) {
  std::string out(choices);
  std::replace(out.begin(), out.end(), '|', ' ');
  return out;
}

std::string OptionWords(const CommandRow& command) {
  std::string out = "--help";
  for (const Parameter parameter : command.parameters) {
    if (!Row(parameter).option.empty()) out += fmt::format(" {}", Row(parameter).option);
  }
  return out;
}

std::string_view FirstWord(std::string_view name) { return name.substr(0, name.find(' ')); }

std::string_view SecondWord(std::string_view name) {
  const size_t space = name.find(' ');
  return space == name.npos ? std::string_view() : name.substr(space + 1);
}

std::vector<std::string_view> FirstWords() {
  std::vector<std::string_view> words;
  for (const CommandRow& row : Commands()) {
    if (words.empty() || words.back() != FirstWord(row.name)) words.push_back(FirstWord(row.name));
  }
  return words;
}

std::string SecondWords(std::string_view first) {
  std::string out;
  for (const CommandRow& row : Commands()) {
    if (FirstWord(row.name) != first || SecondWord(row.name).empty()) continue;
    out += (out.empty() ? "" : " ") + std::string(SecondWord(row.name));
  }
  return out;
}

// Text inside single quotes of a shell.
std::string Quotable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out;
}

std::string FishOption(const CommandRow& command, const ParameterRow& row) {
  std::string condition = fmt::format("__fish_seen_subcommand_from {}", FirstWord(command.name));
  if (!SecondWord(command.name).empty()) {
    condition += fmt::format("; and __fish_seen_subcommand_from {}", SecondWord(command.name));
  }
  std::string line =
      fmt::format("complete -c bulkhead -n '{}' -l {}", condition, row.option.substr(2));
  if (!row.letter.empty()) line += fmt::format(" -s {}", row.letter.substr(1));
  if (!row.IsSwitch())
    line += row.choices.empty() ? " -r" : fmt::format(" -x -a '{}'", Spaced(row.choices));
  return line + fmt::format(" -d '{}'\n", Quotable(row.help));
}

// Lines of a shell's `case "COMMAND OPTION" in`: the choices of each option that has some.
std::string ChoiceCases(std::string_view format) {
  std::string out;
  for (const CommandRow& command : Commands()) {
    for (const Parameter parameter : command.parameters) {
      const ParameterRow& row = Row(parameter);
      if (row.option.empty() || row.choices.empty()) continue;
      out += fmt::format(fmt::runtime(format), command.name, row.option, Spaced(row.choices));
    }
  }
  return out;
}

// First words that a second one follows, such as `audit`.
std::string Families(std::string_view separator) {
  std::vector<std::string_view> families;
  for (const std::string_view first : FirstWords()) {
    if (!SecondWords(first).empty()) families.push_back(first);
  }
  return fmt::format("{}", fmt::join(families, separator));
}

}  // namespace

std::string BashCompletion() {
  std::string cases;
  for (const CommandRow& row : Commands()) {
    cases += fmt::format("    '{}') words='{}' ;;\n", row.name, OptionWords(row));
  }
  for (const std::string_view first : FirstWords()) {
    if (!SecondWords(first).empty()) {
      cases += fmt::format("    '{}'*) words='{}' ;;\n", first, SecondWords(first));
    }
  }
  const std::string families = Families("|");
  return fmt::format(
      "{}_bulkhead() {{\n"
      "  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} "
      "words=''\n"
      "  local command=${{COMP_WORDS[1]}} family=''\n"
      "  COMPREPLY=()\n"
      "  case $command in {}) family=1 ;; esac\n"
      "  [[ -n $family && $COMP_CWORD -gt 2 ]] && command=\"$command ${{COMP_WORDS[2]}}\"\n"
      "  case \"$command $previous\" in\n{}  esac\n"
      "  if [[ -n $words ]]; then :\n"
      "  elif [[ $COMP_CWORD -eq 1 ]]; then\n"
      "    words='{} --help --version'\n"
      "  elif [[ $current == -* || ( -n $family && $COMP_CWORD -eq 2 ) ]]; then\n"
      "    case $command in\n{}    esac\n"
      "  fi\n"
      "  [[ -n $words ]] && mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "}}\n"
      "complete -o default -F _bulkhead bulkhead\n",
      kHead, families, ChoiceCases("    '{} {}') words='{}' ;;\n"), fmt::join(FirstWords(), " "),
      cases);
}

std::string ZshCompletion() {
  std::string cases;
  std::string seconds;
  for (const CommandRow& row : Commands()) {
    cases += fmt::format("    '{}') words=({}) ;;\n", row.name, OptionWords(row));
  }
  for (const std::string_view first : FirstWords()) {
    if (SecondWords(first).empty()) continue;
    seconds += fmt::format("  {}) family=({}) ;;\n", first, SecondWords(first));
  }
  return fmt::format(
      "#compdef bulkhead\n{}"
      "local -a line=(\"${{words[@]}}\") family=() choices=()\n"
      "local command=${{line[2]}}\n"
      "if (( CURRENT == 2 )); then\n  compadd -- {} --help --version\n  return\nfi\n"
      "case $command in\n{}esac\n"
      "if (( $#family )); then\n"
      "  (( CURRENT == 3 )) && {{ compadd -- $family; return }}\n"
      "  command=\"$command ${{line[3]}}\"\nfi\n"
      "case \"$command ${{line[CURRENT-1]}}\" in\n{}esac\n"
      "if (( $#choices )); then\n"
      "  compadd -- $choices\n"
      "elif [[ $PREFIX == -* ]]; then\n"
      "  local -a words\n  case $command in\n{}  esac\n  compadd -- $words\n"
      "else\n  _files\nfi\n",
      kHead, fmt::join(FirstWords(), " "), seconds, ChoiceCases("  '{} {}') choices=({}) ;;\n"),
      cases);
}

std::string FishCompletion() {
  std::string out(kHead);
  for (const CommandRow& row : Commands()) {
    const std::string_view second = SecondWord(row.name);
    out += fmt::format("complete -c bulkhead -n '{}' -a {} -d '{}'\n",
                       second.empty()
                           ? "__fish_use_subcommand"
                           : fmt::format("__fish_seen_subcommand_from {}", FirstWord(row.name)),
                       second.empty() ? row.name : second, Quotable(row.summary));
  }
  for (const std::string_view first : FirstWords()) {
    if (SecondWords(first).empty()) continue;
    out += fmt::format("complete -c bulkhead -n __fish_use_subcommand -a {}\n", first);
  }
  for (const CommandRow& row : Commands()) {
    for (const Parameter parameter : row.parameters) {
      if (!Row(parameter).option.empty()) out += FishOption(row, Row(parameter));
    }
  }
  return out;
}

}  // namespace bulkhead
