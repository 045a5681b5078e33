// SPDX-License-Identifier: Apache-2.0
#include "policy/node.h"

namespace bulkhead {
namespace {

std::string FlowList(const Node& node) {
  std::string text = "[";
  for (const Node& item : node.items) {
    if (text.size() > 1) text += ',';
    text += Flow(item);
  }
  return text + "]";
}

std::string FlowMap(const Node& node) {
  std::vector<std::string> parts;
  for (const Entry& entry : node.entries) parts.push_back(entry.key + ":" + Flow(entry.value));
  std::sort(parts.begin(), parts.end());
  std::string text = "{";
  for (const std::string& part : parts) {
    if (text.size() > 1) text += ',';
    text += part;
  }
  return text + "}";
}

}  // namespace

std::string Flow(const Node& node) {
  switch (node.kind) {
    case NodeKind::kScalar:
      return node.text;
    case NodeKind::kList:
      return FlowList(node);
    case NodeKind::kMap:
      return FlowMap(node);
    case NodeKind::kBad:
      break;
  }
  return "";
}

}  // namespace bulkhead
