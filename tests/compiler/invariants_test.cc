// SPDX-License-Identifier: Apache-2.0
// Invariants: enclaves with a planted violation, of which the shortest way is found, and enclaves
// without one, of which none is reported.
#include "compiler/invariants.h"

#include <boost/test/unit_test.hpp>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::Compiled;
using testing::CompileText;
using testing::MustCompile;

// An enclave of four components in short:
//   edge A B        A connects to a unix socket of B
//   chan A B KIND   a channel from A to B
//   link A B        a channel by which A starts with a connection to B
//   tcp A PORT      A connects to the port
//   serve A PORT    A listens on it, handed over
//   file A VERB P   a file statement
//   call A NAME     a system call or group
//   asset P         the asset `key` has this path, too
//   waive A S       a waiver of the statement
//   per A           a run of A for each connection
//   holds A P       the file is a secret of A
// The components are a, b, c and d.
struct Short {
  std::map<std::string, std::vector<std::string>> unix_listen, unix_connect, tcp_connect,
      tcp_listen, calls, secrets, after;
  std::map<std::string, std::map<std::string, std::vector<std::string>>> files;
  std::vector<std::string> channels, assets, waivers;
  std::set<std::string> instanced;

  explicit Short(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line, ';');) Read(line);
  }

  void Read(const std::string& line) {
    std::istringstream words(line);
    std::string what;
    std::string who;
    std::string x;
    std::string y;
    words >> what >> who >> x >> y;
    if (what == "edge") {
      const std::string path = "/run/edges/" + who + x + "/s.sock";
      unix_connect[who].push_back(path);
      unix_listen[x].push_back("{path: " + path + ", name: n" + who + ", from: [" + who + "]}");
    } else if (what == "chan") {
      channels.push_back("{name: " + who + "-" + x + ", from: " + who + ", to: " + x +
                         ", kind: " + y + "}");
    } else if (what == "link") {
      const std::string ends = who + x;
      unix_listen[x].push_back("{path: /run/edges/link" + ends + "/s, name: l" + ends + "}");
      channels.push_back("{name: " + ends + ", from: " + who + ", to: " + x +
                         ", kind: connected, listener: l" + ends + "}");
      after[who].push_back(x);
    } else if (what == "tcp") {
      tcp_connect[who].push_back(x);
    } else if (what == "serve") {
      tcp_listen[who].push_back("{port: " + x + ", name: p" + x + "}");
    } else if (what == "file") {
      files[who][x].push_back(y);
    } else if (what == "call") {
      std::string rest;
      std::getline(words, rest);  // a test of arguments has several words
      calls[who].push_back(x + " " + y + rest);
    } else if (what == "per") {
      instanced.insert(who);
    } else if (what == "holds") {
      secrets[who].push_back("{name: held, from: " + x + "}");
    } else if (what == "asset") {
      assets.push_back(who);
    } else if (what == "waive") {
      waivers.push_back("{component: " + who + ", statement: " + x +
                        ", reason: test, until: 2030-01-01}");
    }
  }

  static std::string List(const std::vector<std::string>& items) {
    std::string list;
    for (const std::string& item : items) list.append(list.empty() ? "" : ", ").append(item);
    return "[" + list + "]";
  }

  // "{listen: [..], connect: [..]}"; an empty list is no list.
  static std::string Map(const std::map<std::string, std::vector<std::string>>& lists) {
    std::string map;
    for (const auto& [key, items] : lists) {
      if (!items.empty()) map.append(map.empty() ? "" : ", ").append(key + ": " + List(items));
    }
    return "{" + map + "}";
  }

  std::string Component(const std::string& name) {
    std::string text =
        "  " + name + ":\n    profile: [stateful-service]\n    exec: [/usr/bin/" + name + "]\n";
    files[name]["execute"].push_back("/usr/bin/" + name);
    text += "    files: " + Map(files[name]) + "\n";
    const std::string local = Map({{"listen", unix_listen[name]}, {"connect", unix_connect[name]}});
    const std::string tcp = Map({{"listen", tcp_listen[name]}, {"connect", tcp_connect[name]}});
    if (local != "{}" || tcp != "{}") text += "    network:\n";
    if (local != "{}") text += "      unix: " + local + "\n";
    if (tcp != "{}") text += "      tcp: " + tcp + "\n";
    if (instanced.contains(name)) text += "    instances: {per: connection}\n";
    if (!after[name].empty()) text += "    after: " + List(after[name]) + "\n";
    if (!secrets[name].empty()) text += "    secrets: " + List(secrets[name]) + "\n";
    if (!calls[name].empty()) text += "    syscalls: {allow: " + List(calls[name]) + "}\n";
    return text;
  }

  std::string Policy(const std::string& sentence) {
    std::string text = "bulkhead: 1\nenclave: test\ntarget: linux-6.18\ncomponents:\n";
    for (const char* name : {"a", "b", "c", "d"}) text += Component(name);
    if (!channels.empty()) text += "channels: " + List(channels) + "\n";
    if (!assets.empty()) text += "assets: {key: {files: " + List(assets) + "}}\n";
    if (!waivers.empty()) text += "waivers: " + List(waivers) + "\n";
    return text + "invariants:\n  - '" + sentence + "'\n";
  }
};

struct Row {
  const char* enclave;
  const char* sentence;
  const char* path;  // who>to of each step; empty: it holds
};

// Each planted one beside one that lacks what breaks it, or that says what is so.
constexpr Row kRows[] = {
    // By itself.
    {"edge a b", "a must not reach b", "a>b"},
    {"edge a b", "b must not reach a", ""},
    {"chan a b stream", "a must not reach b", "a>b"},
    {"chan a b stream", "b must not reach a", "b>a"},
    {"chan a b messages", "b must not reach a", "b>a"},
    {"chan a b pipe", "a must not reach b", "a>b"},
    {"chan a b pipe", "b must not reach a", ""},
    {"tcp a 8443; serve b 8443", "a must not reach b", "a>b"},
    {"tcp a 8444; serve b 8443", "a must not reach b", ""},
    {"tcp a 8443; serve b 8443", "[c, a] must not reach [d, b]", "a>b"},
    {"tcp a 8443; serve b 8443", "[c, d] must not reach [a, b]", ""},
    {"edge a b; edge b c", "a must not reach c", ""},
    {"chan a b stream; edge a b", "[b, a] must not reach [a, b]", "b>a"},
    {"edge c d; call a kill", "a must not reach [b, c, d]", ""},
    {"edge d a", "d must not reach [b, c, a]", "d>a"},
    // Assets.
    {"asset /srv/key; file a read /srv/key; file b read /srv/key", "only a may read asset key",
     "b>key"},
    {"asset /srv/key; file a read /srv/key; file b read /srv/key", "only [b, a] may read asset key",
     ""},
    {"asset /srv/key; file a read /srv/key; file b read /srv", "only a may read asset key",
     "b>key"},
    {"asset /srv/key; file a read /srv/key; file b read /srv/key/x", "only a may read asset key",
     "b>key"},
    {"asset /srv/key; file a read /srv/key; file b read /srv/keys", "only a may read asset key",
     ""},
    {"asset /srv/key; file a write /srv/key", "only b may write asset key", "a>key"},
    {"asset /srv/key; file a create /srv", "only b may write asset key", "a>key"},
    {"asset /srv/key; file a read /srv/key", "only b may write asset key", ""},
    {"asset /srv/key; file a state /srv/key", "only b may reach asset key", "a>key"},
    {"asset /srv/key; file a read /srv/key", "only b may read asset other", "unknown"},
    {"asset /opt/tool; file a execute /opt/tool", "only b may execute asset key", "a>key"},
    {"asset /opt/tool; file a execute /opt/tool", "only a may execute asset key", ""},
    {"asset /opt/tool; file a read /opt/tool", "only b may execute asset key", ""},
    {"asset /srv/key; asset /srv/pub; file a read /srv/pub", "a must not reach asset key", "a>key"},
    {"asset /srv/key; asset /srv/pub; file a read /srv/pub", "b must not reach asset key", ""},
    // What nobody may.
    {"tcp b 443", "no component may connect tcp:443", "b>"},
    {"tcp b 443", "no component but b may connect tcp:443", ""},
    {"tcp b 80", "no component may connect tcp:443", ""},
    {"tcp b 443; tcp c 443", "no component but [a, b] may connect tcp:443", "c>"},
    {"tcp d 443", "no component may use internet", "d>"},
    {"edge a b", "no component may use internet", ""},
    {"edge a b", "no component may use unix", "a>"},
    {"edge a b", "no component but a may use unix", ""},
    {"call c kill", "no component may signal c", ""},
    {"call c kill", "no component but c may signal b", ""},
    {"", "no component may trace b", ""},
    {"", "no component may memory b", ""},
    {"call c vmsplice", "no component may syscall vmsplice", "c>"},
    {"call c vmsplice", "no component but c may syscall vmsplice", ""},
    {"call c vmsplice; call d vmsplice", "no component but c may syscall vmsplice", "d>"},
    {"call c {vmsplice: {flags: [1]}}", "no component may syscall vmsplice flags=1", "c>"},
    {"call c {vmsplice: {flags: [1]}}", "no component may syscall vmsplice flags=2", ""},
    {"call c {vmsplice: {flags: [1]}}", "no component may syscall vmsplice", "c>"},
    {"call b \"@posix-timers\"", "no component may syscall timer_create", "b>"},
    {"call b \"@posix-timers\"", "no component but b may syscall timer_create", ""},
    {"file d execute /usr/bin/tool", "no component may execute /usr/bin/tool", "d>"},
    {"file d execute /usr/bin/tool", "no component may execute /usr/bin/other", ""},
    {"file b create /srv/x", "no component may create /srv/x/y", "b>"},
    {"file b write /srv/x", "no component may create /srv/x/y", ""},
    {"edge a b; edge c b", "no component but a may reach b", "c>"},
    {"edge a b; edge c d", "no component but a may reach b", ""},
    {"", "no component may use vsock", ""},
    {"tcp a 443; edge a b", "no component may use netlink", ""},
    {"tcp a 443", "no component may connect udp:53", ""},
    {"tcp a 443", "no component may connect tcp:example.org:443", "a>"},
    {"tcp a 443", "no component may connect tcp:example.org:444", ""},
    {"", "no component may capability CAP_NET_RAW", ""},
    // Through others: shortest first.
    {"edge a b; edge b c", "a must not influence c", "a>b b>c"},
    {"edge a b; edge b c; edge c d", "a must not influence d", "a>b b>c c>d"},
    {"edge a b; edge b c; edge c d; chan a d pipe", "a must not influence d", "a>d"},
    {"edge a b; edge b d; edge a c; chan c d pipe; edge b c", "a must not influence d", "a>b b>d"},
    {"edge a b", "b must not influence a", "b>a"},
    {"", "a must not influence [b, c, d]", ""},
    {"edge a b; chan c d stream", "[a, b] must not influence [c, d]", ""},
    {"edge a b; edge c b", "a must not influence c", "a>b b>c"},
    {"chan a b pipe; chan c b pipe", "a must not influence c", ""},
    // A connection that is handed over is one that was made, in one direction.
    {"link a b", "a must not reach b", "a>b"},
    {"link a b", "b must not reach a", ""},
    {"link a b", "b must not influence a", "b>a"},
    {"link a b; link b c", "a must not influence c", "a>b b>c"},
    {"link a b; link c b", "a must not influence c", "a>b b>c"},
    {"link a b; link c b; per b", "a must not influence c", ""},
    {"link a b; link b c; per b", "a must not influence c", "a>b b>c"},
    {"link a b", "no component but a may reach b", ""},
    {"link a b; link c b", "no component but a may reach b", "c>"},
    {"link a b", "no component may connect unix:/run/edges/linkab/s", ""},
    // A run for each connection answers that one alone, but what it connects to it has in common
    // with the others.
    {"edge a b; edge c b; per b", "a must not influence c", ""},
    {"edge a b; edge c b; per b", "c must not influence a", ""},
    {"edge a b; edge c b; per b", "b must not influence c", "b>c"},
    {"edge a b; edge c b; per b", "a must not reach b", "a>b"},
    {"edge a b; edge b c; per b", "a must not influence c", "a>b b>c"},
    {"edge a b; edge b c; per b", "c must not influence a", "c>b b>a"},
    {"edge a b; edge c b; edge b d; per b", "a must not influence c", "a>b b>d d>b b>c"},
    {"edge a b; edge c b; edge b d; per b; per d", "a must not influence c", ""},
    {"edge a b; edge c b; per b; file b write /srv/x; waive b instances", "a must not influence c",
     "a>b b>c"},
    {"serve b 8443; tcp a 8443; tcp c 8443; per b", "a must not influence c", ""},
    {"serve b 8443; tcp a 8443; tcp c 8443", "a must not influence c", "a>b b>c"},
    {"chan a b pipe; chan b c pipe", "a must not influence c", "a>b b>c"},
    {"chan a b pipe; chan b c pipe", "c must not influence [a, b]", ""},
    {"tcp a 8443; serve b 8443; chan b c stream", "a must not influence c", "a>b b>c"},
    {"tcp a 8443; serve b 8444; chan b c stream", "a must not influence c", ""},
    {"asset /srv/key; file c create /srv/key; chan a b pipe; chan b c pipe",
     "a must not influence asset key", "a>b b>c c>key"},
    {"asset /srv/key; file c read /srv/key; chan a b pipe; chan b c pipe",
     "a must not influence asset key", ""},
    {"asset /srv/key; file a create /srv/key", "a must not influence asset key", "a>key"},
    // Past a gate.
    {"edge a b; edge b c; asset /srv/key; file c read /srv/key",
     "every path from a to asset key passes b", ""},
    {"edge a b; edge b c; edge a c; asset /srv/key; file c read /srv/key",
     "every path from a to asset key passes b", "a>c c>key"},
    {"edge a b; edge b c; chan a d pipe; chan d c pipe; asset /srv/key; file c read /srv/key",
     "every path from a to asset key passes b", "a>d d>c c>key"},
    {"edge a b; edge b c; chan a d pipe; chan d c pipe; asset /srv/key; file c read /srv/key",
     "every path from a to asset key passes [b, d]", ""},
    {"asset /srv/key; file a read /srv/key", "every path from a to asset key passes b", "a>key"},
    // A secret is what is in its file.
    {"asset /srv/key; holds a /srv/key", "only [b] may read asset key", "a>key"},
    {"asset /srv/key; holds a /srv/key", "only [a] may read asset key", ""},
    {"asset /srv/keys; holds a /srv/keys/one", "only [b] may read asset key", "a>key"},
    {"asset /srv/key; holds a /srv/other", "only [b] may read asset key", ""},
    {"asset /srv/key; holds b /srv/key; chan a b stream", "every path from a to asset key passes c",
     "a>b b>key"},
    {"edge a b; edge b c", "every path from a to c passes b", ""},
    {"edge a b; edge b c; chan a c pipe", "every path from a to c passes b", "a>c"},
    {"edge a b; edge b c; edge d c", "every path from [d, a] to c passes b", "d>c"},
    {"edge a b; edge b c; edge d c", "every path from [d, a] to c passes [b, d]", ""},
};

std::string ShortPath(const std::vector<InvariantStep>& path) {
  std::string text;
  for (const InvariantStep& step : path) {
    text.append(text.empty() ? "" : " ").append(step.who).append(">").append(step.to);
    BOOST_TEST(!step.does.empty());
    BOOST_TEST(!step.rule.empty());
  }
  return text;
}

BOOST_AUTO_TEST_SUITE(Invariants)

BOOST_AUTO_TEST_CASE(PlantedOnesAreFoundAndNoOthers) {
  size_t planted = 0;
  size_t clean = 0;
  for (const Row& row : kRows) {
    const std::string policy = Short(row.enclave).Policy(row.sentence);
    const std::string name = std::string(row.enclave) + " | " + row.sentence;
    const std::string wanted = row.path;
    const Compiled checked = CompileText(policy);
    if (wanted == "unknown") {
      BOOST_TEST(checked.Mistakes().find("E0702") != std::string::npos, checked.Mistakes());
      continue;
    }
    // A broken one is an error, and the only one.
    BOOST_TEST(checked.compilation.has_value() == wanted.empty(), name << checked.Mistakes());
    BOOST_TEST((checked.Mistakes().find(" E0703 ") != std::string::npos) == !wanted.empty(), name);
    const Compiled compiled =
        MustCompile(policy, [](LoadedPolicy& loaded) { loaded.policy.invariants.clear(); });
    Evaluator evaluator(compiled.compilation->bundle);
    Diagnostics diagnostics;
    const Text sentence{row.sentence, {}};
    const auto results = CheckInvariants(evaluator, {&sentence, 1}, diagnostics);
    BOOST_TEST_REQUIRE(results.has_value());
    BOOST_TEST_REQUIRE(results->size() == 1U, name);
    BOOST_TEST(ShortPath((*results)[0].path) == wanted, name);
    ++(wanted.empty() ? clean : planted);
  }
  BOOST_TEST_MESSAGE(planted << " planted, " << clean << " clean");
  BOOST_TEST(planted >= 40U);
  BOOST_TEST(clean >= 40U);
}

// By a waiver a port is any port, and whoever may listen may be reached.
BOOST_AUTO_TEST_CASE(AWaiverOpensAPath) {
  const auto path = [](const char* target, const std::string& sentence) {
    const std::string waiver = ", reason: test, until: 2030-01-01}\n  - {component: ";
    const std::string text = "bulkhead: 1\nenclave: test\ntarget: " + std::string(target) +
                             "\ncomponents:\n"
                             "  a:\n    exec: [/usr/bin/a]\n    files: {execute: [/usr/bin/a]}\n"
                             "    network: {tcp: {connect: [443]}}\n"
                             "  b:\n    exec: [/usr/bin/b]\n    files: {execute: [/usr/bin/b]}\n"
                             "    network: {tcp: {bind: [80]}}\n"
                             "waivers:\n  - {component: a, statement: network.tcp" +
                             waiver + "a, statement: network.unix" + waiver +
                             "b, statement: network.tcp" + waiver + "b, statement: network.unix" +
                             waiver +
                             "b, statement: network.tcp.bind, reason: test, until: 2030-01-01}\n";
    const Compiled compiled = MustCompile(text);
    Evaluator evaluator(compiled.compilation->bundle);
    Diagnostics diagnostics;
    const Text invariant{sentence, {}};
    const auto results = CheckInvariants(evaluator, {&invariant, 1}, diagnostics);
    BOOST_TEST_REQUIRE((results.has_value() && results->size() == 1U));
    return ShortPath((*results)[0].path);
  };
  BOOST_TEST(path("linux-6.18", "a must not reach b") == "");
  BOOST_TEST(path("debian-12", "a must not reach b") == "a>b");
  BOOST_TEST(path("debian-12", "b must not influence a") == "b>a");
  BOOST_TEST(path("linux-6.18", "no component may connect tcp:80") == "");
  BOOST_TEST(path("debian-12", "no component may connect tcp:80") == "a>");
}

// What the compiler refuses (E0552) is found in a bundle all the same: the profile of b is another
// policy's, in which it shares what a writes here.
BOOST_AUTO_TEST_CASE(FilesThatTwoShare) {
  struct Shared {
    const char* both;
    const char* of_a;
    const char* of_b;
    const char* sentence;
    const char* path;
  };
  const Shared rows[] = {
      {"", "file a write /srv/x", "file b read /srv/x", "a must not influence b", "a>b"},
      {"", "file a write /srv/x", "file b write /srv/x", "a must not influence b", "a>b"},
      {"", "file a write /srv/x", "file b read /srv/x", "b must not influence a", ""},
      {"", "file a write /srv/x", "file b write /srv/x", "b must not influence a", "b>a"},
      {"", "file a create /srv", "file b read /srv/deep/x", "a must not influence b", "a>b"},
      {"", "file a create /srv/deep", "file b read /srv", "a must not influence b", "a>b"},
      {"", "file a read /srv/x", "file b read /srv/x", "a must not influence b", ""},
      {"", "file a write /srv/x", "file b read /srv/y", "a must not influence b", ""},
      // A program, and a library.
      {"", "file a write /opt/tool", "file b execute /opt/tool", "a must not influence b", "a>b"},
      {"", "file a create /opt/lib", "file b read /opt/lib", "a must not influence b", "a>b"},
      {"", "file a read /opt/tool", "file b execute /opt/tool", "a must not influence b", ""},
      // On the way to a third, and to an asset.
      {"chan b c pipe", "file a write /srv/x", "file b read /srv/x", "a must not influence c",
       "a>b b>c"},
      {"chan c b pipe", "file a write /srv/x", "file b read /srv/x", "a must not influence c", ""},
      {"asset /srv/key", "file a write /srv/x", "file b read /srv/x; file b write /srv/key",
       "a must not influence asset key", "a>b b>key"},
      {"asset /srv/key", "file a write /srv/x", "file b read /srv/x; file b read /srv/key",
       "every path from a to asset key passes c", "a>b b>key"},
      {"asset /srv/key", "file a write /srv/x", "file b read /srv/x; file b read /srv/key",
       "every path from a to asset key passes b", ""},
      // A file between two is no way to reach the other itself.
      {"", "file a write /srv/x", "file b read /srv/x", "a must not reach b", ""},
  };
  for (const Shared& row : rows) {
    const auto compiled = [&](const char* files) {
      return MustCompile(Short(std::string(row.both) + ";" + files).Policy("a must not reach d"));
    };
    BundleData data = *compiled(row.of_a);
    for (ProfileData& profile : data.components) {
      if (profile.name == "b") profile = compiled(row.of_b).Component("b");
    }
    const auto bundle = Bundle::Make(std::move(data));
    BOOST_TEST_REQUIRE(bundle.has_value(), (bundle ? "" : bundle.error()));
    Evaluator evaluator(*bundle);
    Diagnostics diagnostics;
    const Text sentence{row.sentence, {}};
    const auto results = CheckInvariants(evaluator, {&sentence, 1}, diagnostics);
    BOOST_TEST_REQUIRE((results.has_value() && results->size() == 1U));
    BOOST_TEST(ShortPath((*results)[0].path) == row.path,
               row.of_a << " | " << row.of_b << " | " << row.sentence);
  }
}

// Before Landlock knows truncation, nothing of a component's own rights keeps it from its tripwire.
BOOST_AUTO_TEST_CASE(ATripwireThatIsCutOffIsNotTheAsset) {
  const std::string text =
      "bulkhead: 1\nenclave: test\ntarget: debian-12\nassets: {key: {files: [/srv/key]}}\n"
      "components:\n"
      "  a:\n    exec: [/usr/bin/a]\n    files: {execute: [/usr/bin/a]}\n"
      "    syscalls: {allow: [truncate]}\n"
      "  b:\n    exec: [/usr/bin/b]\n    files: {execute: [/usr/bin/b], write: [/srv/key]}\n"
      "    syscalls: {allow: [truncate]}\n";
  const Compiled compiled = MustCompile(text);
  Evaluator evaluator(compiled.compilation->bundle);
  const auto path = [&](const std::string& sentence) {
    Diagnostics diagnostics;
    const Text invariant{sentence, {}};
    const auto results = CheckInvariants(evaluator, {&invariant, 1}, diagnostics);
    BOOST_TEST_REQUIRE((results.has_value() && results->size() == 1U));
    return ShortPath((*results)[0].path);
  };
  for (const char* rest : {" must not reach asset key", " must not influence asset key"}) {
    BOOST_TEST(path("a" + std::string(rest)) == "");
    BOOST_TEST(path("b" + std::string(rest)) == "b>key");
  }
  BOOST_TEST(path("only b may write asset key") == "");
  BOOST_TEST(path("only a may write asset key") == "b>key");
  const auto question = ParseQuestion(Arch::kX86_64, "truncate", {"/srv/key"});
  BOOST_TEST_REQUIRE(question.has_value());
  const auto answer = evaluator.Ask(compiled.Component("a"), *question);
  BOOST_TEST_REQUIRE(answer.has_value());
  BOOST_TEST((answer->verdict == Verdict::kAllow));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
