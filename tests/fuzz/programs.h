// SPDX-License-Identifier: Apache-2.0
// Filters, calls and plans from the bytes of a fuzzer. Pure: the same bytes give the same things.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "compiler/calls.h"
#include "profiles/filter.h"
#include "tests/fuzz/byte_reader.h"

namespace bulkhead::testing {

// All that is left, eight bytes an instruction, as struct sock_filter lies in memory.
Filter RawFilter(ByteReader& bytes);

// A filter without FilterDefect, of at most `most` (1 to 256) instructions.
Filter SoundFilter(ByteReader& bytes, uint32_t most);

// Some of its instructions are other ones; it may have a defect then.
void ChangeFilter(ByteReader& bytes, Filter& filter);

SeccompData AnyData(ByteReader& bytes);

// The bytes from which RawFilter makes the filter and AnyData the call.
std::string BytesOf(const Filter& filter);
std::string BytesOf(const SeccompData& data);

// A plan that a compilation could make: sorted, with tests that fit their arguments.
CallPlan SoundPlan(ByteReader& bytes);

// Anything that the type can hold, small: unsorted, with tests of what no call has.
CallPlan AnyPlan(ByteReader& bytes);

}  // namespace bulkhead::testing
