// SPDX-License-Identifier: Apache-2.0
// Standard output and standard error of one run: messages, colours, tables. Text that comes from
// policies, bundles or logs passes through Shown before it reaches a terminal. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

// Colour is for terminals only, and not where NO_COLOR (no-color.org) is set.
bool ColorOn(int descriptor);

// `text` fit for a terminal: control, invisible and malformed bytes written as \xNN.
std::string Shown(std::string_view text);

// False: standard output does not take it (a full disk, a closed pipe).
bool PrintOut(std::string_view text);
void PrintError(std::string_view message, std::string_view help = {});
void PrintNote(std::string_view message);
void PrintRaw(std::string_view text);  // to standard error, as it is

// Columns as wide as their widest cell, two spaces between them, no trailing spaces. The first row
// is the heading.
std::string Table(const std::vector<std::vector<std::string>>& rows);

}  // namespace bulkhead
