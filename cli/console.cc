// SPDX-License-Identifier: Apache-2.0
#include "cli/console.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "policy/text.h"

namespace bulkhead {
namespace {

// Characters on the terminal, for well-formed UTF-8 without wide ones.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string Painted(std::string_view text, std::string_view code) {
  if (!ColorOn(STDERR_FILENO)) return std::string(text);
  return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
}

}  // namespace

bool ColorOn(int descriptor) {
  const char* none = std::getenv("NO_COLOR");
  if (none != nullptr && *none != '\0') return false;
  const char* terminal = std::getenv("TERM");
  if (terminal != nullptr && std::string_view(terminal) == "dumb") return false;
  return isatty(descriptor) == 1;
}

std::string Shown(std::string_view text) { return Escaped(text); }

bool PrintOut(std::string_view text) {
  const bool all = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (std::fflush(stdout) == 0 && all) return true;
  PrintError("standard output can't be written");
  return false;
}

void PrintRaw(std::string_view text) {
  std::fflush(stdout);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void PrintError(std::string_view message, std::string_view help) {
  PrintRaw("bulkhead: " + Painted("error:", "1;31") + " " + Escaped(message) + "\n");
  if (!help.empty()) PrintRaw("  " + Painted("help:", "1") + " " + Escaped(help) + "\n");
}

void PrintNote(std::string_view message) {
  PrintRaw("bulkhead: " + Painted("note:", "1") + " " + Escaped(message) + "\n");
}

std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths[i] - Width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace bulkhead
