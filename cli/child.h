// SPDX-License-Identifier: Apache-2.0
// Another program, its standard input and output as pipes. What it says of errors goes to a file.
//
// Errors: a text for a person. One owner; whoever starts one ends it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "engine/fd.h"

namespace bulkhead {

struct Child {
  pid_t pid = -1;
  Fd input;   // its standard input
  Fd output;  // its standard output
};

// The first word is the program's path. The file is emptied before.
tl::expected<Child, std::string> StartChild(const std::vector<std::string>& words,
                                            const std::string& errors);

// What it has said of errors.
std::string ErrorsIn(const std::string& errors);

// Its exit code, -1 where a signal ended it. With `terminate` it is told to end, and killed after
// 20 s; without, it is waited for.
int EndChild(const Child& child, bool terminate);

class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}

  // A line without its end; nothing in this time, or at the end.
  std::optional<std::string> Next(std::chrono::milliseconds within);
  bool ended() const { return ended_; }

 private:
  int fd_;
  std::string text_;
  bool ended_ = false;
};

// All lines of one that ends well, in less than two minutes a line.
tl::expected<std::vector<std::string>, std::string> OutputOf(const std::vector<std::string>& words,
                                                             const std::string& errors);

}  // namespace bulkhead
