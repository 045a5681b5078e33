// SPDX-License-Identifier: Apache-2.0
// Policies made of OCI profiles allow what the profiles say, by a slow reading of the JSON, and
// list all else. The profiles are those of oci/.
#include "compiler/oci_import.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>

#include "compiler/allowed_calls.h"
#include "compiler/export_oci.h"
#include "policy/owned_calls.h"
#include "tests/compiler/calls_support.h"
#include "tests/compiler/compile_support.h"
#include "tests/compiler/oci_reading.h"
#include "tests/fuzz/oci_input.h"

namespace bulkhead {
namespace {

using testing::CallsNear;
using testing::MustCompile;
using testing::OciReading;
using testing::ReadOci;

const std::string kFolder = BULKHEAD_SOURCE_DIR "/tests/compiler/oci/";

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  BOOST_REQUIRE_MESSAGE(file, "can't read " << path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Result {
  std::optional<Imported> imported;
  Sources sources;
  Diagnostics diagnostics;

  std::string Mistakes() const {
    std::string text;
    for (const Diagnostic& d : diagnostics.Sorted()) {
      text += std::to_string(d.place.line) + ":" + std::to_string(d.place.column) + " " + d.code +
              " " + d.message + "\n";
    }
    return text;
  }
  // "line: what: why", a line each.
  std::string Losses() const {
    std::string text;
    for (const Loss& loss : imported->losses) {
      text += std::to_string(loss.place.line) + ": " + loss.what + ": " + loss.why + "\n";
    }
    return text;
  }
};

Result Import(const std::string& text, const std::string& target = "linux-6.18",
              std::vector<std::string> caps = {}) {
  Result result;
  ImportOptions options;
  options.target = target;
  options.caps = std::move(caps);
  options.exec = "/usr/bin/one";
  result.imported = ImportOci("p.json", text, options, result.sources, result.diagnostics);
  BOOST_TEST(result.imported.has_value() != result.diagnostics.HasErrors());
  return result;
}

Result MustImport(const std::string& text, const std::string& target = "linux-6.18",
                  std::vector<std::string> caps = {}) {
  Result result = Import(text, target, std::move(caps));
  BOOST_REQUIRE_MESSAGE(result.imported.has_value(), result.Mistakes());
  return result;
}

// What every component may do, whatever it says.
ProfileData Bare(const std::string& target) {
  return MustCompile(testing::Granted(""), {}, target).Component("one");
}

bool IsClosed(Arch arch, const SeccompData& data) {
  const auto name = SyscallName(arch, data.nr);
  const auto is = [&](const char* call, unsigned arg, uint64_t mask, uint64_t value) {
    return name == call && (data.args[arg] & mask) == value;
  };
  const bool spaces = name == "clone" && (data.args[0] & 0x7e020080) != 0;
  return spaces || is("prctl", 0, UINT32_MAX, 1) || is("ioctl", 1, UINT32_MAX, 0x5412) ||
         is("ioctl", 1, UINT32_MAX, 0x541c);
}

// The compiled import against the reading, on calls whose registers hold no more than the kernel
// reads. `lost`: the calls that could not be carried over, wholly.
void CompareWithReading(const std::string& text, const std::string& target,
                        const std::vector<std::string>& caps, const std::set<std::string>& lost) {
  const ProfileData bare = Bare(target);
  const Result result = MustImport(text, target, caps);
  const ProfileData made = MustCompile(result.imported->policy).Component("imported");
  const OciReading reading = ReadOci(text, {made.arch, caps, {6, 18}});
  size_t allowed = 0;
  for (const SeccompData& data : CallsNear(reading, made.arch)) {
    const std::string name(SyscallName(made.arch, data.nr));
    const bool ours = Evaluate(made.filter, data).action == kRetAllow;
    bool theirs =
        reading.AllowsAsRead(data, made.arch) && !lost.contains(name) && OwnerOf(name).empty();
    if (IsClosed(made.arch, data)) theirs = false;
    theirs = theirs || Evaluate(bare.filter, data).action == kRetAllow;
    BOOST_REQUIRE_MESSAGE(ours == theirs, name << ": " << testing::Describe(data)
                                               << (ours ? " is" : " is not") << " allowed in\n"
                                               << result.imported->policy);
    allowed += ours;
  }
  BOOST_TEST(allowed > 10U);
}

BOOST_AUTO_TEST_SUITE(OciImport)

BOOST_AUTO_TEST_CASE(AllowsWhatTheProfileAllows) {
  const std::string service = Contents(kFolder + "service.json");
  for (const char* target : {"linux-6.18", "linux-6.18-aarch64"}) {
    CompareWithReading(service, target, {}, {"mount"});
    CompareWithReading(service, target, {"CAP_SYS_ADMIN"}, {"mount"});
  }
  CompareWithReading(Contents(kFolder + "operators.json"), "linux-6.18", {}, {});
  CompareWithReading(Contents(kFolder + "denials.json"), "linux-6.18", {},
                     {"read", "lseek", "dup", "stat", "getppid"});
}

BOOST_AUTO_TEST_CASE(ThePolicyReads) {
  const Result result = MustImport(Contents(kFolder + "operators.json"));
  const std::string expected = R"(bulkhead: 1
enclave: imported
target: linux-6.18
components:
  imported:
    exec: [/usr/bin/one]
    files: {execute: [/usr/bin/one, "@loader"], read: ["@libraries"]}
    on-violation: kill
    syscalls:
      allow:
        - {dup3: {oldfd: [7]}}
        - {dup3: {newfd: [8, 9]}}
        - {fcntl: {cmd: F_GETFL, arg: {not: 9223372036854775808}}}
        - {fcntl: {cmd: {from: 10, to: 4294967295}, arg: {from: 18446744073709551600, to: 18446744073709551615}}}
        - {ioctl: {request: {mask: 4294967040, equals: 21504}}}
        - {kill: {pid: {not: {from: -2147483647, to: -1}}, sig: 0}}
        - {kill: {pid: {not: {from: 0, to: 5}}, sig: SIGTERM}}
        - {kill: {pid: [-1]}}
        - {lseek: {fd: {from: 3, to: 4294967295}, offset: {from: 0, to: 9223372036854775807}, whence: {from: 0, to: 3}}}
        - {madvise: {length: {mask: 18446744073709547520, equals: 4096}, advice: {not: MADV_PAGEOUT}}}
        - {umask: {mask: [18, 63]}}
        - on:
            x86_64:
              - {chmod: {mode: {mask: 3072, equals: 0}}}
)";
  const std::string& policy = result.imported->policy;
  BOOST_TEST(policy.substr(policy.find('\n') + 1) == expected, policy);
  BOOST_TEST(MustCompile(policy).Component("imported").argv.front() == "/usr/bin/one");
}

BOOST_AUTO_TEST_CASE(ListsWhatIsLeftBehind) {
  const std::string expected =
      R"(2: the list of architectures: it does not name SCMP_ARCH_X86_64, whose calls are taken all the same: runtimes add their own architecture
2: the default answer: SCMP_ACT_ERRNO 38 has no equivalent: refused calls get EPERM, ENOSYS where honest code probes for them, and are recorded
2: the refusal of `write`, `close`, `rt_sigreturn`, `socketpair`, `exit`, `restart_syscall`, `exit_group`: every component may make these calls, as far as they reach nobody else
4: `SCMP_ARCH_AARCH64`: calls of other architectures are closed in every component: the process is killed
5: `SECCOMP_FILTER_FLAG_LOG`, `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: flags of the filter are the runtime's own
6: `listenerPath`: the supervisor is the listener
8: a part of `ioctl`: closed in every component, for example ioctl(request=TIOCSTI)
9: `ioctl`: allowed by one rule and refused by another: refused here; what a runtime makes of it depends on libseccomp
9: `ioctl`: SCMP_ACT_ERRNO 13 has no equivalent: the call is refused all the same (EPERM)
11: `fcntl`: allowed by one rule and refused by another: refused here; what a runtime makes of it depends on libseccomp
11: `fcntl`: SCMP_ACT_TRAP has no equivalent: the call is refused all the same (EPERM)
12: `read`: its `buf` is a pointer, and tests of pointers are not part of the language
13: `lseek`: it has no argument 3 to test
14: `dup`: no call passes the test of its arguments
16: `stat`: refused whatever its arguments are: its `pathname` is a pointer, and tests of pointers are not part of the language
16: `stat`: SCMP_ACT_KILL_THREAD has no equivalent: the call is refused all the same (EPERM)
17: `getpid`: SCMP_ACT_NOTIFY has no equivalent: the call is refused all the same (EPERM)
18: `getppid`: SCMP_ACT_LOG has no equivalent: the call is refused all the same (EPERM)
19: `gettid`: SCMP_ACT_TRACE 7 has no equivalent: the call is refused all the same (EPERM)
20: `getuid`: SCMP_ACT_KILL_PROCESS has no equivalent: the call is refused all the same (EPERM)
)";
  const std::string losses = MustImport(Contents(kFolder + "denials.json")).Losses();
  BOOST_TEST(losses == expected, losses);
}

// A policy can't deny it; the profile that says both is read all the same.
BOOST_AUTO_TEST_CASE(DenyingWhatPassesByFilters) {
  const Result result = MustImport(
      R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
          {"names": ["getpid", "uretprobe"], "action": "SCMP_ACT_ALLOW"},
          {"names": ["uretprobe"], "action": "SCMP_ACT_ERRNO"}]})");
  const std::string& policy = result.imported->policy;
  BOOST_TEST(policy.find("uretprobe") == std::string::npos, policy);
  BOOST_TEST(policy.find("getpid") != std::string::npos, policy);
  BOOST_TEST(result.Losses().find("`uretprobe`: allowed by one rule and refused by another") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(ConditionsOfRules) {
  const std::string expected =
      R"(2: the refusal of `write`, `close`, `rt_sigreturn`, `socketpair`, `exit`, `restart_syscall`, `exit_group`: every component may make these calls, as far as they reach nobody else
5: `SCMP_ARCH_X86`, `SCMP_ARCH_X32`: calls of other architectures are closed in every component: the process is killed
9: `_llseek`: x86_64 has no such call
10: `execve`: `files.execute` decides about the call: say there what the component needs
10: `connect`: `network` decides about the call: say there what the component needs
10: `mount`: no component may make the call: it defeats confinement as a whole
15: a part of `clone`: closed in every component, for example clone(flags=0x80)
18: `clone`: for holders of `CAP_SYS_ADMIN`: `--cap` takes the rule
23: `uretprobe`: for kernels from 99.1 on
24: `sync`: for kernels before 4.8 only
)";
  const std::string service = Contents(kFolder + "service.json");
  const std::string losses = MustImport(service).Losses();
  BOOST_TEST(losses == expected, losses);
  const std::string privileged = MustImport(service, "linux-6.18", {"CAP_SYS_ADMIN"}).Losses();
  BOOST_TEST(privileged.find("15: `clone`: not for holders of `CAP_SYS_ADMIN`") !=
             std::string::npos);
  const std::string other = MustImport(service, "linux-6.18-aarch64").Losses();
  BOOST_TEST(other.find("`arch_prctl`: for other architectures: `amd64`, `x32`") !=
             std::string::npos);
}

struct Broken {
  std::string text;
  std::string expected;
};

std::string WithRule(const std::string& rule) {
  return "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [\n" + rule + "]}";
}

BOOST_AUTO_TEST_CASE(BrokenProfiles) {
  const std::string deep(1000, '[');
  std::string many = "[";
  for (int i = 0; i < 100001; ++i) many += "1,";
  const Broken kCases[] = {
      {"", "1:1 E0602 this is not JSON\n"},
      {"{\"defaultAction\": }", "1:19 E0602 this is not JSON\n"},
      {"{}\n{}", "2:1 E0602 this is not JSON\n"},
      {"{\"a\xff\": 1}", "1:4 E0602 this is not JSON\n"},
      {deep, "1:33 E0601 the file is nested too deep\n"},
      {many, "1:200002 E0601 the file has too many values\n"},
      {std::string((1U << 20) + 1, ' '), "1:1 E0601 the file is too large\n"},
      {"{\"flags\": [],\n \"flags\": []}", "2:2 E0603 `flags` is here twice\n"},
      {"[]", "1:1 E0605 expected an object\n"},
      {"{\"defaultAktion\": \"SCMP_ACT_ERRNO\"}",
       "1:1 E0606 `defaultAction` is missing\n"
       "1:2 E0604 `defaultAktion` is no key of a seccomp profile here\n"},
      {"{\"defaultAction\": \"SCMP_ACT_EROR\"}", "1:19 E0607 `SCMP_ACT_EROR` is not known here\n"},
      {"{\"defaultAction\": 1}", "1:19 E0605 expected a text\n"},
      {"{\"defaultAction\": \"SCMP_ACT_ALLOW\"}", "1:19 E0610 this profile allows by default\n"},
      {"{\"defaultAction\": \"SCMP_ACT_LOG\"}", "1:19 E0610 this profile allows by default\n"},
      {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"architectures\": [], \"archMap\": []}",
       "1:58 E0609 `architectures` and `archMap` are both given\n"},
      {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": {}}", "1:49 E0605 expected a list\n"},
      {WithRule("{\"names\": [\"read\"]}"), "2:1 E0606 `action` is missing\n"},
      {WithRule("{\"names\": [], \"action\": \"SCMP_ACT_ALLOW\"}"),
       "2:1 E0606 `names` is missing\n"},
      {WithRule("{\"names\": [null], \"action\": \"SCMP_ACT_ALLOW\"}"),
       "2:12 E0605 expected a text\n"},
      {WithRule("{\"names\": [\"read\"], \"name\": \"read\", \"action\": \"SCMP_ACT_ALLOW\"}"),
       "2:21 E0609 `names` and `name` are both given\n"},
      {WithRule("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"when\": 1}"),
       "2:49 E0604 `when` is no key of a seccomp profile here\n"},
      {WithRule("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 4096}"),
       "2:61 E0608 `4096` is not a number that can stand here\n"},
      {WithRule("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ERRNO\", \"errno\": \"EPRM\"}"),
       "2:58 E0607 `EPRM` is not the name of an error\n"},
      {WithRule(
           "{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [\n"
           "{\"index\": 6, \"value\": 18446744073709551616, \"valueTwo\": -1, \"op\": true}]}"),
       "3:11 E0608 `6` is not a number that can stand here\n"
       "3:23 E0608 `18446744073709551616` is not a number that can stand here\n"
       "3:57 E0608 `-1` is not a number that can stand here\n"
       "3:67 E0605 expected a text\n"},
      {WithRule("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{}, 1]}"),
       "2:58 E0606 `index` is missing\n2:58 E0606 `op` is missing\n2:58 E0606 `value` is missing\n"
       "2:62 E0605 expected an object\n"},
      {WithRule("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": "
                "{\"minKernel\": \"new\"}}"),
       "2:75 E0608 `new` is not a kernel release\n"},
  };
  for (const Broken& item : kCases) {
    const std::string given = Import(item.text).Mistakes();
    BOOST_TEST(given == item.expected, given << "instead of\n"
                                             << item.expected << "in\n"
                                             << item.text.substr(0, 200));
  }
}

BOOST_AUTO_TEST_CASE(MoreRulesThanAListTakes) {
  std::string rules;
  for (int i = 0; i < 1025; ++i) {
    rules +=
        "{\"names\": [\"ioctl\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 1, "
        "\"op\": \"SCMP_CMP_MASKED_EQ\", \"value\": 65535, \"valueTwo\": " +
        std::to_string(i) + "}]},\n";
  }
  rules.resize(rules.size() - 2);
  BOOST_TEST(Import(WithRule(rules)).Mistakes() ==
             "1:19 E0611 this profile comes to 1025 rules of system calls\n");
}

// Compiled, exported, imported and compiled again.
struct Trip {
  CallSets sets{size_t{1} << 22};
  ProfileData first;
  ProfileData second;
  std::string losses;
  std::map<uint32_t, CallSets::Set> before;
  std::map<uint32_t, CallSets::Set> after;

  Trip(const std::string& body, const std::string& target)
      : first(MustCompile(testing::One(body), {}, target).Component("one")) {
    const auto exported = ExportOci(first, {});
    BOOST_REQUIRE(exported.has_value());
    const Result back = MustImport(*exported, target);
    second = MustCompile(back.imported->policy).Component("imported");
    losses = back.Losses();
    before = AllowedCalls(first.filter, first.arch, sets).value();
    after = AllowedCalls(second.filter, second.arch, sets).value();
  }
};

BOOST_AUTO_TEST_CASE(ThereAndBackIsTheSame) {
  const std::string groups[] = {
      "\"@service\"", "\"@service\", \"@master-worker\", \"@file-modes\", \"@posix-timers\"",
      "\"@batch\", {kill: {sig: {not: [9, 19]}}}, {lseek: {offset: {from: 4096, to: 1000000}}}"};
  for (const char* target : {"linux-6.18", "linux-6.18-aarch64"}) {
    for (const std::string& group : groups) {
      const Trip trip(
          "    files: {execute: [/usr/bin/one]}\n    syscalls: {allow: [" + group + "]}\n", target);
      BOOST_TEST((trip.before == trip.after), target << " " << group);
      BOOST_TEST((trip.second.absent == trip.first.absent));
      BOOST_TEST(trip.losses == "");
    }
  }
}

// But for the calls that other keys than `syscalls` brought: they are lost, and listed.
BOOST_AUTO_TEST_CASE(ThereAndBackWithoutOtherKeys) {
  const Trip trip(
      "    files: {execute: [/usr/bin/one, /usr/bin/two]}\n"
      "    network: {tcp: {connect: [443], bind: [80]}}\n    syscalls: {allow: [\"@service\"]}\n"
      "waivers: [{component: one, statement: network.tcp.bind, reason: r, until: 2099-01-01}]\n",
      "linux-6.18");
  std::set<std::string> lost;
  for (const auto& [nr, set] : trip.before) {
    const auto found = trip.after.find(nr);
    if (found != trip.after.end() && found->second == set) continue;
    const std::string name(SyscallName(trip.first.arch, nr));
    BOOST_TEST(!OwnerOf(name).empty(), name);
    BOOST_TEST(trip.losses.find("`" + name + "`") != std::string::npos, name);
    lost.insert(name);
  }
  const std::set<std::string> expected{"accept", "accept4", "bind",  "connect",
                                       "execve", "listen",  "socket"};
  BOOST_TEST((lost == expected));
}

// Where libseccomp is right: what is imported is what it makes of the same JSON.
BOOST_AUTO_TEST_CASE(TheSameByLibseccomp) {
  const std::string text = Contents(kFolder + "operators.json");
  const ProfileData made = MustCompile(MustImport(text).imported->policy).Component("imported");
  const ProfileData bare = Bare("linux-6.18");
  const OciReading reading = ReadOci(text);
  const testing::Program theirs = testing::ByLibseccomp(reading.default_action, reading.rules);
  size_t allowed = 0;
  for (const SeccompData& data : CallsNear(reading, made.arch)) {
    // Of these rules it makes a filter that allows more: see libseccomp_wrong_test.cc.
    if (SyscallName(made.arch, data.nr) == "kill") continue;
    if (IsClosed(made.arch, data)) continue;
    if (Evaluate(bare.filter, data).action == kRetAllow) continue;
    const bool passes = testing::Run(theirs, data) == kRetAllow;
    BOOST_TEST(passes == (Evaluate(made.filter, data).action == kRetAllow),
               testing::Describe(data));
    allowed += passes;
  }
  BOOST_TEST(allowed > 100U);
}

// Damaged files are refused or imported, never more.
BOOST_AUTO_TEST_CASE(MutatedFiles) {
  const uint32_t seed = testing::Seed();
  std::mt19937 random(seed);
  static constexpr const char* kPieces[] = {"{",
                                            "}",
                                            "[",
                                            "]",
                                            "\"",
                                            ",",
                                            ":",
                                            "null",
                                            "-1",
                                            "1e9",
                                            "18446744073709551615",
                                            "\"SCMP_ACT_ALLOW\"",
                                            "\\u0000",
                                            "\xff"};
  size_t refused = 0;
  for (const char* name : {"service.json", "operators.json", "denials.json"}) {
    const std::string whole = Contents(kFolder + name);
    for (int i = 0; i < 200; ++i) {
      std::string text = whole;
      for (auto times = 1 + random() % 3; times > 0; --times) {
        const size_t at = random() % text.size();
        const size_t length = std::min<size_t>(random() % 12, text.size() - at);
        text.replace(at, length, random() % 2 == 0 ? "" : kPieces[random() % std::size(kPieces)]);
      }
      refused += !testing::TryOciInput(text);
    }
  }
  BOOST_TEST(refused > 100U, "seed " << seed);
}

BOOST_AUTO_TEST_CASE(CutFiles) {
  const std::string whole = Contents(kFolder + "operators.json");
  BOOST_TEST(testing::TryOciInput(whole));
  for (size_t size = 0; size + 2 < whole.size(); size += 13) {
    BOOST_TEST(!testing::TryOciInput(whole.substr(0, size)));
  }
}

BOOST_AUTO_TEST_CASE(Capabilities) {
  BOOST_TEST(IsCapability("CAP_SYS_ADMIN"));
  BOOST_TEST(IsCapability("CAP_CHECKPOINT_RESTORE"));
  for (const char* none : {"", "CAP_", "SYS_ADMIN", "CAP_SYS_ADMIM", "cap_sys_admin"}) {
    BOOST_TEST(!IsCapability(none));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
