// SPDX-License-Identifier: Apache-2.0
// check, compile, inspect and why, on real policies.
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "cli/inputs.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bulkhead;
using test::Parsed;

std::vector<std::string> Keys(const nlohmann::ordered_json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  return keys;
}

std::string With(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  BOOST_REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

struct Fixture {
  test::TemporaryDirectory directory;
  std::string policy = directory / "small.yaml";
  std::string bundle = directory / "small.bundle";

  Fixture() { test::WriteText(policy, test::SmallPolicy()); }
  void Compile() {
    const auto run = Bulkhead({"compile", policy, "-o", bundle});
    BOOST_REQUIRE_MESSAGE(run.exit == 0, run.err);
  }
};

BOOST_FIXTURE_TEST_SUITE(PolicyCommands, Fixture)

BOOST_AUTO_TEST_CASE(CheckOfAGoodPolicy) {
  const auto run = Bulkhead({"check", policy});
  BOOST_TEST(run.exit == 0, run.err);
  BOOST_TEST(run.out == "ok: 1 component, target linux-6.18\n");
  const auto json = Bulkhead({"check", policy, "--format", "json"});
  BOOST_TEST(json.exit == 0);
  BOOST_TEST((Keys(Parsed(json.out)) ==
              std::vector<std::string>{"ok", "enclave", "target", "components", "diagnostics"}));
}

BOOST_AUTO_TEST_CASE(SchemaIsTheDocument) {
  const auto run = Bulkhead({"schema"});
  BOOST_TEST(run.exit == 0, run.err);
  BOOST_TEST((run.out == test::ReadText(BULKHEAD_SOURCE_DIR "/docs/policy.schema.json")));
  BOOST_TEST(Parsed(run.out)["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  BOOST_TEST(Bulkhead({"schema", policy}).exit == 2);
}

BOOST_AUTO_TEST_CASE(CheckReportsAllMistakes) {
  test::WriteText(policy, With(With(test::SmallPolicy(), "enclave: small", "enclav: small"),
                               "    exec:", "    exek:"));
  const auto run = Bulkhead({"check", policy});
  BOOST_TEST(run.exit == 1);
  BOOST_TEST(run.out == "");
  BOOST_TEST(run.err.find(policy + ":2:1: error: ") != std::string::npos, run.err);
  BOOST_TEST(run.err.find(policy + ":8:5: error: ") != std::string::npos, run.err);
  BOOST_TEST(run.err.find('\x1b') == std::string::npos);
  const auto json = Bulkhead({"check", policy, "--format", "json"});
  BOOST_TEST(json.exit == 1);
  BOOST_TEST(json.err == "");
  const auto answer = Parsed(json.out);
  BOOST_TEST((Keys(answer) == std::vector<std::string>{"ok", "diagnostics"}));
  BOOST_TEST(!answer["ok"].get<bool>());
  BOOST_TEST(answer["diagnostics"].size() >= 2U);
  bool found = false;
  for (const auto& diagnostic : answer["diagnostics"]) {
    BOOST_TEST(diagnostic["file"].get<std::string>() == policy);
    found = found || (diagnostic["line"] == 2 && diagnostic["column"] == 1);
  }
  BOOST_TEST(found);
}

BOOST_AUTO_TEST_CASE(CheckCompilesSoThatTargetErrorsShow) {
  test::WriteText(policy, test::SmallPolicy() + "    network: {tcp: {connect: [443]}}\n");
  BOOST_TEST(Bulkhead({"check", policy}).exit == 0);
  const auto run = Bulkhead({"check", policy, "--target", "debian-12"});  // Landlock ABI 2
  BOOST_TEST(run.exit == 1);
  BOOST_TEST(run.err.find("[E05") != std::string::npos, run.err);
}

BOOST_AUTO_TEST_CASE(WhatTheCommandLineSays) {
  BOOST_TEST(Bulkhead({"check", policy, "--date", "2027-02-30"}).exit == 2);
  BOOST_TEST(Bulkhead({"check", policy, "--date", "2027-02-28"}).exit == 0);
  BOOST_TEST(Bulkhead({"check", policy, "--set", "place"}).exit == 2);
  BOOST_TEST(Bulkhead({"check", policy, "--set", "place=/a", "--set", "place=/b"}).exit == 2);
  BOOST_TEST(Bulkhead({"check", policy, "--set", "place=/opt/x"}).exit == 0);
  BOOST_TEST(Bulkhead({"check", policy, "--set", "plaice=/opt/x"}).exit == 1);
  BOOST_TEST(Bulkhead({"check", policy, "--target", "no-such-target"}).exit == 1);
  BOOST_TEST(Bulkhead({"check", policy, "--target", "running"}).out.ends_with("target running\n"));
}

BOOST_AUTO_TEST_CASE(WaiversAreJudgedOnTheGivenDay) {
  test::WriteText(policy, With(test::SmallPolicy(), "    exec:", "    user: 0\n    exec:") +
                              "waivers:\n  - {component: hello, statement: user, reason: \"a "
                              "test\", until: 2027-03-01}\n");
  const auto before = Bulkhead({"compile", policy, "-o", bundle, "--date", "2027-03-01"});
  BOOST_TEST(before.exit == 0, before.err);
  BOOST_TEST(before.out.find("2027-03-01  a test") != std::string::npos, before.out);
  BOOST_TEST(Bulkhead({"check", policy, "--date", "2027-03-02"}).exit == 1);
}

BOOST_AUTO_TEST_CASE(UnreadablePoliciesAreTheEnvironment) {
  for (const std::string& path : {directory / "none.yaml", directory.path()}) {
    const auto run = Bulkhead({"check", path});
    BOOST_TEST(run.exit == 3);
    BOOST_TEST(run.err.find("can't be read") != std::string::npos, run.err);
  }
}

BOOST_AUTO_TEST_CASE(CompileDoesNotWriteOverThePolicy) {
  const std::string before = test::ReadText(policy);
  BOOST_TEST(Bulkhead({"compile", policy, "-o", policy}).exit == 2);
  BOOST_TEST(test::ReadText(policy) == before);
  BOOST_TEST(Bulkhead({"compile", policy, "-o", policy + ".bundle"}).exit == 0);
}

BOOST_AUTO_TEST_CASE(CompileGivesTheSameBytesFromAnyFolder) {
  Compile();
  std::filesystem::create_directory(directory / "elsewhere");
  const auto again = Bulkhead({"compile", "../small.yaml", "-o", "again.bundle"},
                              {.directory = directory / "elsewhere"});
  BOOST_TEST(again.exit == 0, again.err);
  BOOST_TEST((test::ReadText(bundle) == test::ReadText(directory / "elsewhere/again.bundle")));
  const auto other =
      Bulkhead({"compile", policy, "-o", directory / "other.bundle", "--set", "place=/srv/other"});
  BOOST_TEST(other.exit == 0, other.err);
  BOOST_TEST((test::ReadText(bundle) != test::ReadText(directory / "other.bundle")));
}

BOOST_AUTO_TEST_CASE(WeightsShapeTheFilters) {
  Compile();
  const std::string usual = test::ReadText(bundle);
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments{"compile", policy, "-o", bundle};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = Bulkhead(arguments);
    BOOST_REQUIRE_MESSAGE(run.exit == 0, run.err);
    return test::ReadText(bundle);
  };
  const std::string all = with({"--weights-all"});
  BOOST_TEST((all != usual));
  BOOST_TEST((with({"--weights-all"}) == all));
  test::WriteText(directory / "weights", "a 1 0 0 0 0 0 0 0\nb 3 39 0 0 0 0 0 0\n");
  const std::string given = with({"--weights", directory / "weights"});
  BOOST_TEST((given != usual));
  test::WriteText(directory / "weights", "b 3 39 0 0 0 0 0 0\na 1 0 0 0 0 0 0 0\n");
  BOOST_TEST((with({"--weights", directory / "weights"}) == given));

  test::WriteText(directory / "weights", "a 1 0 0 0 0 0 0\n");
  auto run = Bulkhead({"compile", policy, "-o", bundle, "--weights", directory / "weights"});
  BOOST_TEST(run.exit == 3);
  BOOST_TEST(run.err.find("line 1 is not `program weight nr arg0 arg1 arg2 arg3 arg4 arg5`") !=
                 std::string::npos,
             run.err);
  run = Bulkhead({"compile", policy, "-o", bundle, "--weights", directory / "none"});
  BOOST_TEST(run.exit == 3);
  run = Bulkhead({"compile", policy, "-o", bundle, "--weights-all", "--weights-all"});
  BOOST_TEST(run.exit == 2);
}

BOOST_AUTO_TEST_CASE(FiltersAreMeasured) {
  const auto compiled =
      Parsed(Bulkhead({"compile", policy, "-o", bundle, "--format", "json"}).out)["filters"][0];
  BOOST_TEST((Keys(compiled) ==
              std::vector<std::string>{"component", "length", "longest", "all", "uncached"}));
  const auto inspected = Parsed(Bulkhead({"inspect", bundle, "--format", "json"}).out);
  const auto& filter = inspected["components"][0]["filter"];
  BOOST_TEST(filter["length"] == compiled["length"]);
  BOOST_TEST(filter["executed"]["all"] == compiled["all"]);
  BOOST_TEST(filter["executed"]["uncached"] == compiled["uncached"]);
  const auto all =
      Parsed(Bulkhead({"compile", policy, "-o", bundle, "--weights-all", "--format", "json"}).out);
  BOOST_TEST(all["filters"][0]["all"]["average"].get<double>() <
             compiled["all"]["average"].get<double>());
  BOOST_TEST(all["filters"][0]["uncached"]["average"].get<double>() >
             compiled["uncached"]["average"].get<double>());
}

BOOST_AUTO_TEST_CASE(CompileWritesModeAndLeavesNothingElse) {
  Compile();
  for (const std::string& path : {bundle, bundle + ".map"}) {
    struct stat info {};
    BOOST_REQUIRE(stat(path.c_str(), &info) == 0);
    BOOST_TEST((info.st_mode & 07777) == 0644U);
  }
  const auto entries = std::filesystem::directory_iterator(directory.path());
  BOOST_TEST(std::distance(begin(entries), end(entries)) == 3);
}

BOOST_AUTO_TEST_CASE(CompileOfABadPolicyKeepsTheOldBundle) {
  Compile();
  const std::string old = test::ReadText(bundle);
  test::WriteText(policy, "bulkhead: 1\n");
  BOOST_TEST(Bulkhead({"compile", policy, "-o", bundle}).exit == 1);
  BOOST_TEST((test::ReadText(bundle) == old));
  test::WriteText(policy, test::SmallPolicy());
  const auto nowhere = Bulkhead({"compile", policy, "-o", directory / "no/such/x.bundle"});
  BOOST_TEST(nowhere.exit == 3);
}

BOOST_AUTO_TEST_CASE(CompilePrintsDigestAndLedger) {
  const auto run = Bulkhead({"compile", policy, "-o", bundle});
  const std::string bytes = test::ReadText(bundle);
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  const std::string digest = "sha384:" + Hex(BundleDigest({data, bytes.size()}));
  BOOST_TEST(run.out.find("\n" + digest + "\n") != std::string::npos);
  BOOST_TEST(run.out.find("\nCOMPONENT") != std::string::npos);
  BOOST_TEST(test::ReadText(bundle + ".map").starts_with(digest + "\n"));
  const auto json = Parsed(Bulkhead({"compile", policy, "-o", bundle, "--format", "json"}).out);
  BOOST_TEST((Keys(json) == std::vector<std::string>{"ok", "enclave", "target", "components",
                                                     "diagnostics", "bundle", "map", "size",
                                                     "digest", "waivers", "ledger", "filters"}));
  BOOST_TEST(json["digest"].get<std::string>() == digest);
  BOOST_TEST(json["size"].get<size_t>() == bytes.size());
  BOOST_TEST(!json["ledger"].empty());
  for (const auto& row : json["ledger"]) {
    BOOST_TEST((Keys(row) == std::vector<std::string>{"component", "statement", "controls",
                                                      "status", "recorder", "note"}));
  }
}

BOOST_AUTO_TEST_CASE(InspectShowsEverything) {
  Compile();
  const auto text = Bulkhead({"inspect", bundle});
  BOOST_TEST(text.exit == 0, text.err);
  for (const char* part :
       {"digest: sha384:", "requirements:", "component hello", "uid:", "/usr/bin/true",
        "fs.execute", "instructions:", "lifecycle:", "\nledger\n"}) {
    BOOST_TEST(text.out.find(part) != std::string::npos, part << " is missing");
  }
  const auto json = Parsed(Bulkhead({"inspect", bundle, "--format", "json"}).out);
  BOOST_TEST((Keys(json) == std::vector<std::string>{"digest", "size", "enclave", "target",
                                                     "measure", "vars", "sources", "requirements",
                                                     "sinks", "output", "assets", "channels",
                                                     "waivers", "components", "ledger"}));
  const auto& hello = json["components"][0];
  BOOST_TEST(
      (Keys(hello) == std::vector<std::string>{
                          "name",      "argv",      "pin",       "environment", "directory",
                          "umask",     "stdin",     "stdout",    "stderr",      "uid",
                          "gid",       "groups",    "view",      "landlock",    "network",
                          "listeners", "edges",     "broker",    "secrets",     "attestation",
                          "limits",    "lifecycle", "instances", "filter",      "ways_round"}));
  BOOST_TEST(hello["filter"]["proved"].get<bool>());
  BOOST_TEST(hello["filter"]["paths"].get<size_t>() > 10U);
  BOOST_TEST(hello["ways_round"].size() > 60U);
  for (const auto& way : hello["ways_round"]) {
    BOOST_TEST(way["closed_by"].get<std::string>() != "nothing", way["way"]);
  }
  BOOST_TEST(hello["filter"]["length"].get<size_t>() == hello["filter"]["instructions"].size());
  BOOST_TEST(json["vars"]["place"].get<std::string>() == "/srv/data");
}

BOOST_AUTO_TEST_CASE(InspectOfOneComponent) {
  Compile();
  const auto one =
      Parsed(Bulkhead({"inspect", bundle, "--component", "hello", "--format", "json"}).out);
  BOOST_TEST(one["components"].size() == 1U);
  for (const auto& row : one["ledger"]) {
    BOOST_TEST(row["component"].get<std::string>() == "hello");
  }
  const auto none = Bulkhead({"inspect", bundle, "--component", "helo"});
  BOOST_TEST(none.exit == 2);
  BOOST_TEST(none.err.find("did you mean `hello`?") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(BadBundlesAreRefused) {
  Compile();
  std::string bytes = test::ReadText(bundle);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  test::WriteText(bundle, bytes);
  const std::string missing = directory / "none.bundle";
  for (const std::string& path : {bundle, missing}) {
    BOOST_TEST(Bulkhead({"inspect", path}).exit == 3);
    BOOST_TEST(Bulkhead({"why", path, "hello", "read", "/x"}).exit == 3);
    BOOST_TEST(Bulkhead({"run", path}).exit == 3);
    BOOST_TEST(Bulkhead({"exec", path, "hello"}).exit == 3);
  }
}

BOOST_AUTO_TEST_CASE(WhySaysAllowAndDeny) {
  Compile();
  const auto allow = Bulkhead({"why", bundle, "hello", "read", "/srv/data/file"});
  BOOST_TEST(allow.exit == 0, allow.err);
  BOOST_TEST(allow.out.starts_with("allow: hello read /srv/data/file\n"), allow.out);
  const auto deny = Bulkhead({"why", bundle, "hello", "read", "/etc/shadow"});
  BOOST_TEST(deny.exit == 1);
  BOOST_TEST(deny.out.starts_with("deny: hello read /etc/shadow\n"), deny.out);
  BOOST_TEST(deny.out.find("recorded by") != std::string::npos);
  const auto json =
      Parsed(Bulkhead({"why", bundle, "hello", "syscall", "ptrace", "--format", "json"}).out);
  BOOST_TEST(
      (Keys(json) == std::vector<std::string>{"verdict", "bundle", "calls", "lines", "controls",
                                              "rule", "place", "recorder", "in_play", "note"}));
  BOOST_TEST(json["verdict"].get<std::string>() == "deny");
}

BOOST_AUTO_TEST_CASE(WhyNamesTheLineWhenTheMapIsOfThisBundle) {
  Compile();
  const std::vector<std::string> asked{"why", bundle, "hello", "read", "/srv/data/file"};
  const std::string place = policy + ":11:";
  BOOST_TEST(Bulkhead(asked).out.find(place) != std::string::npos, Bulkhead(asked).out);
  std::string map = test::ReadText(bundle + ".map");
  map[10] = map[10] == 'a' ? 'b' : 'a';
  test::WriteText(bundle + ".map", map);
  const auto other = Bulkhead(asked);
  BOOST_TEST(other.exit == 0);
  BOOST_TEST(other.out.find(place) == std::string::npos);
  BOOST_TEST(other.err.find("not the map of this bundle") != std::string::npos);
  std::filesystem::remove(bundle + ".map");
  const auto none = Bulkhead(asked);
  BOOST_TEST(none.exit == 0);
  BOOST_TEST(none.err == "");
}

BOOST_AUTO_TEST_CASE(WhyNamesTheEntryThatIsOfTheArguments) {
  const std::string text = R"(bulkhead: 1
enclave: entries
target: linux-6.18
audit: {sinks: [stdout]}
components:
  one:
    exec: [/usr/bin/true]
    files:
      execute: [/usr/bin/true]
    syscalls:
      allow:
        - "@batch"
        - {setsockopt: {level: SOL_SOCKET, optname: [SO_KEEPALIVE, 2]}}
        - {setsockopt: {level: SOL_TCP, optname: {from: 1, to: 3}}}
        - on: {x86_64: [{ioctl: {request: TCSETS}}]}
      deny:
        - {ioctl: {request: FIONBIO}}
)";
  const std::string path = directory / "entries.yaml";
  test::WriteText(path, text);
  const struct {
    std::vector<std::string> asked;
    const char* verdict;
    const char* line;  // of the entry; empty: none
  } rows[] = {
      {{"syscall", "setsockopt", "level=SOL_SOCKET", "optname=SO_REUSEADDR"}, "allow", ":13:"},
      {{"syscall", "setsockopt", "level=SOL_TCP", "optname=TCP_CORK"}, "allow", ":14:"},
      {{"syscall", "setsockopt", "level=SOL_TCP", "optname=TCP_KEEPIDLE"}, "deny", ""},
      {{"syscall", "ioctl", "request=TCSETS"}, "allow", ":15:"},
      {{"syscall", "ioctl", "request=FIONBIO"}, "deny", ":17:"},
      {{"syscall", "ioctl", "request=TIOCSTI"}, "deny", ""},
      {{"syscall", "read"}, "allow", ":12:"},
  };
  for (const auto& row : rows) {
    std::vector<std::string> words{"why", path, "one"};
    words.insert(words.end(), row.asked.begin(), row.asked.end());
    const std::string out = Bulkhead(words).out;
    BOOST_TEST(out.starts_with(row.verdict), out);
    const size_t call = out.find("  call        ");
    BOOST_TEST((call != std::string::npos) == (*row.line != 0), out);
    if (call != std::string::npos) {
      BOOST_TEST(out.find(path + row.line, call) < out.find('\n', call), out);
    }
  }
  // A section stands where the first of it does; one that is not there, where its component does.
  const auto place = [&](const char* object) {
    return Parsed(Bulkhead({"why", path, "one", "read", object, "--format", "json"}).out)["place"]
        .get<std::string>();
  };
  BOOST_TEST(place("/etc/shadow") == path + ":9:17");
}

BOOST_AUTO_TEST_CASE(WhyTakesAPolicyToo) {
  const auto run = Bulkhead({"why", policy, "hello", "read", "/srv/data/file"});
  BOOST_TEST(run.exit == 0, run.err);
  BOOST_TEST(run.out.find(policy + ":11:") != std::string::npos, run.out);
  const auto set =
      Bulkhead({"why", policy, "hello", "read", "/srv/data/file", "--set", "place=/opt/x"});
  BOOST_TEST(set.exit == 1);
}

BOOST_AUTO_TEST_CASE(WhyRefusesWhatItCannotAnswer) {
  Compile();
  BOOST_TEST(Bulkhead({"why", bundle, "helo", "read", "/x"}).exit == 2);
  BOOST_TEST(Bulkhead({"why", bundle, "hello", "devour", "/x"}).exit == 2);
  BOOST_TEST(Bulkhead({"why", bundle, "hello", "syscall", "nosuchcall"}).exit == 2);
  const auto set = Bulkhead({"why", bundle, "hello", "read", "/x", "--set", "a=b"});
  BOOST_TEST(set.exit == 2);
  BOOST_TEST(set.err.find("--set has no meaning for a bundle") != std::string::npos);
}

// Where an invariant is broken the questions about why are asked.
BOOST_AUTO_TEST_CASE(ABrokenInvariantKeepsNoAnswerBack) {
  test::WriteText(policy, test::SmallPolicy() + "assets: {shadow: {files: [/etc/shadow]}}\n" +
                              "invariants: [no component may read /srv/data/x]\n");
  test::WriteText(directory / "other.yaml", test::SmallPolicy());
  BOOST_TEST(Bulkhead({"check", policy}).exit == 1);
  BOOST_TEST(Bulkhead({"compile", policy, "-o", bundle}).exit == 1);
  BOOST_TEST(Bulkhead({"test", policy}).exit == 1);
  const auto why = Bulkhead({"why", policy, "hello", "read", "/etc/shadow"});
  BOOST_TEST(why.out.starts_with("deny: hello read /etc/shadow\n"), why.out + why.err);
  const auto diff = Bulkhead({"diff", policy, directory / "other.yaml"});
  BOOST_TEST(diff.err == "");
  BOOST_TEST(diff.out.find(" neutral\n") != std::string::npos, diff.out);
}

BOOST_AUTO_TEST_CASE(ABundleIsNoPolicyAndAPolicyNoBundle) {
  Compile();
  for (const char* command : {"check", "test"}) {
    const auto run = Bulkhead({command, bundle});
    BOOST_TEST(run.exit == 2);
    BOOST_TEST(
        run.err.find("is a compiled bundle, and this command takes a policy") != std::string::npos,
        run.err);
    BOOST_TEST(Bulkhead({command, policy}).exit == 0);
  }
  const auto run = Bulkhead({"inspect", policy});
  BOOST_TEST(run.exit == 2);
  BOOST_TEST(run.err.find("is a policy, and this command takes a bundle") != std::string::npos,
             run.err);
  BOOST_TEST(Bulkhead({"inspect", bundle}).exit == 0);
}

BOOST_AUTO_TEST_CASE(WhatHangsOnArgumentsHasExamples) {
  const auto run = Bulkhead({"why", policy, "hello", "syscall", "ioctl"});
  BOOST_TEST(run.exit == 1);
  BOOST_TEST(run.out.find("\n  passes      ioctl(request=TCGETS)\n") != std::string::npos, run.out);
  BOOST_TEST(run.out.find("\n  is refused  ioctl(request=0)") != std::string::npos, run.out);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(Map)

BOOST_AUTO_TEST_CASE(OnlyTheMapOfTheDigestIsRead) {
  const Digest digest = Sha384(std::string_view("a"));
  const std::string head = "sha384:" + Hex(digest) + "\n";
  const auto places = ParseMap(head + "components.a\tp.yaml:1:2\nx:/a b\tp.yaml:3:4\n", digest);
  BOOST_REQUIRE(places);
  BOOST_TEST(places->size() == 2U);
  BOOST_TEST(places->at("x:/a b") == "p.yaml:3:4");
  BOOST_TEST(!ParseMap(head, Sha384(std::string_view("b"))));
  BOOST_TEST(!ParseMap(head + "no tab here\n", digest));
  BOOST_TEST(!ParseMap("", digest));
  BOOST_TEST(ParseMap(head, digest)->empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
