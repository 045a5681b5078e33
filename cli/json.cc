// SPDX-License-Identifier: Apache-2.0
#include "cli/json.h"

#include <fmt/format.h>

#include "cli/filter_report.h"
#include "cli/names.h"
#include "compiler/disassemble.h"
#include "compiler/read_filter.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// One object an item, made by `make`.
template <typename Items, typename Make>
Json List(const Items& items, Make make) {
  Json list = Json::array();
  for (const auto& item : items) list.push_back(make(item));
  return list;
}

// Nothing where there is no limit.
Json LimitJson(uint64_t limit) { return limit == 0 ? Json() : Json(limit); }

Json ViewJson(const ViewEntry& entry) {
  return {{"path", entry.path},
          {"kind", NameOf(entry.kind)},
          {"size", LimitJson(entry.size)},
          {"optional", entry.optional},
          {"directory", entry.kind == ViewKind::kTripwire ? Json(entry.directory) : Json()},
          {"rule", entry.rule}};
}

Json LandlockJson(const LandlockPlan& plan) {
  return {{"handled_files", FileRightNames(plan.handled_files)},
          {"handled_net", PortRightNames(plan.handled_net)},
          {"scoped", ScopeNames(plan.scoped)},
          {"log", plan.log},
          {"rules", List(plan.rules,
                         [](const LandlockRule& rule) {
                           return Json{{"path", rule.path},
                                       {"optional", rule.optional},
                                       {"rule", rule.rule},
                                       {"access", FileRightNames(rule.access)}};
                         })},
          {"ports", List(plan.ports, [](const LandlockPort& port) {
             return Json{
                 {"port", port.port}, {"rule", port.rule}, {"access", PortRightNames(port.access)}};
           })}};
}

Json ListenerJson(const Listener& listener) {
  Json json{{"name", listener.name}, {"kind", NameOf(listener.kind)}};
  if (listener.kind == ListenerKind::kUnixStream) {
    json["path"] = listener.path;
  } else if (listener.kind == ListenerKind::kTcp) {
    json["address"] = listener.address;
    json["port"] = listener.port;
    json["guarded"] = listener.guarded;
  } else {
    json["port"] = listener.port;
  }
  json["nonblocking"] = listener.nonblocking;
  json["rule"] = listener.rule;
  return json;
}

Json EdgeJson(const EdgeDirectory& edge) {
  return {{"path", edge.path}, {"group", edge.group}, {"server", edge.server}, {"rule", edge.rule}};
}

Json BrokerJson(const ProfileData& profile) {
  if (profile.broker.calls.empty()) return {};
  std::vector<std::string> calls;
  for (const uint32_t nr : profile.broker.calls) {
    calls.emplace_back(SyscallName(profile.arch, nr));
  }
  return {{"calls", calls},
          {"paths", profile.broker.paths},
          {"rules", List(profile.broker.rules, [](const BrokerRule& rule) {
             return Json{{"to", BrokerRuleText(rule)}, {"rule", rule.rule}};
           })}};
}

void AddReading(const ProfileData& profile, Json& json) {
  if (const auto reading = ReadFilter(profile)) {
    json["proved"] = true;
    json["paths"] = reading->paths;
    json["allowed"] = reading->always;
    json["allowed_by_arguments"] = reading->by_arguments;
    json["answered_0"] = reading->skipped;
  } else {
    json["proved"] = false;
    json["not_proved"] = reading.error();
  }
}

// What is allowed until it is ready, all told.
Json StartupJson(const ProfileData& profile) {
  if (profile.startup.empty()) return {};
  ProfileData starting = profile;
  starting.filter = profile.startup;
  starting.absent.clear();  // the supervisor answers
  Json json{{"length", profile.startup.size()}};
  AddReading(starting, json);
  return json;
}

Json FilterJson(const ProfileData& profile) {
  std::vector<std::string> lines;
  const std::string text = Disassemble(profile.filter, profile.arch);
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    lines.push_back(text.substr(from, end - from));
    from = end + 1;
  }
  std::vector<std::string> absent;
  for (const uint32_t number : profile.absent) {
    const std::string_view name = SyscallName(profile.arch, number);
    absent.push_back(name.empty() ? std::to_string(number) : std::string(name));
  }
  Json json{{"architecture", ArchName(profile.arch)},
            {"notifies", profile.notifies},
            {"on_violation", NameOf(profile.on_violation)},
            {"absent", absent}};
  AddReading(profile, json);
  json["startup"] = StartupJson(profile);
  json.update({{"length", profile.filter.size()},
               {"executed",
                FilterCostJson(CostOf(profile.filter, profile.arch, DefaultCallMix(profile.arch)))},
               {"instructions", lines}});
  return json;
}

Json LimitsJson(const Limits& limits) {
  return {{"memory", LimitJson(limits.memory)}, {"processes", LimitJson(limits.processes)},
          {"files", LimitJson(limits.files)},   {"cpu_percent", LimitJson(limits.cpu_percent)},
          {"cpu_yields", limits.cpu_yields},    {"file_size", LimitJson(limits.file_size)}};
}

Json LifecycleJson(const Lifecycle& life) {
  Json ready{{"kind", NameOf(life.ready.kind)}, {"within_ms", life.ready.within_ms}};
  if (!life.ready.path.empty()) ready["path"] = life.ready.path;
  if (life.ready.kind == ReadyKind::kExit) ready["exit"] = life.ready.exit_code;
  return {{"after", life.after},
          {"ready", ready},
          {"watchdog_ms", life.watchdog_ms},
          {"stop", {{"signal", SignalName(life.stop_signal)}, {"within_ms", life.stop_within_ms}}},
          {"restart",
           {{"when", NameOf(life.restart)},
            {"at_most", life.restart_at_most},
            {"within_ms", life.restart_within_ms}}},
          {"critical", life.critical}};
}

Json InstancesJson(const Instances& instances) {
  if (instances.at_most == 0) return nullptr;
  return {{"per", "connection"},
          {"at_most", instances.at_most},
          {"lifetime_ms", instances.lifetime_ms}};
}

Json SecretJson(const Secret& secret) {
  return {{"name", secret.name}, {"from", secret.path}, {"rule", secret.rule}};
}

Json RequirementJson(const Requirement& requirement) {
  return {{"feature", Info(requirement.feature).key},
          {"level", requirement.level},
          {"component", requirement.component},
          {"statement", requirement.statement}};
}

Json ChannelJson(const Channel& channel) {
  return {{"name", channel.name},
          {"from", channel.from},
          {"to", channel.to},
          {"kind", NameOf(channel.kind)},
          {"size", channel.size == 0 ? Json() : Json(channel.size)},
          {"socket", channel.path.empty() ? Json() : Json(channel.path)},
          {"identity", channel.as_server ? channel.to : channel.from},
          {"rule", channel.rule}};
}

Json SinkJson(const Sink& sink) {
  Json json{{"kind", NameOf(sink.kind)}};
  if (HasPath(sink.kind)) json["path"] = sink.path;
  if (sink.kind == SinkKind::kVsock) json["address"] = sink.path;
  return json;
}

Json LedgerRowJson(const LedgerRow& row) {
  return {
      {"component", row.component},
      {"statement", row.statement},
      {"controls", List(row.controls,
                        [](const Control& control) {
                          return Json{{"layer", LayerName(control.layer)}, {"text", control.text}};
                        })},
      {"status", StatusName(row.status)},
      {"recorder", RecorderName(row.recorder)},
      {"note", row.note}};
}

Json AttestationJson(const Attestation& given) {
  if (!given.given) return nullptr;
  return {{"attest", given.attest},
          {"public_key", given.public_key},
          {"random", given.random},
          {"requests", given.count},
          {"window_ms", given.window_ms}};
}

Json MeasureJson(const Measure& measure) {
  Json json{{"register", RegisterName(measure.kind, measure.policy)}};
  json["events"] = measure.events ? Json(RegisterName(measure.kind, *measure.events)) : Json();
  for (const auto& [name, path] :
       {std::pair("nsm", &measure.nsm), std::pair("rtmr", &measure.rtmr),
        std::pair("tdx", &measure.tdx), std::pair("tsm", &measure.tsm),
        std::pair("tpm", &measure.tpm), std::pair("event_log", &measure.event_log)}) {
    if (!path->empty()) json[name] = *path;
  }
  return json;
}

}  // namespace

std::string TextOf(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

uint64_t NumberOf(const Json& json, const char* key, uint64_t otherwise) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_unsigned() ? found->get<uint64_t>() : otherwise;
}

std::string JsonText(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json TargetJson(const Target& target) {
  Json features = Json::object();
  for (const FeatureInfo& info : Features()) {
    features[std::string(info.key)] = target.features.Level(info.feature);
  }
  return {{"name", target.name},
          {"arch", ArchName(target.arch)},
          {"kernel", fmt::format("{}.{}", target.kernel_major, target.kernel_minor)},
          {"platform", target.platform},
          {"features", features}};
}

Json LedgerJson(const std::vector<LedgerRow>& ledger) { return List(ledger, LedgerRowJson); }

Json WaiversJson(const std::vector<Waiver>& waivers) {
  return List(waivers, [](const Waiver& waiver) {
    return Json{{"component", waiver.component},
                {"statement", waiver.statement},
                {"until", waiver.until},
                {"reason", waiver.reason}};
  });
}

Json ComponentJson(const ProfileData& profile) {
  Json environment = Json::object();
  for (const EnvVar& variable : profile.environment) environment[variable.name] = variable.value;
  return {{"name", profile.name},
          {"argv", profile.argv},
          {"pin", profile.pin ? Json(DigestText(*profile.pin)) : Json()},
          {"environment", environment},
          {"directory", profile.directory},
          {"umask", fmt::format("{:04o}", profile.umask)},
          {"stdin", NameOf(profile.stdin_from)},
          {"stdout", NameOf(profile.stdout_to)},
          {"stderr", NameOf(profile.stderr_to)},
          {"uid", profile.uid},
          {"gid", profile.gid},
          {"groups", profile.groups},
          {"view", List(profile.view, ViewJson)},
          {"landlock", LandlockJson(profile.landlock)},
          {"network", NameOf(profile.network)},
          {"listeners", List(profile.listeners, ListenerJson)},
          {"edges", List(profile.edges, EdgeJson)},
          {"broker", BrokerJson(profile)},
          {"secrets", List(profile.secrets, SecretJson)},
          {"attestation", AttestationJson(profile.attestation)},
          {"limits", LimitsJson(profile.limits)},
          {"lifecycle", LifecycleJson(profile.lifecycle)},
          {"instances", InstancesJson(profile.instances)},
          {"filter", FilterJson(profile)}};
}

Json EnclaveJson(const BundleData& bundle) {
  Json vars = Json::object();
  for (const EnvVar& variable : bundle.vars) vars[variable.name] = variable.value;
  return {
      {"enclave", bundle.enclave},
      {"target", TargetJson(bundle.target)},
      {"measure", MeasureJson(bundle.measure)},
      {"vars", vars},
      {"sources", List(bundle.sources,
                       [](const NamedDigest& source) {
                         return Json{{"name", source.name}, {"digest", DigestText(source.digest)}};
                       })},
      {"requirements", List(bundle.requirements, RequirementJson)},
      {"sinks", List(bundle.sinks, SinkJson)},
      {"output",
       {{"sinks", List(bundle.output.sinks, SinkJson)},
        {"file_size", bundle.output.file_size == 0 ? Json() : Json(bundle.output.file_size)}}},
      {"assets",
       List(bundle.assets,
            [](const Asset& asset) {
              return Json{{"name", asset.name}, {"files", asset.files}, {"readers", asset.readers}};
            })},
      {"channels", List(bundle.channels, ChannelJson)},
      {"waivers", WaiversJson(bundle.waivers)}};
}

}  // namespace bulkhead
