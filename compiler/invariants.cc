// SPDX-License-Identifier: Apache-2.0
#include "compiler/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "compiler/invariant_text.h"
#include "compiler/reach_graph.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

using Steps = std::vector<InvariantStep>;

struct Family {
  std::string_view word;
  std::vector<std::string_view> families;
};

// What `use WORD` means: sockets of these families.
const std::vector<Family>& Families() {
  static const std::vector<Family> kFamilies = {
      {"vsock", {"AF_VSOCK"}},   {"internet", {"AF_INET", "AF_INET6"}},
      {"unix", {"AF_UNIX"}},     {"netlink", {"AF_NETLINK"}},
      {"packet", {"AF_PACKET"}}, {"bluetooth", {"AF_BLUETOOTH"}},
  };
  return kFamilies;
}

std::vector<Action> ActionsOf(std::string_view verb) {
  if (verb == "read") return {Action::kRead, Action::kList};
  if (verb == "write") {
    return {Action::kWrite, Action::kTruncate, Action::kCreate, Action::kRemove};
  }
  if (verb == "execute") return {Action::kExecute};
  return {Action::kRead,   Action::kList,   Action::kWrite,  Action::kTruncate,
          Action::kCreate, Action::kRemove, Action::kExecute};
}

class Checker {
 public:
  explicit Checker(Evaluator& evaluator)
      : evaluator_(evaluator), components_(evaluator.enclave().components) {
    for (size_t i = 0; i < components_.size(); ++i) places_[components_[i].name] = i;
  }

  // What is named and isn't there; empty: all is.
  std::string Unknown(const Invariant& invariant) const {
    for (const auto* names : {&invariant.subjects, &invariant.through}) {
      for (const std::string& name : *names) {
        if (!places_.contains(name)) return name;
      }
    }
    for (const std::string& name : invariant.targets) {
      const bool there = invariant.is_asset ? FindAsset(name) != nullptr : places_.contains(name);
      if (!there) return name;
    }
    return {};
  }

  // Empty: it holds. Errors: the question of a `no component` makes no sense, or a filter can't be
  // read back.
  tl::expected<Steps, std::string> Check(const Invariant& invariant) {
    error_.clear();
    const bool on_graph =
        invariant.kind != Invariant::Kind::kOnly && invariant.kind != Invariant::Kind::kNone;
    if (on_graph && !graph_) {
      auto made = ReachGraph::Make(evaluator_);
      if (!made) return tl::make_unexpected(made.error());
      graph_ = std::move(*made);
    }
    Steps steps;
    switch (invariant.kind) {
      case Invariant::Kind::kOnly:
        steps = CheckOnly(invariant);
        break;
      case Invariant::Kind::kNone:
        steps = CheckNone(invariant);
        break;
      case Invariant::Kind::kNotReach:
        steps = CheckNotReach(invariant);
        break;
      case Invariant::Kind::kNotInfluence:
        steps = CheckFlow(invariant, {});
        break;
      case Invariant::Kind::kEveryPath:
        steps = CheckFlow(invariant, invariant.through);
    }
    if (!error_.empty()) return tl::make_unexpected(error_);
    return steps;
  }

 private:
  const Asset* FindAsset(std::string_view name) const {
    const auto& assets = evaluator_.enclave().assets;
    const auto found = std::ranges::find(assets, name, &Asset::name);
    return found == assets.end() ? nullptr : &*found;
  }

  // The answer, unless it is no.
  std::optional<Explanation> Allowed(size_t component, const Question& question) {
    auto answer = evaluator_.Ask(components_[component], question);
    if (!answer) {
      error_ = answer.error();
      return std::nullopt;
    }
    if (answer->verdict == Verdict::kDeny) return std::nullopt;
    return std::move(*answer);
  }

  // The first thing of the verb that the component may do to the asset.
  std::optional<InvariantStep> Touches(size_t component, std::string_view verb,
                                       const Asset& asset) {
    for (const std::string& path : AssetPaths(components_[component], asset)) {
      for (const Action action : ActionsOf(verb)) {
        if (action == Action::kTruncate && IsTripwireAt(components_[component], path)) continue;
        Question question;
        question.action = action;
        question.path = path;
        if (const auto answer = Allowed(component, question)) {
          return InvariantStep{components_[component].name,
                               fmt::format("may {} {}", Row(action).name, path), asset.name,
                               answer->rule};
        }
      }
    }
    return std::nullopt;
  }

  Steps CheckOnly(const Invariant& invariant) {
    const Asset& asset = *FindAsset(invariant.targets[0]);
    for (size_t i = 0; i < components_.size(); ++i) {
      if (std::ranges::count(invariant.subjects, components_[i].name) != 0) continue;
      if (auto step = Touches(i, invariant.verb, asset)) return {std::move(*step)};
    }
    return {};
  }

  tl::expected<std::vector<Question>, std::string> QuestionsOf(const Invariant& invariant) {
    const Arch arch = evaluator_.enclave().target.arch;
    std::vector<Question> questions;
    if (invariant.verb != "use") {
      auto question = ParseQuestion(arch, invariant.verb, invariant.object);
      if (!question) return tl::make_unexpected(question.error());
      questions.push_back(std::move(*question));
      return questions;
    }
    const auto family = std::ranges::find(Families(), invariant.object[0], &Family::word);
    if (invariant.object.size() != 1 || family == Families().end()) {
      std::string words;
      for (const Family& known : Families()) {
        words.append(words.empty() ? "" : ", ").append(known.word);
      }
      return tl::make_unexpected(fmt::format("`use` takes one of {}", words));
    }
    for (const std::string_view name : family->families) {
      auto question = ParseQuestion(arch, "socket", {std::string(name)});
      if (!question) return tl::make_unexpected(question.error());
      questions.push_back(std::move(*question));
    }
    return questions;
  }

  // It makes no such socket by itself, and uses one all the same.
  static const Listener* GivenListener(const ProfileData& profile, const Invariant& invariant) {
    if (invariant.verb != "use" || invariant.object.empty()) return nullptr;
    const std::string& word = invariant.object.front();
    for (const Listener& listener : profile.listeners) {
      if (word == "vsock" && listener.kind == ListenerKind::kVsock) return &listener;
      if (word == "internet" && listener.kind == ListenerKind::kTcp) return &listener;
    }
    return nullptr;
  }

  Steps CheckNone(const Invariant& invariant) {
    const auto questions = QuestionsOf(invariant);
    if (!questions) {
      error_ = questions.error();
      return {};
    }
    std::string object;
    for (const std::string& word : invariant.object) object.append(" ").append(word);
    for (size_t i = 0; i < components_.size(); ++i) {
      const std::string& name = components_[i].name;
      if (std::ranges::count(invariant.subjects, name) != 0) continue;
      if (const Listener* listener = GivenListener(components_[i], invariant)) {
        return {{name, "is given the listener " + listener->name, {}, listener->rule}};
      }
      for (const Question& question : *questions) {
        // Nobody is kept from itself.
        if (question.name == name) continue;
        if (const auto answer = Allowed(i, question)) {
          return {{name, fmt::format("may {}{}", invariant.verb, object), {}, answer->rule}};
        }
      }
    }
    return {};
  }

  Steps CheckNotReach(const Invariant& invariant) {
    for (const std::string& subject : invariant.subjects) {
      const size_t from = places_.at(subject);
      if (invariant.is_asset) {
        if (auto step = Touches(from, "reach", *FindAsset(invariant.targets[0]))) return {*step};
        continue;
      }
      for (const std::string& target : invariant.targets) {
        if (target == subject) continue;
        Question question;
        question.action = Action::kReach;
        question.name = target;
        const auto answer = Allowed(from, question);
        if (!answer) continue;
        Steps steps{{subject, "may reach " + target, target, answer->rule}};
        // By what, where the graph knows.
        for (const ReachEdge& edge : graph_->From(from)) {
          if (components_[edge.to].name == target && edge.direct) {
            steps[0].does = edge.how;
            steps[0].rule = edge.rule;
            break;
          }
        }
        return steps;
      }
    }
    return {};
  }

  // The shortest chain from a subject to a target that passes none of `through`.
  Steps CheckFlow(const Invariant& invariant, const std::vector<std::string>& through) {
    const auto is_closed = [&](size_t component) {
      return std::ranges::count(through, components_[component].name) != 0;
    };
    std::map<size_t, InvariantStep> touching;  // who gets at the asset
    if (invariant.is_asset) {
      // To influence it is to change it; a path to it is any way to get at it.
      const bool changes = invariant.kind == Invariant::Kind::kNotInfluence;
      const Asset& asset = *FindAsset(invariant.targets[0]);
      for (size_t i = 0; i < components_.size(); ++i) {
        if (auto step = Touches(i, changes ? "write" : "reach", asset)) touching[i] = *step;
      }
    }
    std::vector<size_t> starts;
    for (const std::string& subject : invariant.subjects) {
      const size_t start = places_.at(subject);
      if (is_closed(start)) continue;
      if (touching.contains(start)) return {touching[start]};
      starts.push_back(start);
    }
    const auto is_goal = [&](size_t component) {
      return invariant.is_asset
                 ? touching.contains(component)
                 : std::ranges::count(invariant.targets, components_[component].name) != 0;
    };
    Steps steps;
    for (const ReachEdge& edge : graph_->Path(starts, is_goal, is_closed)) {
      steps.push_back(
          {components_[edge.from].name, edge.how, components_[edge.to].name, edge.rule});
    }
    if (!steps.empty() && invariant.is_asset) {
      steps.push_back(touching.at(places_.at(steps.back().to)));
    }
    return steps;
  }

  Evaluator& evaluator_;
  const std::vector<ProfileData>& components_;
  std::map<std::string_view, size_t> places_;
  std::optional<ReachGraph> graph_;  // when it is needed
  std::string error_;
};

}  // namespace

tl::expected<std::vector<InvariantResult>, std::string> CheckInvariants(
    Evaluator& evaluator, std::span<const Text> invariants, Diagnostics& diagnostics) {
  Checker checker(evaluator);
  std::vector<InvariantResult> results;
  for (const Text& text : invariants) {
    const auto invariant = ParseInvariant(text.value);
    if (!invariant) {
      diagnostics.Error(text.at.place, "E0701", "this is no sentence of an invariant",
                        invariant.error());
      continue;
    }
    if (const std::string unknown = checker.Unknown(*invariant); !unknown.empty()) {
      diagnostics.Error(
          text.at.place, "E0702",
          fmt::format("the enclave has no {} {}",
                      invariant->is_asset ? "component or asset" : "component", Quoted(unknown)),
          "an invariant names components and assets of this policy");
      continue;
    }
    auto path = checker.Check(*invariant);
    if (!path && invariant->kind == Invariant::Kind::kNone) {
      diagnostics.Error(text.at.place, "E0701", path.error(), "see `bulkhead why --help`");
      continue;
    }
    if (!path) return tl::make_unexpected(path.error());
    results.push_back({text.value, text.at.place, std::move(*path)});
  }
  return results;
}

std::string PathText(const std::vector<InvariantStep>& path) {
  std::string text;
  for (const InvariantStep& step : path) {
    text += fmt::format("{}`{}` {} ({})", text.empty() ? "" : ", then ", step.who, step.does,
                        step.rule);
  }
  return text;
}

}  // namespace bulkhead
