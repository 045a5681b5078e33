// SPDX-License-Identifier: Apache-2.0
#include "cli/command_table.h"

#include <cstddef>
#include <iterator>

#include "cli/cli.h"

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
     "a program and its arguments, run instead of the component's own and found by the component's "
     "PATH",
     false, true},
    {P::kLog, "", "", "FILE", "", "an audit log", true},
    {P::kOciProfile, "", "", "FILE", "",
     "an OCI seccomp profile, or one in the extended form of Docker and Podman", true},
    {P::kService, "", "", "COMPONENT", "", "a component that runs; default: all of them"},
    {P::kServiceNeeded, "", "", "COMPONENT", "", "a component of the enclave", true},
    {P::kTarget, "--target", "", "TARGET", "",
     "the kernel to compile for, over the policy's own: a shipped target, a file, or `running` for "
     "the kernel of this machine"},
    {P::kSet, "--set", "", "NAME=VALUE", "", "a variable of the policy, over its `vars`", false,
     true},
    {P::kDate, "--date", "", "YYYY-MM-DD", "",
     "the day on which waivers are judged; default: today in UTC"},
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
    {P::kInitOnly, "--only", "", "COMPONENT", "",
     "start this component alone, without its channels and whatever it starts after"},
};

constexpr P kCheckParameters[] = {P::kPolicy, P::kTarget, P::kSet, P::kDate, P::kCheckFormat};
constexpr P kCompileParameters[] = {P::kPolicy, P::kOutput,  P::kTarget,     P::kSet,
                                    P::kDate,   P::kWeights, P::kWeightsAll, P::kFormat};
constexpr P kInspectParameters[] = {P::kBundle, P::kOnly, P::kFormat};
constexpr P kWhyParameters[] = {P::kInput,  P::kComponent, P::kAction, P::kObject,
                                P::kTarget, P::kSet,       P::kDate,   P::kFormat};
constexpr P kTestParameters[] = {P::kPolicy, P::kTarget, P::kSet, P::kDate, P::kTestFormat};
constexpr P kDiffParameters[] = {P::kOld, P::kNew,  P::kTarget, P::kOldTarget,
                                 P::kSet, P::kDate, P::kAccept, P::kFormat};
constexpr P kRunParameters[] = {P::kInput, P::kTarget, P::kSet, P::kDate, P::kInit, P::kFormat};
constexpr P kExecParameters[] = {P::kBundle, P::kComponent, P::kProgram, P::kInit};
constexpr P kStatusParameters[] = {P::kEnclave, P::kWatch, P::kFormat};
constexpr P kStopParameters[] = {P::kService, P::kEnclave};
constexpr P kRestartParameters[] = {P::kServiceNeeded, P::kEnclave};
constexpr P kLogsParameters[] = {P::kService, P::kLines, P::kFollow, P::kEnclave};
constexpr P kDoctorParameters[] = {P::kKernelConfig, P::kTargetFormat};
constexpr P kAuditParameters[] = {P::kLog, P::kFormat};
constexpr P kImportOciParameters[] = {P::kOciProfile, P::kImportTarget, P::kCapability,
                                      P::kImportExec};
constexpr P kExportBpfParameters[] = {P::kBundle, P::kComponent, P::kFileOutput, P::kRefuse,
                                      P::kExecve};
constexpr P kExportOciParameters[] = {P::kBundle, P::kComponent, P::kFileOutput, P::kOciRefuse,
                                      P::kExecve};
constexpr P kInitParameters[] = {P::kBundle, P::kProgram, P::kInitOnly};

constexpr CommandRow kCommands[] = {
    {Command::kCheck, "check", "report every mistake in a policy",
     "Reads the policy, compiles it for its target and prints all mistakes at once, each with its "
     "place, a stable code and advice. Nothing is written.\n"
     "Mistakes go to standard error; with --format json or sarif the whole answer goes to standard "
     "output.\n"
     "With `--target all` prints what becomes of each statement on each shipped target; exit code "
     "1: "
     "one of them does not hold the policy.",
     kCheckParameters,
     "bulkhead check enclave.yaml\nbulkhead check --target debian-12 enclave.yaml"},
    {Command::kCompile, "compile", "compile a policy to a bundle",
     "Writes the bundle that bulkhead-init boots, and beside it BUNDLE.map, which says from which "
     "line of the policy each statement comes. The same policy and weights give the same bytes on "
     "any "
     "machine and on any day.\n"
     "Prints the digest that is measured at boot and the ledger: for each statement the controls "
     "that enforce it and what records a refusal. Waivers are named. For each filter it says its "
     "length and how many instructions run for a call, on average and at worst, over the mix of "
     "calls and over those that the kernel runs the filter for.\n"
     "With `--target all` nothing is written: prints what becomes of each statement on each "
     "shipped "
     "target, enforced, substituted, waived or refused, and for each refusal the reason and the "
     "choices. Exit code 1: no target holds the policy.",
     kCompileParameters,
     "bulkhead compile enclave.yaml -o enclave.bundle\nbulkhead compile enclave.yaml --target all"},
    {Command::kInspect, "inspect", "show everything that is in a bundle",
     "Prints target, requirements, and for each component its identity, view, Landlock rights, "
     "system call filter in assembly, limits and life cycle, then the ledger.",
     kInspectParameters,
     "bulkhead inspect enclave.bundle\nbulkhead inspect --component tools enclave.bundle"},
    {Command::kWhy, "why", "tell whether a component may do something, and why",
     "Evaluates the compiled bundle itself: the filter, the Landlock rules, the view, the edges. "
     "Prints what each control says, in the kernel's order, the statement that decides and its "
     "line "
     "in the policy, the entries of groups that bring the system call, and which substitutes and "
     "waivers are in play. Lines are known when BUNDLE.map is there.\n"
     "What the disk decides (existence, owners, modes, links) is not in a bundle: it can only make "
     "less of what is allowed.\n"
     "Exit code 0: allowed. 1: denied, or undecided, with what it hangs on.",
     kWhyParameters,
     "bulkhead why enclave.bundle agent read /etc/shadow\n"
     "bulkhead why enclave.bundle tools connect vsock:3:9001\n"
     "bulkhead why enclave.yaml agent syscall socket domain=AF_INET"},
    {Command::kTest, "test", "run the tests and invariants of a policy",
     "Compiles the policy and compares the answers of the bundle with those that its `tests` "
     "expect, "
     "then checks its `invariants` over the whole enclave. A failed test shows what each control "
     "says, a broken invariant the shortest way by which it is broken, each step with its rule. "
     "Statements that no test comes to are listed.\n"
     "`check` and `compile` check the invariants, too, and refuse a policy that breaks one.\n"
     "Exit code 1: a test failed, an invariant is broken, or the policy does not compile.",
     kTestParameters,
     "bulkhead test enclave.yaml\nbulkhead test --format junit enclave.yaml > report.xml"},
    {Command::kDiff, "diff", "tell what each component gained and lost",
     "Compares two policies or bundles by what their bundles let each component do. Each line is "
     "an "
     "operation that changed its answer, with the statements behind both answers: `widened` is "
     "allowed now and was not, `narrowed` the other way round, `neutral` changes nothing that a "
     "component may do.\n"
     "System calls are compared exactly, for all arguments: filters that answer the same are the "
     "same "
     "whatever their bytes. Files, sockets, peers and assets are compared wherever one of the two "
     "says something.\n"
     "With `--accept` a change that the file names is `accepted` as long as its day has not "
     "passed. "
     "What "
     "a file accepts and nothing does any more is said in a note.\n"
     "Exit code 1: something was widened that is not accepted.",
     kDiffParameters,
     "bulkhead diff released.bundle enclave.yaml\n"
     "bulkhead diff --old-target debian-12 enclave.yaml enclave.yaml\n"
     "bulkhead diff --accept accepted.yaml released.bundle enclave.yaml"},
    {Command::kRun, "run", "run an enclave on this machine",
     "Compiles a policy, or takes a bundle as it is, and becomes bulkhead-init with it: there is "
     "no "
     "other runtime. Ctrl-C stops the components in order; the exit code is that of bulkhead-init.",
     kRunParameters, "bulkhead run --target running enclave.yaml"},
    {Command::kExec, "exec", "run one component, or one program confined as it",
     "Starts one component of the bundle afresh, under a bulkhead-init of its own that stays as "
     "its "
     "supervisor; it does not enter an enclave that runs. "
     "Everything after -- is the program to run in the component's place. The enclave as a whole "
     "must "
     "not run at the same time.\n"
     "Exit code 1: the component failed; its own exit status is on record.",
     kExecParameters, "bulkhead exec enclave.bundle tools -- python3 -I job.py"},
    {Command::kStatus, "status", "show the components of a running enclave",
     "Asks the supervisor over its control socket, as root: each component's state, process, time "
     "since its start, restarts, memory (of its cgroup where it has a limit, else of its first "
     "process) and refusals so far. Instances are shown while they run.",
     kStatusParameters, "bulkhead status\nbulkhead status --watch\nbulkhead status --format json"},
    {Command::kStop, "stop", "stop a running enclave, or one of its components",
     "Without a component the whole enclave is stopped in order, as by SIGTERM; the command "
     "returns when its supervisor has ended. A component that is stopped stays so until it is "
     "restarted; those that start after it go on. Who asked is on record.",
     kStopParameters, "bulkhead stop\nbulkhead stop tools"},
    {Command::kRestart, "restart", "stop a component and start it again",
     "Waits until it is ready again. It is no failure and takes nothing from its restart budget; a "
     "component that was given up starts again, too. Who asked is on record.",
     kRestartParameters, "bulkhead restart tools"},
    {Command::kLogs, "logs", "show what components wrote",
     "Prints the last lines that they wrote to standard output and standard error. The supervisor "
     "keeps the last 16 KiB of each; all of it goes to its own output, too. Who follows and does "
     "not read is dropped.",
     kLogsParameters, "bulkhead logs agent\nbulkhead logs -f -n 0"},
    {Command::kDoctor, "doctor", "show what the running kernel can enforce, as a target",
     "Measures the kernel and prints it as a target file. Privileges that are missing go to "
     "standard error, each with what it is needed for.\n"
     "With --kernel-config it reads a configuration instead, and adds, as comments, the Kconfig "
     "fragment or the release that would lift each limit. What only a boot shows (`lsm=`, mounts, "
     "modules that aren't there) is not in a configuration.\n"
     "Exit code 3: components can't be confined here.",
     kDoctorParameters,
     "bulkhead doctor > this-machine.yaml\n"
     "bulkhead doctor --kernel-config /boot/config-6.1.0-50-amd64"},
    {Command::kSchema,
     "schema",
     "print the JSON Schema of the policy language",
     "Prints the language of this version as a JSON Schema (draft 2020-12), by which editors "
     "complete and check a policy while it is written. It knows less than `check`, and refuses "
     "nothing that `check` takes.",
     {},
     "bulkhead schema > policy.schema.json"},
    {Command::kAuditVerify, "audit verify", "check the hash chain of an audit log",
     "Every record must follow from the one before. Prints the runs that the log holds, under "
     "which "
     "bundle each was, whether it was closed, and how many events were lost.\n"
     "Exit code 1: the chain is broken, with the line.",
     kAuditParameters, "bulkhead audit verify /var/log/bulkhead/audit.jsonl"},
    {Command::kAuditSummary, "audit summary", "count the events of an audit log",
     "Counts events by component, control, action and verdict. The chain is checked as well; a "
     "broken one is reported and the exit code is 1.",
     kAuditParameters, "bulkhead audit summary /var/log/bulkhead/audit.jsonl"},
    {Command::kImportOci, "import oci-seccomp", "make a policy of an OCI seccomp profile",
     "Prints a policy with one component, `imported`, that allows the system calls of the profile "
     "and that `bulkhead check` accepts. What could not be carried over goes to standard error, "
     "each with its place in the profile and the reason: nothing is dropped in silence, and "
     "nothing is allowed that the profile does not allow but what every component may do.\n"
     "Exit code 1: the profile is broken, or allows by default, which no policy can.",
     kImportOciParameters,
     "bulkhead import oci-seccomp --exec /usr/bin/app profile.json > app.yaml"},
    {Command::kExportBpf, "export bpf", "write a component's filter as BPF",
     "Writes the seccomp filter as an array of struct sock_filter, eight bytes an instruction, "
     "little-endian, as bwrap --seccomp and minijail --seccomp-bpf-binary take it. Without a "
     "listener the kernel answers what notifies with ENOSYS: --refuse says something else.",
     kExportBpfParameters, "bulkhead export bpf --refuse errno app.bundle tools -o tools.bpf"},
    {Command::kExportOci, "export oci-seccomp", "write a component's filter as an OCI profile",
     "Reads back from the filter what it allows, exactly, and writes it as a seccomp profile for "
     "runc, crun, Docker and Podman.",
     kExportOciParameters, "bulkhead export oci-seccomp app.bundle tools -o tools.json"},
};

constexpr CommandRow kInit = {
    Command::kRun,
    "bulkhead-init",
    "boot the components of a bundle, each confined",
    "Reads the bundle once, refuses it unless it is exactly what the compiler writes, compares "
    "what "
    "it needs with the running kernel, and starts its components in dependency order. A component "
    "is confined wholly or not started. Whatever is refused is recorded in the audit log.\n"
    "Runs as process 1 of a virtual machine, as a service, or under bulkhead run. SIGTERM and "
    "SIGINT "
    "stop the components in order; SIGHUP opens the log files again.\n"
    "Nothing that decides about confinement can be given here: all of it is in the bundle.",
    kInitParameters,
    "bulkhead-init /etc/bulkhead/enclave.bundle"};

constexpr ExitRow kExitCodes[] = {
    {kExitDone, "done"},
    {kExitNo, "the answer is no: mistakes in the policy, denied, a broken chain"},
    {kExitWrongUsage, "wrong usage"},
    {kExitCannot, "the environment can't: kernel, privileges, file, bad bundle"},
    {kExitDefect, "a bug in bulkhead"},
};

constexpr ExitRow kInitExitCodes[] = {
    {0, "all components were stopped on request, or ended by themselves and well"},
    {1,
     "a critical component could not be kept up, or one of an enclave that ended by itself failed"},
    {kExitWrongUsage, "wrong usage"},
    {kExitCannot, "the enclave does not boot: bad bundle, kernel, privileges, file"},
};

constexpr bool InOrder() {
  for (size_t i = 0; i < std::size(kParameters); ++i) {
    if (static_cast<size_t>(kParameters[i].id) != i) return false;
  }
  return true;
}
static_assert(InOrder(), "Row() indexes by the enum");

}  // namespace

std::span<const CommandRow> Commands() { return kCommands; }

const ParameterRow& Row(Parameter parameter) { return kParameters[static_cast<size_t>(parameter)]; }

std::span<const ExitRow> ExitCodes() { return kExitCodes; }

const CommandRow& InitRow() { return kInit; }

std::span<const ExitRow> InitExitCodes() { return kInitExitCodes; }

}  // namespace bulkhead
