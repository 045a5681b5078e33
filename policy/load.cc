// SPDX-License-Identifier: Apache-2.0
#include "policy/load.h"

#include <filesystem>
#include <utility>

#include "policy/build.h"
#include "policy/check.h"
#include "policy/library.h"
#include "policy/schema_check.h"
#include "policy/target.h"
#include "policy/text.h"
#include "policy/vars.h"
#include "policy/yaml_events.h"

namespace bulkhead {
namespace {

constexpr std::string_view kRunning = "running";

class Loader {
 public:
  Loader(std::string directory, const LoadOptions& options, Sources& sources,
         Diagnostics& diagnostics)
      : directory_(std::move(directory)),
        options_(options),
        sources_(sources),
        diagnostics_(diagnostics) {}

  std::optional<LoadedPolicy> Load(std::string name, std::string text) {
    const auto file = static_cast<uint32_t>(sources_.size());
    sources_.push_back({std::move(name), std::move(text)});
    std::optional<Node> root = ReadYaml(sources_.back().text, file, diagnostics_);
    if (!root) return std::nullopt;
    const Variables variables = ReadVariables(*root, options_.set, sources_, diagnostics_);
    Substitute(*root, variables, diagnostics_);
    CheckShape(*root, "policy", diagnostics_);
    Library library;
    AddShippedLibrary(library, sources_, diagnostics_);
    auto digests = AddUsedFiles(*root, directory_, variables, library, sources_, diagnostics_);
    AddDefinitions(*root, library, sources_, diagnostics_);
    const bool complete = !diagnostics_.HasErrors();
    LoadedPolicy loaded{BuildPolicy(*root, library, diagnostics_), {}};
    loaded.policy.sources = std::move(digests);
    ApplyVariables(variables, loaded.policy);
    CheckPolicy(loaded.policy, complete, diagnostics_);
    TakeTarget(loaded);
    if (diagnostics_.HasErrors()) return std::nullopt;
    return loaded;
  }

 private:
  // The bundle states what was compiled: the values that were set, not the defaults.
  static void ApplyVariables(const Variables& variables, Policy& policy) {
    for (auto& [name, text] : policy.vars) {
      const auto found = variables.find(name);
      if (found != variables.end()) text.value = found->second.text;
    }
  }

  void TakeTarget(LoadedPolicy& loaded) {
    std::string directory = directory_;
    // Where mistakes of the name itself are. Those of what is compiled for it stay in the policy.
    Text name = loaded.policy.target;
    if (!options_.target.empty()) {
      SourceFile source{"--target", options_.target};
      name.value = loaded.policy.target.value = options_.target;
      name.at.place = {static_cast<uint32_t>(sources_.size()), 1, 1,
                       static_cast<uint32_t>(options_.target.size())};
      sources_.push_back(std::move(source));
      directory.clear();  // a path on the command line is relative to where the user is
    }
    if (name.value.empty()) return;  // reported as missing
    if (name.value == kRunning) {
      TakeRunning(name, loaded);
    } else if (auto target = LoadTarget(name, directory, sources_, diagnostics_)) {
      loaded.target = std::move(*target);
    } else {
      return;
    }
    if (!loaded.target.target.name.empty()) {
      CheckPathSets(loaded.policy, loaded.target, diagnostics_);
    }
  }

  void TakeRunning(const Text& name, LoadedPolicy& loaded) {
    if (options_.running) {
      loaded.target = options_.running();
      return;
    }
    diagnostics_.Error(name.at.place, "E0006", "the running kernel is not known here",
                       "name a target, or write one by `bulkhead doctor`");
  }

  std::string directory_;
  const LoadOptions& options_;
  Sources& sources_;
  Diagnostics& diagnostics_;
};

}  // namespace

std::optional<LoadedPolicy> LoadPolicyFile(const std::string& path, const LoadOptions& options,
                                           Sources& sources, Diagnostics& diagnostics) {
  auto text = ReadPolicyBytes(path);
  if (!text) {
    const auto file = static_cast<uint32_t>(sources.size());
    sources.push_back({path, ""});
    diagnostics.Error({file, 1, 1, 1}, "E0001", Quoted(path) + " can't be read: " + text.error());
    return std::nullopt;
  }
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return LoadPolicyText(path, std::move(*text), directory, options, sources, diagnostics);
}

std::optional<LoadedPolicy> LoadPolicyText(std::string name, std::string text,
                                           const std::string& directory, const LoadOptions& options,
                                           Sources& sources, Diagnostics& diagnostics) {
  return Loader(directory, options, sources, diagnostics).Load(std::move(name), std::move(text));
}

}  // namespace bulkhead
