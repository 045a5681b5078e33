// SPDX-License-Identifier: Apache-2.0
// What the running kernel answers by a shipped filter, compared with the plan and the evaluator, on
// calls of every kind. The filter's returns are relabelled as errnos that no call has, each as one
// of its own; so whatever it answers, nothing is executed.
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <thread>

#include "profiles/syscalls.h"
#include "tests/compiler/boundary_calls.h"
#include "tests/compiler/call_forms.h"
#include "tests/compiler/calls_support.h"
#include "tests/compiler/kernel_calls.h"
#include "tests/compiler/kernel_cell.h"
#include "tests/compiler/shipped_filters.h"

namespace bulkhead {
namespace {

using testing::AsMade;
using testing::AsSeen;
using testing::KernelCall;
using testing::KernelCell;
using testing::SharedArray;
using testing::ShippedFilter;
using testing::Way;

constexpr uint32_t kFirstMarker = 1000;  // above every errno of the kernel's, 530, below 4095
constexpr uint32_t kX32Bit = 0x40000000;
constexpr uint32_t kLastNumber = 600;  // some above the newest call
constexpr size_t kNearRounds = 4;

// Each return of a filter answers with an errno of its own; what it answered before, by the order
// of the returns.
struct Marked {
  Filter filter;
  std::vector<uint32_t> actions;
};

Marked Mark(Filter filter) {
  Marked marked;
  for (Instruction& instruction : filter) {
    if (instruction.code != kReturn) continue;
    marked.actions.push_back(instruction.k);
    instruction.k = static_cast<uint32_t>(kRetErrno | (kFirstMarker + marked.actions.size() - 1));
  }
  marked.filter = std::move(filter);
  return marked;
}

// By which return the kernel came to the result of a call; nullopt: by none.
std::optional<size_t> ReturnOf(const Marked& marked, long result) {
  const long index = -result - static_cast<long>(kFirstMarker);
  if (index < 0 || index >= static_cast<long>(marked.actions.size())) return std::nullopt;
  return static_cast<size_t>(index);
}

struct Progress {
  std::atomic<long> loaded;
  std::atomic<size_t> done;
};

// What the kernel answered to each: a result of MakeCall. Parent and child share memory only; the
// child makes no call but these, and the parent ends it.
std::vector<long> Answers(const KernelCell& cell, const Filter& marked,
                          const std::vector<KernelCall>& calls) {
  const SharedArray<Progress> progress(1);
  const SharedArray<long> results(calls.size());
  const pid_t child = cell.Start([&] {
    progress[0].loaded = testing::LoadFilter(marked, false);
    for (size_t i = 0; i < calls.size() && progress[0].loaded == 0; ++i) {
      results[i] = testing::MakeCall(calls[i]);
      progress[0].done = i + 1;
    }
    // The only way out of this filter is the parent's signal.
    while (progress[0].loaded == 0) std::atomic_signal_fence(std::memory_order_seq_cst);
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  siginfo_t ended{};
  while (progress[0].done < calls.size() && ended.si_pid == 0 &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT);
  }
  kill(child, SIGKILL);
  const int end = KernelCell::End(child);
  BOOST_REQUIRE_MESSAGE(end == -SIGKILL && progress[0].done == calls.size(),
                        "the child ended with " << end << " after " << progress[0].done << " of "
                                                << calls.size() << " calls, filter "
                                                << progress[0].loaded);
  std::vector<long> answers(calls.size());
  for (size_t i = 0; i < calls.size(); ++i) answers[i] = results[i];
  return answers;
}

bool HasIa32(const KernelCell& cell) {
  if (NativeArch() != Arch::kX86_64) return false;
  const SharedArray<long> pid(1);
  const int end = KernelCell::End(cell.Start([&] {
    pid[0] = testing::MakeCall({20, {}, Way::kIa32});  // getpid
  }));
  BOOST_REQUIRE_MESSAGE((end == 0 && pid[0] > 0) || end == -SIGSEGV, "int 0x80 ended " << end);
  return end == 0;
}

struct Tally {
  size_t native = 0;
  size_t ia32 = 0;
  size_t allowed = 0;
  size_t refused = 0;
  size_t killed = 0;
  size_t ignored = 0;  // single bits of tested arguments that changed nothing
  size_t counted = 0;  // and that changed the answer
};

class Calls {
 public:
  Calls(const ShippedFilter& shipped, bool ia32) : shipped_(shipped), ia32_(ia32) {}

  std::vector<KernelCall> All(Tally& tally, uint32_t seed) {
    AddNumbers();
    AddBits(tally);
    AddNear(seed);
    AddBoundaries();
    std::erase_if(calls_, [](const KernelCall& call) {
      return call.way == Way::kNative &&
             PassesByFilters(NativeArch(), static_cast<uint32_t>(call.number));
    });
    return std::move(calls_);
  }

 private:
  void Add(uint64_t number, std::array<uint64_t, 6> args = {}, Way way = Way::kNative) {
    calls_.push_back({number, args, way});
  }

  void AddNumbers() {
    const std::array<uint64_t, 6> other{UINT64_MAX, 1, 1ULL << 32, 3, UINT32_MAX, 5};
    for (uint64_t nr = 0; nr <= kLastNumber; ++nr) {
      for (const auto& args : {std::array<uint64_t, 6>{}, other}) {
        Add(nr, args);
        Add(nr | kX32Bit, args);
        Add(nr | 0x5a5a5a5a00000000, args);  // the kernel takes the low half of the number
        Add(nr | 0x80000000, args);
        if (ia32_) Add(nr, args, Way::kIa32);
      }
    }
    for (unsigned bit = 10; bit < 32; ++bit) {
      for (const uint64_t nr : {uint64_t{1} << bit, (uint64_t{1} << bit) - 1}) Add(nr);
    }
    Add(UINT32_MAX);
    Add(UINT64_MAX);
  }

  // Each bit of each register of a call that a rule allows.
  void AddBits(Tally& tally) {
    for (const testing::CallForm& form : testing::FormsOf(shipped_.plan)) {
      for (const auto* list : {&form.alike, &form.refused}) {
        for (const SeccompData& data : *list) calls_.push_back(AsMade(data));
      }
      tally.ignored += form.alike.size();
      tally.counted += form.refused.size();
      for (unsigned bit = 0; bit < 6 * 64; ++bit) {
        KernelCall call = AsMade(form.base);
        call.args.at(bit / 64) ^= uint64_t{1} << bit % 64;
        calls_.push_back(call);
        if (ia32_ && bit % 64 == 0) Add(call.number, call.args, Way::kIa32);
      }
    }
  }

  void AddNear(uint32_t seed) {
    testing::PlanMaker maker(seed);
    for (size_t round = 0; round < kNearRounds; ++round) {
      for (const CallRule& rule : shipped_.plan.rules) {
        for (const SeccompData& data : maker.Near(shipped_.plan, rule)) {
          calls_.push_back(AsMade(data));
        }
      }
    }
  }

  // Of the architectures only the machine's own can be had; the numbers above have the other one.
  void AddBoundaries() {
    testing::ForBoundaryCalls(shipped_.plan, shipped_.filter, [&](const SeccompData& data) {
      if (data.arch == AuditArch(NativeArch())) calls_.push_back(AsMade(data));
      return true;
    });
  }

  const ShippedFilter& shipped_;
  bool ia32_;
  std::vector<KernelCall> calls_;
};

std::string Difference(const ShippedFilter& shipped, const SeccompData& data, uint32_t planned,
                       long result) {
  return shipped.names.front() + ": " + testing::Describe(data) + ": plan " +
         std::to_string(planned) + ", evaluator " +
         std::to_string(Evaluate(shipped.filter, data).action) + ", kernel's result " +
         std::to_string(result);
}

// `loaded` is what the kernel gets, and `shipped` what it ought to be. The first difference between
// kernel, plan and evaluator; empty: none. Each return is come to, or that is the difference.
std::string Compare(const KernelCell& cell, const ShippedFilter& shipped, const Filter& loaded,
                    const std::vector<KernelCall>& calls, Tally& tally) {
  const Marked marked = Mark(loaded);
  const std::vector<long> results = Answers(cell, marked.filter, calls);
  std::vector<bool> come_to(marked.actions.size());
  for (size_t i = 0; i < calls.size(); ++i) {
    const SeccompData data = AsSeen(calls[i]);
    const uint32_t planned = ReferenceAction(shipped.plan, data);
    const auto at = ReturnOf(marked, results[i]);
    if (!at || marked.actions[*at] != planned || Evaluate(shipped.filter, data).action != planned) {
      return Difference(shipped, data, planned, results[i]);
    }
    come_to[*at] = true;
    ++(calls[i].way == Way::kIa32 ? tally.ia32 : tally.native);
    ++(planned == kRetAllow ? tally.allowed
                            : (planned == kRetKillProcess ? tally.killed : tally.refused));
  }
  const auto missed = std::ranges::find(come_to, false);
  return missed == come_to.end() ? "" : shipped.names.front() + ": no call comes to a return";
}

BOOST_AUTO_TEST_SUITE(KernelMarked)

BOOST_AUTO_TEST_CASE(TheKernelAnswersAsThePlanSays) {
  const uint32_t seed = testing::Seed();
  const KernelCell cell;
  const bool ia32 = HasIa32(cell);
  const std::vector<ShippedFilter> filters = testing::ShippedFilters();
  Tally tally;
  for (const ShippedFilter& shipped : filters) {
    const auto calls = Calls(shipped, ia32).All(tally, seed);
    const std::string difference = Compare(cell, shipped, shipped.filter, calls, tally);
    BOOST_TEST(difference.empty(), difference);
  }
  BOOST_TEST_MESSAGE("marked: " << testing::CountProfiles(filters) << " profiles with "
                                << filters.size() << " filters, " << testing::CountRules(filters)
                                << " rules; " << tally.native << " calls and " << tally.ia32
                                << " by int 0x80" << (ia32 ? "" : " (not in this kernel)") << ": "
                                << tally.allowed << " allowed, " << tally.refused << " refused, "
                                << tally.killed << " killed; bits of tested arguments: "
                                << tally.ignored << " ignored, " << tally.counted << " counted");
  for (const size_t count : {tally.allowed, tally.refused, tally.killed, tally.ignored}) {
    BOOST_TEST(count > 1000U);
  }
  BOOST_TEST((tally.ia32 > 1000U) == ia32);
}

// The comparison is worth something only if it notices: each return of a filter turned round.
BOOST_AUTO_TEST_CASE(AWrongAnswerIsNoticed) {
  const KernelCell cell;
  const ShippedFilter shipped = testing::ShippedFilters().front();
  Tally tally;
  const std::vector<KernelCall> calls = Calls(shipped, false).All(tally, testing::Seed());
  BOOST_TEST(Compare(cell, shipped, shipped.filter, calls, tally).empty());
  for (size_t at = 0; at < shipped.filter.size(); ++at) {
    if (shipped.filter[at].code != kReturn) continue;
    Filter wrong = shipped.filter;
    wrong[at].k = wrong[at].k == kRetAllow ? kRetUserNotif : kRetAllow;
    const std::string difference = Compare(cell, shipped, wrong, calls, tally);
    BOOST_TEST(difference.find("kernel's result") != std::string::npos, "return " << at);
  }
}

// What no filter is asked about must come to nothing by itself.
BOOST_AUTO_TEST_CASE(WhatPassesByFiltersDoesNothing) {
  const KernelCell cell;
  const Marked marked = Mark(testing::ShippedFilters().front().filter);
  for (const SyscallRow& row : AllSyscalls()) {
    const auto nr = row.Number(NativeArch());
    if (!nr || !PassesByFilters(NativeArch(), *nr)) continue;
    constexpr long kDidNotReturn = 1;
    const SharedArray<long> result(1);
    result[0] = kDidNotReturn;
    const int end = KernelCell::End(cell.Start([&] {
      if (testing::LoadFilter(marked.filter, false) == 0) result[0] = testing::MakeCall({*nr});
      __builtin_trap();
    }));
    BOOST_TEST(end == -SIGILL, row.name << " ended " << end);
    const auto at = ReturnOf(marked, result[0]);  // of an older kernel, which asks the filter
    const bool refused = at && marked.actions[*at] != kRetAllow;
    BOOST_TEST((result[0] == kDidNotReturn || result[0] == -ENXIO || refused),
               row.name << " came to " << result[0]);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
