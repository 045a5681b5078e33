// SPDX-License-Identifier: Apache-2.0
#include "compiler/oci_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string_view>

#include "policy/scalars.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

template <typename Value>
struct Spelling {
  std::string_view name;
  Value value;
};

constexpr Spelling<OciAction> kActions[] = {
    {"SCMP_ACT_ALLOW", OciAction::kAllow},
    {"SCMP_ACT_ERRNO", OciAction::kErrno},
    {"SCMP_ACT_KILL", OciAction::kKillThread},
    {"SCMP_ACT_KILL_THREAD", OciAction::kKillThread},
    {"SCMP_ACT_KILL_PROCESS", OciAction::kKillProcess},
    {"SCMP_ACT_TRAP", OciAction::kTrap},
    {"SCMP_ACT_NOTIFY", OciAction::kNotify},
    {"SCMP_ACT_LOG", OciAction::kLog},
    {"SCMP_ACT_TRACE", OciAction::kTrace},
};

constexpr Spelling<OciOperator> kOperators[] = {
    {"SCMP_CMP_NE", OciOperator::kNe},
    {"SCMP_CMP_LT", OciOperator::kLt},
    {"SCMP_CMP_LE", OciOperator::kLe},
    {"SCMP_CMP_EQ", OciOperator::kEq},
    {"SCMP_CMP_GE", OciOperator::kGe},
    {"SCMP_CMP_GT", OciOperator::kGt},
    {"SCMP_CMP_MASKED_EQ", OciOperator::kMaskedEq},
};

constexpr uint64_t kMostErrno = 4095;  // MAX_ERRNO
constexpr uint64_t kMostIndex = 5;

using Keys = std::initializer_list<std::string_view>;

class Reader {
 public:
  explicit Reader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  OciProfile Profile(const Node& root) {
    OciProfile profile;
    if (!IsMap(root)) return profile;
    CheckKeys(root, {"defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap",
                     "flags", "listenerPath", "listenerMetadata", "syscalls"});
    profile.default_place = root.place;
    if (const Node* action = Required(root, "defaultAction")) {
      profile.default_action = Choice<OciAction>(*action, kActions, OciAction::kErrno);
      profile.default_place = action->place;
    }
    profile.default_errno = Errno(root, "defaultErrnoRet", "defaultErrno");
    profile.architectures = Names(root, "architectures");
    if (const Node* map = Member(root, "archMap")) {
      for (const Node& item : Items(*map)) profile.arch_map.push_back(Archs(item));
      Together(root, "architectures", "archMap");
    }
    profile.flags = Names(root, "flags");
    const Node* listener = Member(root, "listenerPath");
    if (listener != nullptr && !TextOf(*listener).empty()) profile.listener = listener->place;
    if (const Node* metadata = Member(root, "listenerMetadata")) TextOf(*metadata);
    if (const Node* rules = Member(root, "syscalls")) {
      for (const Node& item : Items(*rules)) profile.rules.push_back(Rule(item));
    }
    return profile;
  }

 private:
  void Error(const Place& place, std::string_view code, std::string message, std::string help) {
    diagnostics_.Error(place, code, std::move(message), std::move(help));
  }

  void Expected(const Node& node, std::string_view what) {
    Error(node.place, "E0605", fmt::format("expected {}", what), "");
  }

  bool IsMap(const Node& node) {
    if (node.kind != NodeKind::kMap) Expected(node, "an object");
    return node.kind == NodeKind::kMap;
  }

  void CheckKeys(const Node& map, Keys keys) {
    const std::vector<std::string_view> known(keys);
    for (const Entry& entry : map.entries) {
      if (std::ranges::find(known, entry.key) != known.end()) continue;
      const auto meant = Nearest(entry.key, known);
      Error(entry.key_place, "E0604",
            fmt::format("{} is no key of a seccomp profile here", Quoted(entry.key)),
            meant ? fmt::format("did you mean `{}`?", *meant)
                  : fmt::format("what it asks for could not be told; keys are: {}",
                                fmt::join(known, ", ")));
    }
  }

  // What is null is not there, as in Go.
  static const Node* Member(const Node& map, std::string_view key) {
    const Entry* entry = map.Find(key);
    if (entry == nullptr) return nullptr;
    const Node& value = entry->value;
    const bool null = value.kind == NodeKind::kScalar && value.style == ScalarStyle::kPlain &&
                      value.text == "null";
    return null ? nullptr : &value;
  }

  const Node* Required(const Node& map, std::string_view key) {
    const Node* node = Member(map, key);
    if (node == nullptr) Error(map.place, "E0606", fmt::format("`{}` is missing", key), "");
    return node;
  }

  void Together(const Node& map, std::string_view one, std::string_view other) {
    if (Member(map, one) == nullptr || Member(map, other) == nullptr) return;
    Error(map.Find(other)->key_place, "E0609",
          fmt::format("`{}` and `{}` are both given", one, other), "use one of them");
  }

  std::span<const Node> Items(const Node& node) {
    if (node.kind != NodeKind::kList) Expected(node, "a list");
    return node.items;
  }

  std::string TextOf(const Node& node) {
    const bool text = node.kind == NodeKind::kScalar && node.style == ScalarStyle::kQuoted;
    if (!text) Expected(node, "a text");
    return text ? node.text : "";
  }

  uint64_t NumberOf(const Node& node, uint64_t most) {
    const bool plain = node.kind == NodeKind::kScalar && node.style == ScalarStyle::kPlain;
    if (!plain || node.text == "true" || node.text == "false" || node.text == "null") {
      Expected(node, "a number");
      return 0;
    }
    const auto number = ParseInteger(node.text);
    if (number && *number <= most) return *number;
    Error(node.place, "E0608",
          fmt::format("{} is not a number that can stand here", Quoted(node.text)),
          fmt::format("expected a whole number, 0 to {}", most));
    return 0;
  }

  uint64_t NumberIn(const Node& map, std::string_view key, uint64_t most) {
    const Node* node = Member(map, key);
    return node == nullptr ? 0 : NumberOf(*node, most);
  }

  template <typename Value>
  Value Choice(const Node& node, std::span<const Spelling<Value>> spellings, Value otherwise) {
    const std::string text = TextOf(node);
    std::vector<std::string_view> names;
    for (const Spelling<Value>& spelling : spellings) {
      if (spelling.name == text) return spelling.value;
      names.push_back(spelling.name);
    }
    if (!text.empty()) {
      const auto meant = Nearest(text, names);
      Error(node.place, "E0607", fmt::format("{} is not known here", Quoted(text)),
            meant ? fmt::format("did you mean `{}`?", *meant)
                  : fmt::format("one of {}", fmt::join(names, ", ")));
    }
    return otherwise;
  }

  std::vector<OciName> Names(const Node& map, std::string_view key) {
    std::vector<OciName> names;
    const Node* list = Member(map, key);
    if (list == nullptr) return names;
    for (const Node& item : Items(*list)) names.push_back({TextOf(item), item.place});
    return names;
  }

  std::optional<uint32_t> Named(const Node& node) {
    const std::string text = TextOf(node);
    if (text.empty()) return std::nullopt;
    for (int number = 1; number < 134; ++number) {
      const char* name = strerrorname_np(number);
      if (name != nullptr && text == name) return static_cast<uint32_t>(number);
    }
    Error(node.place, "E0607", fmt::format("{} is not the name of an error", Quoted(text)),
          "names are those of errno(3), like `EPERM`");
    return std::nullopt;
  }

  // Podman writes names beside the numbers.
  std::optional<uint32_t> Errno(const Node& map, std::string_view number, std::string_view name) {
    std::optional<uint32_t> value;
    if (const Node* node = Member(map, number)) {
      value = static_cast<uint32_t>(NumberOf(*node, kMostErrno));
    }
    const Node* node = Member(map, name);
    const auto named = node == nullptr ? std::nullopt : Named(*node);
    if (value && named && *value != *named) Together(map, number, name);
    return named ? named : value;
  }

  OciArchs Archs(const Node& item) {
    OciArchs archs;
    if (!IsMap(item)) return archs;
    CheckKeys(item, {"architecture", "subArchitectures"});
    if (const Node* main = Required(item, "architecture")) {
      archs.main = {TextOf(*main), main->place};
    }
    archs.sub = Names(item, "subArchitectures");
    return archs;
  }

  OciArg Arg(const Node& item) {
    OciArg arg;
    arg.place = item.place;
    if (!IsMap(item)) return arg;
    CheckKeys(item, {"index", "value", "valueTwo", "op"});
    if (const Node* index = Required(item, "index")) {
      arg.index = static_cast<unsigned>(NumberOf(*index, kMostIndex));
    }
    if (Required(item, "value") != nullptr) arg.value = NumberIn(item, "value", UINT64_MAX);
    arg.value_two = NumberIn(item, "valueTwo", UINT64_MAX);
    if (const Node* op = Required(item, "op")) {
      arg.op = Choice<OciOperator>(*op, kOperators, OciOperator::kEq);
      arg.place = op->place;
    }
    return arg;
  }

  OciWhen When(const Node& rule, std::string_view key) {
    OciWhen when;
    const Node* map = Member(rule, key);
    if (map == nullptr || !IsMap(*map)) return when;
    CheckKeys(*map, {"caps", "arches", "minKernel"});
    when.caps = Names(*map, "caps");
    when.arches = Names(*map, "arches");
    const Node* kernel = Member(*map, "minKernel");
    const std::string text = kernel == nullptr ? "" : TextOf(*kernel);
    if (text.empty()) return when;
    when.min_kernel = ParseKernel(text);
    if (!when.min_kernel) {
      Error(kernel->place, "E0608", fmt::format("{} is not a kernel release", Quoted(text)),
            "releases look like `4.8`");
    }
    return when;
  }

  std::vector<OciName> CallNames(const Node& item) {
    std::vector<OciName> names = Names(item, "names");
    const Node* single = Member(item, "name");  // of older profiles
    if (single != nullptr && !TextOf(*single).empty()) {
      if (!names.empty()) Together(item, "names", "name");
      names = {{TextOf(*single), single->place}};
    }
    if (names.empty()) {
      Error(item.place, "E0606", "`names` is missing", "a rule is about one system call at least");
    }
    return names;
  }

  OciRule Rule(const Node& item) {
    OciRule rule;
    rule.place = item.place;
    if (!IsMap(item)) return rule;
    CheckKeys(item, {"names", "name", "action", "errnoRet", "errno", "args", "comment", "includes",
                     "excludes"});
    rule.names = CallNames(item);
    if (const Node* action = Required(item, "action")) {
      rule.action = Choice<OciAction>(*action, kActions, OciAction::kErrno);
    }
    rule.errno_ret = Errno(item, "errnoRet", "errno");
    if (const Node* args = Member(item, "args")) {
      for (const Node& arg : Items(*args)) rule.args.push_back(Arg(arg));
    }
    if (const Node* comment = Member(item, "comment")) TextOf(*comment);
    rule.includes = When(item, "includes");
    rule.excludes = When(item, "excludes");
    return rule;
  }

  Diagnostics& diagnostics_;
};

}  // namespace

std::string_view ActionName(OciAction action) {
  // Of two names for one action the later one is the exact one.
  const auto found = std::ranges::find_if(std::rbegin(kActions), std::rend(kActions),
                                          [&](const auto& item) { return item.value == action; });
  return found->name;
}

std::optional<OciProfile> ReadOciProfile(const Node& root, Diagnostics& diagnostics) {
  const size_t errors = diagnostics.ErrorCount();
  OciProfile profile = Reader(diagnostics).Profile(root);
  if (diagnostics.ErrorCount() != errors) return std::nullopt;
  return profile;
}

}  // namespace bulkhead
