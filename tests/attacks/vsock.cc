// SPDX-License-Identifier: Apache-2.0
#include "tests/attacks/vsock.h"

#include <sys/socket.h>
// After it, whose types it needs.
#include <linux/vm_sockets.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace bulkhead::attacks {
namespace {

// QEMU's name of a machine that has a device tree and no DMI.
constexpr std::string_view kVirtualArm("linux,dummy-virt\0", 17);

std::string FirstLine(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

sockaddr_vm Loopback(uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_LOCAL;
  address.svm_port = port;
  return address;
}

}  // namespace

bool InOwnGuest() {
  const bool guest = FirstLine("/sys/class/dmi/id/sys_vendor") == "QEMU" ||
                     FirstLine("/sys/firmware/devicetree/base/model") == kVirtualArm;
  if (!guest) return false;
  std::istringstream words(FirstLine("/proc/cmdline"));
  for (std::string word; words >> word;) {
    if (word == "bulkhead.guest") return true;
  }
  return false;
}

int ListenVsock(uint32_t port) {
  if (!InOwnGuest()) {
    errno = EPERM;
    return -1;
  }
  const int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
  const sockaddr_vm address = Loopback(port);
  if (fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      listen(fd, 4) == 0) {
    return fd;
  }
  const int why = errno;
  if (fd >= 0) close(fd);
  errno = why;
  return -1;
}

int ConnectVsock(int fd, uint32_t port) {
  if (!InOwnGuest()) {
    errno = EPERM;
    return -1;
  }
  const sockaddr_vm address = Loopback(port);
  return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

}  // namespace bulkhead::attacks
