// SPDX-License-Identifier: Apache-2.0
#include "compiler/ways_of.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "compiler/calls.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

bool HasForm(const CallForm& form, Arch arch, const SeccompData& call) {
  const auto nr = SyscallNumber(arch, form.call);
  if (!nr || *nr != call.nr) return false;
  CallPlan plan;
  plan.arch = arch;
  plan.otherwise = kRetKillProcess;
  plan.rules = {{*nr, {form.when}, {}}};
  return ReferenceAction(plan, call) == kRetAllow;
}

// The first that a right begins with.
constexpr std::pair<std::string_view, Intent> kIntents[] = {
    {"fs.execute", Intent::kExecute}, {"fs.ioctl_dev", Intent::kDevices}, {"fs.", Intent::kFiles},
    {"net.", Intent::kTcp},           {"scope.signal", Intent::kSignals}, {"scope.", Intent::kUnix},
    {"ptrace", Intent::kProcesses}};

constexpr std::pair<std::string_view, std::string_view> kFileWays[] = {
    {"fs.truncate", "files-truncate"}, {"fs.refer", "files-hard-links"},
    {"fs.make_char", "files-special"}, {"fs.make_block", "files-special"},
    {"fs.make_fifo", "files-special"}, {"fs.make_sock", "files-special"}};

std::optional<Intent> IntentOf(std::string_view right) {
  for (const auto& [start, intent] : kIntents) {
    if (right.starts_with(start)) return intent;
  }
  return std::nullopt;
}

}  // namespace

std::vector<const WayRound*> WaysOfCall(Arch arch, const SeccompData& call) {
  std::vector<const WayRound*> found;
  for (const WayRound& way : WaysRound()) {
    const bool is_step = std::ranges::any_of(way.closers, [&](const Closer& closer) {
      return std::ranges::any_of(closer.refused,
                                 [&](const CallForm& form) { return HasForm(form, arch, call); });
    });
    if (is_step) found.push_back(&way);
  }
  return found;
}

std::vector<const WayRound*> WaysOfRight(std::string_view right) {
  const auto intent = IntentOf(right);
  if (intent == Intent::kFiles) {
    // Of files a right says which way it is, or that it is none: it was plainly opened.
    const auto way = std::ranges::find_if(
        kFileWays, [&](const auto& row) { return right.starts_with(row.first); });
    if (way == std::end(kFileWays)) return {};
    std::vector<const WayRound*> found;
    for (const WayRound& other : WaysRound()) {
      if (other.id == way->second) found.push_back(&other);
    }
    return found;
  }
  std::vector<const WayRound*> all;
  std::vector<const WayRound*> closed;
  for (const WayRound& way : WaysRound()) {
    if (way.intent != intent) continue;
    all.push_back(&way);
    const bool by_landlock = std::ranges::any_of(
        way.closers, [](const Closer& closer) { return closer.layer == Layer::kLandlock; });
    if (by_landlock) closed.push_back(&way);
  }
  return closed.empty() ? all : closed;
}

}  // namespace bulkhead
