// SPDX-License-Identifier: Apache-2.0
// Writes a BPF program from its end to its start, so that every jump knows its target. Jumps reach
// 255 instructions (struct sock_filter has 8 bits for each branch): farther ones go over a return
// of their own or an unconditional jump. One writer a program; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "profiles/filter.h"

namespace bulkhead {

// An instruction, as its distance from the end of the program: fixed while more is written before.
using Label = size_t;

// What the accumulator holds: a word of the seccomp data, cut to a mask.
struct Held {
  uint32_t word = 0;  // byte offset
  uint32_t mask = UINT32_MAX;
  bool operator==(const Held&) const = default;
};

// Where a test starts. What the accumulator holds already need not be loaded again.
struct CodeEntry {
  Label cold = 0;    // whatever it holds
  Label loaded = 0;  // it holds {needs.word, all bits}
  Label ready = 0;   // it holds `needs`
  Held needs;
  bool warm = false;  // loaded and ready are set

  static CodeEntry Cold(Label label) { return {label, label, label, {}, false}; }
  Label For(const Held& held) const;
};

class FilterWriter {
 public:
  // A return of this action within reach of what is written next.
  Label Return(uint32_t action);

  // A conditional jump; only the target when both are the same.
  Label Branch(uint16_t code, uint32_t k, Label yes, Label no);

  // Brings the accumulator to `held` and goes on at `next`.
  CodeEntry Load(const Held& held, Label next);

  // The most instructions from there to a return.
  uint32_t LongestFrom(Label label) const { return longest_[label]; }

  // Conditional jumps so far; of other instructions some may be left out at the end.
  size_t branches() const { return branches_; }

  // The program, which starts with the instruction written last, without what no path reaches.
  // It can be longer than the kernel takes.
  Filter Finish() const;

 private:
  // How far a jump written now jumps to get there.
  size_t Distance(Label label) const { return reversed_.size() - label - 1; }
  Label Push(const Instruction& instruction);
  // `label`, or what leads there from nearby.
  Label InReach(Label label);

  Filter reversed_;
  std::vector<uint32_t> longest_;  // from each of them
  size_t branches_ = 0;
  std::map<uint32_t, Label> returns_;  // the last written of each action
  std::map<Label, Label> relays_;      // the last jump written to each far place
};

}  // namespace bulkhead
