// SPDX-License-Identifier: Apache-2.0
#include "compiler/oci_select.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "policy/text.h"

namespace bulkhead {
namespace {

std::string_view OciArch(Arch arch) {
  return arch == Arch::kX86_64 ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64";
}

std::string_view GoArch(Arch arch) { return arch == Arch::kX86_64 ? "amd64" : "arm64"; }

bool Has(const std::vector<OciName>& names, std::string_view name) {
  return std::ranges::any_of(names, [&](const OciName& item) { return item.name == name; });
}

std::string Joined(const std::vector<OciName>& names) {
  std::string text;
  for (const OciName& item : names) text += (text.empty() ? "" : ", ") + Quoted(item.name);
  return text;
}

class Selector {
 public:
  Selector(const Target& target, const std::vector<std::string>& caps, LossList& losses)
      : arch_(target.arch),
        kernel_(target.kernel_major, target.kernel_minor),
        caps_(caps),
        losses_(losses) {}

  bool Takes(const OciRule& rule) {
    const auto given = [&](const OciName& cap) {
      return std::ranges::find(caps_, cap.name) != caps_.end();
    };
    if (Has(rule.excludes.arches, GoArch(arch_))) return Leave(rule, "not for this architecture");
    for (const OciName& cap : rule.excludes.caps) {
      if (given(cap)) return Leave(rule, fmt::format("not for holders of {}", Quoted(cap.name)));
    }
    const auto& before = rule.excludes.min_kernel;
    if (before && kernel_ >= *before) {
      return Leave(rule,
                   fmt::format("for kernels before {}.{} only", before->first, before->second));
    }
    if (!rule.includes.arches.empty() && !Has(rule.includes.arches, GoArch(arch_))) {
      return Leave(rule, fmt::format("for other architectures: {}", Joined(rule.includes.arches)));
    }
    for (const OciName& cap : rule.includes.caps) {
      if (given(cap)) continue;
      return Leave(rule,
                   fmt::format("for holders of {0}: `--cap` takes the rule", Quoted(cap.name)));
    }
    const auto& from = rule.includes.min_kernel;
    if (from && kernel_ < *from) {
      return Leave(rule, fmt::format("for kernels from {}.{} on", from->first, from->second));
    }
    return true;
  }

 private:
  bool Leave(const OciRule& rule, const std::string& why) {
    for (const OciName& name : rule.names) losses_.AddName(rule.place, name, why);
    return false;
  }

  Arch arch_;
  std::pair<uint32_t, uint32_t> kernel_;
  const std::vector<std::string>& caps_;
  LossList& losses_;
};

}  // namespace

void LossList::Add(const Place& place, std::string what, std::string why) {
  groups_.push_back({place, std::move(why), place, {std::move(what)}});
}

void LossList::AddName(const Place& rule, const OciName& name, std::string why) {
  const auto group = std::ranges::find_if(
      groups_, [&](const Group& item) { return item.rule == rule && item.why == why; });
  if (group == groups_.end()) {
    groups_.push_back({rule, std::move(why), name.place, {Quoted(name.name)}});
  } else {
    group->names.push_back(Quoted(name.name));
  }
}

std::vector<Loss> LossList::Take() {
  std::vector<Loss> losses;
  for (Group& group : groups_) {
    losses.push_back(
        {group.first, fmt::format("{}", fmt::join(group.names, ", ")), std::move(group.why)});
  }
  std::ranges::stable_sort(losses, {}, &Loss::place);
  return losses;
}

std::vector<const OciRule*> SelectRules(const OciProfile& profile, const Target& target,
                                        const std::vector<std::string>& caps, LossList& losses) {
  std::vector<const OciRule*> rules;
  Selector selector(target, caps, losses);
  for (const OciRule& rule : profile.rules) {
    if (selector.Takes(rule)) rules.push_back(&rule);
  }
  return rules;
}

void ListSettings(const OciProfile& profile, Arch arch, LossList& losses) {
  constexpr std::string_view kClosed =
      "calls of other architectures are closed in every component: the process is killed";
  bool named = profile.architectures.empty() && profile.arch_map.empty();
  for (const OciName& item : profile.architectures) {
    named |= item.name == OciArch(arch);
    if (item.name == OciArch(arch)) continue;
    losses.AddName(profile.architectures.front().place, item, std::string(kClosed));
  }
  for (const OciArchs& item : profile.arch_map) {
    if (item.main.name != OciArch(arch)) continue;
    named = true;
    for (const OciName& sub : item.sub) losses.AddName(item.main.place, sub, std::string(kClosed));
  }
  if (!named) {
    losses.Add(profile.default_place, "the list of architectures",
               fmt::format("it does not name {}, whose calls are taken all the same: runtimes add "
                           "their own architecture",
                           OciArch(arch)));
  }
  for (const OciName& flag : profile.flags) {
    losses.AddName(profile.flags.front().place, flag, "flags of the filter are the runtime's own");
  }
  if (profile.listener) {
    losses.Add(*profile.listener, "`listenerPath`", "the supervisor is the listener");
  }
}

}  // namespace bulkhead
