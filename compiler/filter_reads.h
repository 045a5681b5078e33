// SPDX-License-Identifier: Apache-2.0
// The filters of an enclave read back (compiler/allowed_calls.h), each once, and questions to them.
// Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "compiler/call_sets.h"
#include "compiler/calls.h"
#include "profiles/profile.h"

namespace bulkhead {

// A system call with arguments of which all conditions hold. A call that the architecture lacks
// passes nowhere.
struct CallForm {
  std::string_view call;
  Conjunction when;
};

using AllowedSets = std::map<uint32_t, CallSets::Set>;  // by number, the arguments that pass

// Whether some call of this form passes; an example of one that does, 0 in what the form and the
// filter leave open.
bool Passes(const AllowedSets& allowed, Arch arch, const CallForm& form, CallSets& sets,
            SeccompData* example = nullptr);

class FilterReads {
 public:
  FilterReads();

  CallSets& sets() { return sets_; }
  // The sets live as long as this does. Errors: the filter can't be read back.
  tl::expected<const AllowedSets*, std::string> Read(Arch arch, const Filter& filter);

 private:
  CallSets sets_;
  std::map<std::pair<Arch, Filter>, AllowedSets> read_;
};

}  // namespace bulkhead
