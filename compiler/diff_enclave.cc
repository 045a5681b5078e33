// SPDX-License-Identifier: Apache-2.0
#include "compiler/diff_enclave.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace bulkhead {
namespace {

constexpr std::string_view kNone = "none";

// Of something that is there, or "none".
struct Value {
  std::string text{kNone};
  bool there = false;
};

Value ValueOf(bool there, std::string text) {
  return there ? Value{std::move(text), true} : Value{};
}

Change ChangeOf(const Value& before, const Value& after) {
  if (before.there == after.there) return Change::kNeutral;
  return before.there ? Change::kWidened : Change::kNarrowed;
}

Difference Compared(std::string component, std::string area, std::string witness,
                    const std::string& rule, const Value& before, const Value& after) {
  return {ChangeOf(before, after),
          std::move(component),
          std::move(area),
          std::move(witness),
          before.there ? rule : "",
          after.there ? rule : "",
          fmt::format("{}, now {}", before.text, after.text),
          false};
}

// As a policy has it, without its braces.
std::string SinkText(const Sink& sink) {
  switch (sink.kind) {
    case SinkKind::kFile:
      return "file:" + sink.path;
    case SinkKind::kStdout:
      return "stdout";
    case SinkKind::kUnix:
      return "unix:" + sink.path;
    case SinkKind::kVsock:
      return "vsock:" + sink.path;
  }
  return {};
}

std::set<std::string> Texts(const std::vector<Sink>& sinks) {
  std::set<std::string> texts;
  for (const Sink& sink : sinks) texts.insert(SinkText(sink));
  return texts;
}

// `area` is the key of the policy. Where else the lines go, both say.
void DiffSinks(const std::string& area, const std::vector<Sink>& before,
               const std::vector<Sink>& after, std::vector<Difference>& out) {
  const std::set<std::string> old_sinks = Texts(before);
  const std::set<std::string> new_sinks = Texts(after);
  std::set<std::string> all = old_sinks;
  all.insert(new_sinks.begin(), new_sinks.end());
  for (const std::string& sink : all) {
    const bool was = old_sinks.contains(sink);
    const bool is = new_sinks.contains(sink);
    if (was == is) continue;
    Difference line = Compared("", area, area == "audit" ? "sink " + sink : "output to " + sink,
                               area + ".sinks", ValueOf(was, {}), ValueOf(is, {}));
    line.text =
        fmt::format("{}, now {}", fmt::join(old_sinks, " and "), fmt::join(new_sinks, " and "));
    out.push_back(std::move(line));
  }
}

// A record that has no place any more is missed. Of output it is the new place that counts: what
// components write there has a way out that it did not have.
void DiffOutput(const OutputPlan& before, const OutputPlan& after, std::vector<Difference>& out) {
  const size_t first = out.size();
  DiffSinks("output", before.sinks, after.sinks, out);
  for (size_t i = first; i < out.size(); ++i) {
    out[i].change = out[i].new_rule.empty() ? Change::kNeutral : Change::kWidened;
  }
  if (before.file_size == after.file_size || before.file_size == 0 || after.file_size == 0) return;
  out.push_back({Change::kNeutral, "", "output", "output file-size", "output.file-size",
                 "output.file-size",
                 fmt::format("{}, now {} bytes", before.file_size, after.file_size), false});
}

Value PolicyRegister(const Measure& measure) {
  return ValueOf(measure.kind != RegisterKind::kNone, RegisterName(measure.kind, measure.policy));
}

Value EventsRegister(const Measure& measure) {
  return ValueOf(measure.events.has_value(),
                 RegisterName(measure.kind, measure.events.value_or(0)));
}

void DiffMeasure(const Measure& before, const Measure& after, std::vector<Difference>& out) {
  const auto add = [&](std::string witness, const std::string& rule, const Value& one,
                       const Value& other) {
    if (one.text == other.text) return;
    out.push_back(Compared("", "measure", std::move(witness), rule, one, other));
  };
  add("measure", "measure", PolicyRegister(before), PolicyRegister(after));
  add("measure events", "measure.events", EventsRegister(before), EventsRegister(after));
  // The target's, which come and go with the register.
  const std::pair<std::string_view, std::string Measure::*> devices[] = {
      {"nsm", &Measure::nsm}, {"rtmr", &Measure::rtmr}, {"tdx", &Measure::tdx},
      {"tsm", &Measure::tsm}, {"tpm", &Measure::tpm},   {"event log", &Measure::event_log}};
  for (const auto& [name, path] : devices) {
    if (before.kind != after.kind || before.*path == after.*path) continue;
    const auto value = [](const std::string& text) { return text.empty() ? kNone : text; };
    out.push_back({Change::kNeutral, "", "measure", fmt::format("measure {}", name), "measure",
                   "measure", fmt::format("{}, now {}", value(before.*path), value(after.*path)),
                   false});
  }
}

const Asset* FindAsset(const BundleData& bundle, std::string_view name) {
  const auto found = std::ranges::find(bundle.assets, name, &Asset::name);
  return found == bundle.assets.end() ? nullptr : &*found;
}

Value FilesOf(const Asset* asset) {
  if (asset == nullptr) return {};
  return {fmt::format("{}", fmt::join(asset->files, " and ")), true};
}

// Of an asset that both have, each file that comes or goes.
void DiffFiles(const Asset& before, const Asset& after, std::vector<Difference>& out) {
  std::set<std::string> all(before.files.begin(), before.files.end());
  all.insert(after.files.begin(), after.files.end());
  for (const std::string& file : all) {
    const bool was = std::ranges::binary_search(before.files, file);
    const bool is = std::ranges::binary_search(after.files, file);
    if (was == is) continue;
    Difference line = Compared("", "assets", fmt::format("asset {} {}", before.name, file),
                               "assets." + before.name, ValueOf(was, {}), ValueOf(is, {}));
    line.text = fmt::format("{}, now {}", FilesOf(&before).text, FilesOf(&after).text);
    out.push_back(std::move(line));
  }
}

void DiffAssets(const BundleData& before, const BundleData& after, std::vector<Difference>& out) {
  std::set<std::string> names;
  for (const BundleData* bundle : {&before, &after}) {
    for (const Asset& asset : bundle->assets) names.insert(asset.name);
  }
  for (const std::string& name : names) {
    const Asset* was = FindAsset(before, name);
    const Asset* is = FindAsset(after, name);
    if (was != nullptr && is != nullptr) {
      DiffFiles(*was, *is, out);
    } else {
      out.push_back(
          Compared("", "assets", "asset " + name, "assets." + name, FilesOf(was), FilesOf(is)));
    }
  }
}

Value PinOf(const ProfileData& profile) {
  if (!profile.pin) return {};
  return {"sha384:" + Hex(*profile.pin), true};
}

}  // namespace

std::vector<Difference> DiffEnclaves(const BundleData& before, const BundleData& after) {
  std::vector<Difference> out;
  DiffAssets(before, after, out);
  DiffSinks("audit", before.sinks, after.sinks, out);
  DiffMeasure(before.measure, after.measure, out);
  DiffOutput(before.output, after.output, out);
  return out;
}

std::optional<Difference> DiffPins(const ProfileData& before, const ProfileData& after) {
  if (before.pin == after.pin) return std::nullopt;
  return Compared(before.name, "component", "exec sha384", "components." + before.name + ".exec",
                  PinOf(before), PinOf(after));
}

}  // namespace bulkhead
