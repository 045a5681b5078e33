// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/bundle_input.h"

#include <algorithm>
#include <span>
#include <sstream>
#include <string>
#include <utility>

#include "compiler/ask.h"
#include "compiler/disassemble.h"
#include "profiles/bundle.h"
#include "tests/fuzz/check.h"

namespace bulkhead::testing {
namespace {

constexpr std::string_view kStart("BULKHEAD\1\0\0\0", 12);  // docs/BUNDLE.md
constexpr size_t kHeaderSize = 16;
constexpr size_t kDigestSize = sizeof(Digest);

// What the readers of a bundle rest on, though nobody compiled it.
void CheckProfile(const Profile& profile) {
  Check(!FilterDefect(profile->filter), "a loaded filter has no defect");
  for (const uint32_t nr : ForbiddenCalls(profile->arch)) {
    const Evaluation evaluation = Evaluate(profile->filter, {nr, AuditArch(profile->arch), 0, {}});
    Check(evaluation.action != kRetAllow, "no loaded filter allows call " + std::to_string(nr));
  }
  const Arch other = profile->arch == Arch::kX86_64 ? Arch::kAarch64 : Arch::kX86_64;
  const Evaluation foreign = Evaluate(profile->filter, {0, AuditArch(other), 0, {}});
  Check(foreign.action != kRetAllow, "no loaded filter allows a foreign architecture");
}

void AskAbout(const Bundle& bundle, const ProfileData& component) {
  Evaluator evaluator(bundle);
  for (const ActionRow& row : Actions()) {
    std::vector<std::string> object;
    std::istringstream words{std::string(row.example)};
    for (std::string word; words >> word;) object.push_back(word);
    const auto question = ParseQuestion(component.arch, row.name, object);
    Check(question.has_value(), "the example of an action is a question");
    const auto answer = evaluator.Ask(component, *question);
    Check(answer || !answer.error().empty(), "why answers, or says why not");
  }
  Disassemble(component.filter, component.arch);
}

bool TryBytes(std::span<const uint8_t> bytes) {
  const auto bundle = DecodeBundle(bytes);
  if (!bundle) {
    Check(!bundle.error().empty(), "a refusal has a reason");
    return false;
  }
  const std::vector<uint8_t> again = EncodeBundle(*bundle);
  Check(std::ranges::equal(again, bytes), "what is loaded encodes to the same bytes");
  const auto twice = DecodeBundle(again);
  Check(twice && **twice == **bundle, "and these decode to the same bundle");
  for (const Profile& profile : bundle->components()) CheckProfile(profile);
  for (const ProfileData& component : (*bundle)->components) AskAbout(*bundle, component);
  return true;
}

}  // namespace

std::vector<uint8_t> Framed(std::string_view body) {
  std::vector<uint8_t> bytes(kStart.begin(), kStart.end());
  for (unsigned shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<uint8_t>(body.size() >> shift));
  }
  bytes.insert(bytes.end(), body.begin(), body.end());
  const Digest digest = Sha384(bytes);
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  return bytes;
}

bool TryBundleInput(std::string_view input) {
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  if (TryBytes(bytes)) return true;
  if (input.size() < kHeaderSize + kDigestSize) return false;
  return TryBytes(Framed(input.substr(kHeaderSize, input.size() - kHeaderSize - kDigestSize)));
}

}  // namespace bulkhead::testing
