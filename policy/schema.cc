// SPDX-License-Identifier: Apache-2.0
#include "policy/schema.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace bulkhead {
namespace {

constexpr Row kRows[] = {
#include "policy/schema_table.inc"
};

constexpr Shape kShapes[] = {
    {"policy", "the policy"},
    {"vars", "vars"},
    {"audit", "audit"},
    {"output", "output"},
    {"sink", "audit.sinks and output.sinks, the map form"},
    {"measure", "measure"},
    {"assets", "assets"},
    {"asset", "assets.NAME"},
    {"profiles", "profiles"},
    {"components", "components"},
    {"component", "components.NAME"},
    {"program", "components.NAME.exec, the map form of the first item"},
    {"env", "components.NAME.env"},
    {"files", "components.NAME.files"},
    {"file", "components.NAME.files.VERB, the map form for execute, read, write and create"},
    {"state", "components.NAME.files.state, the map form"},
    {"sized", "components.NAME.files.runtime and private, the map form"},
    {"network", "components.NAME.network"},
    {"unix", "components.NAME.network.unix"},
    {"unix-listen", "components.NAME.network.unix.listen"},
    {"tcp", "components.NAME.network.tcp"},
    {"tcp-listen", "components.NAME.network.tcp.listen"},
    {"destination", "components.NAME.network.tcp.connect and udp.connect, the map form"},
    {"udp", "components.NAME.network.udp"},
    {"vsock", "components.NAME.network.vsock"},
    {"vsock-listen", "components.NAME.network.vsock.listen"},
    {"syscalls", "components.NAME.syscalls"},
    {"call", "components.NAME.syscalls.allow and deny, the map form"},
    {"on", "components.NAME.syscalls.allow.on"},
    {"arguments", "arguments of a call"},
    {"argument-test", "test of an argument"},
    {"limits", "components.NAME.limits"},
    {"ready", "components.NAME.ready, the map form"},
    {"stop", "components.NAME.stop"},
    {"restart", "components.NAME.restart"},
    {"instances", "components.NAME.instances"},
    {"secret", "components.NAME.secrets"},
    {"attestation", "components.NAME.attestation"},
    {"channel", "channels"},
    {"test", "tests"},
    {"waiver", "waivers"},
    {"groups", "groups"},
    {"group", "groups.NAME"},
    {"group-call", "groups.NAME.calls"},
    {"library", "a file of use"},
    {"acceptances", "a file of diff --accept"},
    {"acceptance", "accepted of a file of diff --accept"},
    {"target", "a target file"},
    {"platform-devices", "devices of a target"},
    {"features", "features of a target"},
    {"paths", "paths of a target"},
};

constexpr std::string_view kNamePattern = "^[a-z][a-z0-9-]{0,31}$";
constexpr std::string_view kPathPattern = "^/";

constexpr TypeInfo kTypes[] = {
    {Type::kNone, "a map", ""},
    {Type::kVersion, "the language's version, `1`", ""},
    {Type::kBoolean, "`true` or `false`", ""},
    {Type::kInteger, "a whole number like `42`", ""},
    {Type::kSize, "a size like `64M`, in K, M or G", "^(0|[1-9][0-9]*)[KMG]$"},
    {Type::kTime, "a time like `10s`, `5m` or `1h`", "^(0|[1-9][0-9]*)[smh]$"},
    {Type::kPercent, "a percentage like `50%`", "^(0|[1-9][0-9]*)%$"},
    {Type::kRate, "a rate like `10/min`, in s, min or h", "^(0|[1-9][0-9]*)/(s|min|h)$"},
    {Type::kText, "text", ".+"},
    {Type::kName, "a name: lower case letters, digits and `-`, a letter first, at most 32",
     kNamePattern},
    {Type::kPath, "an absolute path without `.`, `..`, doubled or trailing `/`", kPathPattern},
    {Type::kPathOrSet,
     "an absolute path without `.`, `..`, doubled or trailing `/`, or a set like `@libraries`",
     "^[/@]"},
    {Type::kChoice, "one of the words listed", ""},
    {Type::kPort, "a port, 1 to 65535", ""},
    {Type::kUser, "`auto` or a uid", ""},
    {Type::kUmask, "four octal digits like `0077`", "^0[0-7]{3}$"},
    {Type::kSignal, "a signal: HUP, INT, QUIT, KILL, USR1, USR2, TERM or WINCH",
     "^(HUP|INT|QUIT|KILL|USR1|USR2|TERM|WINCH)$"},
    {Type::kDigest, "96 lower case hexadecimal digits", "^[0-9a-f]{96}$"},
    {Type::kDate, "a date like `2027-03-01`", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    {Type::kAddress, "an IPv4 address like `127.0.0.1`", "^[0-9]+(\\.[0-9]+){3}$"},
    {Type::kVsockAddress, "a vsock address like `parent:9001` or `3:9001`",
     "^(parent|0|[1-9][0-9]*):[1-9][0-9]*$"},
    {Type::kEnvName, "letters, digits and `_`, no digit first", "^[A-Za-z_][A-Za-z0-9_]{0,127}$"},
    {Type::kVariableName, "a name: lower case letters, digits and `-`, a letter first, at most 32",
     kNamePattern},
    {Type::kCall, "a system call like `fsync`, or a group like `@io`", "^@?[a-z_][a-z0-9_-]*$"},
    {Type::kCallName, "a system call like `fsync`", "^[a-z_][a-z0-9_]{0,63}$"},
    {Type::kArgument, "the name of an argument like `flags`", "^[a-z_][a-z0-9_]{0,63}$"},
    {Type::kArgValue, "a constant like `O_RDONLY`, or a whole number", "^[A-Z_][A-Z0-9_]{0,63}$"},
    {Type::kStatement, "a statement like `network.tcp`", "^[a-z][A-Za-z0-9_.-]*$"},
    {Type::kExcept, "a statement like `limits.memory`, or an item like `syscalls.allow:@files`",
     "^[a-z]"},
    {Type::kFileName, "a file name without `..`, relative to this file", ".+"},
    {Type::kTarget, "the name of a target, or a path that ends in `.yaml`", ".+"},
    {Type::kKernel, "a kernel release like `6.18`", ""},
    {Type::kLevel, "`true`, `false` or a level like `7`", ""},
};
static_assert(std::size(kTypes) == static_cast<size_t>(Type::kLevel) + 1);

}  // namespace

std::span<const Row> Rows() { return kRows; }
std::span<const Shape> Shapes() { return kShapes; }

const TypeInfo& Info(Type type) { return kTypes[static_cast<size_t>(type)]; }

std::string_view BaseShape(std::string_view shape) {
  return shape == "profile" ? std::string_view("component") : shape;
}

std::vector<const Row*> RowsOf(std::string_view shape) {
  std::vector<const Row*> rows;
  for (const Row& row : kRows) {
    if (row.shape == BaseShape(shape) && !(shape == "profile" && row.own)) rows.push_back(&row);
  }
  return rows;
}

const Row* FindRow(std::string_view shape, std::string_view key) {
  const Row* any = nullptr;
  for (const Row& row : kRows) {
    if (row.shape != BaseShape(shape) || (shape == "profile" && row.own)) continue;
    if (row.key == key && key != "*") return &row;
    if (row.key == "*") any = &row;
  }
  return any;
}

std::vector<std::string_view> IdentityKeys(std::string_view shape) {
  std::vector<std::string_view> keys;
  for (const Row& row : kRows) {
    if (row.shape == shape && row.identity) keys.push_back(row.key);
  }
  return keys;
}

std::vector<std::string_view> ChoicesOf(const Row& row) {
  std::vector<std::string_view> choices;
  std::string_view rest = row.choices;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find('|'));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    choices.push_back(word);
  }
  return choices;
}

std::string Spelled(uint64_t value, Type type) {
  if (type == Type::kPercent) return std::to_string(value) + "%";
  if (type == Type::kRate) return std::to_string(value) + " in the time";
  if (type == Type::kTime) {
    return value % 3'600'000 == 0 ? std::to_string(value / 3'600'000) + "h"
                                  : std::to_string(value / 1000) + "s";
  }
  if (type != Type::kSize) return std::to_string(value);
  constexpr std::pair<uint32_t, char> kUnits[] = {{30, 'G'}, {20, 'M'}, {10, 'K'}};
  for (const auto& [shift, letter] : kUnits) {
    if (value != 0 && value % (1ULL << shift) == 0) return std::to_string(value >> shift) + letter;
  }
  return std::to_string(value);
}

}  // namespace bulkhead
