// SPDX-License-Identifier: Apache-2.0
#include "cli/command_table.h"

#include "cli/cli.h"

namespace bulkhead {
namespace {

using P = Parameter;

constexpr P kCheckParameters[] = {P::kPolicy,       P::kTarget,      P::kSet,        P::kDate,
                                  P::kAllowObserve, P::kCheckedTree, P::kCheckFormat};
constexpr P kCompileParameters[] = {P::kPolicy,     P::kOutput,       P::kTarget,      P::kSet,
                                    P::kDate,       P::kAllowObserve, P::kCheckedTree, P::kWeights,
                                    P::kWeightsAll, P::kFormat};
constexpr P kInspectParameters[] = {P::kBundle, P::kOnly, P::kFormat};
constexpr P kWhyParameters[] = {P::kInput,  P::kComponent, P::kAction, P::kObject, P::kAllowObserve,
                                P::kTarget, P::kSet,       P::kDate,   P::kFormat};
constexpr P kTestParameters[] = {P::kPolicy, P::kTarget,       P::kSet,
                                 P::kDate,   P::kAllowObserve, P::kTestFormat};
constexpr P kDiffParameters[] = {P::kOld, P::kNew,  P::kTarget, P::kOldTarget, P::kAllowObserve,
                                 P::kSet, P::kDate, P::kAccept, P::kFormat};
constexpr P kRunParameters[] = {P::kInput,        P::kTarget, P::kSet,   P::kDate,
                                P::kAllowObserve, P::kInit,   P::kFormat};
constexpr P kExecParameters[] = {P::kBundle, P::kComponent, P::kProgram, P::kInit};
constexpr P kProbeParameters[] = {P::kInput, P::kTarget, P::kSet,   P::kDate,
                                  P::kOnly,  P::kInit,   P::kFormat};
constexpr P kLearnParameters[] = {P::kLearnOutput, P::kProgram,     P::kLearnName,
                                  P::kLearnUser,   P::kLearnEnv,    P::kLearnDirectory,
                                  P::kLearnListen, P::kLearnPolicy, P::kOnly,
                                  P::kLearnLog,    P::kLearnTarget, P::kInit};
constexpr P kStatusParameters[] = {P::kEnclave, P::kWatch, P::kFormat};
constexpr P kStopParameters[] = {P::kService, P::kEnclave};
constexpr P kRestartParameters[] = {P::kServiceNeeded, P::kEnclave};
constexpr P kMeasureParameters[] = {P::kEnclave, P::kFormat};
constexpr P kLogsParameters[] = {P::kService, P::kLines, P::kFollow, P::kEnclave};
constexpr P kImageParameters[] = {P::kBundle,    P::kRootTree, P::kFileOutput,
                                  P::kImageInit, P::kModule,   P::kFormat};
constexpr P kDoctorParameters[] = {P::kKernelConfig, P::kTargetFormat};
constexpr P kAuditParameters[] = {P::kLog,     P::kAuditKey, P::kRotated, P::kStream,
                                  P::kPartial, P::kClosed,   P::kFormat};
constexpr P kAuditSummaryParameters[] = {
    P::kLog, P::kOnly,      P::kKind,     P::kControl, P::kActionName, P::kRule,    P::kSince,
    P::kTop, P::kLogBundle, P::kAuditKey, P::kRotated, P::kStream,     P::kPartial, P::kFormat};
constexpr P kAuditTailParameters[] = {P::kLog,   P::kLines,     P::kFollow,     P::kOnly,
                                      P::kKind,  P::kControl,   P::kActionName, P::kRule,
                                      P::kSince, P::kLogBundle, P::kFormat};
constexpr P kAuditExplainParameters[] = {P::kLog,       P::kSequence, P::kRun,
                                         P::kLogBundle, P::kAuditKey, P::kRotated,
                                         P::kStream,    P::kPartial,  P::kFormat};
constexpr P kSignParameters[] = {P::kBundle, P::kSigningKey};
constexpr P kAttestExpectParameters[] = {P::kBundle, P::kFormat};
constexpr P kAttestVerifyParameters[] = {P::kBundle,     P::kDocument, P::kRoot,  P::kEventLog,
                                         P::kAsker,      P::kBytes,    P::kNonce, P::kValidAt,
                                         P::kRegisterIs, P::kFormat};
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
     "With `--target all` prints what becomes of each statement on each shipped target. Exit code "
     "1: a target refuses the policy, of all shipped ones as of a single one.",
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
     "shipped target, enforced, substituted, waived or refused, and for each refusal the reason "
     "and the choices. Exit code 1: a target refuses the policy, of all shipped ones as of a "
     "single one.",
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
     "component may do. To lose an audit sink, the register that the bundle or what happens later "
     "is measured into, an asset or a program's pin is `widened`, too; to gain one `narrowed`.\n"
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
     "Everything after -- is the program to run in the component's place, once: it is not started "
     "again when it fails. The enclave as a whole must not run at the same time.\n"
     "Exit code 1: the component failed; its own exit status is on record.",
     kExecParameters, "bulkhead exec enclave.bundle tools -- python3 -I job.py"},
    {Command::kProbe, "probe", "attack each compartment from inside",
     "Boots the enclave with the attack suite in place of the components' programs: same filters, "
     "rights, views, identities and limits, as bulkhead-init enforces them. Each attack is first "
     "made "
     "without confinement, in namespaces of its own, to know that it works on this kernel. Then "
     "each "
     "component makes them all, one after the other; what they are after is watched from outside; "
     "the "
     "audit log is read for a record of each refusal.\n"
     "The components' own programs are not run, and nothing of theirs is changed. Files and "
     "directories of the policy must be there, as for a boot; the enclave itself must not run.\n"
     "What a waiver of the policy leaves open is listed. docs/ATTACKS.md lists the attacks.\n"
     "Exit code 1: an attack succeeded that no waiver allows.",
     kProbeParameters,
     "bulkhead probe enclave.bundle\nbulkhead probe --component tools --format json enclave.yaml"},
    {Command::kLearn, "learn", "make a policy of what a program does",
     "Runs the program under bulkhead-init, as any component, but observed: what it does is "
     "recorded "
     "and let pass within outer bounds, and when it has ended the smallest policy is written under "
     "which it can do the same again. Ctrl-C or SIGTERM asks it to end. Each statement has the "
     "evidence behind it as a comment; what was seen and not granted is listed at the end: "
     "devices, "
     "sockets other than unix, TCP and UDP, unix sockets of others, directories that are too much "
     "to give away, calls that need "
     "a person's judgement.\n"
     "The outer bounds: the machine's files as the user may use them, read-only but beneath /home, "
     "/media, /mnt, /root, /run, /srv, /tmp and /var, where nothing is executed; no device beyond "
     "those of every component, so no attestation; the machine's network; no capability; no call "
     "that no component may make. It is for programs that are trusted while they are observed.\n"
     "With `--log` the observations of each run are added to the file, and the policy is made of "
     "all of them. With `--policy` and `--component` the enclave of a policy is run, and that "
     "component is observed in it, with its own program, user, environment and listeners; the "
     "policy is written when the enclave has ended, by Ctrl-C where others go on. "
     "docs/LEARNING.md says how paths and calls are put together.\n"
     "Exit code 1: the program could not be observed to its end, or what was learnt does not "
     "compile.",
     kLearnParameters,
     "bulkhead learn -o web.yaml -- /usr/bin/python3 -m http.server 8000\n"
     "bulkhead learn -o web.yaml --log web.jsonl --user 1500 -- nginx -e stderr"},
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
    {Command::kMeasure, "measure", "put the audit log's head into the platform's register now",
     "Asks a running enclave to extend the register of `measure.events` by the last hash of its "
     "audit "
     "log, as it does at its stop: whoever gets the register's value from the platform then knows "
     "that "
     "the log up to there was not changed. It is asked for, and what came of it is a record "
     "`bulkhead-audit-head` in the log. Prints the hash and the register.",
     kMeasureParameters, "bulkhead measure\nbulkhead measure --format json"},
    {Command::kLogs, "logs", "show what components wrote",
     "Prints the last lines that they wrote to standard output and standard error. The supervisor "
     "keeps the last 16 KiB of each; all of it goes to its own output, too. Who follows and does "
     "not read is dropped.",
     kLogsParameters, "bulkhead logs agent\nbulkhead logs -f -n 0"},
    {Command::kImage, "image", "make the initramfs that boots an enclave",
     "Writes an archive (cpio, newc) with bulkhead-init as PID 1, the bundle and the enclave's "
     "root: "
     "the whole of what a kernel needs to boot the enclave. The same bundle, root, init and "
     "modules "
     "give the same bytes, in whatever order and by whomever the files were copied.\n"
     "Owners are taken from the bundle, not from the tree: what a component has as `state`, or "
     "alone "
     "may write, is its own, all else root's. Times are 0. Set-user-id and set-group-id bits of "
     "files are cleared, hard links become files of their own; devices, sockets and fifos, and "
     "what "
     "is beneath /dev, /proc, /run, /sys and /tmp, where other file systems are mounted, are left "
     "out. What was cleared or left out is said.\n"
     "Whatever a component needs of the root must be in it: programs, views, secrets. What is "
     "missing is listed with component and statement, and nothing is written: exit code 1.\n"
     "BUNDLE.sig goes in where it is there (see `sign`). A root with a key in "
     "/etc/bulkhead/bundle.pub must have one that the key fits: else nothing is written, and the "
     "exit code is 1.\n"
     "Prints the image's SHA-384, the bundle's digest, and for a Nitro target which register each "
     "part goes into.",
     kImageParameters,
     "bulkhead image enclave.bundle --root rootfs -o enclave.cpio\n"
     "bulkhead image enclave.bundle --root rootfs.tar -o enclave.cpio"},
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
    {Command::kAuditVerify, "audit verify", "check that an audit log is whole and the supervisor's",
     "Every record must follow from the one before, and what the log says of itself must be signed "
     "by the key of its run. Prints the runs that the log holds, under which bundle each was, up "
     "to "
     "which record it is signed and so complete, whether it was closed, and how many events were "
     "lost.\n"
     "Whoever owns the disk can write a log anew, with a key of his own: only --key tells. What "
     "comes after the last signed record, at most 1,000 records of ten seconds, could be cut off "
     "without a trace but the missing end, which --closed takes for a break.\n"
     "Exit code 1: the log is broken or of another key than the one given, with the line and the "
     "record.",
     kAuditParameters,
     "bulkhead audit verify --key ed25519:9f86... /var/log/bulkhead/audit.jsonl\n"
     "bulkhead audit verify --rotated audit.jsonl.1 audit.jsonl"},
    {Command::kAuditSummary, "audit summary", "count the events of an audit log",
     "Counts events by component, kind, control, action and verdict; then what was refused most "
     "often, by which statement; who was refused most, with the first and last time; and how many "
     "refusals there were over time. Calls are shown as `audit tail` shows them. The chain is "
     "checked as well; a broken one is reported and "
     "the "
     "exit code is 1.",
     kAuditSummaryParameters,
     "bulkhead audit summary /var/log/bulkhead/audit.jsonl\n"
     "bulkhead audit summary --component tools --since 1h audit.jsonl"},
    {Command::kAuditTail, "audit tail",
     "show the last records of an audit log, and those that come",
     "One line a record: time in UTC as the host's clock claims, number, component, kind, control, "
     "what was tried, verdict, error, count, statement, and in braces further values. What "
     "attackers wrote is shown escaped.\n"
     "Of a system call the arguments but pointers are shown by name, flags and requests as the "
     "kernel's constants. A log does not say of which architecture it is: without --bundle only "
     "constants that mean the same on all are named.\n"
     "With --follow it goes on with what is written from then on, also when the log is rotated. "
     "Nothing is verified here: see `audit verify`.",
     kAuditTailParameters,
     "bulkhead audit tail -f /var/log/bulkhead/audit.jsonl\n"
     "bulkhead audit tail --kind violation --since 10m --format json audit.jsonl"},
    {Command::kAuditExplain, "audit explain", "tell what a record of an audit log means",
     "Says who tried what, a system call with its arguments by name; what answered, which "
     "statement that is, what the kernel would have done without it, and which known ways round "
     "(docs/CLOSURE.md) what was tried is a step of.\n"
     "With --bundle it asks the bundle itself, as `why` does: what each control says, in the "
     "kernel's "
     "order, and the line of the policy, where BUNDLE.map is there. It must be the bundle that the "
     "log names.\n"
     "Exit code 1: there is no such record, or the chain is broken.",
     kAuditExplainParameters, "bulkhead audit explain --bundle enclave.bundle audit.jsonl 182"},
    {Command::kSign, "sign", "sign a bundle for images that take signed ones only",
     "Writes BUNDLE.sig beside the bundle, an Ed25519 signature over its digest, and prints the "
     "public key. An image that has this key in /etc/bulkhead/bundle.pub boots no other bundle: "
     "its "
     "bulkhead-init refuses what is not signed by it before anything of it is parsed.",
     kSignParameters,
     "openssl genpkey -algorithm ed25519 -out release.pem\nbulkhead sign --key release.pem "
     "enclave.bundle"},
    {Command::kAttestExpect, "attest expect", "print what a relying party must see of a bundle",
     "Prints the register that bulkhead-init measures the bundle into and its value, for Nitro "
     "with "
     "the condition of an AWS KMS key policy, for TDX with the lines of the event log; and which "
     "components may ask for documents, and whether their programs are pinned or rest on the "
     "image.",
     kAttestExpectParameters,
     "bulkhead attest expect enclave.bundle\nbulkhead attest expect --format json enclave.bundle"},
    {Command::kAttestVerify, "attest verify", "check an attestation document against a bundle",
     "Says whether the bundle is in force where the document comes from, and which component asked "
     "for it. A Nitro document is checked up to the root certificate; of a TDX quote the register "
     "and the report data are read, and its event log is replayed to the register: its signature "
     "is "
     "for another tool to check. In the place of DOCUMENT an audit log gives the one that its "
     "supervisor asked for at boot, and the key that signs the log is printed, for `audit verify "
     "--key`; of TDX the event log has that key.\n"
     "Exit code 1: something is not as it should be, and it is said what.",
     kAttestVerifyParameters,
     "bulkhead attest verify --root aws.pem enclave.bundle document\n"
     "bulkhead attest verify --root aws.pem enclave.bundle audit.jsonl\n"
     "bulkhead attest verify --event-log events.log enclave.bundle quote"},
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

}  // namespace

std::span<const CommandRow> Commands() { return kCommands; }

std::span<const ExitRow> ExitCodes() { return kExitCodes; }

const CommandRow& InitRow() { return kInit; }

std::span<const ExitRow> InitExitCodes() { return kInitExitCodes; }

}  // namespace bulkhead
