// SPDX-License-Identifier: Apache-2.0
#include "policy/library.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include "policy/schema_check.h"
#include "policy/shipped.h"
#include "policy/text.h"
#include "policy/yaml_events.h"

namespace bulkhead {
namespace {

namespace fs = std::filesystem;

void AddAll(const Node& root, std::string_view key, std::string_view code,
            std::map<std::string, Entry>& into, const Sources& sources, Diagnostics& diagnostics) {
  const Entry* section = root.Find(key);
  if (section == nullptr) return;
  for (const Entry& entry : section->value.entries) {
    const auto [first, added] = into.emplace(entry.key, entry);
    if (added) continue;
    const Place& place = first->second.key_place;
    diagnostics.Error(
        entry.key_place, code, Quoted(entry.key) + " is defined already",
        fmt::format("the first one is at {}:{}", sources[place.file].name, place.line));
  }
}

std::optional<Node> ReadLibraryTree(std::string name, std::string text, const Variables* variables,
                                    Sources& sources, Diagnostics& diagnostics) {
  const auto file = static_cast<uint32_t>(sources.size());
  sources.push_back({std::move(name), std::move(text)});
  std::optional<Node> root = ReadYaml(sources.back().text, file, diagnostics);
  if (!root) return std::nullopt;
  if (variables != nullptr) Substitute(*root, *variables, diagnostics);
  CheckShape(*root, "library", diagnostics);
  return root;
}

class UseReader {
 public:
  UseReader(const std::string& directory, const Variables& variables, Library& library,
            Sources& sources, Diagnostics& diagnostics)
      : directory_(directory),
        variables_(variables),
        library_(library),
        sources_(sources),
        diagnostics_(diagnostics) {}

  // Recursion is bounded by kMaxUseDepth.
  void ReadAll(const Node& root, const fs::path& base) {
    const Entry* use = root.Find("use");
    if (use == nullptr) return;
    for (const Node& item : use->value.items) Read(item, base);
  }

  std::vector<NamedDigest> TakeDigests() {
    std::sort(digests_.begin(), digests_.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return std::move(digests_);
  }

 private:
  void Read(const Node& item, const fs::path& base) {
    const std::string name = (base / item.text).lexically_normal().string();
    if (std::find(open_.begin(), open_.end(), name) != open_.end()) {
      diagnostics_.Error(item.place, "E0004", Quoted(name) + " uses itself",
                         fmt::format("{} -> {}", fmt::join(open_, " -> "), name));
      return;
    }
    if (open_.size() == kMaxUseDepth) {
      diagnostics_.Error(item.place, "E0003",
                         fmt::format("`use` goes deeper than {}", kMaxUseDepth),
                         "name the file in the policy itself");
      return;
    }
    if (!seen_.insert(name).second) return;
    auto text = ReadPolicyBytes((fs::path(directory_) / name).string());
    if (!text) {
      diagnostics_.Error(item.place, "E0001", Quoted(name) + " can't be read: " + text.error());
      return;
    }
    digests_.push_back({name, Sha384(*text)});
    Descend(name, std::move(*text));
  }

  void Descend(const std::string& name, std::string text) {
    const auto root = ReadLibraryTree((fs::path(directory_) / name).lexically_normal().string(),
                                      std::move(text), &variables_, sources_, diagnostics_);
    if (!root) return;
    AddDefinitions(*root, library_, sources_, diagnostics_);
    open_.push_back(name);
    ReadAll(*root, fs::path(name).parent_path());
    open_.pop_back();
  }

  const std::string& directory_;
  const Variables& variables_;
  Library& library_;
  Sources& sources_;
  Diagnostics& diagnostics_;
  std::vector<std::string> open_;  // from the policy to the file being read
  std::set<std::string> seen_;
  std::vector<NamedDigest> digests_;
};

}  // namespace

tl::expected<std::string, std::string> ReadPolicyBytes(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return tl::unexpected(std::string("no such file"));
  // A pipe or device would block or never end.
  if (!fs::is_regular_file(status)) return tl::unexpected(std::string("not a regular file"));
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return tl::unexpected(std::string("permission denied"));
  constexpr size_t kPart = 16384;  // most files are smaller than the limit by far
  std::string text;
  while (stream && text.size() <= kMaxFileSize) {
    const size_t size = text.size();
    text.resize(size + kPart);
    stream.read(text.data() + size, kPart);
    text.resize(size + static_cast<size_t>(stream.gcount()));
  }
  if (stream.bad()) return tl::unexpected(std::string("reading failed"));
  return text;
}

void AddShippedLibrary(Library& library, Sources& sources, Diagnostics& diagnostics) {
  for (const ShippedFile& file : ShippedFiles()) {
    if (!file.name.starts_with("library/")) continue;
    const auto root = ReadLibraryTree(fmt::format("<{}>", file.name), std::string(file.content),
                                      nullptr, sources, diagnostics);
    if (root) AddDefinitions(*root, library, sources, diagnostics);
  }
}

void AddDefinitions(const Node& root, Library& library, const Sources& sources,
                    Diagnostics& diagnostics) {
  AddAll(root, "profiles", "E0308", library.profiles, sources, diagnostics);
  AddAll(root, "groups", "E0309", library.groups, sources, diagnostics);
}

std::vector<NamedDigest> AddUsedFiles(const Node& root, const std::string& directory,
                                      const Variables& variables, Library& library,
                                      Sources& sources, Diagnostics& diagnostics) {
  UseReader reader(directory, variables, library, sources, diagnostics);
  reader.ReadAll(root, {});
  return reader.TakeDigests();
}

}  // namespace bulkhead
