// SPDX-License-Identifier: Apache-2.0
#include "compiler/read_filter.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/allowed_calls.h"
#include "compiler/cubes.h"
#include "compiler/prove.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

using Failed = tl::unexpected<std::string>;

constexpr size_t kMaxNodes = size_t{1} << 22;
constexpr size_t kMaxCubes = 4096;        // of one call
constexpr uint32_t kNoCall = 0x3fffffff;  // below x32, above every call

Conjunction ConditionsOf(const Cube& cube) {
  Conjunction conditions;
  for (size_t i = 0; i < cube.args.size(); ++i) {
    if (cube.args.at(i).mask == 0) continue;
    Condition condition;
    condition.arg = static_cast<uint8_t>(i);
    condition.bits = 64;
    condition.mask = cube.args.at(i).mask;
    condition.value = cube.args.at(i).value;
    conditions.push_back(condition);
  }
  return conditions;
}

class Reader {
 public:
  explicit Reader(const ProfileData& profile) : profile_(profile), sets_(kMaxNodes) {}

  tl::expected<FilterReading, std::string> Read() {
    auto allowed = AllowedCalls(profile_.filter, profile_.arch, sets_);
    if (!allowed) return Failed(allowed.error());
    for (const auto& [nr, set] : *allowed) {
      if (auto added = Add(nr, set); !added) return Failed(added.error());
    }
    Refusals();
    if (const auto disproof = Prove(plan_, profile_.filter, &reading_.paths)) {
      return Failed(fmt::format("the filter does more than can be read: {}", disproof->reason));
    }
    for (auto* names : {&reading_.always, &reading_.by_arguments, &reading_.skipped}) {
      std::ranges::sort(*names);
    }
    return std::move(reading_);
  }

 private:
  tl::expected<void, std::string> Add(uint32_t nr, CallSets::Set set) {
    const std::string name(SyscallName(profile_.arch, nr));
    if (name.empty()) return Failed(fmt::format("call {} is allowed and has no name", nr));
    CallRule rule{nr, {{}}, {}};
    if (set != Bdd::kAll) {
      const auto cubes = Cubes(set, kMaxCubes, sets_);
      if (!cubes) return Failed(fmt::format("the tests of `{}` are too intricate", name));
      rule.allow.clear();
      for (const Cube& cube : *cubes) rule.allow.push_back(ConditionsOf(cube));
    }
    (set == Bdd::kAll ? reading_.always : reading_.by_arguments).push_back(name);
    plan_.rules.push_back(std::move(rule));
    return {};
  }

  // By one question each: the proof shows that any other would have been answered the same.
  void Refusals() {
    plan_.arch = profile_.arch;
    plan_.otherwise = AnswerTo(kNoCall);
    plan_.absent = profile_.absent;
    for (const uint32_t nr : plan_.absent) plan_.absent_action = AnswerTo(nr);
    for (const SyscallRow& row : AllSyscalls()) {
      const auto nr = row.Number(profile_.arch);
      if (!nr || std::ranges::binary_search(plan_.absent, *nr)) continue;
      if (AnswerTo(*nr) != kRetErrno) continue;
      plan_.skipped.push_back(*nr);
      reading_.skipped.emplace_back(row.name);
    }
    std::ranges::sort(plan_.skipped);
  }

  uint32_t AnswerTo(uint32_t nr) const {
    return Evaluate(profile_.filter, {nr, AuditArch(profile_.arch), 0, {}}).action;
  }

  const ProfileData& profile_;
  CallSets sets_;
  CallPlan plan_;
  FilterReading reading_;
};

}  // namespace

tl::expected<FilterReading, std::string> ReadFilter(const ProfileData& profile) {
  return Reader(profile).Read();
}

}  // namespace bulkhead
