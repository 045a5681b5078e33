// SPDX-License-Identifier: Apache-2.0
#include "compiler/filter_reads.h"

#include "compiler/allowed_calls.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// For one filter after the other, of which all that was read is kept.
constexpr size_t kMaxNodes = size_t{1} << 24;

}  // namespace

bool Passes(const AllowedSets& allowed, Arch arch, const CallForm& form, CallSets& sets,
            SeccompData* example) {
  const auto nr = SyscallNumber(arch, form.call);
  const auto found = nr ? allowed.find(*nr) : allowed.end();
  if (found == allowed.end()) return false;
  const CallSets::Set set = sets.bdd().And(found->second, sets.AnyHolds({form.when}));
  if (set == Bdd::kNothing) return false;
  if (example != nullptr) {
    *example = sets.AnyMember(set);
    example->nr = *nr;
    example->arch = AuditArch(arch);
  }
  return true;
}

FilterReads::FilterReads() : sets_(kMaxNodes) {}

tl::expected<const AllowedSets*, std::string> FilterReads::Read(Arch arch, const Filter& filter) {
  const auto [known, is_new] = read_.try_emplace({arch, filter});
  if (is_new) {
    auto allowed = AllowedCalls(filter, arch, sets_);
    if (!allowed) {
      read_.erase(known);
      return tl::make_unexpected(allowed.error());
    }
    known->second = std::move(*allowed);
  }
  return &known->second;
}

}  // namespace bulkhead
