// SPDX-License-Identifier: Apache-2.0
#include "compiler/why.h"

#include <fmt/format.h>

namespace bulkhead {

tl::expected<Explanation, std::string> Why(const Bundle& bundle, std::string_view component,
                                           std::string_view action,
                                           const std::vector<std::string>& object) {
  const Profile* profile = bundle.Find(component);
  if (profile == nullptr) {
    return tl::make_unexpected(fmt::format("the bundle has no component `{}`", component));
  }
  const auto question = ParseQuestion((*profile)->arch, action, object);
  if (!question) return tl::make_unexpected(question.error());
  return Evaluator(bundle).Ask(**profile, *question);
}

}  // namespace bulkhead
