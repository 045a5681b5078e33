// SPDX-License-Identifier: Apache-2.0
#include "cli/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace bulkhead {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

tl::unexpected<std::string> Failed(std::string_view what, const std::string& path) {
  return tl::make_unexpected(fmt::format("can't {} `{}`: {}", what, path, std::strerror(errno)));
}

bool WriteAll(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return true;
}

// Makes a rename last across a power cut; a file system that can't is no reason to fail.
void SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0) fsync(fd.get());
}

}  // namespace

tl::expected<std::vector<uint8_t>, std::string> ReadFile(const std::string& path, size_t limit) {
  // Nothing is waited for but what a writer that is there already has to say.
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() < 0 || fcntl(fd.get(), F_SETFL, 0) != 0) return Failed("open", path);
  std::vector<uint8_t> bytes;
  uint8_t part[65536];
  for (;;) {
    const ssize_t got = read(fd.get(), part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed("read", path);
    if (got == 0) return bytes;
    if (bytes.size() + static_cast<size_t>(got) > limit) {
      return tl::make_unexpected(fmt::format("`{}` is larger than {} bytes", path, limit));
    }
    bytes.insert(bytes.end(), part, part + got);
  }
}

tl::expected<void, std::string> WriteAtomically(const std::string& path,
                                                std::span<const uint8_t> bytes) {
  std::string temporary = path + ".XXXXXX";
  const Descriptor fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (fd.get() < 0) return Failed("write", path);
  if (WriteAll(fd.get(), bytes) && fchmod(fd.get(), 0644) == 0 && fsync(fd.get()) == 0 &&
      rename(temporary.c_str(), path.c_str()) == 0) {
    SyncDirectoryOf(path);
    return {};
  }
  auto failure = Failed("write", path);
  unlink(temporary.c_str());
  return failure;
}

tl::expected<int, std::string> SealedCopy(const std::string& name, std::span<const uint8_t> bytes) {
  Descriptor fd(memfd_create(name.c_str(), MFD_ALLOW_SEALING));
  const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (fd.get() < 0 || !WriteAll(fd.get(), bytes) || fcntl(fd.get(), F_ADD_SEALS, seals) != 0) {
    return Failed("make a file in memory for", name);
  }
  return fd.Release();
}

}  // namespace bulkhead
