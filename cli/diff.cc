// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "cli/names.h"
#include "compiler/bundle_diff.h"

namespace bulkhead {
namespace {

std::string WithPlace(const Opened& opened, const std::string& rule) {
  const std::string place = PlaceOf(opened.places, rule);
  return place.empty() ? rule : fmt::format("{}, {}", rule, place);
}

size_t Count(const std::vector<Difference>& differences, Change change) {
  return static_cast<size_t>(std::ranges::count(differences, change, &Difference::change));
}

std::string DiffText(const std::vector<Difference>& differences, const Opened& before,
                     const Opened& after) {
  std::string out;
  for (const Difference& d : differences) {
    out += fmt::format("{:<9} {}: {}: {}\n", ChangeName(d.change), Shown(d.component),
                       Shown(d.witness), Shown(d.text));
    if (!d.old_rule.empty())
      out += fmt::format("  before  {}\n", Shown(WithPlace(before, d.old_rule)));
    if (!d.new_rule.empty())
      out += fmt::format("  after   {}\n", Shown(WithPlace(after, d.new_rule)));
  }
  return out +
         fmt::format("{} widened, {} narrowed, {} neutral\n", Count(differences, Change::kWidened),
                     Count(differences, Change::kNarrowed), Count(differences, Change::kNeutral));
}

Json DiffJson(const std::vector<Difference>& differences, const Opened& before,
              const Opened& after) {
  Json list = Json::array();
  for (const Difference& d : differences) {
    list.push_back(
        {{"change", ChangeName(d.change)},
         {"component", d.component},
         {"area", d.area},
         {"witness", d.witness},
         {"text", d.text},
         {"before", {{"rule", d.old_rule}, {"place", PlaceOf(before.places, d.old_rule)}}},
         {"after", {{"rule", d.new_rule}, {"place", PlaceOf(after.places, d.new_rule)}}}});
  }
  return {{"before", DigestText(before.digest)},
          {"after", DigestText(after.digest)},
          {"widened", Count(differences, Change::kWidened)},
          {"narrowed", Count(differences, Change::kNarrowed)},
          {"neutral", Count(differences, Change::kNeutral)},
          {"differences", list}};
}

}  // namespace

int Diff(const Invocation& invocation) {
  const auto before = OpenFile(invocation.One(Parameter::kOld), invocation);
  if (!before) return before.error();
  const auto after = OpenFile(invocation.One(Parameter::kNew), invocation);
  if (!after) return after.error();
  const auto differences = DiffBundles(before->bundle, after->bundle);
  if (!differences) {
    PrintError(differences.error());
    return kExitCannot;
  }
  const bool json = invocation.One(Parameter::kFormat) == "json";
  if (!PrintOut(json ? JsonText(DiffJson(*differences, *before, *after))
                     : DiffText(*differences, *before, *after))) {
    return kExitCannot;
  }
  return Count(*differences, Change::kWidened) == 0 ? kExitDone : kExitNo;
}

}  // namespace bulkhead
