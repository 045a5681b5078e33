// SPDX-License-Identifier: Apache-2.0
#include "policy/owned_calls.h"

namespace bulkhead {
namespace {

struct OwnedCall {
  std::string_view name;
  std::string_view key;  // the part of a component that decides about the call
};
constexpr OwnedCall kOwned[] = {
    {"socket", "network"},
    {"socketpair", "network"},
    {"connect", "network"},
    {"bind", "network"},
    {"listen", "network"},
    {"accept", "network"},
    {"accept4", "network"},
    {"execve", "files.execute"},
    {"execveat", "files.execute"},
    {"mount", "files"},
    {"umount", "files"},
    {"umount2", "files"},
    {"move_mount", "files"},
    {"mount_setattr", "files"},
    {"open_tree", "files"},
    {"open_tree_attr", "files"},
    {"fsopen", "files"},
    {"fsconfig", "files"},
    {"fsmount", "files"},
    {"fspick", "files"},
    {"pivot_root", "files"},
    {"chroot", "files"},
    {"open_by_handle_at", "files"},
    {"setuid", "user"},
    {"setgid", "user"},
    {"setreuid", "user"},
    {"setregid", "user"},
    {"setresuid", "user"},
    {"setresgid", "user"},
    {"setfsuid", "user"},
    {"setfsgid", "user"},
    {"setgroups", "user"},
    {"capset", "user"},
};

}  // namespace

std::string_view OwnerOf(std::string_view call) {
  for (const OwnedCall& owned : kOwned) {
    if (owned.name == call) return owned.key;
  }
  return {};
}

}  // namespace bulkhead
