// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

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

// What the root lacks, or has otherwise, of what the bundle needs; nothing: no root was given, or
// all is there. The exit code of a root that can't be read.
tl::expected<std::vector<ImageProblem>, int> ProblemsOfRoot(const Invocation& invocation,
                                                            const PolicyResult& result) {
  if (!invocation.Has(Parameter::kCheckedTree)) return std::vector<ImageProblem>();
  auto problems = CheckRoot(result.compilation->bundle, invocation.One(Parameter::kCheckedTree));
  if (problems) return std::move(*problems);
  PrintError(problems.error());
  return tl::make_unexpected(kExitCannot);
}

int FailedByRoot(const Invocation& invocation, const PolicyResult& result,
                 const std::vector<ImageProblem>& problems) {
  if (!WantsJson(invocation)) {
    PrintDiagnostics(result);
    PrintProblems(problems, invocation.One(Parameter::kCheckedTree));
    return kExitNo;
  }
  Json json = SuccessJson(result);
  json["ok"] = false;
  for (const ImageProblem& problem : problems) {
    json["root"].push_back({{"component", problem.component},
                            {"statement", problem.statement},
                            {"path", problem.path},
                            {"problem", problem.what}});
  }
  return PrintOut(JsonText(json)) ? kExitNo : kExitCannot;
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
  const auto result = CompilePolicy(invocation.One(Parameter::kPolicy), invocation);
  if (!result) return result.error();
  if (!result->compilation && !sarif) return Failed(invocation, *result);
  std::vector<ImageProblem> problems;
  if (result->compilation) {
    auto found = ProblemsOfRoot(invocation, *result);
    if (!found) return found.error();
    problems = std::move(*found);
  }
  if (sarif) {
    PrintProblems(problems, invocation.One(Parameter::kCheckedTree));
    const int printed = Finish(SarifText(result->diagnostics, result->sources));
    const bool good = result->compilation && problems.empty();
    return printed == kExitDone && !good ? kExitNo : printed;
  }
  if (!problems.empty()) return FailedByRoot(invocation, *result, problems);
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
  const auto result = CompilePolicy(invocation.One(Parameter::kPolicy), invocation);
  if (!result) return result.error();
  if (!result->compilation) return Failed(invocation, *result);
  const auto problems = ProblemsOfRoot(invocation, *result);
  if (!problems) return problems.error();
  if (!problems->empty()) return FailedByRoot(invocation, *result, *problems);
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
