// SPDX-License-Identifier: Apache-2.0
#include "compiler/invariant_text.h"

#include <fmt/format.h>

#include <cstddef>
#include <initializer_list>

namespace bulkhead {
namespace {

using Names = std::vector<std::string>;
using Failed = tl::unexpected<std::string>;

class Words {
 public:
  explicit Words(std::string_view text) : text_(text) { Skip(); }

  bool Done() const { return text_.empty(); }

  std::string Next() {
    const size_t end = std::min(text_.find_first_of(" \t\n"), text_.size());
    std::string word(text_.substr(0, end));
    text_.remove_prefix(end);
    Skip();
    return word;
  }

  // Takes the words if they are next.
  bool Take(std::initializer_list<std::string_view> words) {
    Words ahead = *this;
    for (const std::string_view word : words) {
      if (ahead.Next() != word) return false;
    }
    *this = ahead;
    return true;
  }

  // A name, or several in brackets. Empty: there is none.
  Names TakeNames() {
    Names names;
    if (!text_.starts_with("[")) {
      if (!Done()) names.push_back(Next());
      return names;
    }
    const size_t end = text_.find(']');
    if (end == std::string_view::npos) return names;
    std::string_view list = text_.substr(1, end - 1);
    while (!list.empty()) {
      const size_t from = std::min(list.find_first_not_of(" ,\t\n"), list.size());
      list.remove_prefix(from);
      const size_t to = std::min(list.find_first_of(" ,\t\n"), list.size());
      if (to > 0) names.emplace_back(list.substr(0, to));
      list.remove_prefix(to);
    }
    text_.remove_prefix(end + 1);
    Skip();
    return names;
  }

 private:
  void Skip() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\n"), text_.size())); }

  std::string_view text_;
};

constexpr std::string_view kSentences =
    "`only NAMES may read|write|execute|reach asset NAME`, `NAMES must not reach|influence NAMES`, "
    "`no component [but NAMES] may ACTION OBJECT` or `every path from NAMES to NAMES passes "
    "NAMES`; "
    "NAMES is a component or [a, b], and after `reach`, `influence` and `to` also `asset NAME`";

Failed NoSentence() { return Failed(fmt::format("expected {}", kSentences)); }

// A list of components, or an asset.
bool TakeTarget(Words& words, Invariant& invariant) {
  invariant.is_asset = words.Take({"asset"});
  invariant.targets = words.TakeNames();
  return invariant.targets.size() == 1 || (!invariant.is_asset && !invariant.targets.empty());
}

bool ParseOnly(Words& words, Invariant& invariant) {
  invariant.kind = Invariant::Kind::kOnly;
  invariant.subjects = words.TakeNames();
  if (invariant.subjects.empty() || !words.Take({"may"})) return false;
  invariant.verb = words.Next();
  const bool known = invariant.verb == "read" || invariant.verb == "write" ||
                     invariant.verb == "execute" || invariant.verb == "reach";
  return known && TakeTarget(words, invariant) && invariant.is_asset && words.Done();
}

bool ParseNone(Words& words, Invariant& invariant) {
  invariant.kind = Invariant::Kind::kNone;
  if (words.Take({"but"})) {
    invariant.subjects = words.TakeNames();
    if (invariant.subjects.empty()) return false;
  }
  if (!words.Take({"may"})) return false;
  invariant.verb = words.Next();
  while (!words.Done()) invariant.object.push_back(words.Next());
  return !invariant.object.empty();
}

bool ParseEvery(Words& words, Invariant& invariant) {
  invariant.kind = Invariant::Kind::kEveryPath;
  invariant.subjects = words.TakeNames();
  if (invariant.subjects.empty() || !words.Take({"to"})) return false;
  if (!TakeTarget(words, invariant) || !words.Take({"passes"})) return false;
  invariant.through = words.TakeNames();
  return !invariant.through.empty() && words.Done();
}

bool ParseMustNot(Words& words, Invariant& invariant) {
  invariant.subjects = words.TakeNames();
  if (invariant.subjects.empty() || !words.Take({"must", "not"})) return false;
  const bool reach = words.Take({"reach"});
  if (!reach && !words.Take({"influence"})) return false;
  invariant.kind = reach ? Invariant::Kind::kNotReach : Invariant::Kind::kNotInfluence;
  return TakeTarget(words, invariant) && words.Done();
}

}  // namespace

tl::expected<Invariant, std::string> ParseInvariant(std::string_view text) {
  Words words(text);
  Invariant invariant;
  const bool good = words.Take({"only"})                    ? ParseOnly(words, invariant)
                    : words.Take({"no", "component"})       ? ParseNone(words, invariant)
                    : words.Take({"every", "path", "from"}) ? ParseEvery(words, invariant)
                                                            : ParseMustNot(words, invariant);
  if (!good) return NoSentence();
  return invariant;
}

}  // namespace bulkhead
