// SPDX-License-Identifier: Apache-2.0
#include "tests/compiler/oci_reading.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "profiles/syscalls.h"

namespace bulkhead::testing {
namespace {

using Json = nlohmann::json;

uint32_t ActionOf(const std::string& name, const Json& errno_ret) {
  if (name == "SCMP_ACT_ALLOW") return kRetAllow;
  if (name == "SCMP_ACT_ERRNO") {
    return kRetErrno | (errno_ret.is_null() ? 1U : errno_ret.get<uint32_t>());
  }
  if (name == "SCMP_ACT_KILL_PROCESS") return kRetKillProcess;
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return 0;
  if (name == "SCMP_ACT_TRAP") return kRetTrap;
  if (name == "SCMP_ACT_NOTIFY") return kRetUserNotif;
  if (name == "SCMP_ACT_LOG") return kRetLog;
  BOOST_REQUIRE_MESSAGE(name == "SCMP_ACT_TRACE", name);
  return 0x7ff00000U;
}

Json Member(const Json& object, const char* key) { return object.value(key, Json()); }

std::vector<std::string> Strings(const Json& list) {
  return list.is_null() ? std::vector<std::string>() : list.get<std::vector<std::string>>();
}

bool Has(const std::vector<std::string>& list, const std::string& item) {
  return std::ranges::find(list, item) != list.end();
}

bool AtLeast(const Json& version, std::pair<int, int> kernel) {
  const std::string text = version.get<std::string>();
  return kernel >= std::pair(std::stoi(text), std::stoi(text.substr(text.find('.') + 1)));
}

bool Applies(const Json& rule, const OciHost& host) {
  const std::string arch = host.arch == Arch::kX86_64 ? "amd64" : "arm64";
  const Json excludes = Member(rule, "excludes");
  const Json includes = Member(rule, "includes");
  if (!excludes.is_null()) {
    if (Has(Strings(Member(excludes, "arches")), arch)) return false;
    for (const auto& cap : Strings(Member(excludes, "caps"))) {
      if (Has(host.caps, cap)) return false;
    }
    const Json kernel = Member(excludes, "minKernel");
    if (!kernel.is_null() && AtLeast(kernel, host.kernel)) return false;
  }
  if (!includes.is_null()) {
    const auto arches = Strings(Member(includes, "arches"));
    if (!arches.empty() && !Has(arches, arch)) return false;
    for (const auto& cap : Strings(Member(includes, "caps"))) {
      if (!Has(host.caps, cap)) return false;
    }
    const Json kernel = Member(includes, "minKernel");
    if (!kernel.is_null() && !AtLeast(kernel, host.kernel)) return false;
  }
  return true;
}

Comparison ComparisonOf(const Json& arg) {
  static const std::map<std::string, Compare> kOps = {{"SCMP_CMP_NE", Compare::kNe},
                                                      {"SCMP_CMP_LT", Compare::kLt},
                                                      {"SCMP_CMP_LE", Compare::kLe},
                                                      {"SCMP_CMP_EQ", Compare::kEq},
                                                      {"SCMP_CMP_GE", Compare::kGe},
                                                      {"SCMP_CMP_GT", Compare::kGt},
                                                      {"SCMP_CMP_MASKED_EQ", Compare::kMaskedEq}};
  const Json two = Member(arg, "valueTwo");
  return {arg.at("index").get<unsigned>(), kOps.at(arg.at("op").get<std::string>()),
          arg.at("value").get<uint64_t>(), two.is_null() ? 0 : two.get<uint64_t>()};
}

// The rules of one call: several tests of one argument are rules of their own, all of them.
void AddRules(uint32_t nr, uint32_t action, const Json& args, std::vector<SeccompRule>& rules) {
  SeccompRule whole{nr, action, {}};
  std::array<int, 6> times{};
  if (!args.is_null()) {
    for (const Json& arg : args) {
      whole.comparisons.push_back(ComparisonOf(arg));
      ++times.at(whole.comparisons.back().arg);
    }
  }
  if (std::ranges::max(times) < 2) {
    rules.push_back(whole);
    return;
  }
  for (const Comparison& one : whole.comparisons) rules.push_back({nr, action, {one}});
}

bool Holds(const Comparison& item, uint64_t arg) {
  switch (item.op) {
    case Compare::kNe:
      return arg != item.value;
    case Compare::kLt:
      return arg < item.value;
    case Compare::kLe:
      return arg <= item.value;
    case Compare::kEq:
      return arg == item.value;
    case Compare::kGe:
      return arg >= item.value;
    case Compare::kGt:
      return arg > item.value;
    case Compare::kMaskedEq:
      return (arg & item.value) == (item.value_two & item.value);
  }
  return false;
}

bool Matches(const SeccompRule& rule, const SeccompData& data) {
  return rule.nr == data.nr && std::ranges::all_of(rule.comparisons, [&](const Comparison& item) {
           return Holds(item, data.args.at(item.arg));
         });
}

uint64_t SignExtended(uint64_t value, ArgType type) {
  const unsigned bits = ArgBits(type);
  const bool negative = ArgIsSigned(type) && bits < 64 && (value >> (bits - 1) & 1) != 0;
  return negative ? value | ~((uint64_t{1} << bits) - 1) : value;
}

bool MatchesAsRead(const SeccompRule& rule, const SeccompData& data, const SyscallArgList& args) {
  return rule.nr == data.nr && std::ranges::all_of(rule.comparisons, [&](const Comparison& item) {
           const uint64_t plain = data.args.at(item.arg);
           const uint64_t extended =
               item.arg < args.size() ? SignExtended(plain, args[item.arg].type) : plain;
           return item.op == Compare::kNe ? Holds(item, plain) && Holds(item, extended)
                                          : Holds(item, plain) || Holds(item, extended);
         });
}

// Refused where rules with different actions meet.
template <typename Match>
bool AllowedBy(const OciReading& reading, Match match) {
  bool allowed = reading.default_action == kRetAllow;
  for (const SeccompRule& rule : reading.rules) {
    if (!match(rule)) continue;
    if (rule.action != kRetAllow) return false;
    allowed = true;
  }
  return allowed;
}

// A number of the argument's width.
uint64_t Filled(uint64_t value, const SyscallArgList& args, unsigned index) {
  if (index >= args.size()) return value;
  const unsigned bits = ArgBits(args[index].type);
  if (bits == 64) return value;
  return value & ((uint64_t{1} << bits) - 1);
}

}  // namespace

bool OciReading::Allows(const SeccompData& data) const {
  return AllowedBy(*this, [&](const SeccompRule& rule) { return Matches(rule, data); });
}

bool OciReading::AllowsAsRead(const SeccompData& data, Arch arch) const {
  const SyscallArgList args = SyscallArgs(arch, SyscallName(arch, data.nr));
  return AllowedBy(*this, [&](const SeccompRule& rule) { return MatchesAsRead(rule, data, args); });
}

OciReading ReadOci(std::string_view text, const OciHost& host) {
  const Json json = Json::parse(text);
  OciReading reading;
  reading.default_action =
      ActionOf(json.at("defaultAction").get<std::string>(), Member(json, "defaultErrnoRet"));
  for (const Json& rule : json.at("syscalls")) {
    if (!Applies(rule, host)) continue;
    const uint32_t action =
        ActionOf(rule.at("action").get<std::string>(), Member(rule, "errnoRet"));
    if (action == reading.default_action) continue;  // as runc and crun do
    for (const std::string& name : Strings(rule.at("names"))) {
      const auto nr = SyscallNumber(host.arch, name);
      if (nr) AddRules(*nr, action, Member(rule, "args"), reading.rules);
    }
  }
  return reading;
}

std::vector<SeccompData> CallsNear(const OciReading& reading, Arch arch) {
  std::vector<SeccompData> calls;
  for (uint32_t nr = 0; nr <= 500; ++nr) calls.push_back({nr, AuditArch(arch), 0, {}});
  for (const SeccompRule& rule : reading.rules) {
    const SyscallArgList args = SyscallArgs(arch, SyscallName(arch, rule.nr));
    SeccompData data{rule.nr, AuditArch(arch), 0, {}};
    for (const Comparison& item : rule.comparisons) {
      data.args.at(item.arg) = item.op == Compare::kMaskedEq ? item.value_two : item.value;
    }
    const SeccompData base = data;
    for (const Comparison& item : rule.comparisons) {
      const uint64_t value = base.args.at(item.arg);
      std::vector<uint64_t> values{value, value + 1, value - 1, 0, ~value, UINT64_MAX};
      for (unsigned bit = 0; bit < 64; ++bit) values.push_back(value ^ (uint64_t{1} << bit));
      for (const uint64_t other : values) {
        data = base;
        data.args.at(item.arg) = other;
        for (unsigned i = 0; i < 6; ++i) data.args.at(i) = Filled(data.args.at(i), args, i);
        calls.push_back(data);
      }
    }
  }
  return calls;
}

}  // namespace bulkhead::testing
