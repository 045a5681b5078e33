// SPDX-License-Identifier: Apache-2.0
#include "tests/compiler/boundary_calls.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <vector>

namespace bulkhead::testing {
namespace {

struct Test {  // of one word
  uint16_t code = 0;
  uint32_t mask = 0;
  uint32_t k = 0;
  auto operator<=>(const Test&) const = default;

  bool Holds(uint32_t word) const {
    const uint32_t value = word & mask;
    switch (code) {
      case kJumpEqual:
        return value == k;
      case kJumpGreater:
        return value > k;
      case kJumpGreaterEqual:
        return value >= k;
      default:
        return (value & k) != 0;
    }
  }
};

constexpr size_t kMostRepresentatives = 4096;

using Tests = std::map<uint32_t, std::set<Test>>;  // by offset of the word
using Known = std::map<uint32_t, uint32_t>;        // words that have a value

// The tests that a call with these words may meet.
Tests TestsOf(const Filter& filter, const Known& known) {
  struct State {
    size_t at;
    uint32_t offset;
    uint32_t mask;
    auto operator<=>(const State&) const = default;
  };
  Tests tests;
  std::set<State> seen;
  std::vector<State> open{{0, 0, 0}};
  while (!open.empty()) {
    State state = open.back();
    open.pop_back();
    if (!seen.insert(state).second) continue;
    const Instruction& instruction = filter[state.at];
    if (instruction.code == kReturn) continue;
    ++state.at;
    if (instruction.code == kLoad) {
      open.push_back({state.at, instruction.k, UINT32_MAX});
    } else if (instruction.code == kAndConst) {
      open.push_back({state.at, state.offset, state.mask & instruction.k});
    } else if (instruction.code == kJumpAlways) {
      open.push_back({state.at + instruction.k, state.offset, state.mask});
    } else {
      const Test test{instruction.code, state.mask, instruction.k};
      const auto word = known.find(state.offset);
      const bool decided = state.mask == 0 || word != known.end();
      const bool holds = decided && test.Holds(state.mask == 0 ? 0 : word->second);
      if (!decided) tests[state.offset].insert(test);
      if (!decided || holds) open.push_back({state.at + instruction.jt, state.offset, state.mask});
      if (!decided || !holds) open.push_back({state.at + instruction.jf, state.offset, state.mask});
    }
  }
  return tests;
}

void AddCondition(const Condition& condition, Tests& tests) {
  const uint64_t live = condition.bits == 64 ? UINT64_MAX : (uint64_t{1} << condition.bits) - 1;
  const auto add = [&](uint16_t code, uint64_t mask, uint64_t value) {
    for (const unsigned shift : {0U, 32U}) {
      const auto part = static_cast<uint32_t>((live & mask) >> shift);
      const uint32_t offset = OffsetArgLow(condition.arg) + shift / 8;
      if (part != 0) tests[offset].insert({code, part, static_cast<uint32_t>(value >> shift)});
    }
  };
  if (condition.op == Condition::Op::kMasked)
    return add(kJumpEqual, condition.mask, condition.value);
  for (const uint64_t end : {condition.from, condition.to}) {
    add(kJumpEqual, UINT64_MAX, end);
    add(kJumpGreater, UINT64_MAX, end);
  }
}

std::vector<uint32_t> Candidates(const std::set<Test>& tests) {
  std::set<uint32_t> values{0, UINT32_MAX};
  for (const Test& test : tests) {
    for (const uint32_t base :
         {test.k, test.k & test.mask, test.k | ~test.mask, test.mask, ~test.k}) {
      values.insert({base - 1, base, base + 1});
    }
    for (unsigned bit = 0; bit < 32; ++bit) {
      const uint32_t one = uint32_t{1} << bit;
      if ((test.mask & one) != 0) values.insert({one, test.k ^ one, ~one});
    }
  }
  std::vector<uint32_t> all(values.begin(), values.end());
  for (size_t i = 0; i + 1 < values.size(); ++i) all.push_back(all[i] + (all[i + 1] - all[i]) / 2);
  return all;
}

// The value with the bits that a test of some bits looks at set as the test wants them, all set,
// and all clear.
void AddBlends(const std::set<Test>& tests, uint32_t value, std::vector<uint32_t>& blends) {
  for (const Test& test : tests) {
    if (test.mask == UINT32_MAX && test.code != kJumpSet) continue;
    const uint32_t bits = test.code == kJumpSet ? test.mask & test.k : test.mask;
    blends.push_back((value & ~bits) | (test.k & bits));
    blends.push_back(value | bits);
    blends.push_back(value & ~bits);
  }
}

// One value for each set of answers that the tests, and `plan`, can give.
std::vector<uint32_t> Representatives(const std::set<Test>& tests,
                                      const std::vector<uint32_t>& more,
                                      const std::function<uint32_t(uint32_t)>& plan) {
  std::map<std::pair<uint32_t, std::vector<bool>>, uint32_t> by_answers;
  std::vector<uint32_t> open = Candidates(tests);
  const size_t plain = open.size();
  for (size_t i = 0; i < plain; ++i) AddBlends(tests, open[i], open);
  open.insert(open.end(), more.begin(), more.end());
  std::vector<uint32_t> representatives;
  // Tests of overlapping bits need blends of blends.
  while (!open.empty() && representatives.size() < kMostRepresentatives) {
    std::vector<uint32_t> blends;
    for (const uint32_t value : open) {
      std::vector<bool> answers;
      answers.reserve(tests.size());
      for (const Test& test : tests) answers.push_back(test.Holds(value));
      if (!by_answers.try_emplace({plan(value), answers}, value).second) continue;
      representatives.push_back(value);
      AddBlends(tests, value, blends);
    }
    open = std::move(blends);
  }
  return representatives;
}

std::vector<uint32_t> Around(const std::vector<uint32_t>& values) {
  std::vector<uint32_t> around;
  for (const uint32_t value : values) around.insert(around.end(), {value - 1, value, value + 1});
  return around;
}

void SetWord(SeccompData& data, uint32_t offset, uint32_t value) {
  if (offset == kOffsetNr) {
    data.nr = value;
  } else if (offset == kOffsetArch) {
    data.arch = value;
  } else {
    uint64_t& whole = offset < 16 ? data.instruction_pointer : data.args[(offset - 16) / 8];
    const unsigned shift = offset % 8 == 0 ? 0 : 32;
    whole = (whole & ~(uint64_t{UINT32_MAX} << shift)) | uint64_t{value} << shift;
  }
}

using Visit = std::function<bool(const SeccompData&)>;

// All combinations of the words' representatives.
bool ForCombinations(const Tests& tests, SeccompData data, const Visit& visit) {
  std::vector<std::pair<uint32_t, std::vector<uint32_t>>> words;
  for (const auto& [offset, of_word] : tests) {
    words.emplace_back(offset, Representatives(of_word, {}, [](uint32_t) { return 0U; }));
  }
  std::vector<size_t> at(words.size(), 0);
  while (true) {
    for (size_t i = 0; i < words.size(); ++i) SetWord(data, words[i].first, words[i].second[at[i]]);
    if (!visit(data)) return false;
    size_t i = 0;
    while (i < words.size() && ++at[i] == words[i].second.size()) at[i++] = 0;
    if (i == words.size()) return true;
  }
}

}  // namespace

void ForBoundaryCalls(const CallPlan& plan, const Filter& filter, const Visit& visit) {
  Tests all = TestsOf(filter, {});
  std::vector<uint32_t> numbers{0x40000000};
  // 1 on: rules; absent ones, skipped ones and the traced one a class each.
  std::map<uint32_t, uint32_t> classes;
  for (const uint32_t nr : plan.absent) classes[nr] = UINT32_MAX;
  for (const uint32_t nr : plan.skipped) classes[nr] = UINT32_MAX - 1;
  if (plan.traced) classes[*plan.traced] = UINT32_MAX - 2;
  for (size_t i = 0; i < plan.rules.size(); ++i) {
    classes[plan.rules[i].nr] = static_cast<uint32_t>(i + 1);
  }
  for (const auto& [nr, of] : classes) numbers.push_back(nr);
  const uint32_t native = AuditArch(plan.arch);
  for (const uint32_t arch : Representatives(all[kOffsetArch], Around({native}),
                                             [&](uint32_t value) { return value == native; })) {
    const auto number_class = [&](uint32_t nr) -> uint32_t {
      const auto found = classes.find(nr);
      return found != classes.end() ? found->second : (nr >= 0x40000000 ? UINT32_MAX - 3 : 0);
    };
    for (const uint32_t nr : Representatives(all[kOffsetNr], Around(numbers), number_class)) {
      Tests tests = TestsOf(filter, {{kOffsetArch, arch}, {kOffsetNr, nr}});
      for (const CallRule& rule : plan.rules) {
        if (rule.nr != nr || arch != native) continue;
        for (const auto* list : {&rule.allow, &rule.deny}) {
          for (const Conjunction& conjunction : *list) {
            for (const Condition& condition : conjunction) AddCondition(condition, tests);
          }
        }
      }
      SeccompData data;
      data.arch = arch;
      data.nr = nr;
      if (!ForCombinations(tests, data, visit)) return;
    }
  }
}

}  // namespace bulkhead::testing
