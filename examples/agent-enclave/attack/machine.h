// SPDX-License-Identifier: Apache-2.0
//
// Runs the steps of one row by raw system calls. One Machine a row; it owns the
// row's buffers and closes its descriptors. Not thread-safe. Usable in a forked
// child: nothing here takes a lock but malloc, which the C library makes usable
// after fork().
#ifndef BULKHEAD_EXAMPLES_AGENT_ENCLAVE_ATTACK_MACHINE_H_
#define BULKHEAD_EXAMPLES_AGENT_ENCLAVE_ATTACK_MACHINE_H_

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "examples/agent-enclave/attack/table.h"

namespace bulkhead::attack {

using Parameters = std::map<std::string, std::string, std::less<>>;

enum class Result { kSucceeded, kRefused, kAbsent, kKilled, kBroken };

struct Outcome {
  Result result = Result::kSucceeded;
  int error = 0;       // errno of the call that stopped the row
  std::string call;    // that call, or empty
  std::string detail;  // for people; empty if there is nothing to add
};

class Machine {
 public:
  Machine(const Table& table, const Parameters& parameters);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine();

  Outcome Run(const Row& row);

 private:
  struct Answer {
    long value;
    int error;
  };

  std::optional<Outcome> Step(Words words);
  std::optional<Answer> Call(std::string_view name, const Words& arguments);
  std::optional<long> Argument(std::string_view word);
  std::optional<long> Number(std::string_view word);
  std::optional<long> Constant(std::string_view word) const;
  std::optional<long> Pointer(std::string_view word);
  std::optional<std::string> Text(std::string_view word) const;
  std::optional<std::string> Data(std::string_view items);
  bool AppendItem(std::string_view item, std::string* data);
  long Keep(std::string data);

  const Table& table_;
  const Parameters& parameters_;
  std::map<std::string, long, std::less<>> values_;
  std::deque<std::string> kept_;  // a deque: addresses given out stay valid
};

}  // namespace bulkhead::attack

#endif  // BULKHEAD_EXAMPLES_AGENT_ENCLAVE_ATTACK_MACHINE_H_
