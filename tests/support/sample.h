// SPDX-License-Identifier: Apache-2.0
// Hand-made profiles and bundles for tests below the compiler.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "profiles/bundle.h"

namespace bulkhead::test {

// Allows exactly these calls by number, notifies for the rest, kills foreign architectures.
Filter AllowOnly(std::initializer_list<std::string_view> names, uint32_t otherwise = kRetUserNotif);

// A component that runs `argv` with a static program's needs and a filter that allows most calls a
// small C program makes; uid and gid are 0x10000000 + `number`.
ProfileData SampleProfile(const std::string& name, uint32_t number);

BundleData SampleBundle();

}  // namespace bulkhead::test
