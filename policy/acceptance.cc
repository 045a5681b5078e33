// SPDX-License-Identifier: Apache-2.0
#include "policy/acceptance.h"

#include <cstdint>
#include <utility>

#include "policy/library.h"
#include "policy/schema_check.h"
#include "policy/section.h"
#include "policy/text.h"
#include "policy/yaml_events.h"

namespace bulkhead {
namespace {

Acceptance BuildAcceptance(const Node& item) {
  const Section fields(&item, "");
  Acceptance acceptance;
  acceptance.component = fields.TextOf("component");
  for (const Node& change : fields.Items("changes")) {
    acceptance.changes.push_back({change.text, {"changes", change.place}});
  }
  acceptance.owner = fields.TextOf("owner");
  acceptance.reason = fields.TextOf("reason");
  acceptance.until = fields.TextOf("until");
  acceptance.place = item.place;
  return acceptance;
}

}  // namespace

std::optional<std::vector<Acceptance>> LoadAcceptances(const std::string& path, Sources& sources,
                                                       Diagnostics& diagnostics) {
  const auto file = static_cast<uint32_t>(sources.size());
  auto text = ReadPolicyBytes(path);
  if (!text) {
    sources.push_back({path, ""});
    diagnostics.Error({file, 1, 1, 1}, "E0001", Quoted(path) + " can't be read: " + text.error());
    return std::nullopt;
  }
  sources.push_back({path, std::move(*text)});
  const size_t before = diagnostics.ErrorCount();
  const std::optional<Node> read = ReadYaml(sources.back().text, file, diagnostics);
  if (!read) return std::nullopt;
  Node root = *read;
  CheckShape(root, "acceptances", diagnostics);
  if (diagnostics.ErrorCount() != before) return std::nullopt;
  std::vector<Acceptance> acceptances;
  for (const Node& item : Section(&root, "").Items("accepted")) {
    acceptances.push_back(BuildAcceptance(item));
  }
  return acceptances;
}

}  // namespace bulkhead
