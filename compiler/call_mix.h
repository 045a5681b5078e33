// SPDX-License-Identifier: Apache-2.0
// How often programs make which call: the weights that shape a filter, and what its cost is
// measured on. Weights never change what a filter answers. Pure, thread-safe.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "profiles/arch.h"

namespace bulkhead {

struct MixedCall {
  uint32_t nr = 0;
  std::array<uint64_t, 6> args{};
  uint64_t weight = 0;  // of all the calls' sum
  auto operator<=>(const MixedCall&) const = default;
};

// Sorted by number and arguments, each once, at least one; the weights come to kMixTotal or, by
// rounding, a little less.
using CallMix = std::vector<MixedCall>;
inline constexpr uint64_t kMixTotal = uint64_t{1} << 40;

// That of compiler/call_mix.inc, by name: a call that the architecture lacks counts for the one
// that C libraries make instead.
CallMix DefaultCallMix(Arch arch);

// A recording: lines of `program weight nr arg0 arg1 arg2 arg3 arg4 arg5`, numbers in decimal,
// those of calls being the target's own; a weight such as 0.25 or 1e-06, of any scale. The order of
// lines doesn't matter, nor does `program`. Errors name the line.
tl::expected<CallMix, std::string> ParseCallMix(std::string_view text);

// The largest recording that is taken, in bytes.
inline constexpr size_t kMaxCallMixSize = 64U << 20;

// What counts most in the shape of a filter. Since Linux 5.11, on x86_64 and aarch64, the kernel
// answers calls that a filter always allows from a bitmap, without running it (kernel/seccomp.c,
// seccomp_cache_prepare), so there only the other ones cost what the filter costs.
enum class Weighing : uint8_t { kAll, kUncached };

Weighing WeighingFor(uint32_t kernel_major, uint32_t kernel_minor);

}  // namespace bulkhead
