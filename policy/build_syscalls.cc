// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>
#include <span>
#include <string>
#include <utility>

#include "policy/build.h"
#include "policy/owned_calls.h"
#include "policy/scalars.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

void RefuseOwned(std::string_view name, const Place& place, Diagnostics& diagnostics) {
  const std::string_view owner = OwnerOf(name);
  if (owner.empty()) return;
  diagnostics.Error(place, "E0405", fmt::format("{} belongs to `{}`", Quoted(name), owner),
                    fmt::format("say what is needed under `{}`: it brings the call with the "
                                "controls that go with it",
                                owner));
}

ArgValue BuildValue(const Node& node) {
  if (const auto number = ParseSigned(node.text)) return {"", *number, node.place};
  if (const auto number = ParseInteger(node.text)) {
    return {"", static_cast<int64_t>(*number), node.place, true};
  }
  return {node.text, 0, node.place};
}

std::vector<ArgValue> BuildValues(const Node& node) {
  if (node.kind == NodeKind::kScalar) return {BuildValue(node)};
  std::vector<ArgValue> values;
  for (const Node& item : node.items) values.push_back(BuildValue(item));
  return values;
}

struct TestForm {
  std::string_view first;
  std::string_view second;
  bool together;  // both keys are needed
  ArgTest::Kind kind;
};
constexpr TestForm kTestForms[] = {
    {"mask", "equals", true, ArgTest::Kind::kMaskEquals},
    {"from", "to", true, ArgTest::Kind::kRange},
    {"bits-set", "bits-clear", false, ArgTest::Kind::kBitsSet},
    {"not", "not", false, ArgTest::Kind::kNot},
};

std::optional<ArgTest> BuildTest(const Node& node, Diagnostics& diagnostics);

// The one form whose keys the map has, with no others beside them.
const TestForm* FormOf(const Node& map) {
  const TestForm* form = nullptr;
  for (const TestForm& candidate : kTestForms) {
    const bool first = map.Find(candidate.first) != nullptr;
    const bool second = map.Find(candidate.second) != nullptr;
    if (!first && !second) continue;
    if (form != nullptr || (candidate.together && first != second)) return nullptr;
    form = &candidate;
  }
  return form;
}

ArgTest BuildBits(const Node& map) {
  std::vector<ArgTest> tests;
  if (const Entry* set = map.Find("bits-set")) {
    tests.push_back({ArgTest::Kind::kBitsSet, BuildValues(set->value), {}, map.place});
  }
  if (const Entry* clear = map.Find("bits-clear")) {
    tests.push_back({ArgTest::Kind::kBitsClear, BuildValues(clear->value), {}, map.place});
  }
  if (tests.size() == 2) tests[0].inner.push_back(std::move(tests[1]));
  return std::move(tests[0]);
}

std::optional<ArgTest> BuildTestMap(const Node& map, Diagnostics& diagnostics) {
  const TestForm* form = FormOf(map);
  if (form == nullptr) {
    if (!map.entries.empty()) {
      diagnostics.Error(map.place, "E0228", "not one test",
                        "expected one of: `bits-set` and `bits-clear`; `mask` and `equals`; "
                        "`from` and `to`; `not`");
    }
    return std::nullopt;
  }
  if (form->kind == ArgTest::Kind::kBitsSet) return BuildBits(map);
  ArgTest test;
  test.kind = form->kind;
  test.place = map.place;
  if (form->kind == ArgTest::Kind::kNot) {
    auto inner = BuildTest(map.Find("not")->value, diagnostics);
    if (!inner) return std::nullopt;
    test.inner.push_back(std::move(*inner));
  } else {
    test.values.push_back(BuildValue(map.Find(form->first)->value));
    test.values.push_back(BuildValue(map.Find(form->second)->value));
  }
  return test;
}

// Recursion is bounded by the depth of the tree.
std::optional<ArgTest> BuildTest(const Node& node, Diagnostics& diagnostics) {
  if (node.kind == NodeKind::kMap) return BuildTestMap(node, diagnostics);
  return ArgTest{ArgTest::Kind::kAnyOf, BuildValues(node), {}, node.place};
}

void BuildArguments(const Node& map, SyscallRule& rule, Diagnostics& diagnostics) {
  for (const Entry& entry : map.entries) {
    if (auto test = BuildTest(entry.value, diagnostics)) {
      rule.args.emplace_back(entry.key, std::move(*test));
    }
  }
}

class CallBuilder {
 public:
  CallBuilder(bool refuse_owned, Diagnostics& diagnostics)
      : refuse_owned_(refuse_owned), diagnostics_(diagnostics) {}

  void AddList(std::span<const Node> items, const std::string& id, std::optional<Arch> only_on) {
    for (const Node& item : items) {
      if (item.kind == NodeKind::kScalar) {
        Add(item.text, {id + ":" + item.text, item.place}, item.place, nullptr, only_on);
      } else {
        AddMap(item, id, only_on);
      }
    }
  }

  std::vector<SyscallRule> Take() { return std::move(rules_); }

 private:
  void AddMap(const Node& map, const std::string& id, std::optional<Arch> only_on) {
    for (const Entry& entry : map.entries) {
      if (entry.key == "on") {
        AddOn(entry, id, only_on);
      } else {
        Add(entry.key, {id + ":" + entry.key + Flow(entry.value), entry.key_place}, entry.key_place,
            &entry.value, only_on);
      }
    }
  }

  void AddOn(const Entry& on, const std::string& id, std::optional<Arch> only_on) {
    if (only_on) {
      diagnostics_.Error(on.key_place, "E0203", "`on` can't stand in `on`",
                         "one architecture at a time");
      return;
    }
    for (const Entry& arch : on.value.entries) {
      AddList(arch.value.items, id + ".on." + arch.key, ParseArch(arch.key));
    }
  }

  void Add(const std::string& name, Statement at, const Place& place, const Node* arguments,
           std::optional<Arch> only_on) {
    if (refuse_owned_) RefuseOwned(name, place, diagnostics_);
    SyscallRule rule;
    rule.name = name;
    rule.only_on = only_on;
    rule.at = std::move(at);
    if (arguments != nullptr) BuildArguments(*arguments, rule, diagnostics_);
    rules_.push_back(std::move(rule));
  }

  bool refuse_owned_;
  Diagnostics& diagnostics_;
  std::vector<SyscallRule> rules_;
};

std::optional<SyscallRule> BuildGroupCall(const Node& item, const std::string& id,
                                          Diagnostics& diagnostics) {
  const Section fields(&item, "");
  const Node* call = fields.Get("call");
  const Node* group = fields.Get("group");
  const Node* args = fields.Get("args");
  if ((call == nullptr) == (group == nullptr) || (group != nullptr && args != nullptr)) {
    diagnostics.Error(item.place, "E0228", "an entry is either a `call` or a `group`",
                      "arguments are tested for a `call` only");
    return std::nullopt;
  }
  SyscallRule rule;
  rule.name = call != nullptr ? call->text : "@" + group->text;
  rule.why = fields.TextOf("why");
  rule.at = {id + ":" + rule.name + (args == nullptr ? "" : Flow(*args)), item.place};
  RefuseOwned(rule.name, call != nullptr ? call->place : group->place, diagnostics);
  if (args != nullptr) BuildArguments(*args, rule, diagnostics);
  return rule;
}

}  // namespace

std::vector<SyscallRule> BuildCalls(const Section& syscalls, std::string_view key,
                                    Diagnostics& diagnostics) {
  // To deny what another key brings is no way round it.
  CallBuilder builder(key == "allow", diagnostics);
  builder.AddList(syscalls.Items(key), syscalls.Id(key), std::nullopt);
  return builder.Take();
}

SyscallGroup BuildGroup(const Entry& entry, Diagnostics& diagnostics) {
  const Section fields(&entry.value, "groups." + entry.key);
  SyscallGroup group;
  group.name = entry.key;
  group.about = fields.TextOf("about");
  group.at = {fields.id(), entry.key_place};
  for (const Node& item : fields.Items("calls")) {
    if (auto rule = BuildGroupCall(item, fields.id(), diagnostics)) {
      group.calls.push_back(std::move(*rule));
    }
  }
  return group;
}

}  // namespace bulkhead
