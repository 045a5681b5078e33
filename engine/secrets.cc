// SPDX-License-Identifier: Apache-2.0
#include "engine/secrets.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "engine/open_path.h"

namespace bulkhead {
namespace {

constexpr unsigned kNoExecSeal = 0x0008;  // MFD_NOEXEC_SEAL, since Linux 6.3 (linux/memfd.h)
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

tl::unexpected<EdgeError> Error(const char* step, const std::string& object, int error = errno) {
  return tl::make_unexpected(EdgeError{step, error, object});
}

// errno, or 0. What passes through here does not stay.
int CopyAll(int from, int to, size_t limit) {
  std::array<char, 4096> buffer{};
  size_t copied = 0;
  int error = 0;
  while (error == 0) {
    const ssize_t size = read(from, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) error = errno;
    if (size <= 0) break;
    copied += static_cast<size_t>(size);
    if (copied > limit) {
      error = EFBIG;
    } else if (write(to, buffer.data(), static_cast<size_t>(size)) != size) {
      error = errno != 0 ? errno : EIO;
    }
  }
  explicit_bzero(buffer.data(), buffer.size());
  return error != 0 ? error : copied == 0 ? ENODATA : 0;
}

tl::expected<Fd, EdgeError> MemoryFile(const std::string& object) {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  Fd fd(memfd_create("secret", kFlags | kNoExecSeal));
  if (!fd && errno == EINVAL) fd = Fd(memfd_create("secret", kFlags));
  if (!fd) return Error("make a memory file for the secret", object);
  return fd;
}

// Of what is at its beginning.
tl::expected<Fd, EdgeError> Sealed(int from, const std::string& object, size_t limit) {
  auto fd = MemoryFile(object);
  if (!fd) return fd;
  if (const int error = CopyAll(from, fd->get(), limit); error != 0) {
    return Error("read the secret", object, error);
  }
  if (fchmod(fd->get(), 0444) != 0 || fcntl(fd->get(), F_ADD_SEALS, kSeals) != 0) {
    return Error("seal the secret", object);
  }
  const int seals = fcntl(fd->get(), F_GET_SEALS);
  if ((seals & kSeals) != kSeals) return Error("seal the secret", object, EPERM);
  return fd;
}

}  // namespace

tl::expected<Fd, EdgeError> ReadSecret(const Secret& secret, size_t limit) {
  // A fifo or a device is not waited for.
  const Fd file = OpenWithoutLinks("/", secret.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  struct stat info {};
  if (!file || fstat(file.get(), &info) != 0) return Error("open the secret", secret.path);
  if (!S_ISREG(info.st_mode)) return Error("open the secret", secret.path, EINVAL);
  return Sealed(file.get(), secret.path, limit);
}

tl::expected<Fd, EdgeError> CopyOf(const NamedFd& secret) {
  if (lseek(secret.fd.get(), 0, SEEK_SET) != 0) return Error("read the secret", secret.name);
  auto made = Sealed(secret.fd.get(), secret.name, kMaxSecretBytes);
  if (!made) return made;
  // The descriptor that wrote it stays here.
  const std::string again = "/proc/self/fd/" + std::to_string(made->get());
  Fd fd(open(again.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Error("open the copy of the secret", secret.name);
  return fd;
}

}  // namespace bulkhead
