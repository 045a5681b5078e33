// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <fmt/format.h>
#include <charconv>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include "cli/cli.h"
#include "cli/help.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

using Words = std::vector<std::string>;

Answer Wrong(std::string_view message, std::string_view help) {
  return {kExitWrongUsage, fmt::format("bulkhead: error: {}\n  help: {}\n", message, help)};
}

std::string Suggest(std::string_view word, const std::vector<std::string_view>& candidates,
                    std::string_view otherwise) {
  const auto nearest = Nearest(word, candidates);
  return nearest ? fmt::format("did you mean `{}`?", *nearest) : std::string(otherwise);
}

std::vector<std::string> ChoicesOf(const ParameterRow& row) {
  std::vector<std::string> choices;
  for (size_t from = 0; from < row.choices.size();) {
    const size_t end = std::min(row.choices.find('|', from), row.choices.size());
    choices.emplace_back(row.choices.substr(from, end - from));
    from = end + 1;
  }
  return choices;
}

Answer UnknownCommand(std::string_view word, std::string_view before) {
  std::vector<std::string_view> names;
  for (const CommandRow& row : Commands()) {
    const std::string_view name = row.name;
    if (!before.empty() && name.starts_with(before)) names.push_back(name.substr(before.size()));
    if (before.empty()) names.push_back(name.substr(0, name.find(' ')));
  }
  return Wrong(fmt::format("{} is not a command", Quoted(std::string(before) + std::string(word))),
               Suggest(word, names, "`bulkhead --help` lists the commands"));
}

// The command that `words` begin with, which are then shortened by its name.
std::variant<const CommandRow*, Answer> TakeCommand(Words& words) {
  const bool two = std::any_of(Commands().begin(), Commands().end(), [&](const CommandRow& row) {
    return row.name.starts_with(words[0] + " ");
  });
  if (two && words.size() < 2) {
    return Wrong(fmt::format("`{}` needs a second word", words[0]),
                 fmt::format("`bulkhead {} --help` lists them", words[0]));
  }
  const std::string name = two ? words[0] + " " + words[1] : words[0];
  for (const CommandRow& row : Commands()) {
    if (row.name != name) continue;
    words.erase(words.begin(), words.begin() + (two ? 2 : 1));
    return &row;
  }
  if (two && (words[1] == "--help" || words[1] == "-h")) return Answer{0, FamilyHelp(words[0])};
  return two ? UnknownCommand(words[1], words[0] + " ") : UnknownCommand(words[0], "");
}

std::string SeeHelp(const CommandRow& command) {
  return fmt::format("`bulkhead {} --help` shows its usage", command.name);
}

Answer UnknownOption(const CommandRow& command, const std::string& word) {
  std::vector<std::string_view> names{"--help"};
  for (const Parameter parameter : command.parameters) {
    if (!Row(parameter).option.empty()) names.push_back(Row(parameter).option);
  }
  const std::string otherwise = SeeHelp(command);
  return Wrong(fmt::format("`{}` does not take {}", command.name, Quoted(word)),
               word.starts_with('-') ? Suggest(word.substr(0, word.find('=')), names, otherwise)
                                     : otherwise);
}

// Storage that outlives the parse, one vector a parameter, in the order of the table.
using Storage = std::vector<std::vector<std::string>>;

// Every option but a switch takes one word each time it is given; that it is given once only is
// checked after.
void Declare(CLI::App& app, const ParameterRow& row, std::vector<std::string>& storage) {
  const bool argument = row.option.empty();
  const std::string name =
      argument ? std::string(row.value)
               : fmt::format("{}{}{}", row.letter, row.letter.empty() ? "" : ",", row.option);
  if (row.IsSwitch()) {
    app.add_flag_function(
        name, [&storage](int64_t times) { storage.assign(static_cast<size_t>(times), "yes"); });
    return;
  }
  CLI::Option* option = app.add_option(name, storage)->required(row.required);
  if (argument && !row.repeated) option->expected(1);
  if (!argument || !row.repeated) option->allow_extra_args(false);
  if (!row.choices.empty()) option->check(CLI::IsMember(ChoicesOf(row)));
}

std::optional<Answer> GivenTwice(const CommandRow& command, const Storage& storage) {
  for (size_t i = 0; i < storage.size(); ++i) {
    const ParameterRow& row = Row(command.parameters[i]);
    if (row.repeated || storage[i].size() < 2) continue;
    return Wrong(fmt::format("{}: `{}` is given twice", command.name, row.option),
                 SeeHelp(command));
  }
  return std::nullopt;
}

std::optional<Answer> ParseWords(const CommandRow& command, Words words, Storage& storage) {
  CLI::App app("", std::string(command.name));
  for (size_t i = 0; i < command.parameters.size(); ++i) {
    if (command.parameters[i] != Parameter::kProgram) {
      Declare(app, Row(command.parameters[i]), storage[i]);
    }
  }
  std::reverse(words.begin(), words.end());  // what CLI11 expects of a vector
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    return Answer{0, CommandHelp(command)};
  } catch (const CLI::ExtrasError&) {
    return UnknownOption(command, app.remaining().front());
  } catch (const CLI::ParseError& error) {
    return Wrong(fmt::format("{}: {}", command.name, Escaped(error.what())), SeeHelp(command));
  }
  return GivenTwice(command, storage);
}

std::variant<Invocation, Answer> ParseCommand(const CommandRow& command, Words words) {
  Storage storage(command.parameters.size());
  const auto program =
      std::find(command.parameters.begin(), command.parameters.end(), Parameter::kProgram);
  if (program != command.parameters.end()) {
    const auto dashes = std::find(words.begin(), words.end(), "--");
    if (dashes != words.end()) {
      if (dashes + 1 == words.end()) return Wrong("no program follows `--`", SeeHelp(command));
      storage[static_cast<size_t>(program - command.parameters.begin())].assign(dashes + 1,
                                                                                words.end());
      words.erase(dashes, words.end());
    }
  }
  if (auto answer = ParseWords(command, std::move(words), storage)) return *answer;
  Invocation invocation{command.id, {}};
  for (size_t i = 0; i < storage.size(); ++i) {
    if (!storage[i].empty()) invocation.values[command.parameters[i]] = std::move(storage[i]);
  }
  return invocation;
}

}  // namespace

std::string Invocation::One(Parameter parameter) const {
  const auto found = values.find(parameter);
  if (found != values.end()) return found->second.front();
  const std::vector<std::string> choices = ChoicesOf(Row(parameter));
  return choices.empty() ? std::string() : choices.front();
}

std::optional<uint64_t> Invocation::Number(Parameter parameter, uint64_t without, uint64_t least,
                                           uint64_t most) const {
  if (!Has(parameter)) return without;
  const std::string text = One(parameter);
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < least || value > most) return std::nullopt;
  return value;
}

std::vector<std::string> Invocation::All(Parameter parameter) const {
  const auto found = values.find(parameter);
  return found == values.end() ? std::vector<std::string>() : found->second;
}

std::variant<Invocation, Answer> ParseCommandLine(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return Answer{kExitWrongUsage, GeneralHelp()};
  const std::string& first = arguments.front();
  if (first == "--help" || first == "-h") return Answer{0, GeneralHelp()};
  if (first == "--version") return Answer{0, fmt::format("bulkhead {}\n", kVersion)};
  if (first.starts_with('-')) {
    return Wrong(fmt::format("{} is not an option", Quoted(first)),
                 "options follow the command: `bulkhead COMMAND --help`");
  }
  Words words = arguments;
  auto command = TakeCommand(words);
  if (auto* answer = std::get_if<Answer>(&command)) return *answer;
  return ParseCommand(*std::get<const CommandRow*>(command), std::move(words));
}

}  // namespace bulkhead
