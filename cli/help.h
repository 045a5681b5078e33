// SPDX-License-Identifier: Apache-2.0
// What the table of commands looks like to people: usage lines, --help, manual pages and shell
// completions. The files in packaging/ are these strings; a test compares them. Pure.
#pragma once

#include <string>

#include "cli/command_table.h"

namespace bulkhead {

// "text (default), json or sarif" of "text|json|sarif".
std::string ChoicesText(std::string_view choices);
std::string Usage(const CommandRow& command);  // one line, without a line feed
std::string CommandHelp(const CommandRow& command);
std::string FamilyHelp(std::string_view word);  // of `audit`
std::string GeneralHelp();

std::string ManualPage();      // packaging/man/bulkhead.1
std::string InitManualPage();  // packaging/man/bulkhead-init.8
std::string BashCompletion();  // packaging/completions/bulkhead.bash
std::string ZshCompletion();   // packaging/completions/_bulkhead
std::string FishCompletion();  // packaging/completions/bulkhead.fish

}  // namespace bulkhead
