// SPDX-License-Identifier: Apache-2.0
#include "examples/agent-enclave/attack/table.h"

#include <charconv>
#include <cstddef>

__asm__(
    ".pushsection .rodata\n"
    "bulkhead_attack_table_begin:\n"
    ".incbin \"" BULKHEAD_ATTACK_TABLE
    "\"\n"
    "bulkhead_attack_table_end:\n"
    ".popsection\n");
extern "C" const char bulkhead_attack_table_begin[] __attribute__((visibility("hidden")));
extern "C" const char bulkhead_attack_table_end[] __attribute__((visibility("hidden")));

namespace bulkhead::attack {
namespace {

#if defined(__x86_64__)
constexpr std::string_view kMachine = "x86_64";
constexpr size_t kNumberColumn = 2;
#elif defined(__aarch64__)
constexpr std::string_view kMachine = "aarch64";
constexpr size_t kNumberColumn = 3;
#else
#error "the attack table knows x86_64 and aarch64"
#endif

bool AddNumber(const Words& words, size_t column, std::map<std::string_view, long>* numbers) {
  if (words.size() <= column) return false;
  std::optional<long> number = ParseNumber(words[column]);
  if (!number) return false;
  numbers->emplace(words[1], *number);
  return true;
}

bool AddBlob(const Words& words, Table* table) {
  if (words.size() != 4) return false;
  if (words[2] == kMachine) table->blobs.emplace(words[1], words[3]);
  return true;
}

bool AddDefault(const Words& words, Table* table) {
  if (words.size() != 4) return false;
  if (words[2] == kMachine || words[2] == "any") table->defaults.emplace(words[1], words[3]);
  return true;
}

bool AddAbsent(const Words& words, Table* table) {
  if (words.size() != 2 || !table->constants.contains(words[1])) return false;
  table->absent.push_back(table->constants[words[1]]);
  return true;
}

bool AddOwn(const Words& words, Table* table) {
  if (words.size() != 2) return false;
  table->own.push_back(words[1]);
  return true;
}

bool AddRow(std::string_view line, const Words& words, Table* table) {
  size_t goal = line.find(" : ");
  if (words.size() < 4 || goal == std::string_view::npos) return false;
  Row row;
  row.name = words[1];
  row.goal = line.substr(goal + 3);
  for (size_t i = 2; i < words.size() && words[i] != ":"; ++i) {
    size_t equals = words[i].find('=');
    bool bare = equals == std::string_view::npos;
    row.attributes.emplace(words[i].substr(0, equals),
                           bare ? std::string_view() : words[i].substr(equals + 1));
  }
  table->rows.push_back(row);
  return true;
}

bool AddStep(const Words& words, Table* table) {
  if (table->rows.empty()) return false;
  table->rows.back().steps.push_back(words);
  return true;
}

bool AddLine(std::string_view line, Table* table) {
  Words words = SplitWords(line);
  if (words.empty() || words[0][0] == '#') return true;
  if (line[0] == ' ') return AddStep(words, table);
  if (words[0] == "call") return AddNumber(words, kNumberColumn, &table->calls);
  if (words[0] == "const") return AddNumber(words, 2, &table->constants);
  if (words[0] == "blob") return AddBlob(words, table);
  if (words[0] == "default") return AddDefault(words, table);
  if (words[0] == "absent") return AddAbsent(words, table);
  if (words[0] == "own") return AddOwn(words, table);
  return words[0] == "row" && AddRow(line, words, table);
}

}  // namespace

std::string_view Row::Attribute(std::string_view attribute) const {
  auto found = attributes.find(attribute);
  return found == attributes.end() ? std::string_view() : found->second;
}

std::string_view Row::LastCall() const {
  const Words& words = steps.back();
  size_t first = words[0] == "try" ? 1 : 0;
  bool assigned = words.size() > first + 2 && words[first + 1] == "=";
  return words[assigned ? first + 2 : first];
}

std::string_view TableText() {
  return {bulkhead_attack_table_begin,
          static_cast<size_t>(bulkhead_attack_table_end - bulkhead_attack_table_begin)};
}

Words SplitWords(std::string_view line) {
  Words words;
  for (std::string_view word : Split(line, ' ')) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<long> ParseNumber(std::string_view text) {
  bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  int base = text.starts_with("0x") ? 16 : text.starts_with("0o") ? 8 : 10;
  if (base != 10) text.remove_prefix(2);
  unsigned long value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return negative ? -static_cast<long>(value) : static_cast<long>(value);
}

std::optional<Table> ParseTable(std::string_view text) {
  Table table;
  for (std::string_view line : Split(text, '\n')) {
    if (!AddLine(line, &table)) return std::nullopt;
  }
  for (const Row& row : table.rows) {
    if (row.steps.empty()) return std::nullopt;
  }
  return table;
}

}  // namespace bulkhead::attack
