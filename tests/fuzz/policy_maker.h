// SPDX-License-Identifier: Apache-2.0
// Policies from the language's own table: every key of policy/schema_table.inc can come up, with
// values of its type, so that a new key is fuzzed from the day it has a row. Most are well-formed,
// some are valid. The same seed gives the same text. Not thread-safe.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "policy/schema.h"

namespace bulkhead::testing {

class PolicyMaker {
 public:
  explicit PolicyMaker(uint32_t seed) : random_(seed) {}

  // A whole policy, a line for each key of a component.
  std::string Policy();

  // Some key of the shape with a value, "key: value" on one line.
  std::string AnyEntry(std::string_view shape);

  // The same text with some lines and what is indented below them left out, doubled, moved or
  // replaced by others of their shape.
  std::string Changed(std::string_view text);

  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  bool OneIn(uint32_t n) { return Below(n) == 0; }

 private:
  std::string Component(const std::string& name);
  std::string EntryOf(const Row& row, unsigned depth);
  std::string ValueOf(const Row& row, unsigned depth);
  std::string OneValue(const Row& row, unsigned depth);
  std::string MapOf(std::string_view shape, unsigned depth);
  std::string CallMap(unsigned depth);
  std::string TestMap(unsigned depth);
  std::string Scalar(const Row& row);
  std::string NameFor(const Row& row);
  std::string ChoiceOf(const Row& row);
  std::string NumberOf(const Row& row);
  std::string Pick(const std::vector<std::string>& words);

  std::mt19937 random_;
};

// Words of the language for libFuzzer's mutations: keys, choices, shipped names, calls, arguments
// and constants, in the form of its -dict files.
std::string PolicyDictionary();

}  // namespace bulkhead::testing
