// SPDX-License-Identifier: Apache-2.0
// How much of a register the kernel reads, asked of the running kernel, for every argument that a
// shipped profile tests: a filter that looks at more or fewer bits can be walked round.
#include "tests/compiler/kernel_widths.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "profiles/syscalls.h"
#include "tests/compiler/shipped_filters.h"

namespace bulkhead {
namespace {

using testing::Above;
using testing::ShippedFilter;
using testing::WidthRow;

std::string Name(const WidthRow& row) { return std::string(row.call) + " " + std::string(row.arg); }

unsigned WidthOf(const WidthRow& row) {
  const SyscallArgList args = SyscallArgs(NativeArch(), row.call);
  const auto index = args.Find(row.arg);
  BOOST_REQUIRE_MESSAGE(index.has_value(), Name(row));
  return ArgBits(args[*index].type);
}

// The first bit that the row is about.
unsigned FirstAbove(const WidthRow& row) { return std::min(WidthOf(row), 32U); }

// The row's value, the other one, then the value with each bit above and with all of them.
std::vector<uint64_t> ValuesOf(const WidthRow& row) {
  std::vector<uint64_t> values{row.value, row.other};
  const unsigned first = FirstAbove(row);
  for (unsigned bit = first; bit < 64; ++bit) values.push_back(row.value | uint64_t{1} << bit);
  values.push_back(row.value | UINT64_MAX << first);
  return values;
}

// Whether the condition looks at bits from `first` on.
bool LooksAbove(const Condition& condition, unsigned first) {
  if (condition.bits <= first) return false;
  return condition.op == Condition::Op::kRange || condition.mask >> first != 0;
}

void CheckRow(const WidthRow& row, const std::vector<uint64_t>& values,
              const std::vector<long>& results) {
  if (row.may_lack && std::ranges::count(results, -EINVAL) == std::ssize(results)) {
    BOOST_TEST_MESSAGE("not in this kernel: " << Name(row));
    return;
  }
  BOOST_TEST(results[0] != results[1], Name(row) << " comes to " << results[0] << " always");
  for (size_t n = 2; n < results.size(); ++n) {
    BOOST_TEST((results[n] != results[0]) == (row.above == Above::kCount),
               Name(row) << " with " << values[n] << ": " << results[n] << ", with " << row.value
                         << ": " << results[0]);
  }
}

struct Tested {
  std::string name;  // "ioctl request"
  Condition condition;
  bool narrows = false;  // looking at more bits than the kernel refuses more
};

std::vector<Tested> TestedArguments() {
  std::vector<Tested> tested;
  for (const ShippedFilter& shipped : testing::ShippedFilters()) {
    for (const CallRule& rule : shipped.plan.rules) {
      const std::string_view call = SyscallName(shipped.plan.arch, rule.nr);
      const SyscallArgList args = SyscallArgs(shipped.plan.arch, call);
      const auto add = [&](const Conjunction& conjunction, bool allows) {
        for (const Condition& condition : conjunction) {
          tested.push_back({std::string(call) + " " + std::string(args[condition.arg].name),
                            condition, allows && !condition.negated});
        }
      };
      for (const Conjunction& conjunction : rule.allow) add(conjunction, true);
      for (const Conjunction& conjunction : rule.deny) add(conjunction, false);
    }
  }
  return tested;
}

BOOST_AUTO_TEST_SUITE(KernelWidths)

BOOST_AUTO_TEST_CASE(TheKernelReadsWhatTheTableSays) {
  std::vector<std::vector<uint64_t>> values;
  for (const WidthRow& row : testing::WidthRows()) {
    BOOST_TEST((row.above == Above::kNothing) == (WidthOf(row) < 64), Name(row));
    values.push_back(ValuesOf(row));
  }
  const auto observed = testing::ObserveWidths(values);
  size_t calls = 0;
  for (size_t i = 0; i < observed.size(); ++i) {
    CheckRow(testing::WidthRows()[i], values[i], observed[i]);
    calls += observed[i].size();
  }
  BOOST_TEST_MESSAGE("widths: " << observed.size() << " observations, " << calls << " calls");
}

// Each condition of a shipped filter is about an argument with a row, and looks at no bit that the
// kernel doesn't read; where that depends on the use of the call, looking only refuses more.
BOOST_AUTO_TEST_CASE(EveryTestedArgumentIsObserved) {
  std::set<std::string> used;
  for (const Tested& tested : TestedArguments()) {
    for (const WidthRow& row : testing::WidthRows()) {
      if (Name(row) != tested.name) continue;
      used.insert(tested.name);
      const bool looks = LooksAbove(tested.condition, FirstAbove(row));
      BOOST_TEST(
          (!looks || row.above == Above::kCount || (row.above == Above::kSpare && tested.narrows)),
          tested.name);
    }
    BOOST_TEST(used.contains(tested.name), tested.name << " has no row");
  }
  for (const WidthRow& row : testing::WidthRows()) {
    BOOST_TEST(used.contains(Name(row)), Name(row) << " is tested by no profile");
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
