// SPDX-License-Identifier: Apache-2.0
// What the components of a compiled enclave may do, answered from the bundle alone: the filter
// itself, the Landlock rules, the view, the edges; never the policy's text. The one evaluator
// behind `why`, `test`, `diff` and the invariants. An answer is about what the bundle decides: what
// the disk decides (whether a file is there, its owner and mode, links on the way) is said in the
// note and can only make less of an allowed action, never more of a denied one.
//
// Not thread-safe; the bundle must outlive the evaluator.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "compiler/filter_reads.h"
#include "compiler/question.h"
#include "profiles/bundle.h"

namespace bulkhead {

// From the best for who asks to the worst. Until ready: a call that it takes is let be made by the
// supervisor until the component is ready, and refused from then on.
enum class Verdict : uint8_t { kAllow, kUntilReady, kUndecided, kDeny };
std::string_view VerdictName(Verdict verdict);

struct ControlVerdict {
  Layer layer = Layer::kView;
  Verdict verdict = Verdict::kDeny;
  std::string text;
  std::string rule;                     // the statement behind it; can be empty
  Recorder recorder = Recorder::kNone;  // of its refusal
};

struct Explanation {
  Verdict verdict = Verdict::kDeny;
  std::vector<ControlVerdict> controls;  // in the order in which the kernel comes to them
  std::string rule;                      // the statement that grants it, or that refuses
  Recorder recorder = Recorder::kNone;   // of the refusal
  std::vector<SeccompData> calls;        // by which it is tried; 0 in registers that don't matter
  std::vector<LedgerRow> in_play;        // rows of the statements above that are not enforced whole
  std::string note;                      // what it hangs on, what is not decided here
};

// Rows of the ledger that are not enforced whole.
using UnenforcedRows = std::vector<const LedgerRow*>;

// Of a question about a peer that is not in the enclave, or not to be asked about: why. Else empty.
std::string WhyNoPeer(const BundleData& enclave, const ProfileData& profile,
                      const Question& question);

class Evaluator {
 public:
  explicit Evaluator(const Bundle& bundle);

  // `component` is one of the bundle's, where the bundle has it. Errors: the question names
  // something that the enclave doesn't have, or makes no sense; the filter can't be read back.
  tl::expected<Explanation, std::string> Ask(const ProfileData& component,
                                             const Question& question);

  const BundleData& enclave() const { return *bundle_; }

 private:
  // Of the filter, and of the program of its startup: null where it has none.
  struct Allowed {
    const AllowedSets* always = nullptr;
    const AllowedSets* startup = nullptr;
  };
  tl::expected<Allowed, std::string> AllowedOf(const ProfileData& component);
  const UnenforcedRows& UnenforcedOf(const ProfileData& component);

  const Bundle& bundle_;
  FilterReads reads_;
  std::map<const ProfileData*, Allowed> allowed_;
  std::map<std::string_view, UnenforcedRows> unenforced_;  // by component, "" for the enclave
  std::map<std::string_view, UnenforcedRows> about_;       // the enclave's and a component's
};

// Whether a tripwire stands at the path: what is cut off there is not the asset.
bool IsTripwireAt(const ProfileData& profile, std::string_view path);
// What of an asset there is for this component: its files, and what the component has beneath them.
std::vector<std::string> AssetPaths(const ProfileData& profile, const Asset& asset);

}  // namespace bulkhead
