// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/proof_input.h"

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

#include "compiler/filter_gen.h"
#include "compiler/prove.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/programs.h"

namespace bulkhead::testing {
namespace {

bool HasArgument(const Condition& condition) {
  return condition.arg < 6 &&
         (condition.bits == 16 || condition.bits == 32 || condition.bits == 64);
}

// Whether the reference can read it.
bool IsPlan(const CallPlan& plan) {
  const auto good = [](const Conjunction& all) { return std::ranges::all_of(all, HasArgument); };
  return std::ranges::all_of(plan.rules, [&](const CallRule& rule) {
    return std::ranges::all_of(rule.allow, good) && std::ranges::all_of(rule.deny, good);
  });
}

// Words at and beside all that the filter and the plan compare with.
std::vector<uint32_t> Words(const CallPlan& plan, const Filter& filter) {
  std::vector<uint32_t> words{0, 1, UINT32_MAX, AuditArch(plan.arch), 0x40000000U};
  const auto add = [&](uint64_t value) {
    for (const uint64_t word : {value, value >> 32}) {
      const auto low = static_cast<uint32_t>(word);
      words.insert(words.end(), {low - 1, low, low + 1, ~low});
    }
  };
  for (const Instruction& instruction : filter) add(instruction.k);
  for (const CallRule& rule : plan.rules) {
    add(rule.nr);
    for (const auto* list : {&rule.allow, &rule.deny}) {
      for (const Conjunction& conjunction : *list) {
        for (const Condition& condition : conjunction) {
          for (const uint64_t value :
               {condition.mask, condition.value, condition.value | ~condition.mask, condition.from,
                condition.to}) {
            add(value);
          }
        }
      }
    }
  }
  return words;
}

class CallMaker {
 public:
  CallMaker(const CallPlan& plan, const Filter& filter)
      : plan_(plan), words_(Words(plan, filter)) {}

  SeccompData Next() {
    SeccompData data;
    data.arch = random_() % 8 != 0 ? AuditArch(plan_.arch) : Word();
    data.nr = !plan_.rules.empty() && random_() % 4 != 0
                  ? plan_.rules[random_() % plan_.rules.size()].nr
                  : Word();
    data.instruction_pointer = Register();
    for (uint64_t& arg : data.args) arg = Register();
    return data;
  }

 private:
  uint32_t Word() { return words_[random_() % words_.size()]; }
  uint64_t Register() { return uint64_t{Word()} << 32 | Word(); }

  const CallPlan& plan_;
  std::vector<uint32_t> words_;
  std::minstd_rand random_{1};  // the same calls every time
};

void TryCalls(const CallPlan& plan, const Filter& filter) {
  constexpr int kCalls = 400;
  CallMaker maker(plan, filter);
  for (int i = 0; i < kCalls; ++i) {
    const SeccompData data = maker.Next();
    Check(Evaluate(filter, data).action == ReferenceAction(plan, data),
          "what is proved equal answers as the plan on call " + std::to_string(data.nr));
  }
}

ProofOutcome Judge(const CallPlan& plan, const Filter& filter,
                   const std::optional<Disproof>& disproof) {
  const bool sound = IsPlan(plan) && !FilterDefect(filter);
  if (!disproof) {
    Check(sound, "only a filter without a defect is proved, and only to a plan");
    TryCalls(plan, filter);
    return ProofOutcome::kProved;
  }
  Check(!disproof->reason.empty(), "a disproof has a reason");
  if (disproof->expected == 0 && disproof->returned == 0) {
    const bool undecided = disproof->reason.starts_with("the proof needs more than");
    Check(undecided == sound, "without a call: a defect, or too much to do");
    return undecided ? ProofOutcome::kUndecided : ProofOutcome::kRefused;
  }
  Check(disproof->expected != disproof->returned, "the answers differ");
  Check(Evaluate(filter, disproof->data).action == disproof->returned,
        "the filter answers as the disproof says");
  Check(ReferenceAction(plan, disproof->data) == disproof->expected,
        "the plan answers as the disproof says");
  return ProofOutcome::kDisproved;
}

Filter Generated(const CallPlan& plan) {
  auto filter = GenerateFilter(plan);
  Check(filter.has_value(), "a small plan has a filter: " + (filter ? "" : filter.error()));
  return std::move(*filter);
}

ProofOutcome JudgeAfter(Prover& prover, const CallPlan& plan, const Filter& filter) {
  const auto alone = Prove(plan, filter);
  const ProofOutcome outcome = Judge(plan, filter, alone);
  const auto after = prover.Prove(plan, filter);
  Check(Judge(plan, filter, after) == outcome, "what was proved before changes no proof");
  return outcome;
}

}  // namespace

ProofOutcome TryProofInput(std::string_view input) {
  ByteReader bytes(input);
  Prover prover;
  switch (bytes.Below(5)) {
    case 0: {
      const CallPlan plan = SoundPlan(bytes);
      return JudgeAfter(prover, plan, SoundFilter(bytes, 64));
    }
    case 1: {
      const CallPlan plan = SoundPlan(bytes);
      Filter filter = Generated(plan);
      const ProofOutcome outcome = JudgeAfter(prover, plan, filter);
      Check(outcome == ProofOutcome::kProved || outcome == ProofOutcome::kUndecided,
            "the generator's filter is its plan");
      ChangeFilter(bytes, filter);
      return JudgeAfter(prover, plan, filter);
    }
    case 2: {
      // Another plan, mostly a little different: the rest of the bytes changes its end.
      const CallPlan plan = SoundPlan(bytes);
      const Filter filter = Generated(plan);
      CallPlan other = plan;
      if (!other.rules.empty()) {
        other.rules[bytes.Below(static_cast<uint32_t>(other.rules.size()))].deny.clear();
      }
      return JudgeAfter(prover, other, filter);
    }
    case 3: {
      const CallPlan plan = AnyPlan(bytes);
      GenerateFilter(plan);  // any plan: a filter or an error
      return JudgeAfter(prover, plan, SoundFilter(bytes, 64));
    }
    default: {
      const CallPlan plan = AnyPlan(bytes);
      return JudgeAfter(prover, plan, RawFilter(bytes));
    }
  }
}

}  // namespace bulkhead::testing
