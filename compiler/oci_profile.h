// SPDX-License-Identifier: Apache-2.0
// OCI seccomp profiles as data: the form of opencontainers/runtime-spec (config-linux.md, seccomp)
// and the extended ones of Docker (archMap, includes, excludes) and Podman (errno names). Reading
// checks the form; what it means is for oci_import.h. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/diagnostics.h"
#include "policy/node.h"

namespace bulkhead {

enum class OciAction : uint8_t {
  kAllow,
  kErrno,
  kKillThread,  // also written SCMP_ACT_KILL
  kKillProcess,
  kTrap,
  kNotify,
  kLog,
  kTrace,
};

enum class OciOperator : uint8_t { kNe, kLt, kLe, kEq, kGe, kGt, kMaskedEq };

struct OciName {
  std::string name;
  Place place;
};

struct OciArg {
  unsigned index = 0;  // 0 to 5
  OciOperator op = OciOperator::kEq;
  uint64_t value = 0;      // of kMaskedEq the mask
  uint64_t value_two = 0;  // of kMaskedEq what the masked register is
  Place place;
};

struct OciWhen {  // `includes` or `excludes`
  std::vector<OciName> caps;
  std::vector<OciName> arches;                              // as Go names them: "amd64"
  std::optional<std::pair<uint32_t, uint32_t>> min_kernel;  // 4.8
};

struct OciRule {
  std::vector<OciName> names;
  OciAction action = OciAction::kAllow;
  std::optional<uint32_t> errno_ret;
  std::vector<OciArg> args;
  OciWhen includes;
  OciWhen excludes;
  Place place;
};

struct OciArchs {
  OciName main;  // "SCMP_ARCH_X86_64"
  std::vector<OciName> sub;
};

struct OciProfile {
  OciAction default_action = OciAction::kErrno;
  std::optional<uint32_t> default_errno;
  Place default_place;
  std::vector<OciName> architectures;
  std::vector<OciArchs> arch_map;
  std::vector<OciName> flags;
  std::optional<Place> listener;  // of listenerPath
  std::vector<OciRule> rules;
};

// "SCMP_ACT_ERRNO".
std::string_view ActionName(OciAction action);

// nullopt after an error, E0604 to E0609.
std::optional<OciProfile> ReadOciProfile(const Node& root, Diagnostics& diagnostics);

}  // namespace bulkhead
