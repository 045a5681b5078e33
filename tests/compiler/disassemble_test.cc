// SPDX-License-Identifier: Apache-2.0
// The text of two small programs. These goldens show change and prove nothing.
#include "compiler/disassemble.h"

#include <boost/test/unit_test.hpp>

#include "tests/compiler/calls_support.h"

namespace bulkhead {
namespace {

using testing::MustGenerate;

BOOST_AUTO_TEST_SUITE(Disassembly)

BOOST_AUTO_TEST_CASE(Numbers) {
  CallPlan plan;
  plan.arch = Arch::kAarch64;
  plan.rules = MergeRules({MakeRule(plan.arch, "read", {{}}), MakeRule(plan.arch, "write", {{}}),
                           MakeRule(plan.arch, "exit_group", {{}})});
  plan.absent = {435};
  plan.absent_action = kRetErrno | 38;
  BOOST_TEST(Disassemble(MustGenerate(plan), plan.arch) == R"(   0  load arch
   1  if == aarch64 go to 2 else 11
   2  load nr
   3  if >= 63 (read) go to 4 else 10
   4  if >= 94 (exit_group) go to 6 else 5
   5  if >= 65 (readv) go to 10 else 9
   6  if == 94 (exit_group) go to 9 else 7
   7  if == 435 (clone3) go to 8 else 10
   8  return errno 38
   9  return allow
  10  return notify
  11  return kill process
)");
}

BOOST_AUTO_TEST_CASE(Arguments) {
  CallPlan plan;
  plan.rules = MergeRules({
      MakeRule(plan.arch, "read", {{}}),
      MakeRule(plan.arch, "ioctl", {{Equal(1, 32, 0x5401)}, {Equal(1, 32, 0x541b)}}),
      MakeRule(plan.arch, "mmap", {{MaskedEqual(2, 64, 4, 0)}}),
      MakeRule(plan.arch, "socket",
               {{Equal(0, 32, 1), MaskedEqual(1, 32, 0xfff7f7ff, 1), Equal(2, 32, 0)}}),
  });
  plan.rules[2].deny = {{Equal(0, 32, 0)}};
  BOOST_TEST(Disassemble(MustGenerate(plan), plan.arch) == R"(   0  load arch
   1  if == x86_64 go to 2 else 27
   2  load nr
   3  if >= 42 (connect) go to 10 else 4
   4  if >= 9 (mmap) go to 6 else 5
   5  if == 0 (read) go to 25 else 26
   6  if >= 17 (pread64) go to 9 else 7
   7  if == 9 (mmap) go to 23 else 8
   8  if == 16 (ioctl) go to 18 else 26
   9  if == 41 (socket) go to 11 else 26
  10  if >= 0x40000000 go to 27 else 26
  11  load arg0.low
  12  if == 0x1 go to 13 else 26
  13  load arg1.low
  14  and 0xfff7f7ff
  15  if == 0x1 go to 16 else 26
  16  load arg2.low
  17  if == 0x0 go to 25 else 26
  18  load arg1.low
  19  if == 0x5401 go to 21 else 20
  20  if == 0x541b go to 21 else 26
  21  load arg0.low
  22  if == 0x0 go to 26 else 25
  23  load arg2.low
  24  if & 0x4 go to 26 else 25
  25  return allow
  26  return notify
  27  return kill process
)");
}

// A program of another's making is shown as it is.
BOOST_AUTO_TEST_CASE(ForeignOpcodes) {
  const Filter filter{{0x20, 0, 0, 12}, {0x87, 0, 0, 0}, {0x06, 0, 0, 0x00050001}};
  BOOST_TEST(Disassemble(filter, Arch::kX86_64) == R"(   0  load ip.high
   1  code 0x0087 0 0 0x0
   2  return errno 1
)");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
