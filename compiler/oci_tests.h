// SPDX-License-Identifier: Apache-2.0
// Argument tests of an OCI profile as conditions of the kernel's own width. An OCI test compares
// the whole 64-bit register; the kernel reads some bits of it. What is carried over is what the
// test says of registers as programs fill them: the argument zero-extended or, where it is signed
// and the test's value is written that way, sign-extended. Pure, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/calls.h"
#include "compiler/oci_profile.h"
#include "profiles/arch.h"

namespace bulkhead {

struct OciTests {
  std::vector<Conjunction> any;  // one must hold; none: no call passes
  std::string obstacle;          // not empty: can't be said, and why
};

// All tests must hold. Where two are about one argument any of all of them must, as runc and crun
// read it: libseccomp takes one test an argument, so they make each test a rule of its own.
OciTests ConvertOciTests(Arch arch, std::string_view call, const std::vector<OciArg>& args);

}  // namespace bulkhead
