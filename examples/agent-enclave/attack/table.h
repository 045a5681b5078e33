// SPDX-License-Identifier: Apache-2.0
//
// The rows of attacks.table as values. The table's text is part of the library
// and outlives everything here, so all views point into it. Immutable after
// ParseTable; any thread may read it.
#ifndef BULKHEAD_EXAMPLES_AGENT_ENCLAVE_ATTACK_TABLE_H_
#define BULKHEAD_EXAMPLES_AGENT_ENCLAVE_ATTACK_TABLE_H_

#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace bulkhead::attack {

using Words = std::vector<std::string_view>;

struct Row {
  std::string_view name;
  std::string_view goal;
  std::map<std::string_view, std::string_view> attributes;
  std::vector<Words> steps;

  bool Has(std::string_view attribute) const { return attributes.contains(attribute); }
  // The value of an attribute; empty if the row does not have it.
  std::string_view Attribute(std::string_view attribute) const;
  // The system call that meets the goal.
  std::string_view LastCall() const;
};

struct Table {
  std::map<std::string_view, long> calls;
  std::map<std::string_view, long> constants;
  std::map<std::string_view, std::string_view> blobs;     // as hex digits
  std::map<std::string_view, std::string_view> defaults;  // parameters where none are given
  std::vector<long> absent;                               // errnos: nothing there to attack
  Words own;                                              // prefixes of own descriptors' links
  std::vector<Row> rows;                                  // in the order of the file
};

// The text of attacks.table as built in.
std::string_view TableText();

// Numbers and blobs are those of the machine this is compiled for. Empty if a
// line is not one of the table's language.
std::optional<Table> ParseTable(std::string_view text);

// Splits at blanks; a quoted text has none inside.
Words SplitWords(std::string_view line);
std::vector<std::string_view> Split(std::string_view text, char separator);
// Decimal, 0x and 0o, with a sign.
std::optional<long> ParseNumber(std::string_view text);

}  // namespace bulkhead::attack

#endif  // BULKHEAD_EXAMPLES_AGENT_ENCLAVE_ATTACK_TABLE_H_
