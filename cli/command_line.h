// SPDX-License-Identifier: Apache-2.0
// The command line, parsed by the table of commands. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/command_table.h"

namespace bulkhead {

struct Invocation {
  Command command = Command::kCheck;
  std::map<Parameter, std::vector<std::string>> values;

  bool Has(Parameter parameter) const { return values.contains(parameter); }
  // The value, or the first of the choices where none was given, or nothing.
  std::string One(Parameter parameter) const;
  std::vector<std::string> All(Parameter parameter) const;
  // Its value as a decimal number from `least` to `most`; `without` where none was given, nothing
  // where it is no such number.
  std::optional<uint64_t> Number(Parameter parameter, uint64_t without, uint64_t least,
                                 uint64_t most) const;
};

// Help or the version to print, with exit code 0; or what is wrong, with exit code 2.
struct Answer {
  int exit = 0;
  std::string text;
};

std::variant<Invocation, Answer> ParseCommandLine(const std::vector<std::string>& arguments);

}  // namespace bulkhead
