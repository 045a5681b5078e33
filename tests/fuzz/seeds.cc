// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/seeds.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "compiler/compile.h"
#include "tests/fuzz/attest_input.h"
#include "tests/fuzz/bundle_input.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/compile_input.h"
#include "tests/fuzz/control_input.h"
#include "tests/fuzz/filter_input.h"
#include "tests/fuzz/oci_input.h"
#include "tests/fuzz/policy_maker.h"
#include "tests/fuzz/proof_input.h"

namespace bulkhead::testing {
namespace {

namespace fs = std::filesystem;

using Inputs = std::vector<std::string>;

fs::path Root() { return BULKHEAD_SOURCE_DIR; }

std::string ReadFile(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Sorted by name: the same order everywhere.
Inputs FilesOf(const fs::path& folder, std::string_view extension) {
  std::vector<fs::path> paths;
  if (fs::exists(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      if (extension.empty() || entry.path().extension() == extension) paths.push_back(entry.path());
    }
  }
  std::ranges::sort(paths);
  Inputs files;
  for (const fs::path& path : paths) files.push_back(ReadFile(path));
  return files;
}

// No input makes a file be read, so what a policy would `use` is left out.
std::string WithoutUse(const std::string& text) {
  const size_t at = text.find("\nuse:");
  if (at == std::string::npos) return text;
  return text.substr(0, at) + text.substr(text.find('\n', at + 1));
}

constexpr uint32_t kMade = 200;

Inputs PolicySeeds() {
  Inputs seeds = FilesOf(Root() / "tests/policy/broken", ".yaml");
  for (const char* folder : {"tests/policy/data", "examples/agent-enclave"}) {
    for (const std::string& text : FilesOf(Root() / folder, ".yaml")) {
      seeds.push_back(WithoutUse(text));
    }
  }
  for (uint32_t seed = 0; seed < kMade; ++seed) seeds.push_back(PolicyMaker(seed).Policy());
  return seeds;
}

std::optional<Bundle> Compiled(const std::string& text) {
  Sources sources;
  Diagnostics diagnostics;
  const auto loaded = LoadPolicyText("seed.yaml", text, "/nonexistent", {}, sources, diagnostics);
  if (!loaded) return std::nullopt;
  auto compilation = Compile(*loaded, {"2026-01-01"}, diagnostics);
  if (!compilation) return std::nullopt;
  return std::move(compilation->bundle);
}

std::vector<Bundle> SeedBundles() {
  std::vector<Bundle> bundles;
  for (const std::string& text : PolicySeeds()) {
    if (auto bundle = Compiled(text)) bundles.push_back(std::move(*bundle));
  }
  // How many of those that are made at random compile changes with the language.
  constexpr size_t kEnough = 16;
  constexpr uint32_t kMost = 10'000;
  for (uint32_t seed = kMade; seed < kMost && bundles.size() < kEnough; ++seed) {
    if (auto bundle = Compiled(PolicyMaker(seed).Policy())) bundles.push_back(std::move(*bundle));
  }
  Check(bundles.size() >= kEnough, "some seeds compile");
  return bundles;
}

Inputs BundleSeeds() {
  Inputs seeds;
  for (const Bundle& bundle : SeedBundles()) {
    const auto bytes = EncodeBundle(bundle);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}

// Bytes that mean something else to each reader: all that is wanted of a seed is variety.
Inputs AnyBytes(size_t count, size_t most) {
  std::mt19937 random(1);
  Inputs inputs;
  for (size_t i = 0; i < count; ++i) {
    std::string& input = inputs.emplace_back(1 + random() % most, '\0');
    for (char& byte : input) byte = static_cast<char>(random());
    input[0] = static_cast<char>(i);  // each way of reading them in turn
  }
  return inputs;
}

Inputs FilterSeeds() {
  Inputs seeds = AnyBytes(200, 600);
  for (const Bundle& bundle : SeedBundles()) {
    for (const Profile& profile : bundle.components()) {
      seeds.push_back(FilterInput(profile->filter, {0, AuditArch(profile->arch), 0, {}}));
    }
  }
  return seeds;
}

Inputs ProofSeeds() { return AnyBytes(1000, 400); }

Inputs OciSeeds() { return FilesOf(Root() / "tests/compiler/oci", ".json"); }

// Every word in quotes that the seeds have, once.
std::string OciDictionary() {
  std::set<std::string> words;
  for (const std::string& text : OciSeeds()) {
    for (size_t from = text.find('"'); from != std::string::npos; from = text.find('"', from)) {
      const size_t to = text.find('"', from + 1);
      if (to == std::string::npos) break;
      words.insert(text.substr(from + 1, to - from - 1));
      from = to + 1;
    }
  }
  std::string dictionary;
  for (const std::string& word : words) dictionary += "\"\\\"" + word + "\\\"\"\n";
  return dictionary;
}

Inputs ControlSeeds() {
  return {"bulkhead 1 status",          "bulkhead 1 stop -",
          "bulkhead 1 stop agent",      "bulkhead 1 restart store-2",
          "bulkhead 1 logs - 100 once", "bulkhead 1 logs agent 0 follow"};
}

std::string Marked(char mark, std::span<const uint8_t> bytes) {
  return mark + std::string(bytes.begin(), bytes.end());
}

Inputs AttestSeeds() {
  AttestRequest random;
  random.count = 32;
  AttestRequest attest;
  attest.verb = AttestVerb::kAttest;
  attest.bytes = {1, 2, 3};
  attest.nonce = {4};
  attest.public_key = {5, 6};
  const Digest digest = Sha384(std::string_view("seed"));
  std::vector<uint8_t> tpm{0x80, 1, 0, 0, 0,  78, 0, 0,    0, 0, 0, 0, 0, 9, 0,
                           0,    0, 1, 0, 12, 3,  0, 0x40, 0, 0, 0, 0, 1, 0, 48};
  tpm.insert(tpm.end(), digest.begin(), digest.end());
  const MeasuredEvent first{"app-id", {1, 2}, 1};
  const MeasuredEvent second{std::string(kEventBundle), {digest.begin(), digest.end()}};
  const MeasuredEvent third{std::string(kEventBoundary), {'x'}};
  CborWriter found;
  found.Map(1).Text("DescribePCR").Map(2).Text("lock").Boolean(true).Text("data").Bytes(digest);
  CborWriter extended;
  extended.Map(1).Text("ExtendPCR").Map(1).Text("data").Bytes(digest);
  CborWriter document;
  document.Map(1).Text("Attestation").Map(1).Text("document").Bytes(tpm);
  return {Marked('r', AttestRequestBytes(random)),
          Marked('r', AttestRequestBytes(attest)),
          "l" + EventLine(first) + EventLine(second) + EventLine(third),
          Marked('p', found.bytes()),
          Marked('p', extended.bytes()),
          Marked('p', document.bytes()),
          Marked('p', CborWriter().Text("LockPCR").bytes()),
          Marked('p', tpm)};
}

bool RunProof(std::string_view input) {
  const ProofOutcome outcome = TryProofInput(input);
  return outcome == ProofOutcome::kProved || outcome == ProofOutcome::kDisproved;
}

constexpr FuzzTarget kTargets[] = {
    {"policy", TryCompileInput, PolicySeeds, PolicyDictionary},
    {"bundle", TryBundleInput, BundleSeeds, nullptr},
    {"filter", TryFilterInput, FilterSeeds, nullptr},
    {"proof", RunProof, ProofSeeds, nullptr},
    {"oci", TryOciInput, OciSeeds, OciDictionary},
    {"control", TryControlInput, ControlSeeds, nullptr},
    {"attest", TryAttestInput, AttestSeeds, nullptr},
};

}  // namespace

std::span<const FuzzTarget> FuzzTargets() { return kTargets; }

const FuzzTarget* FindFuzzTarget(std::string_view name) {
  const auto* found = std::ranges::find(kTargets, name, &FuzzTarget::name);
  return found == std::end(kTargets) ? nullptr : found;
}

std::vector<std::string> FindingsOf(std::string_view target) {
  return FilesOf(Root() / "tests/fuzz/corpus" / target, "");
}

}  // namespace bulkhead::testing
