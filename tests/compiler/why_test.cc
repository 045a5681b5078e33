// SPDX-License-Identifier: Apache-2.0
// Answers about a compiled bundle: allowed and refused side by side, by which control, recorded by
// what, and where the answer is honest about what it can't decide.
#include "compiler/why.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::Compiled;
using testing::MustCompile;
using testing::WithLevel;

const std::string kPolicy = R"(bulkhead: 1
enclave: test
target: linux-6.18
assets:
  key: {files: [/var/lib/two, /var/lib/two/key]}
components:
  one:
    exec: [/usr/bin/one]
    files:
      execute: [/usr/bin/one, "@loader"]
      read: ["@libraries", /srv/read]
      write: [/srv/write]
      create: [/srv/create]
      private: [{path: /tmp, size: 1M}]
    network:
      unix: {connect: [/run/edges/two/s.sock]}
      tcp: {listen: [{port: 8443, name: web}]}
    syscalls:
      allow: [read, "@files", {ioctl: {request: [TCGETS, FIONREAD]}}, {lseek: {offset: {from: 0, to: 9}}}]
  two:
    exec: [/usr/bin/two]
    files:
      execute: [/usr/bin/two, /usr/bin/helper]
      state: [/var/lib/two]
    network:
      tcp: {connect: [443]}
      unix: {listen: [{path: /run/edges/two/s.sock, name: s, from: [one]}]}
    syscalls: {allow: ["@files"]}
)";

using Object = std::vector<std::string>;

Explanation Ask(const Compiled& compiled, std::string_view component, std::string_view action,
                const Object& object) {
  const auto answer = Why(compiled.compilation->bundle, component, action, object);
  BOOST_REQUIRE_MESSAGE(answer.has_value(), (answer ? "" : answer.error()));
  return *answer;
}

struct Question {
  const char* component;
  const char* action;
  Object object;
  bool allowed;
  const char* rule;  // of the component, without its prefix; a whole id when it has no dot first
  Recorder recorder = Recorder::kNone;
};

void Check(const Compiled& compiled, const std::vector<Question>& questions) {
  for (const Question& question : questions) {
    const Explanation answer = Ask(compiled, question.component, question.action, question.object);
    std::string asked = question.component;
    asked.append(" ").append(question.action);
    for (const std::string& word : question.object) asked.append(" ").append(word);
    std::string rule = question.rule;
    if (rule.starts_with(".")) rule.insert(0, std::string("components.") + question.component);
    const Verdict verdict = question.allowed ? Verdict::kAllow : Verdict::kDeny;
    BOOST_TEST((answer.verdict == verdict), asked << ": " << VerdictName(answer.verdict));
    BOOST_TEST(answer.rule == rule, asked << ": " << answer.rule);
    BOOST_TEST((answer.recorder == question.recorder),
               asked << ": " << RecorderName(answer.recorder));
    BOOST_TEST(!answer.controls.empty(), asked);
  }
}

BOOST_AUTO_TEST_SUITE(WhyAnswers)

BOOST_AUTO_TEST_CASE(Files) {
  const auto record = Recorder::kLandlockRecord;
  Check(MustCompile(kPolicy),
        {{"one", "read", {"/srv/read/a"}, true, ".files.read:/srv/read"},
         {"one", "write", {"/srv/read/a"}, false, ".files.read:/srv/read"},
         {"one", "write", {"/srv/write"}, true, ".files.write:/srv/write"},
         {"one", "create", {"/srv/write/a"}, false, ".files.write:/srv/write", record},
         {"one", "create", {"/srv/create/a"}, true, ".files.create:/srv/create"},
         {"one", "create", {"/tmp/a"}, true, ".files.private:/tmp"},
         {"one", "read", {"/srv/reader"}, false, ".files"},
         {"one", "read", {"/etc/shadow"}, false, ".files"},
         {"one", "read", {"/etc/passwd"}, true, ".files"},
         {"one", "write", {"/etc/passwd"}, false, ".files"},
         {"one", "write", {"/dev/null"}, true, ".files"},
         {"one", "execute", {"/usr/bin/one"}, false, ".files.execute", Recorder::kNotification},
         {"one", "execute", {"/tmp/a"}, false, ".files.execute", Recorder::kNotification},
         {"two", "execute", {"/usr/bin/helper"}, true, ".files.execute:/usr/bin/helper"},
         {"two", "execute", {"/var/lib/two/a"}, false, ".files.state:/var/lib/two"}});
}

BOOST_AUTO_TEST_CASE(Assets) {
  const Compiled recorded = MustCompile(kPolicy);
  const auto record = Recorder::kLandlockRecord;
  Check(recorded, {{"one", "read", {"/var/lib/two"}, false, "assets.key", record},
                   {"one", "read", {"/var/lib/two/key"}, false, "assets.key", record},
                   {"one", "write", {"/var/lib/two/key"}, false, "assets.key", record},
                   {"one", "read", {"/var/lib/two/other"}, false, "assets.key"},
                   {"one", "metadata", {"/var/lib/two"}, true, "assets.key"},
                   {"two", "read", {"/var/lib/two/key"}, true, ".files.state:/var/lib/two"}});
  // Landlock lets them through there, and the supervisor refuses.
  const Compiled watched = MustCompile(kPolicy, WithLevel(Feature::kLandlockAudit, 0));
  const auto tripwire = Recorder::kTripwire;
  Check(watched, {{"one", "read", {"/var/lib/two"}, false, "assets.key", tripwire},
                  {"one", "read", {"/var/lib/two/key"}, false, "assets.key", tripwire},
                  // Its mode keeps it empty.
                  {"one", "metadata", {"/var/lib/two"}, false, ".user"},
                  {"two", "read", {"/var/lib/two/key"}, true, ".files.state:/var/lib/two"}});
}

BOOST_AUTO_TEST_CASE(Network) {
  const auto notified = Recorder::kNotification;
  const auto record = Recorder::kLandlockRecord;
  const char* kServer = ".network.unix.listen:/run/edges/two/s.sock";
  Check(MustCompile(kPolicy),
        {{"one",
          "connect",
          {"unix:/run/edges/two/s.sock"},
          true,
          ".network.unix.connect:/run/edges/two/s.sock"},
         {"one", "connect", {"unix:/run/other/s.sock"}, false, ".network"},
         {"one", "listen", {"unix:/run/edges/two/s.sock"}, false, ".network", notified},
         {"two", "listen", {"unix:/run/edges/two/s.sock"}, true, kServer},
         {"one", "listen", {"tcp:8443"}, true, ".network.tcp.listen:8443"},
         {"one", "listen", {"tcp:8444"}, false, ".network", notified},
         {"one", "connect", {"tcp:443"}, false, ".network", notified},
         {"two", "connect", {"tcp:443"}, true, ".network.tcp.connect:443"},
         {"two", "connect", {"tcp:444"}, false, ".network", record},
         {"two", "listen", {"tcp:443"}, false, ".network", notified},
         {"two", "connect", {"udp:53"}, false, ".network", notified},
         {"two", "connect", {"vsock:3:9001"}, false, ".network", notified}});
}

BOOST_AUTO_TEST_CASE(Calls) {
  const auto notified = Recorder::kNotification;
  Check(MustCompile(kPolicy),
        {{"one", "syscall", {"read"}, true, ".syscalls"},
         {"one", "syscall", {"ptrace"}, false, ".syscalls", notified},
         {"one", "syscall", {"clone3"}, false, ".syscalls", notified},
         {"one", "syscall", {"ioctl", "request=TCGETS"}, true, ".syscalls"},
         {"one", "syscall", {"ioctl", "request=0x5401"}, true, ".syscalls"},
         {"one", "syscall", {"ioctl", "request=4294988801"}, true, ".syscalls"},  // + 2^32
         {"one", "syscall", {"ioctl", "request=TIOCSTI"}, false, ".syscalls", notified},
         {"one", "syscall", {"lseek", "offset=9"}, true, ".syscalls"},
         {"one", "syscall", {"lseek", "offset=10"}, false, ".syscalls", notified},
         {"one", "syscall", {"lseek", "offset=4294967305"}, false, ".syscalls", notified}});
}

// A policy with these entries under `allow` and nothing else.
std::string OnlyCalls(const std::string& allow) {
  return R"(bulkhead: 1
enclave: test
target: linux-6.18
assets:
  key: {files: [/srv/key]}
components:
  one:
    exec: [/usr/bin/one]
    files:
      execute: [/usr/bin/one]
      write: [/srv/write]
      create: [/srv/create]
    syscalls: {allow: [)" +
         allow + "]}\n";
}

Verdict With(const std::string& allow, std::string_view action, const Object& object) {
  return Ask(MustCompile(OnlyCalls(allow)), "one", action, object).verdict;
}

// What a call does beside what it is for counts, too; beside each the same call that doesn't.
BOOST_AUTO_TEST_CASE(FilesByOtherCalls) {
  struct Way {
    const char* allow;
    const char* action;
    bool allowed;
  };
  const Way ways[] = {
      {"{openat: {flags: {bits-set: [O_CREAT]}}}", "write", true},
      {"{openat: {flags: {bits-set: [O_TRUNC]}}}", "write", true},
      {"{openat: {flags: [O_RDONLY]}}", "write", false},
      {"{on: {x86_64: [creat]}}", "write", true},
      {"{on: {x86_64: [creat]}}", "truncate", true},
      {"{openat: {flags: {mask: 515, equals: 512}}}", "truncate", true},  // O_RDONLY | O_TRUNC
      {"{openat: {flags: {bits-clear: [O_TRUNC]}}}", "truncate", false},
      {"{openat: {flags: {bits-set: [O_CREAT, O_TRUNC]}}}", "create", true},
      {"{mknodat: {mode: {mask: 61440, equals: 32768}}}", "create", true},  // S_IFREG
      {"{mknodat: {mode: {mask: 61440, equals: 0}}}", "create", true},
      {"{mknodat: {mode: {mask: 61440, equals: 4096}}}", "create", false},  // S_IFIFO
      {"openat, fchmod", "metadata", true},
      {"fchmod", "metadata", false},
      {"{utimensat: {flags: {bits-clear: [AT_EMPTY_PATH]}}}", "metadata", true},
      {"{utimensat: {flags: {bits-set: [1]}}}", "metadata", false},  // no flag of it
  };
  for (const Way& way : ways) {
    const Verdict verdict = With(way.allow, way.action, {"/srv/create/a"});
    BOOST_TEST((verdict == Verdict::kAllow) == way.allowed, way.allow << " " << way.action);
  }
  BOOST_TEST((With("{renameat2: {flags: [RENAME_NOREPLACE]}}", "rename",
                   {"/srv/create/a", "/srv/create/b"}) == Verdict::kAllow));
  BOOST_TEST((With("{renameat2: {flags: [RENAME_EXCHANGE]}}", "rename",
                   {"/srv/create/a", "/srv/create/b"}) == Verdict::kDeny));
}

// Truncating opens nothing, so where the supervisor watches openings it is not refused; what is cut
// off is empty, and not the asset.
BOOST_AUTO_TEST_CASE(TripwiresWithoutRecords) {
  const std::string policy = OnlyCalls("openat, truncate, getdents64");
  const Compiled compiled = MustCompile(policy, WithLevel(Feature::kLandlock, 2));
  BOOST_TEST((Ask(compiled, "one", "truncate", {"/srv/key"}).verdict == Verdict::kAllow));
  BOOST_TEST((Ask(compiled, "one", "write", {"/srv/key"}).verdict == Verdict::kDeny));
  BOOST_TEST((Ask(compiled, "one", "reach", {"key"}).verdict == Verdict::kDeny));
}

// Landlock refuses the opening, before the filter would the listing; where it grants it, the filter
// is what is asked.
BOOST_AUTO_TEST_CASE(WhatRefusesFirst) {
  const Compiled compiled = MustCompile(OnlyCalls("openat"));
  const Explanation outside = Ask(compiled, "one", "list", {"/srv"});
  const Explanation inside = Ask(compiled, "one", "list", {"/srv/write"});
  BOOST_TEST((outside.verdict == Verdict::kDeny && inside.verdict == Verdict::kDeny));
  BOOST_TEST((outside.recorder == Recorder::kLandlockRecord));
  BOOST_TEST((inside.recorder == Recorder::kNotification));
  BOOST_TEST((outside.controls.back().layer == Layer::kSeccomp));
  BOOST_TEST(outside.rule == "components.one.files");
  BOOST_TEST(inside.rule == "components.one.syscalls");
}

// About these the kernel asks no filter, where it has them.
BOOST_AUTO_TEST_CASE(CallsThatPassByFilters) {
  const auto verdict = [](uint32_t major, uint32_t minor, const char* call) {
    const Compiled compiled = MustCompile(kPolicy, [=](LoadedPolicy& loaded) {
      loaded.target.target.kernel_major = major;
      loaded.target.target.kernel_minor = minor;
    });
    const Explanation answer = Ask(compiled, "one", "syscall", {call});
    const bool in_ledger =
        compiled.Row("one", "components.one.syscalls")->note.find(call) != std::string::npos;
    const bool allowed = answer.verdict == Verdict::kAllow;
    BOOST_TEST(allowed == in_ledger, call);
    BOOST_TEST(answer.note.empty() != allowed, call);
    return answer.controls.front().text;
  };
  BOOST_TEST(verdict(6, 18, "uretprobe") == "no filter is asked");
  BOOST_TEST(verdict(6, 18, "uprobe") == "no filter is asked");
  BOOST_TEST(verdict(6, 17, "uretprobe") == "no filter is asked");
  BOOST_TEST(verdict(6, 17, "uprobe") == "uprobe is refused: EPERM");
  BOOST_TEST(verdict(6, 10, "uretprobe") == "uretprobe is refused: EPERM");
}

// What hangs on an argument that was not given is said, wherever the filter tests it.
BOOST_AUTO_TEST_CASE(UndecidableCalls) {
  const Compiled compiled = MustCompile(kPolicy);
  for (const Object& object :
       {Object{"ioctl"}, Object{"ioctl", "fd=3"}, Object{"lseek", "whence=0"}, Object{"socket"},
        Object{"socket", "domain=AF_UNIX"}, Object{"socket", "domain=AF_UNIX", "protocol=0"}}) {
    const Explanation answer = Ask(compiled, "one", "syscall", object);
    BOOST_TEST((answer.verdict == Verdict::kUndecided), object[0]);
    // A call that passes, and one that doesn't.
    BOOST_TEST(answer.calls.size() == 2U, object[0]);
    BOOST_TEST(!answer.note.empty(), object[0]);
  }
  for (const Object& object :
       {Object{"socket", "domain=AF_VSOCK"}, Object{"socket", "protocol=262"},
        Object{"ioctl", "request=TCGETS"}}) {
    BOOST_TEST((Ask(compiled, "one", "syscall", object).verdict != Verdict::kUndecided),
               object.back());
  }
}

BOOST_AUTO_TEST_CASE(FilesFurther) {
  const auto record = Recorder::kLandlockRecord;
  const char* kCreated = ".files.create:/srv/create";
  Check(MustCompile(kPolicy),
        {{"one", "remove", {"/srv/create/a"}, true, kCreated},
         {"one", "remove", {"/srv/create"}, false, kCreated},
         {"one", "remove", {"/srv/write/a"}, false, ".files.write:/srv/write", record},
         {"one", "rename", {"/srv/create/a", "/srv/create/b/c"}, true, kCreated},
         {"one", "rename", {"/srv/create/a", "/tmp/a"}, false, ".files.private:/tmp"},
         {"one", "rename", {"/srv/create/a", "/srv/none"}, false, ".files"},
         {"one", "truncate", {"/srv/write/a"}, true, ".files.write:/srv/write"},
         {"one", "truncate", {"/srv/read/a"}, false, ".files.read:/srv/read"},
         {"one", "truncate", {"/dev/null"}, false, ".files"},
         {"one", "list", {"/srv/read"}, true, ".files.read:/srv/read"},
         {"one", "list", {"/srv"}, false, ".files", record},
         {"one", "list", {"/"}, false, ".files", record},
         {"one", "read", {"/srv"}, false, ".files", record},
         {"one", "write", {"/tmp"}, false, ".files.private:/tmp"},
         {"one", "create", {"/tmp"}, false, ".files.private:/tmp"},
         {"one", "create", {"/srv/a"}, false, ".files"},
         {"one", "metadata", {"/tmp/a"}, true, ".files.private:/tmp"},
         {"one", "metadata", {"/proc"}, false, ".user"},
         {"one", "metadata", {"/dev/shm"}, true, ".files"},
         {"one", "metadata", {"/srv/read/a"}, false, ".files.read:/srv/read"},
         {"one", "execute", {"/srv/none"}, false, ".files.execute", Recorder::kNotification}});
}

BOOST_AUTO_TEST_CASE(PeersAndCapabilities) {
  const auto notified = Recorder::kNotification;
  Check(MustCompile(kPolicy),
        {{"one", "reach", {"two"}, true, ".network.unix.connect:/run/edges/two/s.sock"},
         {"two", "reach", {"one"}, false, ".network", Recorder::kLandlockRecord},
         {"one", "reach", {"key"}, false, "assets.key", Recorder::kLandlockRecord},
         {"two", "reach", {"key"}, true, ".files.state:/var/lib/two"},
         {"one", "signal", {"two"}, false, ".syscalls", notified},
         {"one", "signal", {"one"}, false, ".syscalls", notified},
         {"one", "trace", {"two"}, false, ".syscalls", notified},
         {"one", "memory", {"two"}, false, ".syscalls", notified},
         {"one", "capability", {"CAP_SYS_ADMIN"}, false, ".user"},
         {"one", "socket", {"AF_INET"}, false, ".network", notified},
         {"one", "socket", {"AF_UNIX", "SOCK_STREAM", "0"}, true, ".network"},
         // In a network namespace of its own nobody has the name, and Landlock isn't asked.
         {"one", "connect", {"unix:@bus"}, false, ".network"},
         {"two", "connect", {"unix:@bus"}, false, ".network", notified},
         {"two", "connect", {"tcp:10.0.0.1:443"}, true, ".network.tcp.connect:443"},
         {"two", "connect", {"tcp:[::1]:443"}, true, ".network.tcp.connect:443"},
         {"two", "connect", {"tcp:example.org:80"}, false, ".network", Recorder::kLandlockRecord}});
}

// The controls tell ports apart, and no control knows what stands behind a name.
BOOST_AUTO_TEST_CASE(Undecided) {
  const Compiled compiled = MustCompile(kPolicy);
  for (const auto& [component, action, object] :
       {std::tuple("two", "connect", "tcp:example.org:443"),
        std::tuple("one", "read", "/proc/self/status")}) {
    const Explanation answer = Ask(compiled, component, action, {object});
    BOOST_TEST((answer.verdict == Verdict::kUndecided), object);
    BOOST_TEST(!answer.note.empty(), object);
  }
}

BOOST_AUTO_TEST_CASE(WrongQuestions) {
  const Compiled compiled = MustCompile(kPolicy);
  const auto refused = [&](std::string_view component, std::string_view action,
                           const Object& object) {
    const auto answer = Why(compiled.compilation->bundle, component, action, object);
    return answer ? std::string("answered") : answer.error();
  };
  BOOST_TEST(refused("three", "read", {"/a"}) == "the bundle has no component `three`");
  BOOST_TEST(refused("one", "eat", {"/a"}) == "`eat` is no action: " + ActionNames());
  BOOST_TEST(refused("one", "read", {"a"}) == "`read` takes one absolute path");
  BOOST_TEST(refused("one", "read", {"/a/../b"}) == "`read` takes one absolute path");
  BOOST_TEST(refused("one", "read", {}) == "`read` takes one absolute path");
  BOOST_TEST(refused("one", "syscall", {}) == "`syscall` takes a name and arguments");
  BOOST_TEST(refused("one", "syscall", {"raed"}) == "`raed` is no system call of x86_64");
  BOOST_TEST(refused("one", "syscall", {"ioctl", "request"}) ==
             "`request` is not ARGUMENT=VALUE of ioctl");
  BOOST_TEST(refused("one", "syscall", {"ioctl", "request=0xg"}) ==
             "`request=0xg` is not ARGUMENT=VALUE of ioctl");
  BOOST_TEST(
      refused("one", "connect", {"tcp:0"}).starts_with("`connect` takes tcp:[ADDRESS:]PORT"));
  BOOST_TEST(
      refused("one", "connect", {"tcp:65536"}).starts_with("`connect` takes tcp:[ADDRESS:]PORT"));
  BOOST_TEST(refused("one", "trace", {"three"}) == "the enclave has no component `three`");
  BOOST_TEST(refused("one", "reach", {"three"}) ==
             "the enclave has no component and no asset `three`");
  BOOST_TEST(refused("one", "reach", {"one"}) == "`one` is the component itself");
  BOOST_TEST(refused("one", "capability", {"CAP_ALL"}).starts_with("`capability` takes the name"));
  BOOST_TEST(refused("one", "rename", {"/a"}) == "`rename` takes two absolute paths");
  BOOST_TEST(
      refused("one", "connect", {"host:1"}).starts_with("`connect` takes tcp:[ADDRESS:]PORT"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
