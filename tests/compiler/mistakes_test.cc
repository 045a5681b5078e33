// SPDX-License-Identifier: Apache-2.0
// Every mistake that only the compiler can see, at its place: what a target can't enforce, and what
// does not hold between components. Lines count from `bulkhead: 1`.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::Change;
using testing::CompileText;
using testing::Granted;
using testing::MustCompile;
using testing::One;
using testing::WithLevel;

struct Mistake {
  std::string policy;
  std::string expected;
  Change change = {};
};

void Check(const std::vector<Mistake>& mistakes) {
  for (const Mistake& mistake : mistakes) {
    const std::string given = CompileText(mistake.policy, mistake.change).Mistakes();
    BOOST_TEST(given == mistake.expected, given << "instead of\n"
                                                << mistake.expected << "in\n"
                                                << mistake.policy);
  }
}

std::string Files(const std::string& more) {
  return One("    files:\n      execute: [/usr/bin/one]\n" + more);
}

// A second component beside `one`.
std::string Two(const std::string& one, const std::string& two) {
  return Granted(one, "  two:\n    exec: [/usr/bin/two]\n" + two);
}

const std::string kTwoGranted = "    files: {execute: [/usr/bin/two]}\n";

BOOST_AUTO_TEST_SUITE(Mistakes)

// What they waive may be judged after the mistakes.
BOOST_AUTO_TEST_CASE(WaiversAreNotCalledUselessBesideMistakes) {
  const std::string waiver =
      "waivers:\n  - {component: one, statement: files, reason: r, until: 2027-01-01}\n";
  for (const bool mistaken : {false, true}) {
    const auto compiled = CompileText(Granted(mistaken ? "    user: 0\n" : "", waiver));
    const auto all = compiled.diagnostics.Sorted();
    BOOST_TEST(std::ranges::count(all, "E0522", &Diagnostic::code) == (mistaken ? 1 : 0));
    BOOST_TEST(std::ranges::count(all, "E0521", &Diagnostic::code) == (mistaken ? 0 : 1));
  }
}

BOOST_AUTO_TEST_CASE(Waivers) {
  Check({{Granted("",
                  "waivers:\n  - {component: one, statement: files.write, reason: r, "
                  "until: 2027-01-01}\n"),
          "9:5 E0521 there is no statement `files.write` to waive\n"},
         {Granted("    user: 0\n"), "8:11 E0522 uid 0 needs a waiver\n"},
         // What is refused has no row, and is a statement all the same.
         {Granted("    network: {tcp: {bind: [80]}}\n",
                  "waivers:\n  - {component: one, statement: network.tcp.bind, reason: r, "
                  "until: 2027-01-01}\n"),
          "8:28 E0530 `linux-6.18` can't limit TCP ports: Landlock ABI 4 is needed, it has 0\n",
          WithLevel(Feature::kLandlock, 0)}});
  // Abstract sockets have no row of their own.
  const auto abstract = MustCompile(Granted("    network: {tcp: {connect: [80]}}\n",
                                            "waivers:\n  - {component: one, statement: "
                                            "network.unix, reason: r, until: 2027-01-01}\n"));
  BOOST_TEST((abstract.Row("one", "components.one.network")->status == Status::kEnforced));
  const auto waived = MustCompile(Granted("    user: 0\n",
                                          "waivers:\n  - {component: one, statement: user, "
                                          "reason: r, until: 2027-01-01}\n"));
  BOOST_TEST(waived.Component("one").uid == 0U);
  BOOST_TEST((waived.Row("one", "components.one.user")->status == Status::kWaived));
}

BOOST_AUTO_TEST_CASE(ASecretIsNobodysToWrite) {
  const std::string secret = "    secrets: [{name: token, from: /srv/keys/token}]\n";
  const auto written = [&](const std::string& more) {
    return Two(secret, "    files: {execute: [/usr/bin/two], " + more + "}\n");
  };
  const std::string mistake = "8:15 E0562 `two` may write the file of the secret, by `";
  Check({{written("create: [/srv/keys]"), mistake + "/srv/keys`\n"},
         {written("state: [/srv/keys/token/x]"), mistake + "/srv/keys/token/x`\n"},
         {Two(secret + "    network: {unix: {connect: [/srv/keys/s]}}\n",
              kTwoGranted + "    network: {unix: {listen: [{path: /srv/keys/s, from: [one], "
                            "by: component}]}}\n"),
          mistake + "/srv/keys`\n"},
         {Granted("    secrets: [{name: token, from: /run/bulkhead/token}]\n"),
          "8:15 E0524 `/run/bulkhead/token` reaches the supervisor's `/run/bulkhead`\n"}});
  // What is read or hidden by a tmpfs of its own is not the file that the supervisor reads.
  const auto kept =
      MustCompile(written("read: [/srv/keys], private: [{path: /srv/keys/token, size: 1M}]"));
  BOOST_TEST_REQUIRE(kept.Component("one").secrets.size() == 1U);
  BOOST_TEST(kept.Component("one").secrets[0].path == "/srv/keys/token");
  BOOST_TEST((kept.Row("one", "components.one.secrets:token")->status == Status::kEnforced));
}

BOOST_AUTO_TEST_CASE(AWatchdogNeedsTheReadinessSocket) {
  const auto watched = [](const std::string& ready) {
    return Granted(ready + "    watchdog: 5s\n");
  };
  Check({{watched(""), "8:15 E0561 `watchdog` needs `ready: notify`\n"}});
  BOOST_TEST(MustCompile(watched("    ready: notify\n")).Component("one").lifecycle.watchdog_ms ==
             5000U);
}

BOOST_AUTO_TEST_CASE(PathsOfTheRuntime) {
  for (const char* path : {"/", "/proc", "/proc/1/mem", "/sys", "/sys/fs/cgroup", "/dev",
                           "/dev/nsm", "/etc/passwd", "/etc/group"}) {
    Check({{Files("      read: [" + std::string(path) + "]\n"),
            "9:14 E0523 `" + std::string(path) + "` can't be named here\n"}});
  }
  for (const char* path : {"/run", "/run/bulkhead", "/run/bulkhead/control"}) {
    Check({{Files("      create: [" + std::string(path) + "]\n"),
            "9:16 E0524 `" + std::string(path) + "` reaches the supervisor's `/run/bulkhead`\n"}});
  }
  Check({{Files("      read: [/var/log]\n"),
          "9:14 E0524 `/var/log` reaches the supervisor's `/var/log/bulkhead`\n"},
         {"output: {sinks: [{file: /srv/out/log}]}\n" + Files("      read: [/srv/out]\n"),
          "10:14 E0524 `/srv/out` reaches the supervisor's `/srv/out/log`\n"},
         {"output: {sinks: [{file: /srv/out/log}]}\n" + Files("      read: [/srv/out/log.old]\n"),
          "10:14 E0524 `/srv/out/log.old` reaches the supervisor's `/srv/out/log.old`\n"},
         {"audit: {sinks: [{file: /srv/audit/log}]}\n" + Files("      read: [/srv]\n"),
          "10:14 E0524 `/srv` reaches the supervisor's `/srv/audit/log`\n"}});
  // Bundles, and the key by which they are taken.
  for (const char* path : {"/etc", "/etc/bulkhead", "/etc/bulkhead/bundle.pub"}) {
    Check({{Files("      create: [" + std::string(path) + "]\n"),
            "9:16 E0524 `" + std::string(path) + "` reaches the supervisor's `/etc/bulkhead`\n"}});
  }
  Check({{Files("      read: [/etc/bulkhead]\n"),
          "9:14 E0524 `/etc/bulkhead` reaches the supervisor's `/etc/bulkhead`\n"}});
  MustCompile(Files("      read: [/etc]\n"));
  // A tmpfs of its own hides what is there.
  MustCompile("audit: {sinks: [{file: /srv/audit/log}]}\n" +
              Files("      private: [{path: /srv, size: 1M}]\n"));
  MustCompile(Files("      read: [/etc, /usr/share, /run/other, /var/log/other]\n"));
}

BOOST_AUTO_TEST_CASE(Verbs) {
  Check({{Files("      read: [\"@libraries\"]\n      state: [/etc/ld.so.cache]\n"),
          "9:14 E0525 `/etc/ld.so.cache` is named under both `state` and `read`\n"},
         {One("    files:\n      execute: [/usr/bin/one, \"@loader\"]\n"
              "      write: [/lib64/ld-linux-x86-64.so.2]\n"),
          "8:31 E0526 `/lib64/ld-linux-x86-64.so.2` would be both writable and executable\n"},
         {Files("      read: [\"@libraries\"]\n"),
          "9:14 E0527 the target `linux-6.18` has no path set `@libraries`\n",
          [](LoadedPolicy& loaded) { loaded.target.path_sets.clear(); }},
         {One("    files: {read: [/usr/bin/one]}\n"),
          "6:12 E0528 `/usr/bin/one` is not under `files.execute`\n"},
         {Files("      write: [/srv/data]\n"),
          "9:15 E0536 `linux-6.18` can't tell `write` from `create`: it has no Landlock\n",
          [](LoadedPolicy& loaded) {
            loaded.target.target.features.Set(Feature::kLandlock, 0);
            loaded.target.target.features.Set(Feature::kLandlockAudit, 0);
          }}});
}

// The other way round the writable part is a mount of its own, without execution.
BOOST_AUTO_TEST_CASE(CodeBeneathWhatIsWritten) {
  for (const char* verb : {"write", "create", "state"}) {
    const std::string writable = "      " + std::string(verb) + ": [/srv/app]\n";
    Check({{One("    files:\n      execute: [/usr/bin/one, /srv/app/bin]\n" + writable),
            "8:31 E0558 `/srv/app/bin` lies beneath `/srv/app`, which the component can write\n"},
           {Files("      read: [/srv/app/lib]\n" + writable),
            "9:14 E0558 `/srv/app/lib` lies beneath `/srv/app`, which the component can write\n"}});
    MustCompile(Files("      read: [/srv]\n" + writable));
  }
  MustCompile(Files("      read: [/srv/app/lib]\n      private: [{path: /srv/app, size: 1M}]\n"));
}

BOOST_AUTO_TEST_CASE(Assets) {
  const auto asset = [](const std::string& files, const std::string& body) {
    return "assets: {key: {files: [" + files + "]}}\n" + Granted(body);
  };
  const Change silent = [](LoadedPolicy& loaded) {
    loaded.target.target.features.Set(Feature::kLandlockAudit, 0);
    loaded.target.target.features.Set(Feature::kFanotifyPerm, 0);
  };
  Check(
      {{asset("/srv/key", ""),
        "1:10 E0529 attempts of `one` on the asset `key` can't be recorded on `linux-6.18`\n",
        silent},
       {"assets: {key: {files: [/tmp/key]}}\n" + Files("      private: [{path: /tmp, size: 1M}]\n"),
        "10:17 E0533 `/tmp` of `one` hides the asset `/tmp/key`\n"},
       {asset("/proc/1/environ", ""),
        "1:24 E0534 `/proc/1/environ` of the asset `key` is the runtime's\n"},
       {asset("/run/bulkhead/control", ""),
        "1:24 E0534 `/run/bulkhead/control` of the asset `key` is the runtime's\n"}});
}

BOOST_AUTO_TEST_CASE(Devices) {
  Check(
      {{Granted("    devices: [/srv/disk]\n"),
        "8:15 E0537 `/srv/disk` is not a path beneath /dev\n"},
       {Granted("    devices: [/dev/null]\n"), "8:15 E0538 `/dev/null` is in every view already\n"},
       {Granted("    devices: [/dev/nsm]\n"), "8:15 E0539 `/dev/nsm` is in nobody's view\n"},
       {Granted("    devices: [/dev/tdx_guest]\n"),
        "8:15 E0539 `/dev/tdx_guest` is in nobody's view\n"},
       {Granted("    devices: [/dev/tpmrm0]\n"), "8:15 E0539 `/dev/tpmrm0` is in nobody's view\n"},
       {Granted("    devices: [/dev/mem]\n"), "8:15 E0539 `/dev/mem` is in nobody's view\n"}});
  const auto good = MustCompile(Granted("    devices: [/dev/rtc0]\n"));
  BOOST_TEST((testing::ViewOf(good.Component("one"), "/dev/rtc0")->kind == ViewKind::kDevice));
}

BOOST_AUTO_TEST_CASE(Network) {
  const std::string tcp = Granted("    network: {tcp: {connect: [443]}}\n");
  Check(
      {{tcp, "8:31 E0530 `linux-6.18` can't limit TCP ports: Landlock ABI 4 is needed, it has 3\n",
        WithLevel(Feature::kLandlock, 3)},
       {tcp,
        "8:31 E0531 `linux-6.18` can't keep this component from abstract unix sockets in the "
        "enclave's network: Landlock ABI 6 is needed, it has 5\n",
        WithLevel(Feature::kLandlock, 5)},
       {Granted("    network: {tcp: {bind: [80]}}\n    ready: listening\n"),
        "9:12 E0551 `listening` needs a unix socket that the component makes itself\n"}});
}

std::string Edge(const std::string& path, const std::string& client, const std::string& server) {
  return Two(
      "    network: {unix: {connect: [" + path + "]}}\n" + client,
      "    network: {unix: {listen: [{path: " + path + ", name: s, from: [one]}]}}\n" + server);
}

BOOST_AUTO_TEST_CASE(EdgesWithoutADirectoryOfTheirOwn) {
  const auto meets = [](const std::string& directory, const std::string& what) {
    return "8:32 E0532 the edge's directory `" + directory + "/` meets " + what + "\n";
  };
  Check({{Edge("/s.sock", "", kTwoGranted), meets("", "the root")},
         {Edge("/proc/a/s.sock", "", kTwoGranted), meets("/proc/a", "the runtime's `/proc`")},
         {Edge("/etc/s.sock", "", kTwoGranted), meets("/etc", "the runtime's `/etc/passwd`")},
         {Edge("/run/bulkhead/s.sock", "", kTwoGranted),
          meets("/run/bulkhead", "the supervisor's `/run/bulkhead`")},
         {Edge("/run/s.sock", "", kTwoGranted), meets("/run", "the supervisor's `/run/bulkhead`")},
         {Edge("/srv/key/s.sock", "", "    files: {execute: [/usr/bin/two], state: [/srv/key]}\n"),
          "8:32 E0532 the edge's directory `/srv/key/` meets `/srv/key` of `two`\n"
          "9:3 E0556 `/srv/key` is claimed by both `components.two.files.state:/srv/key` and "
          "`components.two.network.unix.listen:/srv/key/s.sock`\n"},
         {"assets: {key: {files: [/srv/e/key]}}\n" + Edge("/srv/e/s.sock", "", kTwoGranted),
          "9:32 E0532 the edge's directory `/srv/e/` meets the asset `key`\n"}});
  MustCompile(Edge("/run/edges/two/s.sock", "", kTwoGranted));
}

BOOST_AUTO_TEST_CASE(EdgesInEachOther) {
  Check({{Two("    network: {unix: {connect: [/run/e/s.sock, /run/e/f/s.sock]}}\n",
              kTwoGranted +
                  "    network: {unix: {listen: [{path: /run/e/s.sock, name: s, from: [one]}, "
                  "{path: /run/e/f/s.sock, name: t, from: [one]}]}}\n"),
          "8:32 E0532 the edge's directory `/run/e/` meets the edge `/run/e/f`\n"
          "8:47 E0532 the edge's directory `/run/e/f/` meets the edge `/run/e`\n"}});
}

BOOST_AUTO_TEST_CASE(MissingFeatures) {
  Check({{Granted(""),
          "5:3 E0541 `linux-6.18` has neither seccomp listeners nor tracers of filtered calls\n",
          [](LoadedPolicy& loaded) {
            WithLevel(Feature::kSeccompNotify, 0)(loaded);
            WithLevel(Feature::kSeccompTrace, 0)(loaded);
          }},
         {Granted(""),
          "5:3 E0535 `linux-6.18` has no PID namespaces, which `components.one.user` needs\n",
          WithLevel(Feature::kPidNamespace, 0)},
         {Granted("    limits: {memory: 1M}\n"),
          "8:22 E0550 `linux-6.18` has no memory controller (cgroup version)\n",
          WithLevel(Feature::kCgroupMemory, 0)},
         {Granted("    limits: {cpu: 50%}\n"),
          "8:19 E0550 `linux-6.18` has no cpu controller (cgroup version)\n",
          WithLevel(Feature::kCgroupCpu, 0)}});
}

BOOST_AUTO_TEST_CASE(Calls) {
  for (const char* call :
       {"ptrace", "bpf", "io_uring_setup", "keyctl", "unshare", "perf_event_open", "userfaultfd",
        "process_vm_readv", "pidfd_getfd", "clone3"}) {
    Check({{Granted("    syscalls: {allow: [read, " + std::string(call) + "]}\n"),
            "8:30 E0540 `" + std::string(call) + "` can't be allowed\n"}});
  }
  for (const char* call : {"close", "exit_group", "write"}) {
    Check({{Granted("    syscalls: {deny: [read, " + std::string(call) + "]}\n"),
            "8:29 E0546 `" + std::string(call) + "` can't be denied\n"}});
  }
  const auto in_part = MustCompile(Granted("    syscalls: {deny: [read, {write: {fd: 7}}]}\n"));
  BOOST_TEST(testing::Allows(in_part.Component("one"), "write"));
  Check({{One("    files: {execute: [/usr/bin/one, /usr/bin/other]}\n"
              "    syscalls: {allow: [memfd_create]}\n"),
          "8:24 E0543 `memfd_create` can't be allowed to a component that executes other "
          "programs\n"}});
  const auto alone = MustCompile(Granted("    syscalls: {allow: [memfd_create]}\n"));
  BOOST_TEST(testing::Allows(alone.Component("one"), "memfd_create"));
}

// Six calls, each with 1,000 values of an argument that have no neighbours and are no other call's.
BOOST_AUTO_TEST_CASE(FiltersThatNeedTooMuch) {
  std::string calls;
  int value = 0;
  for (const char* test : {"setpgid: {pid", "fsync: {fd", "fdatasync: {fd", "fchdir: {fd",
                           "umask: {mask", "getpgid: {pid"}) {
    calls += std::string(calls.empty() ? "{" : ", {") + test + ": [";
    for (int i = 0; i < 1000; ++i) calls += (i == 0 ? "" : ", ") + std::to_string(value += 2);
    calls += "]}}";
  }
  const std::string given =
      CompileText(Granted("    syscalls: {allow: [" + calls + "]}\n")).Mistakes();
  BOOST_TEST(given.starts_with("5:3 E0542 the filter of `one` can't be made: "), given);
}

BOOST_AUTO_TEST_CASE(SharedFiles) {
  const auto shared = [](const std::string& verb, const std::string& mine, const std::string& other,
                         const std::string& theirs) {
    return One("    files: {execute: [/usr/bin/one], " + verb + ": [" + mine + "]}\n",
               "  two:\n    exec: [/usr/bin/two]\n    files: {execute: [/usr/bin/two], " + other +
                   ": [" + theirs + "]}\n");
  };
  for (const char* verb : {"write", "create", "state"}) {
    MustCompile(shared(verb, "/srv/a", "read", "/srv/b"));
  }
  Check({{shared("write", "/srv/a", "read", "/srv/a/b"),
          "7:46 E0552 `/srv/a`, writable by `one`, is in the reach of `two` (`/srv/a/b`)\n"},
         {shared("create", "/srv/a/b", "read", "/srv/a"),
          "7:47 E0552 `/srv/a/b`, writable by `one`, is in the reach of `two` (`/srv/a`)\n"},
         {shared("state", "/srv/a", "state", "/srv/a"),
          "7:46 E0552 `/srv/a`, writable by `one`, is in the reach of `two` (`/srv/a`)\n"
          "10:46 E0552 `/srv/a`, writable by `two`, is in the reach of `one` (`/srv/a`)\n"}});
  MustCompile(shared("private", "{path: /tmp, size: 1M}", "private", "{path: /tmp, size: 1M}"));
}

// c9239 and c14493 of the enclave `test` have the same 28 bits, and so have the two edges.
BOOST_AUTO_TEST_CASE(Collisions) {
  const auto component = [](const std::string& name) {
    return "  " + name + ":\n    exec: [/usr/bin/a]\n    files: {execute: [/usr/bin/a]}\n";
  };
  const std::string head = "bulkhead: 1\nenclave: test\ntarget: linux-6.18\ncomponents:\n";
  Check({{head + component("c14493") + component("c9239"),
          "8:3 E0553 `c9239` and `c14493` would have the same uid 279202731\n"},
         {head + component("a") + "    user: 7\n" + component("b") + "    user: 7\n",
          "9:3 E0553 `b` and `a` would have the same uid 7\n"},
         {Two("    network: {unix: {connect: [/run/edges/e1738/s, /run/edges/e10625/s]}}\n",
              kTwoGranted +
                  "    network: {unix: {listen: [{path: /run/edges/e1738/s, name: s, from: [one]}, "
                  "{path: /run/edges/e10625/s, name: t, from: [one]}]}}\n"),
          "5:3 E0554 the edges `/run/edges/e1738` and `/run/edges/e10625` would have the same "
          "group\n9:3 E0554 the edges `/run/edges/e1738` and `/run/edges/e10625` would have the "
          "same group\n"}});
}

BOOST_AUTO_TEST_CASE(Enclave) {
  std::string text = Granted("");
  text.replace(text.find("linux-6.18"), 10, "tdx-ubuntu-25.10");
  Check({{text, "3:9 E0555 the policy is not measured, and `tdx-ubuntu-25.10` is a TEE target\n"},
         {Two("    network: {unix: {connect: [/run/e/s.sock]}}\n    devices: [/dev/rtc0]\n",
              kTwoGranted + "    network: {unix: {listen: [{path: /run/e/s.sock, name: s, "
                            "from: [one]}]}}\n    directory: /srv/nowhere\n"),
          "14:16 E0557 the working directory `/srv/nowhere` is not in the view\n"},
         {One("    files: {execute: [/usr/bin/one], runtime: [/run/e]}\n"
              "    network: {unix: {listen: [{path: /run/e/s.sock, by: component}]}}\n"),
          "5:3 E0556 `/run/e` is claimed by both "
          "`components.one.files.runtime:/run/e` and "
          "`components.one.network.unix.listen:/run/e/s.sock`\n"}});
}

// The warnings of a component, each with its place; what to do is in all of them.
std::string WarningsOf(const std::string& body) {
  std::string text;
  const auto compiled = MustCompile(Granted(body));
  for (const Diagnostic& d : compiled.diagnostics.Sorted()) {
    if (d.severity != Severity::kWarning) continue;
    text += std::to_string(d.place.line) + ":" + std::to_string(d.place.column) + " " + d.code +
            " " + d.message + "\n";
    BOOST_TEST(d.help.find("an archetype in `profile`") != std::string::npos);
  }
  return text;
}

// A component without calls compiles; that it is hardly meant is said, once and at its name.
BOOST_AUTO_TEST_CASE(NoCallsAreAWarning) {
  const std::string none = "5:3 E0563 `one` is given no system calls: hardly any program runs\n";
  BOOST_TEST(WarningsOf("") == none);
  BOOST_TEST(WarningsOf("    profile: [python]\n") == none);
  BOOST_TEST(WarningsOf("    network: {tcp: {connect: [443]}}\n") == none);
  BOOST_TEST(WarningsOf("    syscalls: {deny: [ptrace]}\n") == none);
  BOOST_TEST(WarningsOf("    profile: [batch, python]\n") == "");
  BOOST_TEST(WarningsOf("    syscalls: {allow: [read]}\n") == "");
  BOOST_TEST(WarningsOf("    syscalls: {startup: [read]}\n    ready: notify\n") == "");
}

// So does one whose sockets hardly any program could read from.
BOOST_AUTO_TEST_CASE(SocketsWithoutReceivingAreAWarning) {
  const std::string mute =
      "5:3 E0564 `one` has sockets (`network`) and neither recvfrom nor recvmsg: most programs "
      "can't read from them\n";
  const std::string connects = "    network: {tcp: {connect: [443]}}\n";
  BOOST_TEST(WarningsOf("    profile: [batch]\n" + connects) == mute);
  BOOST_TEST(
      WarningsOf(
          "    profile: [batch]\n    network: {udp: {connect: [{to: 127.0.0.1, port: 53}]}}\n") ==
      mute);
  BOOST_TEST(WarningsOf("    profile: [batch]\n") == "");
  BOOST_TEST(WarningsOf("    profile: [stateful-service]\n" + connects) == "");
  BOOST_TEST(WarningsOf("    profile: [batch]\n    syscalls: {allow: [recvfrom]}\n" + connects) ==
             "");
  BOOST_TEST(WarningsOf("    profile: [batch]\n    syscalls: {allow: [\"@socket-io\"]}\n" +
                        connects) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
