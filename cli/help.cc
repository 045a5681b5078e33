// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "compiler/question.h"

namespace bulkhead {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kIndent = 26;

// `text` broken into lines of at most kWidth columns, all but the first indented.
std::string Wrapped(std::string_view text, size_t indent) {
  std::string out;
  size_t column = indent;
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find(' ', from), text.size());
    const std::string_view word = text.substr(from, end - from);
    if (column > indent && column + 1 + word.size() > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    from = end + 1;
  }
  return out;
}

std::string Term(const ParameterRow& row) {
  if (row.option.empty()) return fmt::format("{}{}", row.value, row.repeated ? "..." : "");
  return fmt::format("{}{}{}{}{}", row.letter, row.letter.empty() ? "" : ", ", row.option,
                     row.IsSwitch() ? "" : " ", row.value);
}

std::string Explanation(const ParameterRow& row) {
  std::string text(row.help);
  if (!row.choices.empty()) text += ": " + ChoicesText(row.choices);
  if (row.repeated && !row.option.empty()) text += "; may be repeated";
  return text;
}

std::string Line(std::string_view term, std::string_view text) {
  std::string head = fmt::format("  {:<{}}", term, kIndent - 2);
  if (head.size() > kIndent) head += "\n" + std::string(kIndent, ' ');
  return head + Wrapped(text, kIndent) + "\n";
}

std::string Parameters(const CommandRow& command, bool options) {
  std::string out;
  for (const Parameter parameter : command.parameters) {
    const ParameterRow& row = Row(parameter);
    if (row.option.empty() != options) out += Line(Term(row), Explanation(row));
  }
  return out;
}

std::string Arguments(const CommandRow& command) {
  const std::string out = Parameters(command, false);
  return out.empty() ? out : "\n" + out;
}

std::string Indented(std::string_view lines) {
  std::string out = "  ";
  for (const char c : lines) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out + "\n";
}

std::string Paragraphs(std::string_view text) {
  std::string out;
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    out += Wrapped(text.substr(from, end - from), 0) + "\n";
    from = end + 1;
  }
  return out;
}

std::string Actions(const CommandRow& command) {
  if (command.id != Command::kWhy) return {};
  std::string out = "\nactions:\n";
  for (const ActionRow& row : bulkhead::Actions()) {
    out += Line(row.name, fmt::format("{}: {}", row.about, row.example));
  }
  return out;
}

std::string CommandList(std::string_view prefix) {
  std::string out;
  for (const CommandRow& row : Commands()) {
    if (row.name.starts_with(prefix)) out += Line(row.name, row.summary);
  }
  return out;
}

}  // namespace

std::string ChoicesText(std::string_view choices) {
  const size_t bar = choices.find('|');
  std::string others(choices.substr(bar + 1));
  for (size_t at = 0; (at = others.find('|', at)) != std::string::npos;) {
    const bool last = others.find('|', at + 1) == std::string::npos;
    others.replace(at, 1, last ? " or " : ", ");
  }
  return fmt::format("{} (default){} {}", choices.substr(0, bar),
                     others.find(' ') == std::string::npos ? " or" : ",", others);
}

std::string Usage(const CommandRow& command) {
  std::string out(&command == &InitRow() ? "" : "bulkhead ");
  out += command.name;
  std::string tail;
  for (const Parameter parameter : command.parameters) {
    const ParameterRow& row = Row(parameter);
    std::string text = row.option.empty()   ? std::string(row.value)
                       : row.IsSwitch()     ? std::string(row.option)
                       : row.letter.empty() ? fmt::format("{} {}", row.option, row.value)
                                            : fmt::format("{} {}", row.letter, row.value);
    if (row.repeated) text += "...";
    if (!row.required) text = fmt::format("[{}]", text);
    // Whatever follows -- is last.
    (parameter == Parameter::kProgram ? tail : out) += fmt::format(" {}", text);
  }
  return out + tail;
}

std::string CommandHelp(const CommandRow& command) {
  return fmt::format("usage: {}\n\n{}{}{}\noptions:\n{}{}\nexamples:\n{}",
                     Wrapped(Usage(command), 7), Paragraphs(command.details), Arguments(command),
                     Actions(command), Parameters(command, true), Line("-h, --help", "this text"),
                     Indented(command.example));
}

std::string FamilyHelp(std::string_view word) {
  return fmt::format("usage: bulkhead {} COMMAND\n\ncommands:\n{}", word,
                     CommandList(std::string(word) + " "));
}

std::string GeneralHelp() {
  std::string codes;
  for (const ExitRow& row : ExitCodes()) codes += Line(fmt::format("{}", row.code), row.meaning);
  return fmt::format(
      "usage: bulkhead COMMAND ...\n\n"
      "Isolation inside a confidential enclave: one policy, compiled to one closed set\n"
      "of kernel controls per component.\n\n"
      "commands:\n{}\noptions:\n{}{}\nexit codes:\n{}\n"
      "`bulkhead COMMAND --help` tells more about one of them.\n",
      CommandList(""), Line("-h, --help", "this text"), Line("--version", "the version"), codes);
}

}  // namespace bulkhead
