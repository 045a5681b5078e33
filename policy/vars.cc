// SPDX-License-Identifier: Apache-2.0
#include "policy/vars.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>

#include "policy/scalars.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

class Substitution {
 public:
  Substitution(const Variables& variables, Diagnostics& diagnostics)
      : variables_(variables), diagnostics_(diagnostics) {
    for (const auto& [name, value] : variables_) names_.push_back(name);
  }

  void Walk(Node& node) {
    if (node.kind == NodeKind::kScalar && node.text.find('$') != std::string::npos) Replace(node);
    for (Node& item : node.items) Walk(item);
    for (Entry& entry : node.entries) Walk(entry.value);
  }

 private:
  void Replace(Node& node) {
    std::string result;
    std::string_view rest = node.text;
    while (!rest.empty()) {
      const size_t dollar = rest.find('$');
      result += rest.substr(0, dollar);
      if (dollar == std::string_view::npos) break;
      rest.remove_prefix(dollar);
      if (rest.starts_with("$${")) {
        result += "${";
        rest.remove_prefix(3);
      } else if (rest.starts_with("${")) {
        const Node* value = Take(rest, node.place);
        if (value == nullptr || value->kind != NodeKind::kScalar) {
          node.kind = NodeKind::kBad;
          return;
        }
        if (result.empty() && rest.empty() && IsWhole(node.text)) node.style = value->style;
        result += value->text;
      } else {
        result += '$';
        rest.remove_prefix(1);
      }
    }
    node.text = std::move(result);
  }

  static bool IsWhole(std::string_view text) { return text.find('}') == text.size() - 1; }

  // The value of the variable at the front of `rest`, which is moved behind it.
  const Node* Take(std::string_view& rest, const Place& place) {
    const size_t end = rest.find('}');
    const std::string_view name =
        rest.substr(2, end == std::string_view::npos ? std::string_view::npos : end - 2);
    if (end == std::string_view::npos || !IsVariableName(name)) {
      diagnostics_.Error(place, "E0306", Quoted(rest) + " is not a variable",
                         "write `${name}`, or `$${` for the characters themselves");
      return nullptr;
    }
    const auto found = variables_.find(std::string(name));
    if (found == variables_.end()) {
      const auto meant = Nearest(name, names_);
      diagnostics_.Error(place, "E0305", Quoted(name) + " is not in `vars`",
                         meant ? fmt::format("did you mean `{}`?", *meant)
                               : "every variable has a default in the policy's `vars`");
      return nullptr;
    }
    rest.remove_prefix(end + 1);
    return &found->second;
  }

  const Variables& variables_;
  Diagnostics& diagnostics_;
  std::vector<std::string_view> names_;
};

void Override(Variables& variables, const std::map<std::string, std::string>& set, Sources& sources,
              Diagnostics& diagnostics) {
  if (set.empty()) return;
  const auto file = static_cast<uint32_t>(sources.size());
  SourceFile source{"--set", ""};
  Place place{file, 0, 1, 1};
  for (const auto& [name, value] : set) {
    source.text += name + "=" + value + "\n";
    ++place.line;
    place.length = static_cast<uint32_t>(name.size());
    const auto found = variables.find(name);
    if (found == variables.end()) {
      diagnostics.Error(place, "E0307", Quoted(name) + " is not in the policy's `vars`",
                        "only variables with a default can be set");
      continue;
    }
    if (value.find('\n') != std::string::npos || Escaped(value) != value) {
      diagnostics.Error(place, "E0310", Quoted(name) + " has a value that is not printable text");
      continue;
    }
    found->second.text = value;
    found->second.style = ScalarStyle::kEither;
  }
  sources.push_back(std::move(source));
}

}  // namespace

Variables ReadVariables(const Node& policy, const std::map<std::string, std::string>& set,
                        Sources& sources, Diagnostics& diagnostics) {
  Variables variables;
  if (const Entry* vars = policy.Find("vars")) {
    for (const Entry& entry : vars->value.entries) {
      if (entry.value.text.find("${") != std::string::npos) {
        diagnostics.Error(entry.value.place, "E0310",
                          Quoted(entry.key) + " refers to another variable",
                          "values of variables are final");
      }
      variables.emplace(entry.key, entry.value);  // also what the schema will refuse
    }
  }
  Override(variables, set, sources, diagnostics);
  return variables;
}

void Substitute(Node& root, const Variables& variables, Diagnostics& diagnostics) {
  Substitution substitution(variables, diagnostics);
  for (Entry& entry : root.entries) {
    if (entry.key != "vars") substitution.Walk(entry.value);
  }
}

}  // namespace bulkhead
