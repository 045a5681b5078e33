// SPDX-License-Identifier: Apache-2.0
#include "compiler/export_filter.h"

#include <fmt/format.h>

#include <algorithm>

#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr uint32_t kEperm = 1;
constexpr uint32_t kEnosys = 38;

// To be put before a filter; falls into it for every other call.
Filter AllowExecve(Arch arch) {
  return {{kLoad, 0, 0, kOffsetArch},
          {kJumpEqual, 0, 3, AuditArch(arch)},
          {kLoad, 0, 0, kOffsetNr},
          {kJumpEqual, 0, 1, SyscallNumber(arch, "execve").value()},
          {kReturn, 0, 0, kRetAllow}};
}

Filter RefusalOf(const std::vector<uint32_t>& absent, uint32_t action) {
  Filter tail{{kLoad, 0, 0, kOffsetNr}};
  for (const uint32_t nr : absent) {
    tail.push_back({kJumpEqual, 0, 1, nr});
    tail.push_back({kReturn, 0, 0, kRetErrno | kEnosys});
  }
  tail.push_back({kReturn, 0, 0, action});
  return tail;
}

// Absent calls keep their answer, and what is killed is killed.
bool Refuses(const Instruction& ins) {
  return ins.code == kReturn &&
         (ins.k == kRetUserNotif || ins.k == kRetTrace || ins.k == (kRetErrno | kEperm));
}

// What was refused jumps to `tail`, which is put after the filter: no other distance changes.
void Redirect(Filter& filter, const Filter& tail) {
  const size_t length = filter.size();
  for (size_t i = 0; i < length; ++i) {
    if (!Refuses(filter[i])) continue;
    filter[i] = {kJumpAlways, 0, 0, static_cast<uint32_t>(length - i - 1)};
  }
  filter.insert(filter.end(), tail.begin(), tail.end());
}

}  // namespace

tl::expected<Filter, std::string> ExportFilter(const ProfileData& profile,
                                               const ExportOptions& options) {
  Filter filter = profile.filter;
  if (options.with_execve) {
    const Filter head = AllowExecve(profile.arch);
    // It may not rely on what the accumulator holds at the start.
    if (filter.front().code != kLoad && filter.front().code != kReturn) {
      return tl::make_unexpected("the filter does not begin with a load");
    }
    filter.insert(filter.begin(), head.begin(), head.end());
  }
  if (options.refusal != Refusal::kNotify && std::ranges::any_of(filter, Refuses)) {
    const uint32_t action =
        options.refusal == Refusal::kKill ? kRetKillProcess : kRetErrno | kEperm;
    Redirect(filter, RefusalOf(profile.absent, action));
  }
  if (const auto defect = FilterDefect(filter)) return tl::make_unexpected(*defect);
  return filter;
}

std::vector<uint8_t> EncodeFilter(const Filter& filter) {
  std::vector<uint8_t> bytes;
  bytes.reserve(8 * filter.size());
  for (const Instruction& ins : filter) {
    const uint64_t word = uint64_t{ins.code} | uint64_t{ins.jt} << 16 | uint64_t{ins.jf} << 24 |
                          uint64_t{ins.k} << 32;
    for (unsigned byte = 0; byte < 8; ++byte) {
      bytes.push_back(static_cast<uint8_t>(word >> 8 * byte));
    }
  }
  return bytes;
}

}  // namespace bulkhead
