// SPDX-License-Identifier: Apache-2.0
#include "cli/inputs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "cli/cli.h"
#include "cli/console.h"
#include "cli/files.h"
#include "cli/json.h"
#include "cli/names.h"
#include "cli/running.h"
#include "policy/load.h"
#include "policy/scalars.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxMapSize = 64U << 20;
constexpr std::string_view kMagic = "BULKHEAD";

tl::unexpected<int> Usage(const std::string& message, const std::string& help) {
  PrintError(message, help);
  return tl::make_unexpected(kExitWrongUsage);
}

tl::unexpected<int> Cannot(const std::string& message) {
  PrintError(message);
  return tl::make_unexpected(kExitCannot);
}

tl::expected<LoadOptions, int> OptionsOf(const Invocation& invocation) {
  LoadOptions options;
  options.target = invocation.One(Parameter::kTarget);
  for (const std::string& setting : invocation.All(Parameter::kSet)) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Usage(fmt::format("{} is not a setting", Quoted(setting)), "write --set NAME=VALUE");
    }
    if (!options.set.emplace(setting.substr(0, equals), setting.substr(equals + 1)).second) {
      return Usage(fmt::format("{} is set twice", Quoted(setting.substr(0, equals))),
                   "give each variable once");
    }
  }
  options.running = [] {
    if (geteuid() != 0) {
      PrintNote("what this kernel has was tried as an ordinary user, who may do less: ask as root");
    }
    return RunningSpec();
  };
  return options;
}

// Nothing without --weights.
tl::expected<std::optional<CallMix>, int> MixOf(const Invocation& invocation) {
  if (!invocation.Has(Parameter::kWeights)) return std::nullopt;
  const std::string path = invocation.One(Parameter::kWeights);
  const auto bytes = ReadFile(path, kMaxCallMixSize);
  if (!bytes) return Cannot(bytes.error());
  auto mix = ParseCallMix({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (!mix) return Cannot(fmt::format("weights {}: {}", Quoted(path), mix.error()));
  return std::optional(std::move(*mix));
}

std::optional<std::string> WhyUnreadable(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return "it is a directory";
  if (access(path.c_str(), R_OK) != 0) return std::strerror(errno);
  return std::nullopt;
}

bool IsNamedAsPolicy(const std::string& path) {
  return path.ends_with(".yaml") || path.ends_with(".yml");
}

bool StartsAsBundle(const std::vector<uint8_t>& bytes) {
  return bytes.size() >= kMagic.size() && std::equal(kMagic.begin(), kMagic.end(), bytes.begin());
}

bool IsBundle(const std::string& path) {
  const auto bytes = ReadFile(path, kMaxBundleSize);
  return bytes && StartsAsBundle(*bytes);
}

bool LooksLikePolicy(const std::string& path) { return IsNamedAsPolicy(path) && !IsBundle(path); }

tl::expected<Opened, int> OpenPolicy(const std::string& path, const Invocation& invocation,
                                     bool invariants) {
  auto result = CompilePolicy(path, invocation, invariants);
  if (!result) return tl::make_unexpected(result.error());
  if (!result->compilation) {
    if (invocation.One(Parameter::kFormat) == "json") {
      PrintOut(FailureJson(*result));
    } else {
      PrintDiagnostics(*result);
    }
    return tl::make_unexpected(kExitNo);
  }
  PrintDiagnostics(*result);
  std::vector<uint8_t> bytes = EncodeBundle(result->compilation->bundle);
  const Digest digest = BundleDigest(bytes);
  Places places = PlacesOf(*result->compilation, result->sources, digest);
  return Opened{std::move(result->compilation->bundle), std::move(bytes), digest,
                std::move(places)};
}

}  // namespace

tl::expected<std::string, int> DateOf(const Invocation& invocation) {
  if (!invocation.Has(Parameter::kDate)) return TodayUtc();
  std::string date = invocation.One(Parameter::kDate);
  if (!IsDate(date)) {
    return Usage(fmt::format("{} is not a date", Quoted(date)), "dates look like `2027-03-01`");
  }
  return date;
}

Places PlacesOf(const Compilation& compilation, const Sources& sources, const Digest& digest) {
  return ParseMap(RenderMap(compilation, sources, digest), digest).value_or(Places());
}

std::string TodayUtc() {
  const std::time_t now = std::time(nullptr);
  std::tm day{};
  gmtime_r(&now, &day);
  return fmt::format("{:04}-{:02}-{:02}", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday);
}

tl::expected<PolicyInputs, int> ReadInputs(const std::string& path, const Invocation& invocation) {
  if (const auto why = WhyUnreadable(path)) {
    return Cannot(fmt::format("policy {} can't be read: {}", Quoted(path), *why));
  }
  if (IsBundle(path)) {
    return Usage(
        fmt::format("{} is a compiled bundle, and this command takes a policy", Quoted(path)),
        "name the policy that it was compiled from; `bulkhead inspect` prints a bundle");
  }
  const auto options = OptionsOf(invocation);
  if (!options) return tl::make_unexpected(options.error());
  const auto date = DateOf(invocation);
  if (!date) return tl::make_unexpected(date.error());
  CompileOptions compile{*date};
  if (auto mix = MixOf(invocation)) {
    compile.mix = std::move(*mix);
  } else {
    return tl::make_unexpected(mix.error());
  }
  compile.allow_observe = invocation.Has(Parameter::kAllowObserve);
  if (invocation.Has(Parameter::kWeightsAll)) compile.weighing = Weighing::kAll;
  return PolicyInputs{path, *options, std::move(compile)};
}

tl::expected<PolicyResult, int> CompilePolicy(const std::string& path, const Invocation& invocation,
                                              bool invariants) {
  auto inputs = ReadInputs(path, invocation);
  if (!inputs) return tl::make_unexpected(inputs.error());
  inputs->compile.invariants = invariants;
  PolicyResult result;
  result.mix = inputs->compile.mix;
  Diagnostics diagnostics;
  result.loaded = LoadPolicyFile(path, inputs->load, result.sources, diagnostics);
  if (result.loaded) {
    result.compilation = Compile(*result.loaded, inputs->compile, diagnostics);
  }
  result.diagnostics = diagnostics.Sorted();
  return result;
}

void PrintDiagnostics(const PolicyResult& result) {
  for (const Diagnostic& diagnostic : result.diagnostics) {
    PrintRaw(RenderText(diagnostic, result.sources, ColorOn(STDERR_FILENO)));
  }
}

std::string FailureJson(const PolicyResult& result) {
  Json json{{"ok", false}};
  json.update(Json::parse(RenderJson(result.diagnostics, result.sources)));
  return JsonText(json);
}

std::optional<Places> ParseMap(std::string_view text, const Digest& digest) {
  const std::string head = DigestText(digest) + "\n";
  if (!text.starts_with(head)) return std::nullopt;
  Places places;
  for (size_t from = head.size(); from < text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    const std::string_view line = text.substr(from, end - from);
    const size_t tab = line.find('\t');
    if (tab == std::string_view::npos) return std::nullopt;
    places.emplace(line.substr(0, tab), line.substr(tab + 1));
    from = end + 1;
  }
  return places;
}

tl::expected<Opened, int> OpenBundle(const std::string& path) {
  auto bytes = ReadFile(path, kMaxBundleSize);
  if (!bytes) return Cannot(bytes.error());
  if (IsNamedAsPolicy(path) && !StartsAsBundle(*bytes)) {
    return Usage(fmt::format("{} is a policy, and this command takes a bundle", Quoted(path)),
                 fmt::format("`bulkhead compile {} -o BUNDLE` makes one", path));
  }
  auto bundle = DecodeBundle(*bytes);
  if (!bundle) return Cannot(fmt::format("bundle {} refused: {}", Quoted(path), bundle.error()));
  Opened opened{std::move(*bundle), std::move(*bytes), {}, {}};
  opened.digest = BundleDigest(opened.bytes);
  const auto map = ReadFile(path + ".map", kMaxMapSize);
  if (!map) return opened;
  auto places = ParseMap(std::string(map->begin(), map->end()), opened.digest);
  if (!places) {
    PrintNote(fmt::format("{} is not the map of this bundle; places are left out",
                          Quoted(path + ".map")));
  }
  opened.places = std::move(places).value_or(Places());
  return opened;
}

tl::expected<Opened, int> OpenFile(const std::string& path, const Invocation& invocation,
                                   bool invariants) {
  return LooksLikePolicy(path) ? OpenPolicy(path, invocation, invariants) : OpenBundle(path);
}

tl::expected<Opened, int> OpenInput(const Invocation& invocation, bool invariants) {
  const std::string path = invocation.One(Parameter::kInput);
  for (const Parameter parameter : {Parameter::kTarget, Parameter::kSet, Parameter::kDate}) {
    if (!invocation.Has(parameter) || LooksLikePolicy(path)) continue;
    return Usage(fmt::format("{} has no meaning for a bundle", Row(parameter).option),
                 "it is used when a policy is compiled");
  }
  return OpenFile(path, invocation, invariants);
}

tl::expected<std::optional<Arch>, int> ArchOfLog(const Invocation& invocation) {
  if (!invocation.Has(Parameter::kLogBundle)) return std::nullopt;
  const auto opened = OpenBundle(invocation.One(Parameter::kLogBundle));
  if (!opened) return tl::unexpected(opened.error());
  return opened->bundle->target.arch;
}

tl::expected<const ProfileData*, int> FindComponent(const Bundle& bundle, const std::string& name) {
  std::vector<std::string_view> names;
  for (const ProfileData& profile : bundle->components) {
    if (profile.name == name) return &profile;
    names.push_back(profile.name);
  }
  const auto meant = Nearest(name, names);
  return Usage(fmt::format("the bundle has no component {}", Quoted(name)),
               meant ? fmt::format("did you mean `{}`?", *meant)
                     : fmt::format("components are: {}", fmt::join(names, ", ")));
}

}  // namespace bulkhead
