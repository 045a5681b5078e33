// SPDX-License-Identifier: Apache-2.0
#include "compiler/identity.h"

#include <string>

#include "profiles/digest.h"

namespace bulkhead {
namespace {

uint32_t Derive(std::string_view label, std::string_view first, std::string_view second) {
  std::string text(label);
  text += '\0';
  text += first;
  text += '\0';
  text += second;
  const Digest digest = Sha384(text);
  return (uint32_t{digest[0]} << 24 | uint32_t{digest[1]} << 16 | uint32_t{digest[2]} << 8 |
          uint32_t{digest[3]}) >>
         4;
}

}  // namespace

uint32_t ComponentId(std::string_view enclave, std::string_view component) {
  return kFirstComponentId + Derive("bulkhead uid v1", enclave, component);
}

uint32_t EdgeId(std::string_view enclave, std::string_view directory) {
  return kFirstEdgeId + Derive("bulkhead edge v1", enclave, directory);
}

}  // namespace bulkhead
