// SPDX-License-Identifier: Apache-2.0
// Classic BPF once more, as the kernel's documentation tells it: opcodes taken apart by their
// class, mode and size, over the 64 bytes of struct seccomp_data. Slow, obvious, and shares nothing
// with profiles/filter.cc but the types. Sources: linux/bpf_common.h, net/core/filter.c
// (bpf_check_classic), kernel/seccomp.c (seccomp_check_filter). Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>

#include "profiles/filter.h"

namespace bulkhead::testing {

// Whether the kernel would load it: the subset of classic BPF without division, shifts, scratch
// memory and the index register, which nothing here writes, is all that is looked into; a program
// with other opcodes is not taken.
bool KernelLoads(const Filter& filter);

// What it returns, of a program that the kernel loads; nullopt: it ran out of the program.
std::optional<uint32_t> RunPlainly(const Filter& filter, const SeccompData& data);

}  // namespace bulkhead::testing
