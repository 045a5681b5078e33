// SPDX-License-Identifier: Apache-2.0
#include "policy/value_check.h"

#include <fmt/format.h>

#include <limits>
#include <optional>

#include "policy/scalars.h"
#include "policy/text.h"
#include "profiles/digest.h"
#include "profiles/profile.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxText = 65536;
constexpr uint64_t kLargestUser = 0x7fffffff;

struct Defect {
  std::string_view code;
  std::string message;
  std::string help;
};
using Verdict = std::optional<Defect>;  // nullopt: fits

Defect Not(std::string_view code, const Node& node, Type type) {
  return {code, fmt::format("{} is not {}", Quoted(node.text), Info(type).expected), ""};
}

Verdict CheckRange(uint64_t value, const Row& row, const Node& node) {
  if (value >= row.least && (row.most == 0 || value <= row.most)) return std::nullopt;
  return Defect{
      "E0205", fmt::format("{} is out of range", Quoted(node.text)),
      fmt::format("from {} to {}", Spelled(row.least, row.type), Spelled(row.most, row.type))};
}

Verdict CheckNumber(const Node& node, const Row& row) {
  if (node.style == ScalarStyle::kQuoted) {
    return Defect{"E0204", fmt::format("{} is text, not a number", Quoted(node.text)),
                  "take the quotes away"};
  }
  const auto value = ParseInteger(node.text);
  if (!value) {
    Defect defect = Not("E0204", node, Type::kInteger);
    defect.help = "decimal digits only, no sign, no leading zero";
    return defect;
  }
  return CheckRange(*value, row, node);
}

Verdict CheckBoolean(const Node& node) {
  if (node.text != "true" && node.text != "false") return Not("E0210", node, Type::kBoolean);
  if (node.style != ScalarStyle::kQuoted) return std::nullopt;
  return Defect{"E0210", fmt::format("{} is text, not a boolean", Quoted(node.text)),
                "take the quotes away"};
}

Verdict CheckVersion(const Node& node) {
  if (node.text == "1" && node.style != ScalarStyle::kQuoted) return std::nullopt;
  return Defect{"E0224", fmt::format("{} is not a version of the language", Quoted(node.text)),
                "this program knows version 1: write `bulkhead: 1`"};
}

Verdict CheckPort(const Node& node) {
  Row limits;
  limits.least = 1;
  limits.most = 65535;
  Verdict verdict = CheckNumber(node, limits);
  if (!verdict || verdict->code != "E0205") return verdict;
  return Defect{"E0205", fmt::format("{} is not a port", Quoted(node.text)),
                "ports are 1 to 65535"};
}

Verdict CheckUser(const Node& node) {
  if (node.text == "auto") return std::nullopt;
  Row limits;
  limits.most = kLargestUser;
  Verdict verdict = CheckNumber(node, limits);
  if (!verdict && node.text == "65534") {
    return Defect{"E0205", "`65534` is nobody's uid and everybody's",
                  "it stands for every uid that a namespace does not know"};
  }
  if (verdict && verdict->code == "E0204") verdict->help = "expected `auto` or a uid";
  return verdict;
}

std::optional<uint64_t> RateCount(std::string_view text) {
  const auto rate = ParseRate(text);
  return rate ? std::optional<uint64_t>(rate->first) : std::nullopt;
}

template <typename T>
Verdict CheckUnit(std::string_view code, const Node& node, const Row& row, std::optional<T> value) {
  if (!value) return Not(code, node, row.type);
  return CheckRange(*value, row, node);
}

Verdict CheckChoice(const Node& node, const Row& row) {
  const std::vector<std::string_view> words = ChoicesOf(row);
  if (std::ranges::find(words, node.text) != words.end()) return std::nullopt;
  const auto meant = Nearest(node.text, words);
  return Defect{"E0212", fmt::format("{} is not one of the choices", Quoted(node.text)),
                meant ? fmt::format("did you mean `{}`?", *meant) : "expected " + ListChoices(row)};
}

Verdict CheckPath(const Node& node, Type type) {
  const std::string_view text = node.text;
  if (type == Type::kPathOrSet && text.starts_with('@') && IsName(text.substr(1))) {
    return std::nullopt;
  }
  if (type == Type::kPath && text.starts_with('@')) {
    return Defect{"E0215", Quoted(text) + " is a path set, which has no place here",
                  "path sets stand in `execute` and `read`"};
  }
  if (IsNormalPath(text)) return std::nullopt;
  return Defect{"E0215", Quoted(text) + " is not a normal path",
                fmt::format("expected {}", Info(type).expected)};
}

Verdict CheckText(const Node& node) {
  if (node.text.empty()) return Defect{"E0218", "empty text", "leave the key out"};
  if (node.text.size() <= kMaxText) return std::nullopt;
  return Defect{"E0226", fmt::format("text longer than {} bytes", kMaxText), ""};
}

Verdict CheckFileName(const Node& node) {
  const std::string_view text = node.text;
  const bool climbs = fmt::format("/{}/", text).find("/../") != std::string::npos;
  if (!text.empty() && !text.starts_with('/') && !climbs) return std::nullopt;
  return Not("E0215", node, Type::kFileName);
}

bool IsCall(std::string_view text) {
  return text.starts_with('@') ? IsName(text.substr(1)) : IsCallName(text);
}

bool IsStatement(std::string_view text) {
  if (text.empty() || text.size() > 128 || text[0] < 'a' || text[0] > 'z') return false;
  for (const char c : text) {
    const bool word = IsEnvName(std::string_view(&c, 1)) || (c >= '0' && c <= '9');
    if (!word && c != '.' && c != '-') return false;
  }
  return !text.ends_with('.') && text.find("..") == std::string_view::npos;
}

Verdict Require(bool good, std::string_view code, const Node& node, Type type) {
  if (good) return std::nullopt;
  return Not(code, node, type);
}

Verdict CheckLevel(const Node& node) {
  if (node.text == "true" || node.text == "false") return std::nullopt;
  Row limits;
  limits.most = 1000;
  return CheckNumber(node, limits);
}

// Types whose spelling leaves no doubt about plain words; for the others quoting matters.
bool TakesPlainWords(Type type) {
  return type == Type::kVersion || type == Type::kBoolean || type == Type::kInteger ||
         type == Type::kPort || type == Type::kUser || type == Type::kUmask ||
         type == Type::kLevel || type == Type::kArgValue || type == Type::kSize ||
         type == Type::kTime || type == Type::kPercent || type == Type::kRate;
}

Verdict CheckStyle(const Node& node, Type type) {
  if (node.style == ScalarStyle::kQuoted || TakesPlainWords(type)) return std::nullopt;
  if (ReadsAsBoolean(node.text)) {
    return Defect{"E0208", fmt::format("{} may be read as a boolean", Quoted(node.text)),
                  fmt::format("if the text is meant, write \"{}\"", node.text)};
  }
  if (type != Type::kDate && ReadsAsOddNumber(node.text)) {
    return Defect{"E0209", fmt::format("{} may be read as a number", Quoted(node.text)),
                  fmt::format("if the text is meant, write \"{}\"", node.text)};
  }
  return std::nullopt;
}

Verdict CheckType(const Node& node, const Row& row) {
  const std::string& text = node.text;
  switch (row.type) {
    case Type::kNone:
      return std::nullopt;
    case Type::kVersion:
      return CheckVersion(node);
    case Type::kBoolean:
      return CheckBoolean(node);
    case Type::kInteger:
      return CheckNumber(node, row);
    case Type::kSize:
      return CheckUnit("E0206", node, row, ParseSize(text));
    case Type::kTime:
      return CheckUnit("E0207", node, row, ParseTime(text));
    case Type::kPercent:
      return CheckUnit("E0216", node, row, ParsePercent(text));
    case Type::kRate:
      return CheckUnit("E0239", node, row, RateCount(text));
    case Type::kText:
      return CheckText(node);
    case Type::kName:
    case Type::kVariableName:
      return Require(IsName(text), "E0214", node, row.type);
    case Type::kPath:
    case Type::kPathOrSet:
      return CheckPath(node, row.type);
    case Type::kChoice:
      return CheckChoice(node, row);
    case Type::kPort:
      return CheckPort(node);
    case Type::kUser:
      return CheckUser(node);
    case Type::kUmask:
      return Require(ParseUmask(text).has_value(), "E0220", node, row.type);
    case Type::kSignal:
      return Require(ParseSignal(text).has_value(), "E0223", node, row.type);
    case Type::kDigest:
      return Require(ParseDigest(text).has_value(), "E0221", node, row.type);
    case Type::kDate:
      return Require(IsDate(text), "E0217", node, row.type);
    case Type::kAddress:
      return Require(IsIpv4(text), "E0222", node, row.type);
    case Type::kVsockAddress:
      return Require(ParseVsockAddress(text).has_value(), "E0240", node, row.type);
    case Type::kEnvName:
      return Require(IsEnvName(text), "E0219", node, row.type);
    case Type::kCall:
      return Require(IsCall(text), "E0230", node, row.type);
    case Type::kCallName:
    case Type::kArgument:
      return Require(IsCallName(text), "E0230", node, row.type);
    case Type::kArgValue:
      return Require(IsConstantName(text) || ParseSigned(text) || ParseInteger(text), "E0231", node,
                     row.type);
    case Type::kStatement:
      return Require(IsStatement(text), "E0232", node, row.type);
    case Type::kExcept:
      return Require(IsStatement(text.substr(0, text.find(':'))), "E0232", node, row.type);
    case Type::kFileName:
      return CheckFileName(node);
    case Type::kTarget:
      return Require(!text.empty(), "E0218", node, row.type);
    case Type::kKernel:
      return Require(ParseKernel(text).has_value(), "E0233", node, row.type);
    case Type::kLevel:
      return CheckLevel(node);
  }
  return std::nullopt;
}

}  // namespace

bool CheckScalar(const Node& node, const Row& row, Diagnostics& diagnostics) {
  Verdict verdict = CheckStyle(node, row.type);
  if (!verdict) verdict = CheckType(node, row);
  if (!verdict) return true;
  diagnostics.Error(node.place, verdict->code, std::move(verdict->message),
                    std::move(verdict->help));
  return false;
}

std::string ListChoices(const Row& row) {
  std::string text;
  const std::vector<std::string_view> words = ChoicesOf(row);
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += fmt::format("`{}`", words[i]);
  }
  return text;
}

}  // namespace bulkhead
