// SPDX-License-Identifier: Apache-2.0
#include "sandbox/ruleset.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>

#include "profiles/landlock.h"
#include "sandbox/without_links.h"

namespace bulkhead {
namespace {

// The same numbers on every architecture.
constexpr long kSysCreateRuleset = 444;
constexpr long kSysAddRule = 445;

// struct landlock_ruleset_attr; the kernel accepts a shorter or a zero-padded one, and refuses set
// bits it does not know: a bundle for a newer ABI fails here instead of running with less.
struct RulesetAttr {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};

struct [[gnu::packed]] PathBeneathAttr {
  uint64_t allowed_access;
  int32_t parent_fd;
};

struct NetPortAttr {
  uint64_t allowed_access;
  uint64_t port;
};

long AddPath(Kernel& kernel, long ruleset, const LandlockRule& rule) {
  // What is read may be named over links, which nobody but root sets.
  constexpr uint64_t kReading = landlock::kExecute | landlock::kReadFile | landlock::kReadDir;
  const long fd = (rule.access & ~kReading) == 0
                      ? kernel(SYS_openat, AT_FDCWD, rule.path.c_str(), O_PATH | O_CLOEXEC)
                      : OpenWithoutLinks(kernel, AT_FDCWD, rule.path.c_str());
  if (fd < 0) return rule.optional && fd == -ENOENT ? 0 : fd;
  struct stat info {};
  long result = kernel(SYS_fstat, fd, &info);
  if (result >= 0) {
    // Directory rights on a file are EINVAL (linux/landlock.h).
    const uint64_t mask = S_ISDIR(info.st_mode) ? ~uint64_t{0} : landlock::RightsOnFiles();
    const PathBeneathAttr attr{rule.access & mask, static_cast<int32_t>(fd)};
    result = attr.allowed_access == 0
                 ? 0
                 : kernel(kSysAddRule, ruleset, landlock::kRuleTypePathBeneath, &attr, 0);
  }
  const long closed = kernel(SYS_close, fd);
  return result < 0 ? result : closed;
}

bool Check(long result, Step step, size_t index, Failure& failure) {
  if (result >= 0) return true;
  failure = {step, static_cast<uint32_t>(index), static_cast<int32_t>(-result)};
  return false;
}

}  // namespace

int BuildRuleset(Kernel& kernel, const LandlockPlan& plan, Failure& failure) {
  failure = {};
  if (plan.handled_files == 0 && plan.handled_net == 0 && plan.scoped == 0) return -1;
  const RulesetAttr attr{plan.handled_files, plan.handled_net, plan.scoped};
  const long ruleset = kernel(kSysCreateRuleset, &attr, sizeof attr, 0);
  if (!Check(ruleset, Step::kRuleset, 0, failure)) return -1;
  for (size_t i = 0; i < plan.rules.size(); ++i) {
    if (!Check(AddPath(kernel, ruleset, plan.rules[i]), Step::kRulesetPath, i, failure)) return -1;
  }
  for (size_t i = 0; i < plan.ports.size(); ++i) {
    const NetPortAttr port{plan.ports[i].access, plan.ports[i].port};
    const long added = kernel(kSysAddRule, ruleset, landlock::kRuleTypeNetPort, &port, 0);
    if (!Check(added, Step::kRulesetPort, i, failure)) return -1;
  }
  return static_cast<int>(ruleset);
}

}  // namespace bulkhead
