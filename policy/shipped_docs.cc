// SPDX-License-Identifier: Apache-2.0
#include "policy/shipped_docs.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "policy/shipped.h"

namespace bulkhead {
namespace {

struct Item {
  std::string name;
  std::string about;
};

// The items of a shipped file: keys indented by two, with the comment before each, or its `about`.
std::vector<Item> ItemsOf(std::string_view text) {
  std::vector<Item> items;
  std::string comment;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    constexpr std::string_view kAbout = "    about: \"";
    if (line.starts_with("  # ")) {
      comment += (comment.empty() ? "" : " ") + std::string(line.substr(4));
    } else if (line.size() > 3 && line.starts_with("  ") && line[2] != ' ' && line.ends_with(':')) {
      items.push_back({std::string(line.substr(2, line.size() - 3)), comment});
      comment.clear();
    } else if (line.starts_with(kAbout) && line.ends_with('"') && !items.empty()) {
      items.back().about = line.substr(kAbout.size(), line.size() - kAbout.size() - 1);
    } else {
      comment.clear();
    }
  }
  return items;
}

// A file's comment between its licence line and its first key, as one line.
std::string HeadOf(std::string_view text) {
  std::string head;
  while (text.starts_with('#')) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line.remove_prefix(std::min<size_t>(2, line.size()));
    if (line.starts_with("SPDX")) continue;
    head += (head.empty() ? "" : " ") + std::string(line);
  }
  return head;
}

std::string_view StemOf(std::string_view name) {
  name.remove_prefix(name.rfind('/') + 1);
  return name.substr(0, name.rfind('.'));
}

std::string Table(std::string_view title, std::string_view head, const std::vector<Item>& items,
                  std::string_view prefix) {
  std::string out = fmt::format("\n## {}\n\n{}\n\n| name | what |\n| --- | --- |\n", title, head);
  for (const Item& item : items)
    out += fmt::format("| `{}{}` | {} |\n", prefix, item.name, item.about);
  return out;
}

}  // namespace

std::string RenderShippedMarkdown() {
  std::string profiles, groups;
  std::vector<Item> targets;
  for (const ShippedFile& file : ShippedFiles()) {
    const std::string_view stem = StemOf(file.name);
    if (file.name.starts_with("targets/")) {
      targets.push_back({std::string(stem), HeadOf(file.content)});
    } else if (stem == "groups") {
      groups = Table("Groups of system calls", HeadOf(file.content), ItemsOf(file.content), "@");
    } else {
      profiles += Table(stem == "archetypes" ? "Archetypes" : "Programs", HeadOf(file.content),
                        ItemsOf(file.content), "");
    }
  }
  return "# Shipped profiles, groups and targets\n\n"
         "<!-- Made from profiles/ by BULKHEAD_REGENERATE=1 test-policy. -->\n\n"
         "A component names an archetype, then what its program needs: `profile: "
         "[stateful-service, python]`. A program's profile alone is not enough to run: the "
         "archetype brings the system calls, and `bulkhead check` warns where there are none "
         "(E0563). "
         "What they hold is in `profiles/library/`; `bulkhead "
         "inspect` shows what a component has come to.\n" +
         profiles + groups +
         Table("Targets", "Kernels to compile for, by `target:` or `--target`.", targets, "");
}

}  // namespace bulkhead
