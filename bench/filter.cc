// SPDX-License-Identifier: Apache-2.0
// What a filter costs beside those that libseccomp makes of the same calls: instructions in the
// program, and executed for a call. Counted, not timed. bench/README.md says how to read it.
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "bench/by_libseccomp.h"
#include "compiler/filter_cost.h"

#include "compiler/filter_gen.h"
#include "compiler/json_tree.h"
#include "compiler/oci_import.h"
#include "compiler/oci_profile.h"
#include "compiler/oci_select.h"
#include "compiler/oci_tests.h"
#include "compiler/planner.h"
#include "compiler/prove.h"
#include "compiler/resolve_calls.h"
#include "policy/load.h"
#include "policy/target.h"
#include "profiles/syscalls.h"

namespace bulkhead::bench {
namespace {

constexpr Arch kArch = Arch::kX86_64;
constexpr const char* kTarget = "linux-6.18";

[[noreturn]] void Fail(const std::string& message) {
  fmt::print(stderr, "bench-filter: {}\n", message);
  std::exit(1);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Fail("can't read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

[[noreturn]] void Fail(const Diagnostics& diagnostics, const Sources& sources) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics.Sorted()) {
    text += RenderText(diagnostic, sources, false);
  }
  Fail(text);
}

// The profile as runc gives it to libseccomp, on a kernel of today and without capabilities.
CallPlan PlainPlan(const std::string& path) {
  Sources sources;
  Diagnostics diagnostics;
  sources.push_back({path, ReadFile(path)});
  const auto root = ReadJson(sources[0].text, 0, diagnostics);
  if (!root) Fail(diagnostics, sources);
  const auto profile = ReadOciProfile(*root, diagnostics);
  if (!profile) Fail(diagnostics, sources);
  const auto target = LoadTarget({kTarget, {}}, "/", sources, diagnostics);
  if (!target) Fail(diagnostics, sources);
  std::vector<CallRule> rules;
  LossList losses;
  for (const OciRule* rule : SelectRules(*profile, target->target, {}, losses)) {
    if (rule->action != OciAction::kAllow) continue;
    for (const OciName& name : rule->names) {
      const auto nr = SyscallNumber(kArch, name.name);
      if (!nr) continue;
      const OciTests tests = ConvertOciTests(kArch, name.name, rule->args);
      if (!tests.obstacle.empty()) Fail(tests.obstacle);
      rules.push_back({*nr, tests.any, {}});
    }
  }
  CallPlan plan;
  plan.rules = MergeRules(std::move(rules));
  return plan;
}

// What `bulkhead import` makes of it, with all that bulkhead closes besides.
CallPlan ImportedPlan(const std::string& path) {
  Sources sources;
  Diagnostics diagnostics;
  ImportOptions options;
  options.target = kTarget;
  const auto imported = ImportOci(path, ReadFile(path), options, sources, diagnostics);
  if (!imported) Fail(diagnostics, sources);
  const auto loaded =
      LoadPolicyText("imported.yaml", imported->policy, "/", {}, sources, diagnostics);
  if (!loaded) Fail(diagnostics, sources);
  EnclavePlan enclave(*loaded, "2026-01-01", diagnostics);
  return *PlanComponents(enclave).at(0).calls;
}

void PrintCost(std::string_view name, const Filter& filter, const CallMix& mix) {
  const FilterCost cost = CostOf(filter, kArch, mix);
  fmt::print("  {:<28} {:>6} {:>8} {:>9.2f} {:>6} {:>9.2f} {:>6}\n", name, cost.length,
             cost.longest, cost.all.average, cost.all.worst, cost.uncached.average,
             cost.uncached.worst);
}

void PrintOurs(std::string_view name, const CallPlan& plan, const CallMix& mix, Weighing weighing) {
  const auto filter = FilterGenerator(mix, weighing).Generate(plan);
  if (!filter) Fail(filter.error());
  if (Prove(plan, *filter)) Fail("not proved");
  PrintCost(name, *filter, mix);
}

void PrintPlan(std::string_view what, const CallPlan& plan, const CallMix& mix) {
  fmt::print("\n{}: {} calls\n", what, plan.rules.size());
  fmt::print("  {:<28} {:>6} {:>8} {:>9} {:>6} {:>9} {:>6}\n", "instructions", "length", "longest",
             "average", "worst", "uncached", "worst");
  PrintOurs("ours, all calls weighed", plan, mix, Weighing::kAll);
  PrintOurs("ours, uncached calls weighed", plan, mix, Weighing::kUncached);
  for (const uint32_t optimize : {1U, 2U}) {
    const Comparable made = MakeByLibseccomp({plan}, optimize);
    PrintCost(fmt::format("{}, optimize {}", LibseccompVersion(), optimize), made.filters[0], mix);
    if (optimize == 2 && made.simplified != 0) {
      fmt::print("  (libseccomp: {} of {} rules made simpler)\n", made.simplified, made.rules);
    }
  }
}

int Run(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: bench-filter OCI-PROFILE MIX\n");
    return 2;
  }
  const auto mix = ParseCallMix(ReadFile(argv[2]));
  if (!mix) Fail(fmt::format("{} {}", argv[2], mix.error()));
  PrintPlan("the profile alone", PlainPlan(argv[1]), *mix);
  PrintPlan("imported", ImportedPlan(argv[1]), *mix);
  return 0;
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) { return bulkhead::bench::Run(argc, argv); }
