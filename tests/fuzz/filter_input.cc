// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/filter_input.h"

#include <vector>

#include "compiler/disassemble.h"
#include "compiler/filter_cost.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/plain_bpf.h"
#include "tests/fuzz/programs.h"

namespace bulkhead::testing {
namespace {

// The call itself, and as it is with each constant of the filter in the place of a word.
std::vector<SeccompData> CallsAround(const SeccompData& data, const Filter& filter) {
  constexpr size_t kMost = 256;
  std::vector<SeccompData> calls{data, {}};
  for (const Instruction& instruction : filter) {
    if (calls.size() > kMost) break;
    SeccompData changed = calls[calls.size() / 2];
    changed.args.at(instruction.k % 6) = uint64_t{instruction.k} << 32 | instruction.k;
    changed.nr = instruction.k;
    calls.push_back(changed);
    changed.arch = instruction.k;
    calls.push_back(changed);
  }
  return calls;
}

void CompareWithPlain(const Filter& filter, const SeccompData& data) {
  const auto plain = RunPlainly(filter, data);
  Check(plain.has_value(), "a filter without a defect returns");
  Check(*plain == Evaluate(filter, data).action, "both interpreters answer the same");
}

}  // namespace

bool TryFilterInput(std::string_view input) {
  ByteReader bytes(input);
  const bool raw = bytes.Below(2) == 0;
  const SeccompData data = AnyData(bytes);
  const Filter filter = raw ? RawFilter(bytes) : SoundFilter(bytes, 256);
  const auto defect = FilterDefect(filter);
  Check(raw || !defect, "a filter made to be sound has no defect");
  Check(!defect || !defect->empty(), "a defect is told");
  for (const SeccompData& call : CallsAround(data, filter)) {
    // Also with a defect: no more steps than instructions, and what has no end kills.
    const Evaluation evaluation = Evaluate(filter, call);
    Check(evaluation.executed <= filter.size(), "no instruction runs twice");
    if (!defect) CompareWithPlain(filter, call);
  }
  Check(Disassemble(filter, Arch::kX86_64).empty() == filter.empty(), "any filter has a text");
  if (defect) return false;
  Check(KernelLoads(filter), "what has no defect is loaded by the kernel");
  const FilterCost cost = CostOf(filter, Arch::kX86_64, DefaultCallMix(Arch::kX86_64));
  Check(cost.length == filter.size() && cost.longest <= filter.size() &&
            cost.all.worst <= cost.longest && cost.uncached.worst <= cost.all.worst,
        "no call takes longer than the longest path");
  return true;
}

std::string FilterInput(const Filter& filter, const SeccompData& data) {
  return std::string(1, '\0') + BytesOf(data) + BytesOf(filter);
}

}  // namespace bulkhead::testing
