// SPDX-License-Identifier: Apache-2.0
#include "policy/build.h"
#include "policy/scalars.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "policy/merge.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

std::vector<std::pair<std::string, Text>> BuildPairs(const Section& section) {
  std::vector<std::pair<std::string, Text>> pairs;
  for (const Entry& entry : section.Entries()) {
    pairs.emplace_back(entry.key, Text{entry.value.text, section.At(entry.key)});
  }
  std::sort(pairs.begin(), pairs.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return pairs;
}

// "parent:9001" or "3:9001" as bundles have it; nothing for another text.
std::optional<std::string> SinkAddress(const std::string& text) {
  constexpr std::string_view kParent = "parent:";
  const std::string address = text.starts_with(kParent) ? "3:" + text.substr(kParent.size()) : text;
  return ParseVsockPeer(address) ? std::optional(address) : std::nullopt;
}

void BuildSink(const Node& item, std::vector<Sink>& sinks, Diagnostics& diagnostics) {
  const Section fields(&item, "");
  if (fields.Entries().size() != 1) {
    diagnostics.Error(item.place, "E0245", "a sink is one place",
                      "write an item for each: `{file: PATH}`, `{unix: PATH}`, "
                      "`{vsock: \"parent:9001\"}`");
  } else if (fields.Get("file") != nullptr) {
    sinks.push_back({SinkKind::kFile, fields.TextOf("file")});
  } else if (fields.Get("unix") != nullptr) {
    sinks.push_back({SinkKind::kUnix, fields.TextOf("unix")});
    if (sinks.back().path.size() <= kMaxUnixPath) return;
    diagnostics.Error(fields.At("unix").place, "E0246",
                      fmt::format("the path is longer than {} bytes", kMaxUnixPath),
                      "that is all a unix socket's address holds");
  } else if (fields.Get("vsock") != nullptr) {
    const auto address = SinkAddress(fields.TextOf("vsock"));
    if (address) sinks.push_back({SinkKind::kVsock, *address});
    if (address) return;
    diagnostics.Error(fields.At("vsock").place, "E0247",
                      Quoted(fields.TextOf("vsock")) + " is not a vsock address",
                      "write `parent:9001` or `3:9001`");
  }
}

std::vector<Sink> BuildSinks(const Section& audit, Diagnostics& diagnostics) {
  std::vector<Sink> sinks;
  for (const Node& item : audit.Items("sinks")) {
    if (item.kind == NodeKind::kScalar) {
      sinks.push_back({SinkKind::kStdout, ""});
    } else {
      BuildSink(item, sinks, diagnostics);
    }
  }
  return sinks;
}

// Standard output alone may take both, where each line says whose it is.
bool Meet(const Sink& output, const Sink& other) {
  if (output == other) return output.kind != SinkKind::kStdout;
  const std::vector<std::string> paths = SinkPaths({}, {{output}, 0});
  return HasPath(other.kind) && std::ranges::find(paths, other.path) != paths.end();
}

OutputPlan BuildOutput(const Section& section, const std::vector<Sink>& audit,
                       Diagnostics& diagnostics) {
  OutputPlan output{BuildSinks(section, diagnostics), 0};
  const bool file = std::ranges::any_of(
      output.sinks, [](const Sink& sink) { return sink.kind == SinkKind::kFile; });
  if (output.sinks.empty()) output.sinks.push_back({SinkKind::kStdout, ""});
  std::vector<Sink> others = audit;
  others.insert(others.end(), output.sinks.begin(), output.sinks.end());
  for (size_t i = 0; i < output.sinks.size(); ++i) {
    const Sink& sink = output.sinks[i];
    const auto meets = [&](const Sink& other) { return Meet(sink, other); };
    // Itself is among them.
    if (std::ranges::count_if(others, meets) <= (sink.kind == SinkKind::kStdout ? 0 : 1)) continue;
    diagnostics.Error(section.At("sinks").place, "E0426",
                      Quoted(sink.path) + " is, or would replace, another sink's place",
                      "a full file is renamed to its path and `.old`; records and lines of "
                      "components have places of their own");
  }
  const auto size = ParseSize(section.TextOf("file-size"));
  if (size && !file) {
    diagnostics.Error(section.At("file-size").place, "E0427", "no file is among the sinks",
                      "leave `file-size` out, or add `{file: PATH}`");
  }
  constexpr uint64_t kUsual = uint64_t{64} << 20;
  if (file) output.file_size = size.value_or(kUsual);
  return output;
}

std::vector<AssetPolicy> BuildAssets(const Section& assets) {
  std::vector<AssetPolicy> built;
  for (const Entry& entry : assets.Entries()) {
    const Section asset = assets.Sub(entry.key);
    built.push_back({entry.key, asset.Texts("files"), {asset.id(), entry.key_place}});
  }
  std::sort(built.begin(), built.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return built;
}

ChannelKind ParseChannelKind(const std::string& word) {
  if (word == "messages") return ChannelKind::kMessages;
  if (word == "pipe") return ChannelKind::kPipe;
  if (word == "memory") return ChannelKind::kMemory;
  if (word == "connected") return ChannelKind::kConnected;
  return ChannelKind::kStream;
}

std::vector<ChannelPolicy> BuildChannels(const Section& root) {
  std::vector<ChannelPolicy> channels;
  for (const Node& item : root.Items("channels")) {
    const Section fields(&item, "channels:" + Section(&item, "").TextOf("name"));
    ChannelPolicy channel;
    channel.name = fields.TextOf("name");
    channel.from = {fields.TextOf("from"), fields.At("from")};
    channel.to = {fields.TextOf("to"), fields.At("to")};
    channel.kind = ParseChannelKind(fields.TextOf("kind", "stream"));
    channel.size = ParseSize(fields.TextOf("size")).value_or(0);
    channel.listener = {fields.TextOf("listener"), fields.At("listener")};
    channel.as_server = fields.TextOf("identity") == "to";
    channel.identity_at = fields.At("identity");
    channel.at = {fields.id(), item.place};
    channels.push_back(std::move(channel));
  }
  return channels;
}

std::vector<WaiverPolicy> BuildWaivers(const Section& root) {
  std::vector<WaiverPolicy> waivers;
  for (const Node& item : root.Items("waivers")) {
    const Section fields(&item, "");
    WaiverPolicy waiver;
    waiver.component = fields.TextOf("component");
    waiver.component_place = fields.At("component").place;
    waiver.statement = fields.TextOf("statement");
    waiver.reason = fields.TextOf("reason");
    waiver.until = fields.TextOf("until");
    const std::string scope = waiver.component.empty() ? "" : waiver.component + ".";
    waiver.at = {"waivers:" + scope + waiver.statement, item.place};
    waivers.push_back(std::move(waiver));
  }
  return waivers;
}

std::optional<TestPolicy> BuildTest(const Node& item, Diagnostics& diagnostics) {
  const Section fields(&item, "");
  TestPolicy test;
  test.component = {fields.TextOf("component"), fields.At("component")};
  test.expect = fields.TextOf("expect");
  size_t actions = 0;
  for (const Entry& entry : fields.Entries()) {
    if (entry.key == "component" || entry.key == "expect") continue;
    ++actions;
    test.action = entry.key;
    test.object = {fields.TextOf(entry.key), fields.At(entry.key)};
  }
  if (actions != 1) {
    diagnostics.Error(item.place, "E0236", "a test has one action",
                      "such as `{component: web, read: /etc/shadow, expect: deny}`");
    return std::nullopt;
  }
  test.at = {"tests:" + test.component.value + " " + test.action + " " + test.object.value,
             item.place};
  return test;
}

}  // namespace

Policy BuildPolicy(const Node& root_node, const Library& library, Diagnostics& diagnostics) {
  const Section root(&root_node, "");
  Policy policy;
  policy.enclave = root.TextOf("enclave");
  policy.target = {root.TextOf("target"), root.At("target")};
  policy.vars = BuildPairs(root.Sub("vars"));
  policy.sinks = BuildSinks(root.Sub("audit"), diagnostics);
  policy.sinks_at = root.At(root.Get("audit") != nullptr ? "audit" : "target").place;
  policy.output = BuildOutput(root.Sub("output"), policy.sinks, diagnostics);
  if (const Section measure = root.Sub("measure"); measure.Get("policy") != nullptr) {
    policy.measure = Text{measure.TextOf("policy"), measure.At("policy")};
    if (measure.Get("events") != nullptr) {
      policy.measure_events = Text{measure.TextOf("events"), measure.At("events")};
    }
  }
  policy.assets = BuildAssets(root.Sub("assets"));
  const Section components = root.Sub("components");
  for (const Entry& entry : components.Entries()) {
    const Node merged = MergeComponent(entry, library, diagnostics);
    policy.components.push_back(BuildComponent(entry, merged, diagnostics));
  }
  std::sort(policy.components.begin(), policy.components.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  policy.channels = BuildChannels(root);
  policy.waivers = BuildWaivers(root);
  policy.invariants = root.Texts("invariants");
  for (const Node& item : root.Items("tests")) {
    if (auto test = BuildTest(item, diagnostics)) policy.tests.push_back(std::move(*test));
  }
  for (const auto& [name, group] : library.groups) {
    policy.groups.push_back(BuildGroup(group, diagnostics));
  }
  return policy;
}

}  // namespace bulkhead
