// SPDX-License-Identifier: Apache-2.0
#include "sandbox/step.h"

namespace bulkhead {

std::string_view StepName(Step step) {
  switch (step) {
    case Step::kParentDeath:
      return "tie the reaper to the supervisor";
    case Step::kPrivateMounts:
      return "make the mounts private";
    case Step::kViewRoot:
      return "mount the root of the view";
    case Step::kViewEntry:
      return "build the view";
    case Step::kViewSeal:
      return "make the root of the view read-only";
    case Step::kPivot:
      return "enter the view";
    case Step::kPreparedView:
      return "copy the prepared view";
    case Step::kSpareNetwork:
      return "enter its network namespace";
    case Step::kHostName:
      return "set the host name";
    case Step::kOutOfMemory:
      return "be ended before the supervisor where memory runs out";
    case Step::kRuleset:
      return "create the Landlock ruleset";
    case Step::kRulesetPath:
      return "add a Landlock file rule";
    case Step::kRulesetPort:
      return "add a Landlock port rule";
    case Step::kFork:
      return "fork the component";
    case Step::kReaperCapabilities:
      return "drop the reaper's capabilities";
    case Step::kReaperFilter:
      return "install the reaper's filter";
    case Step::kTrace:
      return "be traced up to the exec";
    case Step::kCgroup:
      return "enter its cgroup";
    case Step::kHello:
      return "report to the supervisor";
    case Step::kPid:
      return "be process 2 of the namespace";
    case Step::kSession:
      return "start a session";
    case Step::kKeyring:
      return "join a keyring of its own";
    case Step::kDescriptors:
      return "arrange the descriptors";
    case Step::kLimit:
      return "set a resource limit";
    case Step::kUmask:
      return "set the umask";
    case Step::kDirectory:
      return "enter the working directory";
    case Step::kGroups:
      return "set the supplementary groups";
    case Step::kGid:
      return "set the gid";
    case Step::kSecureBits:
      return "lock the securebits";
    case Step::kBounding:
      return "drop a capability from the bounding set";
    case Step::kUid:
      return "set the uid";
    case Step::kCapabilities:
      return "empty the capability sets";
    case Step::kListen:
      return "listen on a handed-over socket";
    case Step::kNoNewPrivileges:
      return "set no_new_privs";
    case Step::kLandlock:
      return "enter the Landlock domain";
    case Step::kFilter:
      return "install the seccomp filter";
    case Step::kWitness:
      return "pass its witness";
    case Step::kProgram:
      return "check the program";
    case Step::kExec:
      return "execute the program";
  }
  return "unknown step";
}

}  // namespace bulkhead
