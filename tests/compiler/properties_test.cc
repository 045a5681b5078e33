// SPDX-License-Identifier: Apache-2.0
// What must hold of any policy: order means nothing, less allowed is less, denied is less,
// encoding loses nothing, and both architectures say the same of what both have.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "compiler/allowed_calls.h"
#include "tests/compiler/calls_support.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using Json = nlohmann::ordered_json;
using testing::Compiled;
using testing::CompileText;
using testing::MustCompile;
using Allowed = std::map<uint32_t, CallSets::Set>;

// Policies as values; written as JSON, which is YAML.
class PolicyMaker {
 public:
  explicit PolicyMaker(uint32_t seed) : random_(seed) {}

  Json Policy() {
    Json components;
    const uint32_t count = 1 + Below(4);
    for (uint32_t i = 0; i < count; ++i) components["c" + std::to_string(i)] = Component(i);
    if (count > 1) Connect(components);
    Json policy{{"bulkhead", 1}, {"enclave", "test"}, {"target", "linux-6.18"}};
    policy["components"] = std::move(components);
    return policy;
  }

  // The same in another order: keys of all maps, items of the lists that are sets.
  Json Shuffled(const Json& value, bool is_set = false) {
    if (value.is_object()) {
      std::vector<std::string> keys;
      for (const auto& item : value.items()) keys.push_back(item.key());
      std::ranges::shuffle(keys, random_);
      Json result = Json::object();
      for (const std::string& key : keys) result[key] = Shuffled(value[key], key != "exec");
      return result;
    }
    if (!value.is_array()) return value;
    std::vector<Json> items;
    for (const Json& item : value) items.push_back(Shuffled(item));
    if (is_set) std::ranges::shuffle(items, random_);
    Json result = Json::array();
    for (Json& item : items) result.push_back(std::move(item));
    return result;
  }

  uint32_t Below(uint32_t bound) {
    return std::uniform_int_distribution<uint32_t>(0, bound - 1)(random_);
  }
  bool OneIn(uint32_t n) { return Below(n) == 0; }

  // A call or group, with or without tests.
  Json Item() {
    static const std::vector<Json> kItems{
        "@io",
        "@files-read",
        "@files-write",
        "@memory",
        "@threads",
        "@processes",
        "@signals",
        "@polling",
        "@socket-io",
        "@time",
        "@timers",
        "@process-info",
        "@start",
        "mlockall",
        "sched_setaffinity",
        "getxattr",
        Json{{"ioctl", {{"request", {"TCGETS", "FIONREAD"}}}}},
        Json{{"ioctl", {{"request", {{"from", 21000}, {"to", 21999}}}}}},
        Json{{"fcntl", {{"cmd", {"F_GETFD", "F_SETFD"}}}}},
        Json{{"fcntl", {{"cmd", {{"not", {"F_SETLK"}}}}}}},
        Json{{"prctl", {{"option", {"PR_SET_NAME"}}, {"arg2", {{"mask", 15}, {"equals", 3}}}}}},
        Json{{"madvise", {{"advice", {{"bits-clear", {"MADV_DONTNEED"}}}}}}},
        Json{{"lseek", {{"whence", {0, 2}}, {"offset", {{"from", 0}, {"to", 8589934592ULL}}}}}},
        Json{{"kill", {{"sig", {0, 15}}}}},
    };
    return kItems[Below(static_cast<uint32_t>(kItems.size()))];
  }

 private:
  Json Component(uint32_t i) {
    const std::string name = "c" + std::to_string(i);
    Json component{{"exec", {"/usr/bin/" + name, "--flag", "value"}}};
    Json& files = component["files"];
    files["execute"] = {"/usr/bin/" + name};
    if (OneIn(2)) files["execute"].push_back("@loader");
    if (OneIn(2)) files["read"] = {"@libraries", "/etc/" + name, "/srv/ro/" + name};
    if (OneIn(2)) files["create"] = {"/srv/" + name + "/a", "/srv/" + name + "/b"};
    if (OneIn(3)) files["private"] = {{{"path", "/tmp"}, {"size", "1M"}}};
    Json allow = Json::array();
    for (uint32_t k = Below(7); k > 0; --k) {
      Json item = Item();
      if (std::ranges::find(allow, item) == allow.end()) allow.push_back(std::move(item));
    }
    if (!allow.empty()) component["syscalls"]["allow"] = std::move(allow);
    if (OneIn(3)) component["network"]["tcp"]["connect"] = {443, 80, 8080};
    if (OneIn(3)) component["limits"] = {{"memory", "64M"}, {"files", 64}};
    if (OneIn(3)) component["env"] = {{"B", "2"}, {"A", "1"}};
    return component;
  }

  static void Connect(Json& components) {
    components["c0"]["network"]["unix"]["listen"] = {
        {{"path", "/run/edges/x/s.sock"}, {"name", "s"}, {"from", {"c1"}}}};
    components["c1"]["network"]["unix"]["connect"] = {"/run/edges/x/s.sock"};
    components["c1"]["after"] = {"c0"};
  }

  std::mt19937 random_;
};

// Takes out one value, and what is empty without it.
void Erase(Json& policy, Json::json_pointer at) {
  do {
    const std::string last = at.back();
    at.pop_back();
    Json& parent = policy[at];
    if (parent.is_array()) {
      parent.erase(std::stoul(last));
    } else {
      parent.erase(last);
    }
  } while (policy[at].empty());
}

std::string Text(const Json& policy) { return policy.dump(2) + "\n"; }

Allowed Read(const ProfileData& profile, CallSets& sets) {
  auto allowed = AllowedCalls(profile.filter, profile.arch, sets);
  BOOST_REQUIRE_MESSAGE(allowed.has_value(), allowed.error());
  return std::move(*allowed);
}

// What `less` may do, `more` may do, too: calls, Landlock rights, ports, paths.
void RequireWithin(const ProfileData& less, const ProfileData& more, const std::string& about) {
  CallSets sets(size_t{1} << 22);
  const Allowed few = Read(less, sets);
  const Allowed many = Read(more, sets);
  for (const auto& [nr, set] : few) {
    const auto found = many.find(nr);
    const CallSets::Set covered = found == many.end() ? Bdd::kNothing : found->second;
    BOOST_REQUIRE_MESSAGE(sets.bdd().And(set, Bdd::Not(covered)) == Bdd::kNothing,
                          SyscallName(less.arch, nr) << ": " << about);
  }
  for (const LandlockRule& rule : less.landlock.rules) {
    BOOST_REQUIRE_MESSAGE((rule.access & ~testing::AccessOf(more, rule.path)) == 0,
                          rule.path << ": " << about);
  }
  for (const LandlockPort& port : less.landlock.ports) {
    const auto found = std::ranges::find(more.landlock.ports, port.port, &LandlockPort::port);
    BOOST_REQUIRE_MESSAGE(found != more.landlock.ports.end() && (port.access & ~found->access) == 0,
                          about);
  }
  for (const ViewEntry& entry : less.view) {
    const ViewEntry* found = testing::ViewOf(more, entry.path);
    BOOST_REQUIRE_MESSAGE(found != nullptr && found->kind == entry.kind,
                          entry.path << ": " << about);
  }
}

std::vector<uint8_t> Bytes(const Compiled& compiled) {
  return EncodeBundle(compiled.compilation->bundle);
}

BOOST_AUTO_TEST_SUITE(Properties)

BOOST_AUTO_TEST_CASE(OrderMeansNothing) {
  const uint32_t seed = testing::Seed();
  PolicyMaker maker(seed);
  size_t compiled = 0;
  for (int i = 0; i < 40; ++i) {
    const Json policy = maker.Policy();
    const Compiled first = CompileText(Text(policy));
    if (!first.compilation) continue;
    ++compiled;
    for (int k = 0; k < 3; ++k) {
      const Json shuffled = maker.Shuffled(policy);
      const Compiled second = MustCompile(Text(shuffled));
      BOOST_REQUIRE_MESSAGE((Bytes(first) == Bytes(second)), "seed " << seed << "\n"
                                                                     << Text(policy)
                                                                     << Text(shuffled));
    }
  }
  BOOST_TEST(compiled > 20U);
}

BOOST_AUTO_TEST_CASE(OrderOfFilesMeansNothing) {
  std::string directory = "/tmp/bulkhead-properties.XXXXXX";
  BOOST_REQUIRE(mkdtemp(directory.data()) != nullptr);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(directory + "/" + name) << text;
  };
  write("a.yaml", "bulkhead: 1\nprofiles:\n  first: {syscalls: {allow: [\"@io\"]}}\n");
  write("b.yaml", "bulkhead: 1\nprofiles:\n  second: {syscalls: {allow: [\"@time\"]}}\n");
  const auto bytes = [&](const std::string& use) {
    write("policy.yaml", "bulkhead: 1\nenclave: test\ntarget: linux-6.18\nuse: " + use +
                             "\ncomponents:\n  one:\n    profile: [first, second]\n"
                             "    exec: [/usr/bin/one]\n"
                             "    files: {execute: [/usr/bin/one]}\n");
    Sources sources;
    Diagnostics diagnostics;
    const auto loaded = LoadPolicyFile(directory + "/policy.yaml", {}, sources, diagnostics);
    BOOST_REQUIRE_MESSAGE(loaded.has_value(), RenderJson(diagnostics.Sorted(), sources));
    const auto made = Compile(*loaded, {"2026-01-01", {}, {}}, diagnostics);
    BOOST_REQUIRE(made.has_value());
    return EncodeBundle(made->bundle);
  };
  BOOST_TEST((bytes("[a.yaml, b.yaml]") == bytes("[b.yaml, a.yaml]")));
  std::filesystem::remove_all(directory);
}

// An item less in any list of what is allowed.
BOOST_AUTO_TEST_CASE(LessAllowedIsLess) {
  const uint32_t seed = testing::Seed();
  PolicyMaker maker(seed);
  size_t compared = 0;
  for (int i = 0; i < 40; ++i) {
    const Json policy = maker.Policy();
    const Compiled before = CompileText(Text(policy));
    if (!before.compilation) continue;
    const Json::json_pointer lists[] = {Json::json_pointer("/components/c0/syscalls/allow"),
                                        Json::json_pointer("/components/c0/files/read"),
                                        Json::json_pointer("/components/c0/files/create"),
                                        Json::json_pointer("/components/c0/network/tcp/connect")};
    for (const auto& list : lists) {
      if (!policy.contains(list) || policy[list].empty()) continue;
      Json less = policy;
      Erase(less, list / maker.Below(static_cast<uint32_t>(less[list].size())));
      const Compiled after = CompileText(Text(less));
      if (!after.compilation) continue;  // an empty list, or something that another item needs
      ++compared;
      RequireWithin(after.Component("c0"), before.Component("c0"),
                    list.to_string() + ", seed " + std::to_string(seed) + "\n" + Text(policy));
    }
  }
  BOOST_TEST(compared > 40U);
}

BOOST_AUTO_TEST_CASE(MoreDeniedIsLess) {
  const uint32_t seed = testing::Seed();
  PolicyMaker maker(seed);
  size_t compared = 0;
  for (int i = 0; i < 60; ++i) {
    const Json policy = maker.Policy();
    const Compiled before = CompileText(Text(policy));
    if (!before.compilation) continue;
    Json denied = policy;
    denied["components"]["c0"]["syscalls"]["deny"] = {maker.Item()};
    const Compiled after = CompileText(Text(denied));
    if (!after.compilation) continue;
    ++compared;
    RequireWithin(after.Component("c0"), before.Component("c0"),
                  "seed " + std::to_string(seed) + "\n" + Text(denied));
  }
  BOOST_TEST(compared > 20U);
}

BOOST_AUTO_TEST_CASE(EncodingLosesNothing) {
  PolicyMaker maker(testing::Seed());
  size_t compared = 0;
  for (int i = 0; i < 40; ++i) {
    const Compiled compiled = CompileText(Text(maker.Policy()));
    if (!compiled.compilation) continue;
    ++compared;
    const std::vector<uint8_t> bytes = Bytes(compiled);
    const auto decoded = DecodeBundle(bytes);
    BOOST_REQUIRE_MESSAGE(decoded.has_value(), decoded.error());
    BOOST_TEST((**decoded == *compiled.compilation->bundle));
    BOOST_TEST((EncodeBundle(*decoded) == bytes));
  }
  BOOST_TEST(compared > 20U);
}

// By name, as far as both have the call with equal arguments.
BOOST_AUTO_TEST_CASE(ArchitecturesAgree) {
  const uint32_t seed = testing::Seed();
  PolicyMaker maker(seed);
  size_t compared = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string text = Text(maker.Policy());
    const Compiled x86 = CompileText(text);
    const Compiled arm = CompileText(text, {}, "linux-6.18-aarch64");
    if (!x86.compilation || !arm.compilation) continue;
    CallSets sets(size_t{1} << 22);
    const Allowed on_x86 = Read(x86.Component("c0"), sets);
    const Allowed on_arm = Read(arm.Component("c0"), sets);
    const auto of = [](const Allowed& allowed, uint32_t nr) {
      const auto found = allowed.find(nr);
      return found == allowed.end() ? CallSets::Set{Bdd::kNothing} : found->second;
    };
    for (const SyscallRow& row : AllSyscalls()) {
      const auto a = row.Number(Arch::kX86_64);
      const auto b = row.Number(Arch::kAarch64);
      if (!a || !b || row.x86_64_args != row.aarch64_args) continue;
      ++compared;
      BOOST_REQUIRE_MESSAGE(of(on_x86, *a) == of(on_arm, *b), row.name << ", seed " << seed << "\n"
                                                                       << text);
    }
  }
  BOOST_TEST(compared > 1000U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
