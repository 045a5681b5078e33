// SPDX-License-Identifier: Apache-2.0
// What PID 1 of a machine does before the supervisor starts: from the initramfs that the kernel
// unpacked to the enclave's root with its file systems mounted. In the initramfs are
//   /rootfs           the enclave's root
//   /enclave.bundle, /enclave.bundle.sig   its bundle and, if it is signed, the signature; or else
//   /cmd, as Nitro's images have it, which names a bundle in /rootfs
//   /nsm.ko, /modules/*   modules, inserted in the order of their names
// (docs/BOOT.md). Where they are is said here and nowhere else: neither the kernel's command line
// nor the environment moves them, and what is measured is the initramfs.
//
// Nothing of it can be taken back, so the first failure is final. Single-threaded, once. Sources:
// mount(2), finit_module(2), Documentation/filesystems/ramfs-rootfs-initramfs.rst, init.c of
// aws-nitro-enclaves-sdk-bootstrap for the contract of /cmd, /env and /rootfs.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "sandbox/kernel.h"

namespace bulkhead {

inline constexpr size_t kMaxModules = 64;
inline constexpr size_t kMaxCommandFile = 65536;

// One file system to mount; the directory is made where it is missing.
struct MachineMount {
  const char* type;
  const char* path;
  const char* options;
  unsigned long flags;
};

// In the order in which they are mounted, in the enclave's root; cgroups are not among them.
std::span<const MachineMount> MachineMounts();

// The version 1 hierarchies to mount where the version 2 tree offers only `controllers`, the text
// of its cgroup.controllers: all or none, so that limits have one home. Pure.
std::vector<std::string_view> NeededHierarchies(std::string_view controllers);

// The bundle that a /cmd names: two lines, bulkhead-init and an absolute path in /rootfs. Pure.
tl::expected<std::string, std::string> BundleOfCommand(std::string_view text);

struct MachineReady {
  std::string bundle;  // a path that can be opened now
  // The text of the file beside the bundle, empty where there is none; nothing: the bundle is
  // /cmd's, and what is beside it can still be opened.
  std::optional<std::string> signature;
  std::vector<std::string> notes;  // for the console
};

// Errors: the step, its object and the errno, in words.
tl::expected<MachineReady, std::string> SetUpMachine(Kernel& kernel);

}  // namespace bulkhead
