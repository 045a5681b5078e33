// SPDX-License-Identifier: Apache-2.0
#include "compiler/matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace bulkhead {
namespace {

using Key = std::pair<std::string, std::string>;  // component and statement

// Without the component, and of a statement that is an item of a list, the list.
Key KeyOf(const std::string& component, std::string_view statement) {
  const std::string prefix = "components." + component + ".";
  if (!component.empty() && statement.starts_with(prefix)) statement.remove_prefix(prefix.size());
  return {component, std::string(statement.substr(0, statement.find(':')))};
}

Key KeyOf(const Diagnostic& mistake) {
  std::string component = mistake.component;
  constexpr std::string_view kComponents = "components.";
  if (component.empty() && mistake.statement.starts_with(kComponents)) {
    const std::string_view rest = std::string_view(mistake.statement).substr(kComponents.size());
    component = rest.substr(0, rest.find('.'));
  }
  Key key = KeyOf(component, mistake.statement);
  // What has no statement is about its component, or about the enclave, as a whole.
  if (key.second.empty() || key.second == "components." + component) key.second = "(all)";
  return key;
}

MatrixAnswer AnswerOf(Status status) {
  switch (status) {
    case Status::kEnforced:
      return MatrixAnswer::kEnforced;
    case Status::kSubstituted:
      return MatrixAnswer::kSubstituted;
    case Status::kWaived:
      return MatrixAnswer::kWaived;
  }
  return MatrixAnswer::kRefused;
}

bool IsPartOf(const std::string& part, const std::string& whole) {
  return part == whole || part.starts_with(whole + ".");
}

std::string Neutral(std::string text, const std::string& target) {
  const std::string name = "`" + target + "`";
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at)) {
    text.replace(at, name.size(), "the target");
  }
  return text;
}

class Maker {
 public:
  Maker(std::vector<std::string> targets, const std::vector<Survey>& surveys) : surveys_(surveys) {
    matrix_.targets = std::move(targets);
  }

  Matrix Make() {
    for (const Survey& survey : surveys_) {
      for (const LedgerRow& row : survey.ledger) keys_.insert(KeyOf(row.component, row.statement));
    }
    for (const Survey& survey : surveys_) {
      for (const Diagnostic& mistake : survey.mistakes) AddRefused(KeyOf(mistake));
    }
    for (const Key& key : keys_) matrix_.rows.push_back(RowOf(key));
    for (size_t i = 0; i < surveys_.size(); ++i) {
      for (const Diagnostic& mistake : surveys_[i].mistakes) AddRefusal(i, mistake);
    }
    return std::move(matrix_);
  }

 private:
  // A refused statement whose parts have rows is told there.
  void AddRefused(const Key& key) {
    const bool told = std::ranges::any_of(keys_, [&](const Key& known) {
      return known.first == key.first && IsPartOf(known.second, key.second);
    });
    if (!told) keys_.insert(key);
  }

  MatrixRow RowOf(const Key& key) const {
    MatrixRow row{key.first, key.second, {}};
    for (const Survey& survey : surveys_) row.cells.push_back(CellOf(key, survey));
    return row;
  }

  static MatrixCell CellOf(const Key& key, const Survey& survey) {
    const bool refused = std::ranges::any_of(survey.mistakes, [&](const Diagnostic& mistake) {
      const auto [component, statement] = KeyOf(mistake);
      return component == key.first && IsPartOf(key.second, statement);
    });
    if (refused) return {MatrixAnswer::kRefused, {}};
    const auto found = std::ranges::find_if(survey.ledger, [&](const LedgerRow& row) {
      return KeyOf(row.component, row.statement) == key;
    });
    if (found == survey.ledger.end()) {
      if (survey.mistakes.empty()) return {};
      return {MatrixAnswer::kNotJudged, {}};
    }
    return {AnswerOf(found->status), *found};
  }

  void AddRefusal(size_t target, const Diagnostic& mistake) {
    Diagnostic neutral = mistake;
    neutral.message = Neutral(mistake.message, matrix_.targets[target]);
    neutral.help = Neutral(mistake.help, matrix_.targets[target]);
    const auto same = std::ranges::find_if(matrix_.refusals, [&](const MatrixRefusal& refusal) {
      return refusal.diagnostic.code == neutral.code &&
             refusal.diagnostic.message == neutral.message &&
             refusal.diagnostic.place == neutral.place;
    });
    if (same == matrix_.refusals.end()) {
      matrix_.refusals.push_back({{target}, std::move(neutral)});
    } else if (same->targets.back() != target) {
      same->targets.push_back(target);
    }
  }

  const std::vector<Survey>& surveys_;
  std::set<Key> keys_;
  Matrix matrix_;
};

}  // namespace

std::string_view MatrixAnswerName(MatrixAnswer answer) {
  constexpr std::string_view kNames[] = {"enforced", "substituted",   "waived",
                                         "refused",  "nothing to do", "not judged"};
  return kNames[static_cast<size_t>(answer)];
}

bool Matrix::Holds(size_t target) const {
  return std::ranges::none_of(refusals, [&](const MatrixRefusal& refusal) {
    return std::ranges::find(refusal.targets, target) != refusal.targets.end();
  });
}

Matrix MakeMatrix(std::vector<std::string> targets, const std::vector<Survey>& surveys) {
  return Maker(std::move(targets), surveys).Make();
}

}  // namespace bulkhead
