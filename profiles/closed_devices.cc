// SPDX-License-Identifier: Apache-2.0
#include "profiles/closed_devices.h"

#include <algorithm>
#include <iterator>

namespace bulkhead {
namespace {

// Whoever has one of these speaks as the enclave, or is not confined by the rest of the profile.
constexpr ClosedDevice kClosed[] = {
    {"/dev/nsm", "it attests: whoever has it is the enclave"},
    {"/dev/tdx", "it attests: whoever has it is the enclave"},
    {"/dev/tpm", "it attests: whoever has it is the enclave"},
    {"/dev/sev", "it attests: whoever has it is the enclave"},
    {"/dev/nitro_enclaves", "it leads to other enclaves"},
    {"/dev/cpu/", "it is the processor's registers"},
    {"/dev/msr", "it is the processor's registers"},
    {"/dev/vfio", "it is the machine's memory"},
    {"/dev/uio", "it is the machine's memory"},
    {"/dev/mem", "it is the kernel's memory"},
    {"/dev/kmem", "it is the kernel's memory"},
    {"/dev/port", "it is the machine's ports"},
    {"/dev/kmsg", "it is the kernel's log"},
    {"/dev/vsock", "it leads to the host"},
    {"/dev/vhost", "it leads to the host"},
    {"/dev/vport", "it leads to the host"},
    {"/dev/virtio-ports", "it leads to the host"},
    {"/dev/hvc", "it leads to the host"},
    {"/dev/userfaultfd", "it stops the kernel in the middle of a call"},
    {"/dev/fuse", "it makes file systems"},
    {"/dev/cuse", "it makes devices"},
    {"/dev/loop", "it makes file systems of files"},
    {"/dev/disk", "it is beneath the files of others"},
    {"/dev/dm-", "it is beneath the files of others"},
    {"/dev/mapper", "it is beneath the files of others"},
    {"/dev/bsg", "it is beneath the files of others"},
    {"/dev/mtd", "it is beneath the files of others"},
    {"/dev/ng", "it is beneath the files of others"},
    {"/dev/raw", "it is beneath the files of others"},
    {"/dev/sg", "it is beneath the files of others"},
    {"/dev/nvme", "it is beneath the files of others"},
    {"/dev/pmem", "it is beneath the files of others"},
    {"/dev/ram", "it is beneath the files of others"},
    {"/dev/sd", "it is beneath the files of others"},
    {"/dev/vd", "it is beneath the files of others"},
    {"/dev/xvd", "it is beneath the files of others"},
};

}  // namespace

std::span<const ClosedDevice> ClosedDevices() { return kClosed; }

const ClosedDevice* FindClosedDevice(std::string_view path) {
  const auto found = std::ranges::find_if(
      kClosed, [&](const ClosedDevice& closed) { return path.starts_with(closed.start); });
  return found == std::end(kClosed) ? nullptr : found;
}

}  // namespace bulkhead
