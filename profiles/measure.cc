// SPDX-License-Identifier: Apache-2.0
#include "profiles/measure.h"

namespace bulkhead {

std::string RegisterName(RegisterKind kind, uint32_t number) {
  switch (kind) {
    case RegisterKind::kNone:
      return "none";
    case RegisterKind::kNitro:
      return "pcr" + std::to_string(number);
    case RegisterKind::kTdx:
      return "rtmr" + std::to_string(number);
    case RegisterKind::kTpm:
      return "tpm-pcr" + std::to_string(number);
  }
  return "none";
}

}  // namespace bulkhead
