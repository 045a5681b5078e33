// SPDX-License-Identifier: Apache-2.0
#include "tests/compiler/shipped_filters.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <utility>

#include "compiler/planner.h"
#include "policy/library.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead::testing {
namespace {

constexpr std::string_view kTarget =
#ifdef __aarch64__
    "linux-6.18-aarch64";
#else
    "linux-6.18";
#endif
constexpr const char* kDate = "2026-01-01";
constexpr std::string_view kProgram = "/usr/bin/one";

std::string FirstMessage(const Diagnostics& diagnostics) {
  return diagnostics.HasErrors() ? diagnostics.Sorted().front().message : "";
}

class Collector {
 public:
  // Each component of the policy, named `prefix` and its own name, or `prefix` when it is `one`.
  void Add(const std::string& prefix, const LoadedPolicy& loaded, Diagnostics& diagnostics) {
    const auto compilation = Compile(loaded, {kDate}, diagnostics);
    BOOST_REQUIRE_MESSAGE(compilation.has_value(), prefix << ": " << FirstMessage(diagnostics));
    Diagnostics again;
    EnclavePlan enclave(loaded, kDate, again);
    for (const ComponentPlan& component : PlanComponents(enclave)) {
      BOOST_REQUIRE_MESSAGE(component.calls.has_value(), prefix);
      const std::string& name = component.policy.name;
      Add(name == "one" ? prefix : prefix + " " + name, *component.calls,
          (*compilation->bundle.Find(name))->filter);
    }
  }

  void AddText(const std::string& name, const std::string& body,
               std::string_view program = kProgram) {
    Sources sources;
    Diagnostics diagnostics;
    const auto loaded = LoadPolicyText(
        "policy.yaml",
        "bulkhead: 1\nenclave: test\ntarget: " + std::string(kTarget) +
            "\ncomponents:\n  one:\n    exec: [" + std::string(program) + "]\n" + body,
        "/", {}, sources, diagnostics);
    BOOST_REQUIRE_MESSAGE(loaded.has_value(), name << ": " << FirstMessage(diagnostics));
    Add(name, *loaded, diagnostics);
    groups_ = loaded->policy.groups;
  }

  void AddFile(const std::string& prefix, const std::string& path) {
    Sources sources;
    Diagnostics diagnostics;
    LoadOptions options;
    options.target = kTarget;
    const auto loaded = LoadPolicyFile(path, options, sources, diagnostics);
    BOOST_REQUIRE_MESSAGE(loaded.has_value(), path << ": " << FirstMessage(diagnostics));
    Add(prefix, *loaded, diagnostics);
  }

  const std::vector<SyscallGroup>& groups() const { return groups_; }
  std::vector<ShippedFilter> Take() { return std::move(filters_); }

 private:
  void Add(std::string name, const CallPlan& plan, const Filter& filter) {
    const auto found = std::ranges::find_if(filters_, [&](const ShippedFilter& shipped) {
      return shipped.plan == plan && shipped.filter == filter;
    });
    if (found == filters_.end()) {
      filters_.push_back({{std::move(name)}, plan, filter});
    } else {
      found->names.push_back(std::move(name));
    }
  }

  std::vector<ShippedFilter> filters_;
  std::vector<SyscallGroup> groups_;
};

struct ShippedProfile {
  std::string name;
  std::string program;  // empty: an archetype
};

std::vector<ShippedProfile> ShippedProfiles() {
  Library library;
  Sources sources;
  Diagnostics diagnostics;
  AddShippedLibrary(library, sources, diagnostics);
  BOOST_REQUIRE(!diagnostics.HasErrors());
  std::vector<ShippedProfile> profiles;
  for (const auto& [name, entry] : library.profiles) {
    const Entry* files = entry.value.Find("files");
    const Entry* execute = files == nullptr ? nullptr : files->value.Find("execute");
    const bool program = execute != nullptr && !execute->value.items.empty();
    profiles.push_back({name, program ? execute->value.items.front().text : ""});
  }
  return profiles;
}

void AddProfiles(Collector& collector) {
  const std::vector<ShippedProfile> profiles = ShippedProfiles();
  size_t archetypes = 0;
  for (const ShippedProfile& archetype : profiles) {
    if (!archetype.program.empty()) continue;
    ++archetypes;
    collector.AddText(archetype.name, "    profile: [" + archetype.name +
                                          "]\n    files: {execute: [" + std::string(kProgram) +
                                          "]}\n");
    for (const ShippedProfile& program : profiles) {
      if (program.program.empty()) continue;
      collector.AddText(archetype.name + " with " + program.name,
                        "    profile: [" + archetype.name + ", " + program.name + "]\n",
                        program.program);
    }
  }
  BOOST_TEST(archetypes >= 4U);
  BOOST_TEST(profiles.size() - archetypes >= 4U);
}

void AddGroups(Collector& collector) {
  const std::vector<SyscallGroup> groups = collector.groups();
  BOOST_TEST(groups.size() >= 28U);
  for (const SyscallGroup& group : groups) {
    collector.AddText("@" + group.name, "    files: {execute: [" + std::string(kProgram) +
                                            "]}\n    syscalls: {allow: [\"@" + group.name +
                                            "\"]}\n");
  }
}

}  // namespace

std::vector<ShippedFilter> ShippedFilters() {
  Collector collector;
  AddProfiles(collector);
  AddGroups(collector);
  collector.AddFile("example", BULKHEAD_SOURCE_DIR "/examples/agent-enclave/enclave.yaml");
  collector.AddText("other programs", "    files: {execute: [/usr/bin/one, /usr/bin/two]}\n");
  collector.AddText("ports",
                    "    files: {execute: [/usr/bin/one]}\n    ready: notify\n"
                    "    network: {tcp: {connect: [443], bind: [8443]}}\n"
                    "waivers:\n  - {component: one, statement: network.tcp.bind, reason: r, "
                    "until: 2099-01-01}\n");
  return collector.Take();
}

size_t CountProfiles(const std::vector<ShippedFilter>& filters) {
  size_t count = 0;
  for (const ShippedFilter& filter : filters) count += filter.names.size();
  return count;
}

size_t CountRules(const std::vector<ShippedFilter>& filters) {
  size_t count = 0;
  for (const ShippedFilter& filter : filters) {
    for (const CallRule& rule : filter.plan.rules) count += rule.allow.size() + rule.deny.size();
  }
  return count;
}

}  // namespace bulkhead::testing
