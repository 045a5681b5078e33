// SPDX-License-Identifier: Apache-2.0
// Options and arguments; which command takes which: command_table.cc.
#include <cstddef>
#include <iterator>

#include "cli/command_table.h"

namespace bulkhead {
namespace {

using P = Parameter;

constexpr ParameterRow kParameters[] = {
    {P::kPolicy, "", "", "POLICY", "", "the policy, a YAML file", true},
    {P::kBundle, "", "", "BUNDLE", "", "a compiled policy", true},
    {P::kInput, "", "", "POLICY|BUNDLE", "", "a policy, which is compiled first, or a bundle",
     true},
    {P::kOld, "", "", "OLD", "", "a policy, which is compiled first, or a bundle", true},
    {P::kNew, "", "", "NEW", "", "what it is compared with, a policy or a bundle", true},
    {P::kComponent, "", "", "COMPONENT", "", "a component of the bundle", true},
    {P::kAction, "", "", "ACTION", "", "what it would do: one of the actions below", true},
    {P::kObject, "", "", "OBJECT", "", "to what: as the action below shows", true, true},
    {P::kProgram, "", "", "-- CMD", "",
     "a program and its arguments, found by PATH; in a component, by its own, instead of its "
     "program",
     false, true},
    {P::kLog, "", "", "FILE", "", "an audit log", true},
    {P::kSequence, "", "", "SEQ", "", "the number of a record", true},
    {P::kOciProfile, "", "", "FILE", "",
     "an OCI seccomp profile, or one in the extended form of Docker and Podman", true},
    {P::kDocument, "", "", "DOCUMENT", "", "a Nitro attestation document, or a TDX quote, as bytes",
     true},
    {P::kService, "", "", "COMPONENT", "", "a component that runs; default: all of them"},
    {P::kServiceNeeded, "", "", "COMPONENT", "", "a component of the enclave", true},
    {P::kTarget, "--target", "", "TARGET", "",
     "the kernel to compile for, over the policy's own: a shipped target, a file, or `running` for "
     "the kernel of this machine"},
    {P::kSet, "--set", "", "NAME=VALUE", "", "a variable of the policy, over its `vars`", false,
     true},
    {P::kDate, "--date", "", "YYYY-MM-DD", "",
     "the day on which waivers are judged; default: today in UTC"},
    {P::kAllowObserve, "--allow-observe", "", "", "",
     "take `on-violation: observe`, which lets pass what the policy refuses: for development"},
    {P::kOutput, "--output", "-o", "BUNDLE", "",
     "the bundle to write; BUNDLE.map is written beside it; needed but for `--target all`"},
    {P::kOnly, "--component", "", "COMPONENT", "", "this component only"},
    {P::kInit, "--init", "", "PATH", "",
     "the bulkhead-init to run; default: the one beside bulkhead, then the one in PATH"},
    {P::kFormat, "--format", "", "FORMAT", "text|json", "the form of the answer"},
    {P::kTestFormat, "--format", "", "FORMAT", "text|tap|junit|json", "the form of the report"},
    {P::kCheckFormat, "--format", "", "FORMAT", "text|json|sarif",
     "the form of the answer; sarif: for editors and code hosts"},
    {P::kTargetFormat, "--format", "", "FORMAT", "yaml|json", "the form of the answer"},
    {P::kKernelConfig, "--kernel-config", "", "FILE", "",
     "a kernel's .config: what that kernel can enforce, instead of the running one"},
    {P::kImportTarget, "--target", "", "TARGET", "",
     "the kernel to import for: a shipped target, a file, or `running` for the kernel of this "
     "machine; default: running"},
    {P::kCapability, "--cap", "", "CAP_NAME", "",
     "takes the rules of the profile that are for holders of this capability", false, true},
    {P::kImportExec, "--exec", "", "PATH", "",
     "the program of the component; default: /usr/bin/true, to be replaced"},
    {P::kFileOutput, "--output", "-o", "FILE", "", "the file to write", true},
    {P::kRefuse, "--refuse", "", "ANSWER", "notify|errno|kill",
     "what refused calls get: the listener as compiled, EPERM, or the end of the process"},
    {P::kOciRefuse, "--refuse", "", "ANSWER", "errno|kill",
     "what refused calls get: EPERM, or the end of the process"},
    {P::kExecve, "--execve", "", "ANSWER", "as-is|allow",
     "`allow` lets execve pass: a launcher makes it after it has loaded the filter"},
    {P::kWeights, "--weights", "", "FILE", "",
     "how often which call is made, which shapes the filters and never their answers: lines of "
     "`program weight nr arg0 .. arg5`; default: a mix of servers, compilers and tools"},
    {P::kWeightsAll, "--weights-all", "", "", "",
     "shape the filters for all calls; default: for those that the target's kernel runs a filter "
     "for, from Linux 5.11 on not those that are always allowed"},
    {P::kOldTarget, "--old-target", "", "TARGET", "",
     "the kernel to compile OLD for; default: as for NEW, by `--target` or the policy's own"},
    {P::kAccept, "--accept", "", "FILE", "",
     "changes that may widen, each with an owner, a reason and a last day, a YAML file"},
    {P::kEnclave, "--enclave", "", "NAME", "",
     "which enclave, where several run; of `bulkhead exec` it is ENCLAVE.COMPONENT"},
    {P::kWatch, "--watch", "", "", "", "print it anew each second, until Ctrl-C"},
    {P::kLines, "--lines", "-n", "N", "", "how many of the last lines; default: 100"},
    {P::kFollow, "--follow", "-f", "", "", "go on with what is said from now on, until Ctrl-C"},
    {P::kAuditKey, "--key", "", "KEY|FILE", "",
     "the public key that bulkhead-init printed at boot, or a file with one a line: every run must "
     "be signed by one of them, and each must have one",
     false, true},
    {P::kRotated, "--rotated", "", "FILE", "",
     "an older file of the same log, from before a rotation; the oldest first", false, true},
    {P::kStream, "--stream", "", "", "",
     "the file is what the receiver of a unix or vsock sink wrote: lines may be torn where a "
     "connection ended, and records may be there twice"},
    {P::kPartial, "--partial", "", "", "",
     "the oldest files of the log are gone: the chain is checked from the first record that is "
     "there, which is taken at its word about what was before it"},
    {P::kClosed, "--closed", "", "", "",
     "the last run must have ended in order: a log whose end is cut off is refused"},
    {P::kKind, "--kind", "", "KIND", "", "records of this kind only, such as `violation`"},
    {P::kControl, "--control", "", "CONTROL", "", "of this control only, such as `landlock`"},
    {P::kActionName, "--action", "", "ACTION", "", "of this action only, such as `socket`"},
    {P::kRule, "--rule", "", "STATEMENT", "",
     "of this statement and those beneath it only, such as `components.tools.files`"},
    {P::kSince, "--since", "", "TIME", "",
     "from this time on: `10m` ago (s, m, h, d), or a day or second in UTC, `2026-11-30` or "
     "`2026-11-30T20:15:03`; by the host's clock"},
    {P::kTop, "--top", "", "N", "", "how many rows of those with the most refusals; default: 10"},
    {P::kRun, "--run", "", "N", "",
     "the log's Nth run, from 1; default: the last that has this record"},
    {P::kLogBundle, "--bundle", "", "BUNDLE", "", "the bundle of the run that the log is of"},
    {P::kSigningKey, "--key", "", "FILE", "", "an Ed25519 private key in PEM", true},
    {P::kRoot, "--root", "", "FILE", "",
     "the certificate that the document's chain must lead to, in PEM; needed for a Nitro document"},
    {P::kEventLog, "--event-log", "", "FILE", "",
     "what was measured into RTMR3, as the supervisor logged it; needed for a TDX quote"},
    {P::kAsker, "--component", "", "COMPONENT", "", "who is to have asked; default: any component"},
    {P::kBytes, "--bytes", "", "FILE", "",
     "the bytes that the component gave to be bound; default: none"},
    {P::kNonce, "--nonce", "", "FILE", "", "the nonce that the document must hold"},
    {P::kValidAt, "--at", "", "TIME", "",
     "when the certificates must have been valid, as they are for hours: `10m` ago, `2026-11-30` "
     "or `2026-11-30T20:15:03` in UTC. Only for a document that you know was there then; default: "
     "now"},
    {P::kRegisterIs, "--register", "", "NAME=HEX", "",
     "what a register of the image must hold: `pcr0` to `pcr15` of Nitro, `mrtd`, `rtmr0` to "
     "`rtmr2` of TDX; without it the image is not judged",
     false, true},
    {P::kRootTree, "--root", "", "TREE", "",
     "the enclave's root file system: a directory, or a tar archive as `docker export` writes it",
     true},
    {P::kCheckedTree, "--root", "", "TREE", "",
     "the enclave's root file system, a directory or a tar archive as `image` takes it: pinned "
     "programs are compared with it, and what a component needs must be there"},
    {P::kImageInit, "--init", "", "PATH", "",
     "the bulkhead-init to put into the image; default: the one beside bulkhead, then the one in "
     "PATH"},
    {P::kModule, "--module", "", "FILE", "",
     "a kernel module to insert at boot, not compressed; several in the order in which they are "
     "given",
     false, true},
    {P::kInitOnly, "--only", "", "COMPONENT", "",
     "start this component alone, without its channels and whatever it starts after"},
    {P::kLearnOutput, "--output", "-o", "POLICY", "", "the policy to write", true},
    {P::kLearnName, "--name", "", "NAME", "",
     "name of enclave and component; default: that of the program"},
    {P::kLearnUser, "--user", "", "UID", "",
     "the user to run as, never 0; default: the uid that the names give, as `user: auto`"},
    {P::kLearnEnv, "--env", "", "NAME=VALUE", "", "a variable of the environment", false, true},
    {P::kLearnDirectory, "--directory", "", "PATH", "", "the working directory; default: /"},
    {P::kLearnListen, "--listen", "", "NAME=ADDRESS", "",
     "a listener to hand over, for a program that takes LISTEN_FDS: `web=tcp:127.0.0.1:8080` or "
     "`ssh=unix:/run/edges/ssh/socket`",
     false, true},
    {P::kLearnLog, "--log", "", "FILE", "",
     "keep what is observed in this audit log; the policy is made of all runs in it; default: "
     "nothing is kept"},
    {P::kLearnPolicy, "--policy", "", "POLICY", "",
     "observe a component of this policy, named by --component, while the whole enclave runs"},
    {P::kLearnTarget, "--target", "", "TARGET", "",
     "the kernel that the policy is for: a shipped target, a file, or `running`; default: running"},
};

constexpr bool InOrder() {
  for (size_t i = 0; i < std::size(kParameters); ++i) {
    if (static_cast<size_t>(kParameters[i].id) != i) return false;
  }
  return true;
}
static_assert(InOrder(), "Row() indexes by the enum");

}  // namespace

const ParameterRow& Row(Parameter parameter) { return kParameters[static_cast<size_t>(parameter)]; }

}  // namespace bulkhead
