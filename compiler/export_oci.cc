// SPDX-License-Identifier: Apache-2.0
#include "compiler/export_oci.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "compiler/allowed_calls.h"
#include "compiler/cubes.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

using Json = nlohmann::ordered_json;
using Failed = tl::unexpected<std::string>;

constexpr size_t kMaxNodes = size_t{1} << 22;
constexpr int kEperm = 1;
constexpr int kEnosys = 38;

std::string_view OciArch(Arch arch) {
  switch (arch) {
    case Arch::kX86_64:
      return "SCMP_ARCH_X86_64";
    case Arch::kAarch64:
      return "SCMP_ARCH_AARCH64";
  }
  return "";
}

// No cube at all: refused. One without a test: always allowed.
using Entries = std::vector<Cube>;

// Calls by what they are allowed with, each list sorted: those without tests come first.
using ByEntries = std::map<Entries, std::vector<std::string>>;

tl::expected<ByEntries, std::string> Collect(const ProfileData& profile,
                                             const ExportOptions& options) {
  CallSets sets(kMaxNodes);
  auto allowed = AllowedCalls(profile.filter, profile.arch, sets);
  if (!allowed) return Failed(allowed.error());
  if (options.with_execve) {
    (*allowed)[SyscallNumber(profile.arch, "execve").value()] = Bdd::kAll;
  }
  ByEntries calls;
  for (const auto& [nr, set] : *allowed) {
    const std::string name(SyscallName(profile.arch, nr));
    if (name.empty()) return Failed(fmt::format("call {} is allowed and has no name", nr));
    auto cubes = Cubes(set, kMaxOciEntries, sets);
    if (!cubes) {
      return Failed(
          fmt::format("the tests of `{}` need more than {} entries", name, kMaxOciEntries));
    }
    for (const Cube& cube : *cubes) {
      if (cube.instruction_pointer.mask == 0) continue;
      return Failed(fmt::format("`{}` is allowed by the instruction pointer", name));
    }
    std::ranges::sort(*cubes);
    calls[std::move(*cubes)].push_back(name);
  }
  for (auto& [entries, names] : calls) std::ranges::sort(names);
  return calls;
}

Json Arguments(const Cube& cube) {
  Json args = Json::array();
  for (size_t i = 0; i < cube.args.size(); ++i) {
    const MaskedValue& word = cube.args[i];
    if (word.mask == 0) continue;
    if (word.mask == UINT64_MAX) {
      args.push_back({{"index", i}, {"value", word.value}, {"op", "SCMP_CMP_EQ"}});
    } else {
      args.push_back({{"index", i},
                      {"value", word.mask},
                      {"valueTwo", word.value},
                      {"op", "SCMP_CMP_MASKED_EQ"}});
    }
  }
  return args;
}

Json Allow(const std::vector<std::string>& names, const Cube& cube) {
  Json entry{{"names", names}, {"action", "SCMP_ACT_ALLOW"}};
  Json args = Arguments(cube);
  if (!args.empty()) entry["args"] = std::move(args);
  return entry;
}

Json Absent(const ProfileData& profile) {
  std::vector<std::string> names;
  for (const uint32_t nr : profile.absent) {
    const std::string_view name = SyscallName(profile.arch, nr);
    if (!name.empty()) names.emplace_back(name);
  }
  std::ranges::sort(names);
  return {{"names", names}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", kEnosys}};
}

// Those that the filter answers 0 without making them.
Json Skipped(const ProfileData& profile) {
  std::vector<std::string> names;
  for (const SyscallRow& row : AllSyscalls()) {
    const auto nr = row.Number(profile.arch);
    if (!nr) continue;
    const SeccompData data{*nr, AuditArch(profile.arch), 0, {}};
    if (Evaluate(profile.filter, data).action == kRetErrno) names.emplace_back(row.name);
  }
  return {{"names", names}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", 0}};
}

}  // namespace

tl::expected<std::string, std::string> ExportOci(const ProfileData& profile,
                                                 const ExportOptions& options) {
  const auto calls = Collect(profile, options);
  if (!calls) return Failed(calls.error());
  Json json;
  if (options.refusal == Refusal::kKill) {
    json["defaultAction"] = "SCMP_ACT_KILL_PROCESS";
  } else {
    json["defaultAction"] = "SCMP_ACT_ERRNO";
    json["defaultErrnoRet"] = kEperm;
  }
  json["architectures"] = {OciArch(profile.arch)};
  Json entries = Json::array();
  for (const auto& [cubes, names] : *calls) {
    for (const Cube& cube : cubes) entries.push_back(Allow(names, cube));
  }
  if (!profile.absent.empty()) entries.push_back(Absent(profile));
  if (Json skipped = Skipped(profile); !skipped["names"].empty()) {
    entries.push_back(std::move(skipped));
  }
  json["syscalls"] = std::move(entries);
  return json.dump(2) + "\n";
}

}  // namespace bulkhead
