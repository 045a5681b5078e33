// SPDX-License-Identifier: Apache-2.0
// Runs the command in a child of the test, as a shell would, and gives back what it printed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bulkhead::test {

struct Outcome {
  int exit = -1;  // 128 + signal when it was killed
  std::string out;
  std::string err;
};

struct Surroundings {
  std::string directory;                 // where it is started; empty: where the test is
  std::vector<std::string> environment;  // "NAME=VALUE", over the test's own
};

Outcome Bash(const std::string& script);
Outcome Bulkhead(const std::vector<std::string>& words, const Surroundings& surroundings = {});

nlohmann::ordered_json Parsed(const std::string& text);  // fails the test on bad JSON

std::string ReadText(const std::string& path);
void WriteText(const std::string& path, const std::string& text);

// A directory of its own, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A policy of one component, compiled for the shipped target linux-6.18.
std::string SmallPolicy();

}  // namespace bulkhead::test
