// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/files.h"
#include "cli/filter_report.h"
#include "cli/image_check.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "cli/ledger.h"
#include "cli/matrix.h"
#include "cli/names.h"
#include "cli/sarif.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

constexpr std::string_view kAllTargets = "all";

bool WantsJson(const Invocation& invocation) {
  return invocation.One(Parameter::kFormat) == "json";
}

int Failed(const Invocation& invocation, const PolicyResult& result) {
  if (!WantsJson(invocation)) {
    PrintDiagnostics(result);
  } else if (!PrintOut(FailureJson(result))) {
    return kExitCannot;
  }
  return kExitNo;
}

Json SuccessJson(const PolicyResult& result) {
  const Bundle& bundle = result.compilation->bundle;
  Json names = Json::array();
  for (const ProfileData& profile : bundle->components) names.push_back(profile.name);
  Json json{{"ok", true},
            {"enclave", bundle->enclave},
            {"target", bundle->target.name},
            {"components", names}};
  json.update(Json::parse(RenderJson(result.diagnostics, result.sources)));
  return json;
}

// Where the statement stands, or what it is a part of.
Place PlaceOfStatement(const Compilation& compilation, std::string_view statement) {
  for (;;) {
    const auto row = std::ranges::find(compilation.map, statement, &MapRow::id);
    if (row != compilation.map.end()) return row->place;
    const size_t cut = statement.find_last_of(".:");
    if (cut == std::string_view::npos) return {};
    statement = statement.substr(0, cut);
  }
}

// What the root of `--root` lacks, or has otherwise, of what the bundle needs, becomes mistakes,
// and there is no compilation then. False: the root can't be read; the error is printed.
bool CompareRoot(const Invocation& invocation, PolicyResult& result) {
  if (!invocation.Has(Parameter::kCheckedTree) || !result.compilation) return true;
  const std::string root = invocation.One(Parameter::kCheckedTree);
  const auto problems = CheckRoot(result.compilation->bundle, root);
  if (!problems) {
    PrintError(problems.error());
    return false;
  }
  Diagnostics diagnostics;
  for (const ImageProblem& problem : *problems) {
    Diagnostic& mistake = diagnostics.Error(
        PlaceOfStatement(*result.compilation, problem.statement), "E0591",
        fmt::format("{} {} in {}", Quoted(problem.path), problem.what, Quoted(root)),
        "the enclave would not boot from it: mend the tree, or the statement");
    mistake.component = problem.component;
    mistake.statement = problem.statement;
  }
  for (Diagnostic& mistake : diagnostics.Sorted()) {
    result.diagnostics.push_back(std::move(mistake));
  }
  if (!problems->empty()) result.compilation.reset();
  return true;
}

// A root is of one target.
bool IsRootForAll(const Invocation& invocation) {
  if (!invocation.Has(Parameter::kCheckedTree)) return false;
  PrintError("`--root` is about one target", "leave `--target all` or `--root` out");
  return true;
}

int Finish(std::string_view text) { return PrintOut(text) ? kExitDone : kExitCannot; }

CallMix MixOf(const PolicyResult& result) {
  return result.mix ? *result.mix : DefaultCallMix(result.compilation->bundle->target.arch);
}

std::string Report(const std::string& path, const std::vector<uint8_t>& bytes,
                   const PolicyResult& result, const std::string& weights) {
  const Bundle& bundle = result.compilation->bundle;
  std::string out = fmt::format("wrote {} ({} bytes), target {}\n{}\n\n", path, bytes.size(),
                                bundle->target.name, DigestText(BundleDigest(bytes)));
  out += LedgerTable(bundle->ledger);
  out += "\n" + FilterTable(*bundle, MixOf(result), weights);
  return out + WaiverTable(bundle->waivers);
}

Json ReportJson(const std::string& path, const std::vector<uint8_t>& bytes,
                const PolicyResult& result) {
  const Bundle& bundle = result.compilation->bundle;
  Json json = SuccessJson(result);
  json["bundle"] = path;
  json["map"] = path + ".map";
  json["size"] = bytes.size();
  json["digest"] = DigestText(BundleDigest(bytes));
  json["waivers"] = WaiversJson(bundle->waivers);
  json["ledger"] = LedgerJson(bundle->ledger);
  json["filters"] = FiltersJson(*bundle, MixOf(result));
  return json;
}

// The map goes first: whenever this is cut short, the map beside the old bundle names another
// digest and is ignored.
tl::expected<void, std::string> Write(const std::string& path, const std::vector<uint8_t>& bytes,
                                      const PolicyResult& result) {
  const std::string map = RenderMap(*result.compilation, result.sources, BundleDigest(bytes));
  const auto* data = reinterpret_cast<const uint8_t*>(map.data());
  return WriteAtomically(path + ".map", {data, map.size()}).and_then([&] {
    return WriteAtomically(path, bytes);
  });
}

}  // namespace

int Check(const Invocation& given) {
  Invocation invocation = given;
  const std::string format = given.One(Parameter::kCheckFormat);
  const bool sarif = format == "sarif";
  // What sarif can't say, a policy that can't be read at all, is said as for people.
  invocation.values[Parameter::kFormat] = {sarif ? "text" : format};
  if (sarif && invocation.One(Parameter::kTarget) == kAllTargets) {
    PrintError("`--format sarif` is about one target", "check one target after the other");
    return kExitWrongUsage;
  }
  if (invocation.One(Parameter::kTarget) == kAllTargets) {
    return IsRootForAll(invocation) ? kExitWrongUsage : ShowMatrix(invocation);
  }
  auto result = CompilePolicy(invocation.One(Parameter::kPolicy), invocation);
  if (!result) return result.error();
  if (!CompareRoot(invocation, *result)) return kExitCannot;
  if (sarif) {
    const int printed = Finish(SarifText(result->diagnostics, result->sources));
    return printed == kExitDone && !result->compilation ? kExitNo : printed;
  }
  if (!result->compilation) return Failed(invocation, *result);
  if (WantsJson(invocation)) return Finish(JsonText(SuccessJson(*result)));
  PrintDiagnostics(*result);
  const Bundle& bundle = result->compilation->bundle;
  const size_t count = bundle->components.size();
  return Finish(fmt::format("ok: {} component{}, target {}\n", count, count == 1 ? "" : "s",
                            bundle->target.name));
}

int CompileToFile(const Invocation& invocation) {
  const bool all = invocation.One(Parameter::kTarget) == kAllTargets;
  if (all == invocation.Has(Parameter::kOutput)) {
    PrintError(all ? "`--target all` writes no bundle: leave `--output` out"
                   : "compile: --output is required",
               "`bulkhead compile --help` shows its usage");
    return kExitWrongUsage;
  }
  if (all) return IsRootForAll(invocation) ? kExitWrongUsage : ShowMatrix(invocation);
  const std::filesystem::path policy = invocation.One(Parameter::kPolicy);
  for (const char* suffix : {"", ".map"}) {
    std::error_code none;
    const std::string output = std::string(invocation.One(Parameter::kOutput)) + suffix;
    if (std::filesystem::equivalent(output, policy, none)) {
      PrintError(fmt::format("`{}` would be written over: it is the policy", Shown(output)));
      return kExitWrongUsage;
    }
  }
  auto result = CompilePolicy(invocation.One(Parameter::kPolicy), invocation);
  if (!result) return result.error();
  if (!CompareRoot(invocation, *result)) return kExitCannot;
  if (!result->compilation) return Failed(invocation, *result);
  const std::string path = invocation.One(Parameter::kOutput);
  const std::vector<uint8_t> bytes = EncodeBundle(result->compilation->bundle);
  if (const auto written = Write(path, bytes, *result); !written) {
    PrintError(written.error());
    return kExitCannot;
  }
  if (WantsJson(invocation)) return Finish(JsonText(ReportJson(path, bytes, *result)));
  PrintDiagnostics(*result);
  return Finish(Report(Shown(path), bytes, *result, invocation.One(Parameter::kWeights)));
}

}  // namespace bulkhead
