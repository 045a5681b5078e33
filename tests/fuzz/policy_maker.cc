// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/policy_maker.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/constants.h"
#include "policy/library.h"
#include "policy/shipped.h"
#include "profiles/syscalls.h"

namespace bulkhead::testing {
namespace {

using Words = std::vector<std::string>;

constexpr unsigned kMaxDepth = 6;
constexpr uint32_t kRareOneIn = 40;

// Few, so that what refers to a component or a path mostly finds it, and beside each other.
const Words& Components() {
  static const Words kWords{"one", "two", "three"};
  return kWords;
}

// Mostly of its key's own, as a path stands under one verb; some are beneath others.
Words PathsFor(const Row& row) {
  if (row.shape == "unix-listen" || row.shape == "unix") {
    return {"/run/edges/a/s.sock", "/run/edges/b/t.sock"};
  }
  if (row.key == "execute") return {"/usr/bin/two", "/usr/bin", "/usr/lib"};
  if (row.key == "read") return {"/etc/ssl", "/etc/ssl/a", "/usr/share", "/etc"};
  if (row.key == "write") return {"/var/log/one", "/var/log/two"};
  if (row.key == "create") return {"/var/spool", "/var/spool/one"};
  if (row.key == "state" || row.shape == "state") return {"/var/lib/one", "/var/lib/two/a"};
  if (row.key == "runtime") return {"/run/one", "/run/two"};
  if (row.key == "private" || row.shape == "sized") return {"/tmp", "/scratch"};
  if (row.key == "devices") return {"/dev/fuse", "/dev/tty0", "/dev/kvm", "/dev/nsm"};
  if (row.key == "directory") return {"/", "/usr/bin", "/tmp"};
  return {"/usr/bin/one", "/etc/shadow", "/var/lib/one", "/var/lib"};
}

const Words& OddPaths() {
  static const Words kWords{"/",         "/proc",        "/proc/self", "/dev",
                            "/dev/null", "/usr/bin/one", "/tmp/x",     "/sys"};
  return kWords;
}

struct Shipped {
  Words profiles;
  Words groups;  // with "@"
  Words targets;
};

const Shipped& ShippedNames() {
  static const Shipped kNames = [] {
    Shipped names;
    Library library;
    Sources sources;
    Diagnostics diagnostics;
    AddShippedLibrary(library, sources, diagnostics);
    for (const auto& [name, entry] : library.profiles) names.profiles.push_back(name);
    for (const auto& [name, entry] : library.groups) names.groups.push_back("@" + name);
    constexpr std::string_view kFolder = "targets/";
    for (const ShippedFile& file : ShippedFiles()) {
      if (!file.name.starts_with(kFolder)) continue;
      const std::string_view name = file.name.substr(kFolder.size());
      names.targets.emplace_back(name.substr(0, name.find(".yaml")));
    }
    return names;
  }();
  return kNames;
}

std::string QuotedWord(std::string_view word) { return "\"" + std::string(word) + "\""; }

std::string Joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

size_t IndentOf(std::string_view line) {
  const size_t at = line.find_first_not_of(' ');
  return at == std::string_view::npos ? line.size() : at;
}

Words LinesOf(std::string_view text) {
  Words lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Rows of the key that stands on the line; all of the table for a line without one.
std::vector<const Row*> RowsFor(std::string_view line) {
  const size_t from = line.find_first_not_of(" -");
  const size_t to = line.find(':');
  std::vector<const Row*> rows;
  std::vector<const Row*> all;
  for (const Row& row : Rows()) {
    all.push_back(&row);
    if (from < to && to != std::string_view::npos && row.key == line.substr(from, to - from)) {
      rows.push_back(&row);
    }
  }
  return rows.empty() ? all : rows;
}

}  // namespace

std::string PolicyMaker::Pick(const Words& words) {
  return words[Below(static_cast<uint32_t>(words.size()))];
}

std::string PolicyMaker::Policy() {
  std::string text = "bulkhead: 1\nenclave: e\ntarget: " +
                     (OneIn(2) ? "linux-6.18" : Pick(ShippedNames().targets)) +
                     "\nvars: {four: 8443}\n";
  for (const Row* row : RowsOf("policy")) {
    if (row->required || row->key == "components" || row->key == "use" || row->key == "vars")
      continue;
    if (OneIn(6)) text += EntryOf(*row, 1) + "\n";
  }
  text += "components:\n";
  const uint32_t components = OneIn(2) ? 1 : 1 + Below(3);
  for (uint32_t i = 0; i < components; ++i) text += Component(Components()[i]);
  return text;
}

std::string PolicyMaker::Component(const std::string& name) {
  std::string text = "  " + name + ":\n";
  if (!OneIn(20)) text += "    exec: [/usr/bin/one]\n";
  std::string files = "execute: [/usr/bin/one]";
  for (const Row* row : RowsOf("files")) {
    if (row->key != "execute" && OneIn(6)) files += ", " + EntryOf(*row, 3);
  }
  if (!OneIn(20)) text += "    files: {" + files + "}\n";
  for (const Row* row : RowsOf("component")) {
    if (row->key == "exec" || row->key == "files" || row->key == "except") continue;
    // What goes with few other keys is as rare as what is refused.
    const bool rare = row->key == "instances";
    if (OneIn(rare ? kRareOneIn : row->key == "syscalls" ? 2 : 8))
      text += "    " + EntryOf(*row, 2) + "\n";
  }
  return text;
}

std::string PolicyMaker::AnyEntry(std::string_view shape) {
  const std::vector<const Row*> rows = RowsOf(shape);
  return rows.empty() ? "x: 1" : EntryOf(*rows[Below(static_cast<uint32_t>(rows.size()))], 2);
}

std::string PolicyMaker::EntryOf(const Row& row, unsigned depth) {
  std::string key(row.key);
  if (key == "*") {
    Row named = row;
    named.type = row.names;
    key = Scalar(named);
  }
  return key + ": " + ValueOf(row, depth);
}

std::string PolicyMaker::ValueOf(const Row& row, unsigned depth) {
  if (row.form == Form::kOne || (row.form == Form::kOneOrList && OneIn(2))) {
    return OneValue(row, depth);
  }
  std::vector<std::string> items;
  for (uint32_t count = 1 + Below(3); count > 0; --count) {
    // Of a value or a list of values, items are values only.
    std::string item = row.form == Form::kOneOrList ? Scalar(row) : OneValue(row, depth);
    if (OneIn(30) || std::ranges::find(items, item) == items.end()) items.push_back(item);
  }
  return "[" + Joined(items) + "]";
}

std::string PolicyMaker::OneValue(const Row& row, unsigned depth) {
  const bool map = !row.map.empty() && depth < kMaxDepth;
  if (map && (row.type == Type::kNone || OneIn(2))) {
    if (row.map == "call") return CallMap(depth + 1);
    if (row.map == "group-call") return "{call: " + Pick({"read", "fsync"}) + ", why: text}";
    if (row.map == "argument-test" && !OneIn(20)) return TestMap(depth + 1);
    return MapOf(row.map, depth + 1);
  }
  return row.type == Type::kNone ? "{}" : Scalar(row);
}

std::string PolicyMaker::MapOf(std::string_view shape, unsigned depth) {
  std::string map;
  const auto add = [&](const Row& row) { map += (map.empty() ? "" : ", ") + EntryOf(row, depth); };
  for (const Row* row : RowsOf(shape)) {
    if (row->required || OneIn(3)) add(*row);
  }
  const std::vector<const Row*> rows = RowsOf(shape);
  if (map.empty() && !rows.empty()) add(*rows[Below(static_cast<uint32_t>(rows.size()))]);
  return "{" + map + "}";
}

// The forms of a test: keys that only mean something together.
std::string PolicyMaker::TestMap(unsigned depth) {
  const auto entry = [&](std::string_view key) {
    return EntryOf(*FindRow("argument-test", key), depth);
  };
  switch (Below(4)) {
    case 0:
      return "{" + entry(OneIn(2) ? "bits-set" : "bits-clear") + "}";
    case 1:
      return "{" + entry("bits-set") + ", " + entry("bits-clear") + "}";
    case 2:
      return OneIn(2) ? "{mask: 4, equals: " + Pick({"0", "4", "1"}) + "}"
                      : "{from: " + Pick({"0", "1", "8"}) + ", to: " + Pick({"8", "4096"}) + "}";
    default:
      return "{" + entry("not") + "}";
  }
}

// A call with tests of arguments that it has.
std::string PolicyMaker::CallMap(unsigned depth) {
  const auto calls = AllSyscalls();
  const SyscallRow& call = calls[Below(static_cast<uint32_t>(calls.size()))];
  std::vector<ArgInfo> args;
  for (const ArgInfo& arg : SyscallArgs(Arch::kX86_64, call.name)) {
    if (arg.type != ArgType::kPointer || OneIn(50)) args.push_back(arg);
  }
  if (args.empty()) return CallMap(depth);  // ends: most calls have some
  if (OneIn(30)) return MapOf("call", depth);
  std::map<std::string, std::string> tests;
  for (uint32_t count = 1 + Below(2); count > 0; --count) {
    const std::string name(args[Below(static_cast<uint32_t>(args.size()))].name);
    tests[name] = name + ": " + ValueOf(*FindRow("arguments", "*"), depth);
  }
  Words all;
  for (const auto& [name, test] : tests) all.push_back(test);
  return "{" + std::string(call.name) + ": {" + Joined(all) + "}}";
}

std::string PolicyMaker::NameFor(const Row& row) {
  if (row.key == "profile") return Pick(ShippedNames().profiles);
  if (row.key == "group") return Pick(ShippedNames().groups).substr(1);
  if (row.shape == "features" || row.shape == "paths") return OneIn(2) ? "landlock" : "libraries";
  return OneIn(2) ? "one" : OneIn(8) ? "four" : Pick(Components());
}

std::string PolicyMaker::ChoiceOf(const Row& row) {
  const std::vector<std::string_view> choices = ChoicesOf(row);
  const std::string_view word = choices[Below(static_cast<uint32_t>(choices.size()))];
  return word == "null" ? QuotedWord(word) : std::string(word);
}

// Mostly within the row's limits.
std::string PolicyMaker::NumberOf(const Row& row) {
  if (OneIn(20)) {
    const uint64_t wrong[] = {row.least - 1, row.most + 1, row.least + 1, random_()};
    return Spelled(wrong[Below(std::size(wrong))], row.type);
  }
  if (row.type == Type::kTime) return Pick({"1s", "5s", "60s", "1h"});
  if (row.type == Type::kSize) return Pick({"4M", "64M", "1G", "1024K"});
  return Spelled(std::clamp<uint64_t>(Below(200), row.least, row.most), row.type);
}

std::string PolicyMaker::Scalar(const Row& row) {
  const auto calls = AllSyscalls();
  const auto call = [&] {
    return std::string(calls[Below(static_cast<uint32_t>(calls.size()))].name);
  };
  const auto constants = AllConstants();
  switch (row.type) {
    case Type::kNone:
      return "{}";
    case Type::kVersion:
      return "1";
    case Type::kBoolean:
      return OneIn(2) ? "true" : "false";
    case Type::kInteger:
    case Type::kSize:
    case Type::kTime:
    case Type::kPercent:
      return NumberOf(row);
    case Type::kRate:
      return Pick({"1/s", "10/min", "1000/h", "0/s", "1001/min"});
    case Type::kText:
      return Pick({"text", QuotedWord("a b"), QuotedWord("${four}"), "x"});
    case Type::kName:
    case Type::kVariableName:
      return NameFor(row);
    case Type::kPath:
      return OneIn(12) ? Pick(OddPaths()) : Pick(PathsFor(row));
    case Type::kPathOrSet:
      if (OneIn(3)) return QuotedWord(OneIn(2) ? "@libraries" : "@loader");
      return OneIn(12) ? Pick(OddPaths()) : Pick(PathsFor(row));
    case Type::kChoice:
      return ChoiceOf(row);
    case Type::kPort:
      return Pick({"80", "443", "65535", "1", "8443"});
    case Type::kUser:
      return Pick({"auto", "0", "1000", "1001", "4294967295"});
    case Type::kUmask:
      return Pick({"0077", "0022", "0777"});
    case Type::kSignal:
      return Pick({"HUP", "INT", "KILL", "TERM", "USR1"});
    case Type::kDigest:
      return std::string(95, OneIn(2) ? 'a' : '1') + "b";
    case Type::kDate:
      return Pick({"2027-03-01", "2025-01-01", "2024-02-29"});
    case Type::kAddress:
      return Pick({"127.0.0.1", "0.0.0.0", "10.0.0.255"});
    case Type::kVsockAddress:
      return Pick(
          {"parent:9001", QuotedWord("3:9001"), QuotedWord("2:1"), QuotedWord("4294967295:1")});
    case Type::kEnvName:
      return Pick({"A", "PATH", "LANG", "HOME"});
    case Type::kCall:
      return OneIn(2) ? QuotedWord(Pick(ShippedNames().groups)) : call();
    case Type::kCallName:
      return call();
    case Type::kArgument:
      return Pick({"flags", "cmd", "request", "prot", "fd", "len"});
    case Type::kArgValue:
      return OneIn(2) ? std::string(constants[Below(static_cast<uint32_t>(constants.size()))].name)
                      : Pick({"0", "1", "2", "4096", "4294967295", "4294967296",
                              "18446744073709551615", "9223372036854775808"});
    case Type::kStatement:
      return Pick(
          {"network.tcp", "network.tcp.listen", "network.unix", "files.write", "measure", "user"});
    case Type::kExcept:
      return Pick({"limits.memory", QuotedWord("syscalls.allow:@files"), "network.tcp"});
    case Type::kFileName:
      return "x.yaml";
    case Type::kTarget:
      return Pick(ShippedNames().targets);
    case Type::kKernel:
      return QuotedWord("6.18");
    case Type::kLevel:
      return Pick({"true", "false", "1", "7"});
  }
  return "x";
}

std::string PolicyMaker::Changed(std::string_view text) {
  Words lines = LinesOf(text);
  if (lines.empty()) return Policy();
  for (uint32_t changes = 1 + Below(3); changes > 0 && !lines.empty(); --changes) {
    const size_t at = Below(static_cast<uint32_t>(lines.size()));
    const size_t indent = IndentOf(lines[at]);
    size_t end = at + 1;
    while (end < lines.size() && IndentOf(lines[end]) > indent) ++end;
    const auto from = lines.begin() + static_cast<std::ptrdiff_t>(at);
    const auto to = lines.begin() + static_cast<std::ptrdiff_t>(end);
    const Words block(from, to);
    const std::vector<const Row*> rows = RowsFor(lines[at]);
    const Row& row = *rows[Below(static_cast<uint32_t>(rows.size()))];
    const std::string margin(indent, ' ');
    switch (Below(5)) {
      case 0:
        lines.erase(from, to);
        break;
      case 1:  // somewhere else, too
        lines.insert(lines.begin() + Below(static_cast<uint32_t>(lines.size())), block.begin(),
                     block.end());
        break;
      case 2:
        lines.erase(from, to);
        lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at), margin + EntryOf(row, 2));
        break;
      default:
        lines.insert(from, margin + AnyEntry(row.shape));
    }
  }
  std::string changed;
  for (const std::string& line : lines) changed += line + "\n";
  return changed;
}

std::string PolicyDictionary() {
  std::set<std::string> words{": ", "- ", "[", "]", "{", "}", ", ", "${", "\\\"", "#", "|", "&a"};
  for (const Row& row : Rows()) {
    if (row.key != "*") words.insert(std::string(row.key) + ": ");
    for (const std::string_view choice : ChoicesOf(row)) words.emplace(choice);
    if (!row.fallback.empty()) words.emplace(row.fallback);
  }
  for (const auto* names :
       {&ShippedNames().profiles, &ShippedNames().groups, &ShippedNames().targets}) {
    words.insert(names->begin(), names->end());
  }
  for (const SyscallRow& call : AllSyscalls()) {
    words.emplace(call.name);
    for (const ArgInfo& arg : SyscallArgs(Arch::kX86_64, call.name)) words.emplace(arg.name);
  }
  for (const Constant& constant : AllConstants()) words.emplace(constant.name);
  std::string text;
  for (const std::string& word : words) text += "\"" + word + "\"\n";
  return text;
}

}  // namespace bulkhead::testing
