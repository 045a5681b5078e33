// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>

#include "cli/learn_calls.h"
#include "cli/learn_files.h"
#include "cli/learn_observed.h"
#include "cli/learn_policy.h"
#include "compiler/resolve_calls.h"
#include "engine/observed_call.h"
#include "policy/load.h"
#include "profiles/syscalls.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

LoadedPolicy Shipped() {
  Sources sources;
  Diagnostics diagnostics;
  auto loaded = LoadPolicyText("learn",
                               "bulkhead: 1\nenclave: a\ntarget: linux-6.18\ncomponents: "
                               "{a: {exec: [/usr/bin/true]}}\n",
                               ".", {}, sources, diagnostics);
  BOOST_REQUIRE(loaded);
  return *loaded;
}

// As an audit log has them.
std::string Line(const std::string& control, const std::string& action, const std::string& object,
                 const std::string& more = "", const std::string& kind = "observed") {
  return R"({"seq":1,"time":"7.5","component":"a","pid":12,"exe":"/usr/bin/x","kind":")" + kind +
         R"(","control":")" + control + R"(","action":")" + action + R"(","object":")" + object +
         R"(","count":3)" + more + "}\n";
}

Observed Read(const std::string& text) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.path() + "/log";
  std::ofstream(path) << text;
  auto observed = ReadObserved(path, "a", Arch::kX86_64);
  BOOST_REQUIRE(observed.has_value());
  return std::move(*observed);
}

LearntFiles Files(const std::map<std::string, SeenFile>& files,
                  const std::vector<std::string>& assets = {}) {
  FilesContext context;
  context.assets = assets;
  context.uid = 4711;
  context.program = "/usr/bin/true";
  context.libraries = {"/usr/lib/x86_64-linux-gnu", "/etc/ld.so.cache"};
  context.loader = {"/lib64/ld-linux-x86-64.so.2"};
  return LearnFiles(files, context);
}

SeenFile Seen(const std::string& action, char type = 'f', const std::string& real = "") {
  return {type, real, false, {{action, {1, "/usr/bin/x", 12, "7.5"}}}};
}

BOOST_AUTO_TEST_SUITE(Learn)

BOOST_AUTO_TEST_CASE(ObservationsAreMergedAndForeignOnesLeftOut) {
  const std::string call = Line("seccomp", "ioctl", "request=0x5401");
  std::string other = call;
  other.replace(other.find(R"("component":"a")"), 15, R"("component":"b")");
  const Observed seen = Read(
      call + call + other + "no json\n" +
      Line("files", "read", "/srv/a\\\\x0ab", R"(,"extra":{"type":"f","real":"/srv/x"})") +
      Line("files", "read", "/srv/long", R"(,"cut":{"object":900})") +
      Line("network", "bind", "tcp 127.0.0.1:80") + Line("seccomp", "chroot", "", "", "violation"));
  BOOST_REQUIRE_EQUAL(seen.calls.size(), 1U);
  const SeenCall& ioctl = seen.calls.begin()->second;
  BOOST_TEST(ioctl.data.args[1] == 0x5401U);
  BOOST_TEST(ioctl.evidence.count == 6U);
  BOOST_TEST(ioctl.evidence.exe == "/usr/bin/x");
  BOOST_REQUIRE_EQUAL(seen.files.size(), 1U);
  BOOST_TEST(seen.files.begin()->first == "/srv/a\nb");
  BOOST_TEST(seen.files.begin()->second.real == "/srv/x");
  BOOST_TEST(seen.addresses.size() == 1U);
  BOOST_TEST(seen.refused.size() == 1U);
  BOOST_TEST(seen.unreadable == 1U);
}

// An argument that a group tests and the observer doesn't tell would be taken for 0.
BOOST_AUTO_TEST_CASE(WhatTheLibraryTestsIsTold) {
  size_t tested = 0;
  for (const SyscallGroup& group : Shipped().policy.groups) {
    for (const SyscallRule& rule : group.calls) {
      for (const auto& [argument, test] : rule.args) {
        ++tested;
        BOOST_CHECK_MESSAGE(IsToldArgument(rule.name, argument),
                            rule.name << " " << argument << " of @" << group.name);
      }
    }
  }
  BOOST_TEST(tested > 30U);
}

SeenCall Call(const std::string& name, std::array<uint64_t, 6> args = {}) {
  const Arch arch = Arch::kX86_64;
  SeccompData data{*SyscallNumber(arch, name), AuditArch(arch), 0, args};
  return {name, ToldArguments(arch, data), data, {1, "/usr/bin/x", 12, "7.5"}};
}

LearntCalls Choose(const std::vector<SeenCall>& calls) {
  static const LoadedPolicy shipped = Shipped();
  std::vector<const SeenCall*> needed;
  for (const SeenCall& call : calls) needed.push_back(&call);
  return LearnCalls(needed, shipped.policy, Arch::kX86_64);
}

BOOST_AUTO_TEST_CASE(AGroupIsTakenWhereHalfOfItIsUsed) {
  const std::vector<SeenCall> one{Call("setitimer")};
  LearntCalls learnt = Choose(one);
  BOOST_TEST(learnt.groups.empty());
  BOOST_REQUIRE_EQUAL(learnt.single.size(), 1U);
  const std::vector<SeenCall> most{Call("setitimer"), Call("getitimer"), Call("alarm"),
                                   Call("timerfd_create"), Call("timerfd_settime")};
  learnt = Choose(most);
  BOOST_REQUIRE_EQUAL(learnt.groups.size(), 1U);
  BOOST_TEST(learnt.groups[0].name == "timers");
  BOOST_TEST(learnt.groups[0].used.size() == 5U);
  BOOST_TEST(learnt.groups[0].unused.size() == 1U);
  BOOST_TEST(learnt.single.empty());
}

BOOST_AUTO_TEST_CASE(SingleCallsHaveTheTestsOfTheLibrary) {
  const std::vector<SeenCall> calls{Call("ioctl", {1, 0x5401})};
  const LearntCalls learnt = Choose(calls);
  BOOST_REQUIRE_EQUAL(learnt.single.size(), 1U);
  const CallPlan plan{.arch = Arch::kX86_64, .rules = learnt.single};
  BOOST_TEST(ReferenceAction(plan, calls[0].data) == kRetAllow);
  BOOST_TEST(ReferenceAction(plan, Call("ioctl", {1, 0x5402}).data) != kRetAllow);
}

// What a library's loader does is within @memory, and never a reason for more than that.
BOOST_AUTO_TEST_CASE(MemoryThatIsWrittenAndExecutedIsLeft) {
  const std::vector<SeenCall> loader{Call("mmap", {0, 0, 5, 2}), Call("mmap", {0, 0, 3, 0x22}),
                                     Call("mprotect", {0, 0, 1}), Call("munmap"), Call("brk")};
  const LearntCalls learnt = Choose(loader);
  BOOST_TEST(learnt.left.empty());
  for (const GroupChoice& group : learnt.groups) BOOST_TEST(group.name == "memory");
  const std::vector<SeenCall> jit{Call("mmap", {0, 0, 7, 0x22}), Call("mprotect", {0, 0, 5}),
                                  Call("brk"), Call("munmap"), Call("madvise")};
  BOOST_TEST(Choose(jit).left.size() == 2U);
}

BOOST_AUTO_TEST_CASE(DangerousCallsAreLeft) {
  const std::vector<SeenCall> calls{Call("ioctl", {1, 0x8913}),
                                    Call("memfd_create"),
                                    Call("personality"),
                                    Call("keyctl"),
                                    Call("setuid"),
                                    Call("prctl", {38, 1})};
  const LearntCalls learnt = Choose(calls);
  BOOST_TEST(learnt.groups.empty());
  BOOST_TEST(learnt.single.empty());
  BOOST_TEST(learnt.left.size() == calls.size());
  // Control: one that reaches nothing is granted.
  const std::vector<SeenCall> harmless{Call("membarrier")};
  BOOST_TEST(Choose(harmless).single.size() == 1U);
}

BOOST_AUTO_TEST_CASE(WhatIsTooWide) {
  for (const char* wide : {"/", "/etc", "/usr", "/usr/bin", "/usr/lib", "/var/lib", "/home/me",
                           "/usr/local/bin", "/run"}) {
    BOOST_TEST(IsTooWide(wide), wide);
  }
  for (const char* narrow : {"/etc/nginx", "/usr/share/zoneinfo", "/usr/lib/python3.11", "/srv/web",
                             "/var/lib/redis", "/run/redis"}) {
    BOOST_TEST(!IsTooWide(narrow), narrow);
  }
}

BOOST_AUTO_TEST_CASE(LibrariesBecomeTheirSet) {
  const LearntFiles learnt = Files({{"/usr/lib/x86_64-linux-gnu/libc.so.6", Seen("read")},
                                    {"/lib/x86_64-linux-gnu/libm.so.6",
                                     Seen("read", 'f', "/usr/lib/x86_64-linux-gnu/libm.so.6")},
                                    {"/etc/ld.so.cache", Seen("read")},
                                    {"/etc/hostname", Seen("read")}});
  const auto& grants = learnt.grants;
  BOOST_TEST(grants.contains({Verb::kRead, "@libraries"}));
  BOOST_TEST((grants.at({Verb::kRead, "@libraries"}).evidence.count == 3));
  BOOST_TEST(grants.contains({Verb::kRead, "/etc/hostname"}));
  BOOST_TEST(grants.size() == 4U);  // and the program and @loader
}

// A script's first line is its author's: it is a program or nothing.
BOOST_AUTO_TEST_CASE(AnInterpreterIsAFileThatItsUserCanNotWrite) {
  const test::TemporaryDirectory directory;
  const std::string script = directory / "script";
  const std::string own = directory / "own";
  test::WriteText(own, "");
  std::filesystem::permissions(own, std::filesystem::perms(0757));
  // Of a directory in which anybody may put another one in its place.
  const std::string open = directory / "open";
  std::filesystem::create_directory(open);
  std::filesystem::permissions(open, std::filesystem::perms(0777));
  const std::string within = open + "/within";
  test::WriteText(within, "");
  std::filesystem::permissions(within, std::filesystem::perms(0755));
  const std::string gap = directory /
                          "a\x0b"
                          "b";
  test::WriteText(gap, "");
  for (const auto& [line, why] :
       {std::pair<std::string, const char*>{"/usr/sbin", "it is no program"},
        {"/opt/none", "it is no program"},
        {"/etc/passwd", "it is no program"},
        {"/proc/self/exe", "not executed from there"},
        {"/", "it is no program"},
        {"/usr/../usr/bin/env", "can't stand in a policy"},
        {gap, "can't stand in a policy"},
        {own, "its user may change it"},
        {within, "its user may change it"}}) {
    test::WriteText(script, "#!" + line + "\nexit\n");
    const LearntFiles learnt = Files({{script, Seen("execute")}});
    BOOST_TEST(learnt.grants.contains({Verb::kExecute, script}), line);
    BOOST_TEST(learnt.grants.size() == 4U, line);  // and the program, @loader and @libraries
    BOOST_REQUIRE(learnt.notes.size() == 1U);
    BOOST_TEST(learnt.notes[0].find(why) != std::string::npos, learnt.notes[0]);
  }
  test::WriteText(script, "#! /bin/sh -e\nexit\n");
  const LearntFiles learnt = Files({{script, Seen("execute")}});
  const auto found = learnt.grants.find({Verb::kExecute, "/bin/sh"});
  BOOST_REQUIRE(found != learnt.grants.end());
  BOOST_TEST(found->second.interprets == script);
  BOOST_TEST(learnt.notes.empty());
  for (const auto& [line, name] :
       {std::pair("#!\t/bin/sh\t-e", "/bin/sh"), {"#!/bin/sh", "/bin/sh"}}) {
    test::WriteText(script, line);
    BOOST_TEST(Files({{script, Seen("execute")}}).grants.contains({Verb::kExecute, name}), line);
  }
  // As Linux has it a return is of the name, and a line that does not end in time names nothing.
  test::WriteText(script, "#!/bin/sh\r\n");
  BOOST_TEST(!Files({{script, Seen("execute")}}).grants.contains({Verb::kExecute, "/bin/sh"}));
  test::WriteText(script, "#!" + std::string(246, ' ') + "/bin/sh/more");
  BOOST_TEST(!Files({{script, Seen("execute")}}).grants.contains({Verb::kExecute, "/bin/sh"}));
  // What is no file is not read, however long it would take.
  std::filesystem::remove(script);
  BOOST_REQUIRE(mkfifo(script.c_str(), 0600) == 0);
  BOOST_TEST(Files({{script, Seen("execute")}}).grants.size() == 4U);
  // Nor is much of one.
  std::filesystem::remove(script);
  test::WriteText(script, "#!");
  std::filesystem::resize_file(script, uintmax_t{1} << 40);
  BOOST_TEST(Files({{script, Seen("execute")}}).grants.size() == 4U);
}

// The mode of a file with an access list does not say who may write it. In a directory whose own
// path nobody else can write, which takes root.
BOOST_AUTO_TEST_CASE(AnInterpreterWithAnAccessListOfWritersIsNone) {
  if (geteuid() != 0) return;
  std::string place = "/opt/bulkhead-test.XXXXXX";
  BOOST_REQUIRE(mkdtemp(place.data()) != nullptr);
  std::filesystem::permissions(place, std::filesystem::perms(0755));
  const std::string program = place + "/program";
  const std::string script = place + "/script";
  test::WriteText(program, "");
  test::WriteText(script, "#!" + program + "\n");
  std::filesystem::permissions(program, std::filesystem::perms(0755));
  const auto granted = [&] {
    return Files({{script, Seen("execute")}}).grants.contains({Verb::kExecute, program});
  };
  BOOST_TEST(granted());
  // Version 2, then tag, permissions and id (linux/posix_acl_xattr.h): its owner, user 4711, its
  // group, the mask, others.
  constexpr uint16_t kNobody = 0xffff;
  const uint16_t list[] = {2,       0,       1,    7, kNobody, kNobody, 2,    7,
                           4711,    0,       4,    5, kNobody, kNobody, 0x10, 7,
                           kNobody, kNobody, 0x20, 5, kNobody, kNobody};
  if (setxattr(program.c_str(), "system.posix_acl_access", list, sizeof list, 0) == 0) {
    BOOST_TEST(!granted());
  } else {
    BOOST_TEST(errno == EOPNOTSUPP);
  }
  std::filesystem::remove_all(place);
}

// By which name a file is written is not seen.
BOOST_AUTO_TEST_CASE(AProgramThatItsUserMayChangeByAnotherNameIsNotExecuted) {
  if (geteuid() != 0) return;
  const test::TemporaryDirectory directory;
  const std::string program = directory / "program";
  const std::string script = directory / "script";
  test::WriteText(program, "");
  test::WriteText(script, "#!/bin/sh\n");
  const auto learn = [&] { return Files({{program, Seen("execute")}, {script, Seen("execute")}}); };
  const auto grant = [&](const LearntFiles& learnt, const std::string& path) {
    const auto found = learnt.grants.find({Verb::kExecute, path});
    return found == learnt.grants.end() ? "none" : "granted " + found->second.widened;
  };
  // Root's, with one name or with two: nobody writes them.
  std::filesystem::create_hard_link(program, directory / "other");
  BOOST_TEST(grant(learn(), program) == "granted ");
  BOOST_TEST(grant(learn(), "/bin/sh") == "granted ");
  BOOST_REQUIRE(chown(program.c_str(), 4711, 4711) == 0);
  BOOST_REQUIRE(chown(script.c_str(), 4711, 4711) == 0);
  LearntFiles learnt = learn();
  BOOST_TEST(grant(learnt, program) == "none");
  BOOST_TEST(grant(learnt, script) == "granted its user may change what is executed");
  BOOST_TEST(grant(learnt, "/bin/sh") == "none");
  BOOST_REQUIRE(learnt.notes.size() == 2U);
  BOOST_TEST(learnt.notes[0].find("also by another name") != std::string::npos, learnt.notes[0]);
  BOOST_TEST(learnt.notes[1].find("another one when it ran") != std::string::npos, learnt.notes[1]);
  std::filesystem::remove(directory / "other");
  BOOST_TEST(grant(learn(), program) == "granted its user may change what is executed");
  // What is written and executed is executed, and said not to be written.
  SeenFile both = Seen("execute");
  both.uses["write"] = {1, "/usr/bin/x", 12, "7.5"};
  learnt = Files({{program, both}});
  BOOST_TEST(grant(learnt, program) != "none");
  BOOST_TEST(!learnt.grants.contains({Verb::kWrite, program}));
  BOOST_REQUIRE(learnt.notes.size() == 1U);
  BOOST_TEST(learnt.notes[0].find("it is executed, too") != std::string::npos);
}

// A link leads to where it makes files, or from there.
BOOST_AUTO_TEST_CASE(AProgramInADirectoryOfItsOwnIsNotExecutedOverALink) {
  if (geteuid() != 0) return;
  std::string directory = "/opt/bulkhead-test.XXXXXX";  // all of /tmp is its own
  BOOST_REQUIRE(mkdtemp(directory.data()) != nullptr);
  const std::string place = directory + "/place";
  std::filesystem::create_directory(place);
  std::filesystem::permissions(place, std::filesystem::perms(0777));
  std::filesystem::create_directory_symlink(place, directory + "/link");
  test::WriteText(place + "/program", "");
  const std::string other = directory + "/program";
  test::WriteText(other, "");
  const auto executes = [&](const std::string& made, const std::string& program) {
    const auto learnt =
        Files({{made, Seen("create", '-')},
               {program, Seen("execute", 'f', std::filesystem::canonical(program).string())},
               {other, Seen("execute", 'f', other)}});
    BOOST_TEST(learnt.grants.contains({Verb::kExecute, other}));
    return learnt.grants.contains({Verb::kExecute, program});
  };
  const std::string link = directory + "/link";
  BOOST_TEST(!executes(place + "/new", place + "/program"));
  BOOST_TEST(!executes(place + "/new", link + "/program"));
  BOOST_TEST(!executes(link + "/new", place + "/program"));
  std::filesystem::remove_all(directory);
}

BOOST_AUTO_TEST_CASE(AnotherNameOfAnAssetIsTheAsset) {
  const test::TemporaryDirectory directory;
  const std::string key = directory / "key";
  const std::string link = directory / "link";
  test::WriteText(key, "");
  test::WriteText(link, "");
  BOOST_TEST(Files({{link, Seen("read")}}, {key}).grants.contains({Verb::kRead, link}));
  std::filesystem::remove(link);
  std::filesystem::create_hard_link(key, link);
  BOOST_TEST(!Files({{link, Seen("read")}}, {key}).grants.contains({Verb::kRead, link}));
}

// While it ran it may have laid links in a ring.
BOOST_AUTO_TEST_CASE(APathThatLeadsNowhereEndsNothing) {
  const test::TemporaryDirectory directory;
  std::filesystem::create_symlink("ring", directory / "ring");
  const std::string path = directory / "ring/file";
  BOOST_TEST(!Files({{path, Seen("read")}}).grants.contains({Verb::kWrite, path}));
  const std::string odd = Line("files", "read", "/srv/a", R"(,"pid":"x","count":"y")");
  BOOST_TEST(Read(odd).files.size() == 1U);
}

BOOST_AUTO_TEST_CASE(ALinkIsAsWideAsWhereItLeads) {
  const LearntFiles learnt = Files({{"/srv/all", Seen("list", 'd', "/")},
                                    {"/srv/logs", Seen("list", 'd', "/var/log")},
                                    {"/srv/web", Seen("list", 'd', "/srv/pages")}});
  BOOST_TEST(!learnt.grants.contains({Verb::kRead, "/srv/all"}));
  BOOST_TEST(!learnt.grants.contains({Verb::kRead, "/srv/logs"}));
  BOOST_TEST(learnt.grants.contains({Verb::kRead, "/srv/web"}));
  BOOST_TEST(learnt.notes.size() == 2U);
}

// An attempt is seen as it begins: one in another's directory would make it the component's.
BOOST_AUTO_TEST_CASE(OnlyADirectoryOfItsUsersBecomesAnEdge) {
  const test::TemporaryDirectory directory;
  const uint32_t user = geteuid();
  BOOST_TEST(IsOwnDirectory(directory.path(), user));
  BOOST_TEST(!IsOwnDirectory(directory.path(), user + 1));
  BOOST_TEST(!IsOwnDirectory("/tmp", user));
  BOOST_TEST(!IsOwnDirectory("/etc/cron.d", 4711));
  BOOST_TEST(!IsOwnDirectory(directory / "none", user));
  std::filesystem::create_directory_symlink("/usr", directory / "link");
  BOOST_TEST(!IsOwnDirectory(directory / "link", 0));
}

BOOST_AUTO_TEST_CASE(LinksAreFollowedAsTheyAreNow) {
  const test::TemporaryDirectory directory;
  std::filesystem::create_directory_symlink("/etc", directory / "all");
  std::filesystem::create_directories(directory / "pages");
  std::filesystem::create_directory_symlink(directory / "pages", directory / "web");
  std::map<std::string, SeenFile> files;
  for (int i = 0; i < 8; ++i) {
    const std::string name = "/f" + std::to_string(i);
    test::WriteText(directory / ("pages" + name), "");
    files[directory / ("all" + name)] = Seen("read", 'f', "/etc" + name);
    files[directory / ("web" + name)] = Seen("read", 'f', directory / ("pages" + name));
  }
  BOOST_TEST(!Files(files).grants.contains({Verb::kRead, directory / "all"}));
  BOOST_TEST(Files(files).grants.contains({Verb::kRead, directory / "web"}));
  const LearntFiles listed = Files({{directory / "all", Seen("list", 'd')}});
  BOOST_TEST(!listed.grants.contains({Verb::kRead, directory / "all"}));
}

BOOST_AUTO_TEST_CASE(AssetsAreNotGrantedNorWhatIsAboveThem) {
  std::map<std::string, SeenFile> files{{"/srv/keys/a", Seen("read")},
                                        {"/srv/keys/b", Seen("write")},
                                        {"/srv/link", Seen("read", 'f', "/srv/keys/a")},
                                        {"/srv/deep", Seen("list", 'd')},
                                        {"/srv/other", Seen("list", 'd')}};
  for (int i = 0; i < 8; ++i) files["/srv/mixed/" + std::to_string(i)] = Seen("read");
  const LearntFiles learnt = Files(files, {"/srv/keys", "/srv/deep/key", "/srv/mixed/key"});
  for (const char* path : {"/srv/keys/a", "/srv/keys/b", "/srv/link", "/srv/deep", "/srv/mixed"}) {
    for (const Verb verb : {Verb::kRead, Verb::kWrite}) {
      BOOST_TEST(!learnt.grants.contains({verb, path}), path);
    }
  }
  BOOST_TEST(learnt.grants.contains({Verb::kRead, "/srv/other"}));
  BOOST_TEST(learnt.grants.contains({Verb::kRead, "/srv/mixed/7"}));
  BOOST_TEST(learnt.notes.size() == 4U);
  // Where they are no assets they are granted.
  BOOST_TEST(Files(files).grants.contains({Verb::kRead, "/srv/mixed"}));
  BOOST_TEST(Files(files).grants.contains({Verb::kRead, "/srv/keys/a"}));
}

// `mkdir -p` asks for each directory above, too.
BOOST_AUTO_TEST_CASE(WhatWasThereIsNotMade) {
  const auto line = [](const char* path, const char* type) {
    return Line("files", "create", path, std::string(R"(,"extra":{"type":")") + type + R"("})");
  };
  const Observed observed = Read(line("/", "d") + line("/tmp", "d") + line("/tmp/x", "-") +
                                 line("/tmp/x/y", "-") + line("/tmp/x", "d"));
  BOOST_TEST(observed.files.at("/tmp").was_there);
  BOOST_TEST(!observed.files.at("/tmp/x").was_there);
  const LearntFiles learnt = Files(observed.files);
  BOOST_TEST(learnt.grants.contains({Verb::kPrivate, "/tmp"}));
  BOOST_TEST(learnt.notes.empty());
}

BOOST_AUTO_TEST_CASE(ManyFilesBecomeTheirDirectory) {
  std::map<std::string, SeenFile> files;
  for (int i = 0; i < 8; ++i) files["/srv/web/" + std::to_string(i)] = Seen("read");
  const LearntFiles learnt = Files(files);
  const auto found = learnt.grants.find({Verb::kRead, "/srv/web"});
  BOOST_REQUIRE(found != learnt.grants.end());
  BOOST_TEST(found->second.widened.starts_with("8 of "));
  // Never one that is too wide.
  std::map<std::string, SeenFile> shared;
  for (int i = 0; i < 8; ++i) shared["/etc/" + std::to_string(i)] = Seen("read");
  BOOST_TEST(!Files(shared).grants.contains({Verb::kRead, "/etc"}));
}

BOOST_AUTO_TEST_CASE(ScratchIsPrivateAndDevicesAreNotGranted) {
  const LearntFiles learnt = Files({{"/tmp/x/y", Seen("create", '-')},
                                    {"/tmp/x", Seen("create", '-')},
                                    {"/dev/nsm", Seen("write", 'c')},
                                    {"/dev/null", Seen("write", 'c')},
                                    {"/etc", Seen("list", 'd')},
                                    {"/etc/shadow", Seen("read-not-permitted")}});
  BOOST_TEST(learnt.grants.contains({Verb::kPrivate, "/tmp"}));
  BOOST_TEST(learnt.grants.size() == 4U);
  BOOST_TEST(learnt.notes.size() == 3U);
}

BOOST_AUTO_TEST_CASE(APolicyNeedsItsComponent) {
  const test::TemporaryDirectory directory;
  const std::string policy = directory / "small.yaml";
  test::WriteText(policy, test::SmallPolicy());
  const auto run = test::Bulkhead({"learn", "-o", directory / "x.yaml", "--policy", policy});
  if (geteuid() != 0) {
    BOOST_TEST(run.exit == 3);  // the privileges are asked for first
    return;
  }
  BOOST_TEST(run.exit == 2);
  BOOST_TEST(run.err == "bulkhead: error: `--policy` needs `--component`: hello\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
