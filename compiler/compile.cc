// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "compiler/filter_gen.h"
#include "compiler/invariants.h"
#include "compiler/planner.h"
#include "compiler/policy_tests.h"
#include "policy/check_connected.h"

namespace bulkhead {
namespace {

template <typename T, typename Key>
void SortBy(std::vector<T>& items, Key key) {
  std::sort(items.begin(), items.end(), [&](const T& a, const T& b) { return key(a) < key(b); });
}

// Two statements about one path in the view, each for itself well-formed.
void CheckView(const ComponentPlan& plan) {
  const auto& view = plan.profile.view;
  for (size_t i = 1; i < view.size(); ++i) {
    if (view[i].path != view[i - 1].path) continue;
    plan.Error(plan.policy.at.place, "E0556",
               fmt::format("`{}` is claimed by both `{}` and `{}`", view[i].path, view[i - 1].rule,
                           view[i].rule),
               "a path of the view has one meaning");
  }
}

void Order(ComponentPlan& plan) {
  ProfileData& profile = plan.profile;
  SortBy(
      profile.view, [](const ViewEntry& e) -> const auto& { return e.path; });
  SortBy(
      profile.edges, [](const EdgeDirectory& e) -> const auto& { return e.path; });
  SortBy(
      profile.listeners, [](const Listener& l) -> const auto& { return l.name; });
  SortBy(
      profile.landlock.rules, [](const LandlockRule& r) -> const auto& { return r.path; });
  CheckView(plan);
}

ComponentPlan PlanComponent(EnclavePlan& enclave, const ComponentPolicy& component) {
  ComponentPlan plan(enclave, component);
  PlanIdentity(plan);
  PlanExecution(plan);
  PlanFiles(plan);
  PlanDevices(plan);
  PlanNetwork(plan);
  PlanSecrets(plan);
  PlanAttestation(plan);
  PlanAssets(plan);
  PlanLimits(plan);
  PlanLifecycle(plan);
  PlanCalls(plan);
  Order(plan);
  return plan;
}

std::vector<std::string> Readers(const AssetPolicy& asset,
                                 const std::vector<ComponentPlan>& components) {
  std::vector<std::string> readers;
  for (const ComponentPlan& component : components) {
    const bool reaches = std::any_of(asset.files.begin(), asset.files.end(), [&](const Text& file) {
      return std::any_of(component.files.begin(), component.files.end(), [&](const auto& item) {
        return IsPersistent(item.second.verb) &&
               (Covers(item.first, file.value) || Covers(file.value, item.first));
      });
    });
    const bool holds = std::ranges::any_of(asset.files, [&](const Text& file) {
      return std::ranges::any_of(component.policy.secrets, [&](const SecretPolicy& secret) {
        return Covers(file.value, secret.path);
      });
    });
    if (reaches || holds) readers.push_back(component.policy.name);
  }
  return readers;
}

// A Nitro enclave has no disk, and its console can be read in debug mode alone, whose documents
// prove nothing.
void WarnOfLostLog(const EnclavePlan& enclave, const std::vector<Sink>& sinks) {
  const bool leaves = std::ranges::any_of(sinks, [](const Sink& sink) {
    return sink.kind == SinkKind::kVsock || sink.kind == SinkKind::kUnix;
  });
  // Where there are mistakes these are said first.
  if (leaves || enclave.target.platform != "nitro" || enclave.diagnostics.HasErrors()) return;
  enclave.diagnostics.Warning(
      enclave.policy.sinks_at, "E0592",
      fmt::format("no sink of the audit log leaves the enclave: on `{}` it ends with it",
                  enclave.target.name),
      "add `{vsock: \"parent:9001\"}` to its `sinks`, or `{unix: PATH}` of a service that sends "
      "it");
}

BundleData Assemble(EnclavePlan& enclave, const std::vector<ComponentPlan>& components) {
  const Policy& policy = enclave.policy;
  BundleData data;
  data.enclave = policy.enclave;
  data.target = enclave.target;
  data.measure = PlanMeasure(enclave);
  for (const auto& [name, value] : policy.vars) data.vars.push_back({name, value.value});
  data.sources = policy.sources;
  data.requirements = std::move(enclave.requirements);
  data.sinks = policy.sinks;
  if (data.sinks.empty()) data.sinks = {{SinkKind::kFile, "/var/log/bulkhead/audit.jsonl"}};
  WarnOfLostLog(enclave, data.sinks);
  data.output = policy.output;
  for (const AssetPolicy& asset : policy.assets) {
    Asset entry{asset.name, {}, Readers(asset, components)};
    for (const Text& file : asset.files) entry.files.push_back(file.value);
    std::sort(entry.files.begin(), entry.files.end());
    data.assets.push_back(std::move(entry));
  }
  for (const ChannelPolicy& channel : policy.channels) {
    const bool connected = channel.kind == ChannelKind::kConnected;
    data.channels.push_back(
        {channel.name, channel.from.value, channel.to.value, channel.kind, channel.size,
         channel.at.id, connected ? ListenerOf(policy, channel)->path : "", channel.as_server});
  }
  for (const WaiverPolicy& waiver : policy.waivers) {
    data.waivers.push_back({waiver.component, waiver.statement, waiver.reason, waiver.until});
  }
  for (const ComponentPlan& component : components) data.components.push_back(component.profile);
  const auto by_name = [](const auto& item) -> const auto& { return item.name; };
  SortBy(data.vars, by_name);
  SortBy(data.sources, by_name);
  SortBy(data.assets, by_name);
  SortBy(data.channels, by_name);
  SortBy(data.components, by_name);
  for (std::vector<Sink>* sinks : {&data.sinks, &data.output.sinks}) {
    SortBy(*sinks, [](const Sink& s) { return std::pair(s.kind, s.path); });
  }
  SortBy(data.waivers,
         [](const Waiver& w) { return std::tuple(w.component, w.statement, w.until, w.reason); });
  SortBy(data.requirements, [](const Requirement& r) {
    return std::tuple(r.component, r.statement, r.feature, r.level);
  });
  data.requirements.erase(std::unique(data.requirements.begin(), data.requirements.end()),
                          data.requirements.end());
  return data;
}

using Groups = std::map<std::string_view, const SyscallGroup*>;

void AddGroup(const Groups& groups, std::string_view name, std::set<std::string_view>& seen,
              std::vector<MapRow>& map) {
  const auto found = groups.find(name);
  if (found == groups.end() || !seen.insert(name).second) return;
  for (const SyscallRule& rule : found->second->calls) {
    map.push_back({rule.at.id, rule.at.place});
    if (rule.name.starts_with("@")) {
      AddGroup(groups, std::string_view(rule.name).substr(1), seen, map);
    }
  }
}

// The entries of the groups that components name, and of those that these name.
void AddGroups(const Policy& policy, std::vector<MapRow>& map) {
  Groups groups;
  for (const SyscallGroup& group : policy.groups) groups[group.name] = &group;
  std::set<std::string_view> seen;
  for (const ComponentPolicy& component : policy.components) {
    for (const auto* list : {&component.allow, &component.deny, &component.startup}) {
      for (const SyscallRule& rule : *list) {
        if (!rule.name.starts_with("@")) continue;
        AddGroup(groups, std::string_view(rule.name).substr(1), seen, map);
      }
    }
  }
}

// Every statement of the policy that a rule, a ledger row or a requirement can name.
std::vector<MapRow> MapOf(const Policy& policy) {
  std::vector<MapRow> map;
  const auto add = [&](const Statement& at) {
    if (at.id.empty()) return;
    map.push_back({at.id, at.place});
    // The list itself and the sections that it stands in, for rows about the whole of them: at the
    // first of what they hold.
    std::string section = at.id.substr(0, at.id.find(':'));
    if (section != at.id) map.push_back({section, at.place});
    if (!section.starts_with("components.")) return;
    while (std::ranges::count(section, '.') > 2) {
      section.resize(section.rfind('.'));
      map.push_back({section, at.place});
    }
  };
  for (const ComponentPolicy& component : policy.components) {
    add(component.at);
    for (const FileRule& rule : component.files) add(rule.at);
    for (const Text& device : component.devices) add(device.at);
    for (const UnixListen& listen : component.network.unix_listen) add(listen.at);
    for (const Text& connect : component.network.unix_connect) add(connect.at);
    for (const TcpListen& listen : component.network.tcp_listen) add(listen.at);
    for (const VsockListen& listen : component.network.vsock_listen) add(listen.at);
    for (const TcpPort& port : component.network.tcp_bind) add(port.at);
    for (const TcpPort& port : component.network.tcp_connect) add(port.at);
    for (const TcpPort& port : component.network.udp_bind) add(port.at);
    for (const auto* list : {&component.network.tcp_connect_to, &component.network.udp_connect,
                             &component.network.vsock_connect}) {
      for (const Destination& to : *list) add(to.at);
    }
    for (const SecretPolicy& secret : component.secrets) add(secret.at);
    if (component.attestation) add(component.attestation->at);
    for (const SyscallRule& rule : component.allow) add(rule.at);
    for (const SyscallRule& rule : component.deny) add(rule.at);
    for (const SyscallRule& rule : component.startup) add(rule.at);
    for (const auto& [key, at] : component.limits_at) add(at);
    for (const Text& arg : component.exec) add(arg.at);
    for (const Statement* at : {&component.ready_at, &component.user_at}) {
      // One that is not written has no place but its component's.
      add(at->place == Place{} ? Statement{at->id, component.at.place} : *at);
    }
  }
  AddGroups(policy, map);
  for (const AssetPolicy& asset : policy.assets) add(asset.at);
  for (const ChannelPolicy& channel : policy.channels) add(channel.at);
  for (const WaiverPolicy& waiver : policy.waivers) add(waiver.at);
  std::sort(map.begin(), map.end(), [](const MapRow& a, const MapRow& b) {
    const auto key = [](const MapRow& row) {
      return std::tie(row.id, row.place.file, row.place.line, row.place.column);
    };
    return key(a) < key(b);
  });
  map.erase(std::unique(map.begin(), map.end(),
                        [](const MapRow& a, const MapRow& b) { return a.id == b.id; }),
            map.end());
  return map;
}

FilterGenerator GeneratorFor(const Target& target, const CompileOptions& options) {
  return {options.mix ? *options.mix : DefaultCallMix(target.arch),
          options.weighing.value_or(WeighingFor(target.kernel_major, target.kernel_minor))};
}

}  // namespace

std::vector<ComponentPlan> PlanComponents(EnclavePlan& enclave) {
  FindAssetDirectories(enclave);
  std::vector<ComponentPlan> components;
  components.reserve(enclave.policy.components.size());
  for (const ComponentPolicy& component : enclave.policy.components) {
    components.push_back(PlanComponent(enclave, component));
  }
  return components;
}

namespace {

// All but the checks of the bundle itself. What can't be compiled is in the diagnostics, and the
// rest of the ledger is there all the same.
BundleData CompileEnclave(EnclavePlan& enclave, const CompileOptions& options,
                          const std::vector<MapRow>& map) {
  std::vector<ComponentPlan> components = PlanComponents(enclave);
  FilterGenerator generator = GeneratorFor(enclave.target, options);
  MakeFilters(components, generator);
  CheckEnclave(enclave, components);
  BundleData data = Assemble(enclave, components);
  if (!enclave.diagnostics.HasErrors()) CheckClosure(components, data, map);
  enclave.waivers.Finish(enclave.ledger, enclave.target.name, enclave.diagnostics);
  data.ledger = std::move(enclave.ledger);
  SortBy(data.ledger, [](const LedgerRow& r) { return std::pair(r.component, r.statement); });
  return data;
}

}  // namespace

namespace {

// Sentences about the whole, and questions of tests, which only `test` answers.
void CheckSentences(const Policy& policy, const Bundle& bundle, const CompileOptions& options,
                    Diagnostics& diagnostics) {
  ReadTests(bundle, policy.tests, diagnostics);
  if (!options.invariants || policy.invariants.empty()) return;
  Evaluator evaluator(bundle);
  const auto results = CheckInvariants(evaluator, policy.invariants, diagnostics);
  if (!results) {
    diagnostics.Error({}, "E0703", "the invariants can't be checked", results.error());
    return;
  }
  for (const InvariantResult& result : *results) {
    if (result.holds()) continue;
    diagnostics.Error(result.place, "E0703", fmt::format("`{}` does not hold", result.text),
                      PathText(result.path));
  }
}

}  // namespace

std::optional<Compilation> Compile(const LoadedPolicy& loaded, const CompileOptions& options,
                                   Diagnostics& diagnostics) {
  EnclavePlan enclave(loaded, options.date, diagnostics);
  enclave.allow_observe = options.allow_observe;
  std::vector<MapRow> map = MapOf(loaded.policy);
  BundleData data = CompileEnclave(enclave, options, map);
  if (diagnostics.HasErrors()) return std::nullopt;
  auto bundle = Bundle::Make(std::move(data));
  if (!bundle) {
    diagnostics.Error({}, "E0599",
                      fmt::format("the plan does not hold together: {}", bundle.error()),
                      "this is a bug in bulkhead; please report it with the policy");
    return std::nullopt;
  }
  CheckSentences(loaded.policy, *bundle, options, diagnostics);
  if (diagnostics.HasErrors()) return std::nullopt;
  return Compilation{std::move(*bundle), std::move(map)};
}

Survey SurveyTarget(const LoadedPolicy& loaded, const CompileOptions& options) {
  Diagnostics diagnostics;
  EnclavePlan enclave(loaded, options.date, diagnostics);
  enclave.allow_observe = options.allow_observe;
  Survey survey;
  const std::vector<MapRow> map = MapOf(loaded.policy);
  BundleData data = CompileEnclave(enclave, options, map);
  survey.ledger = data.ledger;
  if (!diagnostics.HasErrors()) {
    if (const auto bundle = Bundle::Make(std::move(data))) {
      CheckSentences(loaded.policy, *bundle, options, diagnostics);
    }
  }
  for (Diagnostic& mistake : diagnostics.Sorted()) {
    if (mistake.severity != Severity::kError) continue;
    if (mistake.statement.empty()) {
      const auto said = std::ranges::find(map, mistake.place, &MapRow::place);
      if (said != map.end()) mistake.statement = said->id;
    }
    survey.mistakes.push_back(std::move(mistake));
  }
  return survey;
}

std::string RenderMap(const Compilation& compilation, const Sources& sources,
                      const Digest& bundle_digest) {
  std::string text = "sha384:" + Hex(bundle_digest) + "\n";
  for (const MapRow& row : compilation.map) {
    const std::string& file = row.place.file < sources.size() ? sources[row.place.file].name : "?";
    text += fmt::format("{}\t{}:{}:{}\n", row.id, file, row.place.line, row.place.column);
  }
  return text;
}

}  // namespace bulkhead
