// SPDX-License-Identifier: Apache-2.0
#include "cli/ledger.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/console.h"

namespace bulkhead {
namespace {

// Without the component's name, which stands in a column of its own.
std::string ShortStatement(const LedgerRow& row) {
  const std::string prefix = "components." + row.component + ".";
  const bool own = !row.component.empty() && row.statement.starts_with(prefix);
  return Shown(own ? row.statement.substr(prefix.size()) : row.statement);
}

std::string ComponentCell(const std::string& component) {
  return component.empty() ? "(enclave)" : Shown(component);
}

std::string LayersOf(const LedgerRow& row) {
  std::vector<std::string_view> layers;
  for (const Control& control : row.controls) {
    const std::string_view name = LayerName(control.layer);
    if (std::find(layers.begin(), layers.end(), name) == layers.end()) layers.push_back(name);
  }
  return layers.empty() ? "-" : fmt::format("{}", fmt::join(layers, "+"));
}

}  // namespace

std::string LedgerTable(const std::vector<LedgerRow>& ledger) {
  std::vector<std::vector<std::string>> rows{
      {"COMPONENT", "STATEMENT", "CONTROLS", "STATUS", "RECORDED BY", "NOTE"}};
  for (const LedgerRow& row : ledger) {
    rows.push_back({ComponentCell(row.component), ShortStatement(row), LayersOf(row),
                    std::string(StatusName(row.status)), std::string(RecorderName(row.recorder)),
                    Shown(row.note)});
  }
  return Table(rows);
}

std::string LedgerInFull(const std::vector<LedgerRow>& ledger) {
  std::string out;
  for (const LedgerRow& row : ledger) {
    out += fmt::format("{}\n  {}, recorded by {}\n", Shown(row.statement), StatusName(row.status),
                       RecorderName(row.recorder));
    for (const Control& control : row.controls) {
      out += fmt::format("  {}: {}\n", LayerName(control.layer), Shown(control.text));
    }
    if (!row.note.empty()) out += fmt::format("  note: {}\n", Shown(row.note));
  }
  return out;
}

std::string WaiverTable(const std::vector<Waiver>& waivers) {
  if (waivers.empty()) return {};
  std::vector<std::vector<std::string>> rows{{"WAIVED", "STATEMENT", "UNTIL", "REASON"}};
  for (const Waiver& waiver : waivers) {
    rows.push_back({ComponentCell(waiver.component), Shown(waiver.statement), Shown(waiver.until),
                    Shown(waiver.reason)});
  }
  return "\n" + Table(rows);
}

}  // namespace bulkhead
