// SPDX-License-Identifier: Apache-2.0
// A component's output, line by line: bounded, labelled, without control characters. A line longer
// than kMaxLine is cut and marked. Single-threaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bulkhead {

// A label is the component's name and this; no record has it before its first value.
inline constexpr std::string_view kLabelEnd = " | ";

class LineLog {
 public:
  static constexpr size_t kMaxLine = 4096;

  // Whole lines of `bytes`, each with `label` before it, ready to be written; the rest is kept.
  std::string Feed(std::string_view bytes, std::string_view label);
  // What is left of an unfinished last line.
  std::string Finish(std::string_view label);

 private:
  std::string Render(std::string_view label);
  std::string line_;
  bool cut_ = false;
};

// Writes to `fd` what it takes without waiting; returns how many bytes were dropped.
size_t WriteWithoutWaiting(int fd, std::string_view text);

}  // namespace bulkhead
