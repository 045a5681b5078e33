// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "cli/accepted.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "cli/names.h"
#include "compiler/bundle_diff.h"
#include "policy/acceptance.h"

namespace bulkhead {
namespace {

std::string WithPlace(const Opened& opened, const std::string& rule) {
  const std::string place = PlaceOf(opened.places, rule);
  return place.empty() ? rule : fmt::format("{}, {}", rule, place);
}

// The differences, what accepts each, and what was found in the file that does.
struct Review {
  std::vector<Difference> differences;
  std::vector<Acceptance> acceptances;
  std::vector<const Acceptance*> accepted;

  size_t Count(Change change) const {
    return static_cast<size_t>(std::ranges::count(differences, change, &Difference::change));
  }
  size_t Accepted() const {
    return accepted.size() - static_cast<size_t>(std::ranges::count(accepted, nullptr));
  }
};

std::string DiffText(const Review& review, const Opened& before, const Opened& after) {
  std::string out;
  for (size_t i = 0; i < review.differences.size(); ++i) {
    const Difference& d = review.differences[i];
    const Acceptance* by = review.accepted[i];
    out += fmt::format("{:<9} {}: {}: {}\n", by != nullptr ? "accepted" : ChangeName(d.change),
                       Shown(d.component.empty() ? "(enclave)" : d.component), Shown(d.witness),
                       Shown(d.text) + (d.beneath ? ", here and beneath" : ""));
    if (!d.old_rule.empty()) {
      out += fmt::format("  before  {}\n", Shown(WithPlace(before, d.old_rule)));
    }
    if (!d.new_rule.empty()) {
      out += fmt::format("  after   {}\n", Shown(WithPlace(after, d.new_rule)));
    }
    if (by != nullptr) {
      out += fmt::format("  by      {}, until {}: {}\n", Shown(by->owner), by->until,
                         Shown(by->reason));
    }
  }
  const size_t accepted = review.Accepted();
  return out + fmt::format("{} widened{}, {} narrowed, {} neutral\n",
                           review.Count(Change::kWidened),
                           accepted == 0 ? "" : fmt::format(" ({} accepted)", accepted),
                           review.Count(Change::kNarrowed), review.Count(Change::kNeutral));
}

Json DiffJson(const Review& review, const Opened& before, const Opened& after) {
  Json list = Json::array();
  for (size_t i = 0; i < review.differences.size(); ++i) {
    const Difference& d = review.differences[i];
    const Acceptance* by = review.accepted[i];
    list.push_back(
        {{"change", ChangeName(d.change)},
         {"component", d.component},
         {"area", d.area},
         {"witness", d.witness},
         {"text", d.text},
         {"beneath", d.beneath},
         {"accepted",
          by == nullptr ? Json()
                        : Json{{"owner", by->owner}, {"reason", by->reason}, {"until", by->until}}},
         {"before", {{"rule", d.old_rule}, {"place", PlaceOf(before.places, d.old_rule)}}},
         {"after", {{"rule", d.new_rule}, {"place", PlaceOf(after.places, d.new_rule)}}}});
  }
  return {{"before", DigestText(before.digest)},
          {"after", DigestText(after.digest)},
          {"widened", review.Count(Change::kWidened)},
          {"accepted", review.Accepted()},
          {"narrowed", review.Count(Change::kNarrowed)},
          {"neutral", review.Count(Change::kNeutral)},
          {"differences", list}};
}

// False: the file can't be used; it was said why.
bool ReadAcceptances(const Invocation& invocation, Review& review) {
  review.accepted.resize(review.differences.size());
  if (!invocation.Has(Parameter::kAccept)) return true;
  const auto date = DateOf(invocation);
  if (!date) return false;
  Sources sources;
  Diagnostics diagnostics;
  auto loaded = LoadAcceptances(invocation.One(Parameter::kAccept), sources, diagnostics);
  if (loaded) {
    review.acceptances = std::move(*loaded);
    review.accepted = Accept(review.differences, review.acceptances, *date, diagnostics);
  }
  for (const Diagnostic& diagnostic : diagnostics.Sorted()) {
    PrintRaw(RenderText(diagnostic, sources, ColorOn(STDERR_FILENO)));
  }
  return !diagnostics.HasErrors();
}

tl::expected<Opened, int> OpenOld(const Invocation& invocation) {
  const std::string path = invocation.One(Parameter::kOld);
  if (!invocation.Has(Parameter::kOldTarget)) return OpenFile(path, invocation, false);
  Invocation other = invocation;
  other.values[Parameter::kTarget] = invocation.All(Parameter::kOldTarget);
  return OpenFile(path, other, false);
}

}  // namespace

int Diff(const Invocation& invocation) {
  const auto before = OpenOld(invocation);
  if (!before) return before.error();
  const auto after = OpenFile(invocation.One(Parameter::kNew), invocation, false);
  if (!after) return after.error();
  auto differences = DiffBundles(before->bundle, after->bundle);
  if (!differences) {
    PrintError(differences.error());
    return kExitCannot;
  }
  Review review{std::move(*differences), {}, {}};
  if (!ReadAcceptances(invocation, review)) return kExitCannot;
  const bool json = invocation.One(Parameter::kFormat) == "json";
  if (!PrintOut(json ? JsonText(DiffJson(review, *before, *after))
                     : DiffText(review, *before, *after))) {
    return kExitCannot;
  }
  return review.Count(Change::kWidened) == review.Accepted() ? kExitDone : kExitNo;
}

}  // namespace bulkhead
