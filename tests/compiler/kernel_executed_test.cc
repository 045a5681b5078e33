// SPDX-License-Identifier: Apache-2.0
// Every rule of every shipped filter, executed by the running kernel in a harmless form: what the
// plan allows reaches the kernel and comes to what it comes to without a filter; what it doesn't
// reaches the listener, with the very registers; what it kills is dead.
#include <sys/syscall.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "profiles/syscalls.h"
#include "tests/compiler/call_forms.h"
#include "tests/compiler/calls_support.h"
#include "tests/compiler/kernel_calls.h"
#include "tests/compiler/kernel_cell.h"
#include "tests/compiler/kernel_execution.h"
#include "tests/compiler/shipped_filters.h"

namespace bulkhead {
namespace {

using testing::AsMade;
using testing::AsSeen;
using testing::CallForm;
using testing::Execute;
using testing::Execution;
using testing::KernelCall;
using testing::KernelCell;
using testing::Outcome;
using testing::ShippedFilter;
using testing::Way;

constexpr uint32_t kLastNumber = 600;
constexpr uint32_t kX32Bit = 0x40000000;

// Calls that don't come back, or wait for a signal, have a child of their own.
bool Ends(uint64_t number) { return number == SYS_exit || number == SYS_exit_group; }
bool Waits(uint64_t number) {
#ifdef SYS_pause
  if (number == SYS_pause) return true;
#endif
  return number == SYS_rt_sigreturn;
}

struct Tally {
  size_t rules = 0;
  size_t executed = 0;
  size_t done = 0;  // of them, without an error of the kernel's
  size_t alike = 0;
  size_t refused = 0;
  size_t killed = 0;
};

// What a result says: 0 for success, for the numbers themselves differ from child to child.
long Kind(const Outcome& outcome) { return std::min<long>(outcome.result.value_or(1), 0); }

class Subject {
 public:
  Subject(const KernelCell& cell, const ShippedFilter& shipped, Tally& tally)
      : cell_(cell), shipped_(shipped), tally_(tally) {}

  void Check() {
    const std::vector<CallForm> forms = testing::FormsOf(shipped_.plan);
    tally_.rules += forms.size();
    CheckForms(forms, Waits, true);
    CheckForms(
        forms, [](uint64_t number) { return !Waits(number) && !Ends(number); }, false);
    for (const CallForm& form : forms) {
      if (Ends(form.base.nr)) CheckEnd(form);
    }
    CheckRefused(forms);
    CheckKilled();
  }

 private:
  std::string Of(const SeccompData& data) const {
    return shipped_.names.front() + ": " + std::string(SyscallName(shipped_.plan.arch, data.nr)) +
           ", " + testing::Describe(data);
  }

  Execution Run(const std::vector<KernelCall>& calls, bool alarms = false) const {
    return Execute(cell_, &shipped_.filter, shipped_.plan.absent, calls, alarms);
  }

  // With and without the filter the same comes of each, and nothing is heard; garbage in bits that
  // the kernel doesn't read changes nothing.
  template <typename Selects>
  void CheckForms(const std::vector<CallForm>& forms, Selects selects, bool alarms) {
    std::vector<KernelCall> calls;
    std::vector<size_t> base;  // of each, its form's
    for (const CallForm& form : forms) {
      if (!selects(form.base.nr)) continue;
      const size_t first = calls.size();
      calls.push_back(AsMade(form.base));
      for (const SeccompData& data : form.alike) calls.push_back(AsMade(data));
      base.resize(calls.size(), first);
    }
    const Execution here = Run(calls, alarms);
    const Execution bare = Execute(cell_, nullptr, {}, calls, alarms);
    BOOST_TEST(here.end == 0, shipped_.names.front());
    BOOST_TEST(bare.end == 0, shipped_.names.front());
    for (size_t i = 0; i < calls.size(); ++i) {
      const Outcome& outcome = here.outcomes[i];
      const std::string of = Of(AsSeen(calls[i]));
      BOOST_TEST(outcome.result.has_value(), of << " did not come back");
      BOOST_TEST(outcome.heard.empty(), of << " was refused");
      BOOST_TEST(Kind(outcome) == Kind(bare.outcomes[i]), of);
      BOOST_TEST(Kind(outcome) == Kind(here.outcomes[base[i]]), of);
      ++(base[i] == i ? tally_.executed : tally_.alike);
      if (base[i] == i && Kind(outcome) == 0) ++tally_.done;
    }
  }

  // exit and exit_group: the status tells that the kernel has run it.
  void CheckEnd(const CallForm& form) {
    std::vector<SeccompData> all = form.alike;
    all.insert(all.begin(), form.base);
    for (const SeccompData& data : all) {
      const Execution execution = Run({AsMade(data)});
      BOOST_TEST(execution.end == static_cast<int>(data.args[0] & 0xff), Of(data));
      BOOST_TEST(execution.outcomes[0].heard.empty(), Of(data));
      BOOST_TEST(!execution.outcomes[0].result.has_value(), Of(data));
    }
    ++tally_.executed;
    ++tally_.done;
    tally_.alike += form.alike.size();
  }

  void CheckRefused(const std::vector<CallForm>& forms) {
    std::vector<KernelCall> calls;
    for (const CallForm& form : forms) {
      for (const SeccompData& data : form.refused) calls.push_back(AsMade(data));
    }
    for (uint32_t nr = 0; nr <= kLastNumber; ++nr) {
      const auto of_rule = std::ranges::find(shipped_.plan.rules, nr, &CallRule::nr);
      const bool unasked = PassesByFilters(shipped_.plan.arch, nr);  // see kernel_marked_test.cc
      if (of_rule != shipped_.plan.rules.end() || unasked) continue;
      calls.push_back({nr, {nr, UINT64_MAX, 1ULL << 63, 0x123456789abcdef0, nr << 8, 6}});
    }
    const Execution execution = Run(calls);
    BOOST_TEST(execution.end == 0, shipped_.names.front());
    for (size_t i = 0; i < calls.size(); ++i) CheckHeard(calls[i], execution.outcomes[i]);
    tally_.refused += calls.size();
  }

  void CheckHeard(const KernelCall& call, const Outcome& outcome) {
    const SeccompData data = AsSeen(call);
    if (ReferenceAction(shipped_.plan, data) == kRetErrno) {  // answered 0 by the filter
      BOOST_TEST(outcome.result.value_or(1) == 0, Of(data));
      BOOST_TEST(outcome.heard.empty(), Of(data));
      return;
    }
    const auto& absent = shipped_.plan.absent;
    const long answer = std::ranges::binary_search(absent, data.nr) ? -ENOSYS : -EPERM;
    BOOST_TEST(outcome.result.value_or(1) == answer, Of(data));
    BOOST_REQUIRE_MESSAGE(outcome.heard.size() == 1,
                          Of(data) << " heard " << outcome.heard.size() << " times");
    const SeccompData& heard = outcome.heard.front();
    BOOST_TEST((heard.nr == data.nr && heard.arch == data.arch && heard.args == data.args),
               Of(data) << " heard as " << testing::Describe(heard));
  }

  // The control is the same call without a filter, which comes back.
  void CheckKilled() {
    std::vector<KernelCall> calls{{kX32Bit}, {kX32Bit | SYS_close}, {UINT32_MAX}};
    const KernelCall ia32{20, {}, Way::kIa32};  // getpid
    if (Execute(cell_, nullptr, {}, {ia32}).end == 0) calls.push_back(ia32);
    for (const KernelCall& call : calls) {
      const Execution bare = Execute(cell_, nullptr, {}, {call});
      BOOST_TEST((bare.end == 0 && bare.outcomes[0].result.has_value()), Of(AsSeen(call)));
      const Execution execution = Run({call});
      BOOST_TEST(execution.end == -SIGSYS, Of(AsSeen(call)) << " ended " << execution.end);
      BOOST_TEST(!execution.outcomes[0].result.has_value(), Of(AsSeen(call)));
      BOOST_TEST(execution.outcomes[0].heard.empty(), Of(AsSeen(call)));
    }
    tally_.killed += calls.size();
  }

  const KernelCell& cell_;
  const ShippedFilter& shipped_;
  Tally& tally_;
};

BOOST_AUTO_TEST_SUITE(KernelExecuted)

BOOST_AUTO_TEST_CASE(EveryRuleOfEveryProfile) {
  const KernelCell cell;
  const std::vector<ShippedFilter> filters = testing::ShippedFilters();
  Tally tally;
  for (const ShippedFilter& shipped : filters) Subject(cell, shipped, tally).Check();
  BOOST_TEST_MESSAGE(
      "executed: " << testing::CountProfiles(filters) << " profiles with " << filters.size()
                   << " filters; " << tally.rules << " rules, " << tally.executed << " executed, "
                   << tally.done << " of them without an error of the kernel's, "
                   << tally.rules - tally.executed << " not executed; " << tally.alike
                   << " executed again with garbage in unread bits; " << tally.refused
                   << " refused and heard, " << tally.killed << " killed");
  BOOST_TEST(tally.executed == tally.rules);
  BOOST_TEST(tally.refused > 10000U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
