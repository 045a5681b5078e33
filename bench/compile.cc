// SPDX-License-Identifier: Apache-2.0
// What compiling costs: the whole process, its stages, its memory, and the same filters made by
// libseccomp. bench/README.md says how to read it.
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "bench/by_libseccomp.h"
#include "bench/enclave.h"
#include "bench/measure.h"
#include "compiler/compile.h"
#include "compiler/filter_gen.h"
#include "compiler/planner.h"
#include "compiler/prove.h"

namespace bulkhead::bench {
namespace {

constexpr const char* kDate = "2026-01-01";

[[noreturn]] void Fail(const std::string& message) {
  fmt::print(stderr, "bench-compile: {}\n", message);
  std::exit(1);
}

struct Process {
  std::string program;
  Samples seconds;
  long peak = 0;  // KiB
};

void MeasureProcesses(std::vector<Process>& processes, const std::string& policy,
                      const std::string& bundle, unsigned rounds) {
  for (unsigned round = 0; round < rounds; ++round) {
    for (Process& process : processes) {
      process.seconds.Add(Seconds([&] {
        process.peak = std::max(process.peak, RunProcess({process.program, "compile", policy, "-o",
                                                          bundle, "--date", kDate}));
      }));
    }
  }
  for (const Process& process : processes) {
    fmt::print("  {:<28} {:9.2f} ms median {:9.2f} ms least {:8.1f} MiB\n", process.program,
               process.seconds.Median() * 1e3, process.seconds.Least() * 1e3,
               static_cast<double>(process.peak) / 1024);
  }
  if (processes.size() > 1) {
    const Process& now = processes.front();
    const Process& before = processes.back();
    fmt::print("  ratio before : now {:20.1f} : 1 by median, {:.1f} : 1 by memory\n",
               before.seconds.Median() / now.seconds.Median(),
               static_cast<double>(before.peak) / static_cast<double>(now.peak));
  }
}

std::vector<CallPlan> DistinctPlans(const std::vector<ComponentPlan>& components) {
  std::set<CallPlan> plans;
  for (const ComponentPlan& component : components) {
    if (component.calls) plans.insert(*component.calls);
  }
  return {plans.begin(), plans.end()};
}

struct Stages {
  Samples load;
  Samples plan;
  Samples generate;
  Samples prove;
  Samples rest;  // checks between components, ledger, map
  Samples encode;
  Samples alone;       // a proof with nothing computed before, mean
  Samples alone_most;  // and the longest
  Samples libseccomp1;
  Samples libseccomp2;
  size_t filters = 0;
  size_t instructions = 0;
  size_t bytes = 0;
  size_t paths = 0;
  Comparable comparable;
};

std::vector<Filter> Generate(const std::vector<CallPlan>& plans) {
  FilterGenerator generator(DefaultCallMix(Arch::kX86_64), Weighing::kUncached);
  std::vector<Filter> filters;
  for (const CallPlan& plan : plans) {
    auto filter = generator.Generate(plan);
    if (!filter) Fail(filter.error());
    filters.push_back(std::move(*filter));
  }
  return filters;
}

void ProveAlone(const std::vector<CallPlan>& plans, const std::vector<Filter>& filters,
                Stages& stages) {
  constexpr size_t kMost = 20;  // plans looked at, spread over all
  const size_t step = std::max<size_t>(1, plans.size() / kMost);
  Samples each;
  for (size_t i = 0; i < plans.size(); i += step) {
    each.Add(Seconds([&] {
      if (Prove(plans[i], filters[i])) Fail("not proved");
    }));
  }
  double sum = 0;
  for (const double value : each.values) sum += value;
  stages.alone.Add(sum / static_cast<double>(each.values.size()));
  stages.alone_most.Add(*std::ranges::max_element(each.values));
}

void MeasureStages(const std::string& text, Stages& stages) {
  Sources sources;
  Diagnostics diagnostics;
  std::optional<LoadedPolicy> loaded;
  stages.load.Add(
      Seconds([&] { loaded = LoadPolicyText("bench.yaml", text, "/", {}, sources, diagnostics); }));
  if (!loaded) Fail("the policy does not load");
  EnclavePlan enclave(*loaded, kDate, diagnostics);
  std::vector<ComponentPlan> components;
  const double plan = Seconds([&] { components = PlanComponents(enclave); });
  const std::vector<CallPlan> plans = DistinctPlans(components);
  std::vector<Filter> filters;
  const double generate = Seconds([&] { filters = Generate(plans); });
  stages.paths = 0;
  const double prove = Seconds([&] {
    Prover prover;
    for (size_t i = 0; i < plans.size(); ++i) {
      size_t paths = 0;
      if (prover.Prove(plans[i], filters[i], &paths)) Fail("not proved");
      stages.paths += paths;
    }
  });
  ProveAlone(plans, filters, stages);
  std::optional<Compilation> compilation;
  const double all = Seconds([&] { compilation = Compile(*loaded, {kDate}, diagnostics); });
  if (!compilation) Fail("the policy does not compile");
  std::vector<uint8_t> bytes;
  stages.encode.Add(Seconds([&] { bytes = EncodeBundle(compilation->bundle); }));
  stages.plan.Add(plan);
  stages.generate.Add(generate);
  stages.prove.Add(prove);
  stages.rest.Add(all - plan - generate - prove);
  stages.libseccomp1.Add(Seconds([&] { stages.comparable = MakeByLibseccomp(plans, 1); }));
  stages.libseccomp2.Add(Seconds([&] { MakeByLibseccomp(plans, 2); }));
  stages.filters = plans.size();
  stages.bytes = bytes.size();
  stages.instructions = 0;
  for (const Filter& filter : filters) stages.instructions += filter.size();
}

void PrintStages(const Stages& stages) {
  const auto row = [](const char* name, const Samples& samples) {
    fmt::print("  {:<28} {:9.3f} ms\n", name, samples.Median() * 1e3);
  };
  row("load", stages.load);
  row("plan", stages.plan);
  row("generate", stages.generate);
  row("prove", stages.prove);
  row("rest of compile", stages.rest);
  row("encode", stages.encode);
  const auto filters = static_cast<double>(stages.filters);
  fmt::print("  {} different filters, {} instructions, {} paths proved; bundle {} bytes\n",
             stages.filters, stages.instructions, stages.paths, stages.bytes);
  fmt::print("  a proof: {:.3f} ms among the others; alone {:.3f} ms mean, {:.3f} ms the longest\n",
             stages.prove.Median() * 1e3 / filters, stages.alone.Median() * 1e3,
             stages.alone_most.Median() * 1e3);
  fmt::print(
      "  the same filters by libseccomp, without proof ({} of {} rules simplified for it):\n",
      stages.comparable.simplified, stages.comparable.rules);
  const double ours = stages.generate.Median();
  const double proved = ours + stages.prove.Median();
  for (const auto& [name, samples] : {std::pair("optimize 1", &stages.libseccomp1),
                                      std::pair("optimize 2", &stages.libseccomp2)}) {
    fmt::print("    {:<26} {:9.3f} ms: {:.1f} times generate, {:.2f} times generate and prove\n",
               name, samples->Median() * 1e3, samples->Median() / ours, samples->Median() / proved);
  }
}

void PrintMachine() {
  utsname name{};
  uname(&name);
  std::ifstream info("/proc/cpuinfo");
  std::string model = "unknown";
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  fmt::print("machine: {}, {} cores; Linux {} {}; {}\n", model, std::thread::hardware_concurrency(),
             name.release, name.machine, LibseccompVersion());
}

struct Options {
  unsigned rounds = 7;
  std::string before;  // another build of bulkhead, for ratios
};

Options ReadOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc || (name != "--rounds" && name != "--before")) {
      fmt::print(stderr, "usage: bench-compile [--rounds N] [--before BULKHEAD]\n");
      std::exit(2);
    }
    if (name == "--before") options.before = argv[i + 1];
    if (name == "--rounds") {
      options.rounds = std::max(1U, static_cast<unsigned>(std::atoi(argv[i + 1])));
    }
  }
  return options;
}

void Measure(size_t components, const Options& options, const std::string& directory) {
  const std::string text = EnclaveText(components);
  const std::string policy = directory + "/enclave.yaml";
  std::ofstream(policy) << text;
  fmt::print("\n{} components, {} bytes of policy\n", components, text.size());
  std::vector<Process> processes{{BULKHEAD_PATH, {}, 0}};
  if (!options.before.empty()) processes.push_back({options.before, {}, 0});
  MeasureProcesses(processes, policy, directory + "/bundle", options.rounds);
  Stages stages;
  for (unsigned round = 0; round < options.rounds; ++round) MeasureStages(text, stages);
  PrintStages(stages);
}

int Run(int argc, char** argv) {
  const Options options = ReadOptions(argc, argv);
  PrintMachine();
  // In memory: the disk's time to make a bundle last is not the compiler's.
  std::string directory = "/dev/shm/bench-compile.XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) Fail("no directory in /dev/shm");
  fmt::print("rounds: {}; bundles are written to {}\n", options.rounds, "/dev/shm");
  for (const size_t components : {10U, 100U, 1000U}) Measure(components, options, directory);
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) { return bulkhead::bench::Run(argc, argv); }
