// SPDX-License-Identifier: Apache-2.0
#include "cli/image_archive.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "engine/bundle_signature.h"
#include "engine/fd.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

constexpr uint32_t kDirectoryType = 0040000;
constexpr uint32_t kFileType = 0100000;
constexpr uint32_t kLinkType = 0120000;
constexpr uint32_t kDeviceType = 0020000;
constexpr size_t kAlignment = 4;
constexpr size_t kBlock = 512;  // of the whole archive

using Done = tl::expected<void, std::string>;

Done Wrong(std::string_view path, std::string_view what) {
  return tl::make_unexpected(fmt::format("{}: {}", Quoted(path), what));
}

struct Entry {
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
};

uint32_t TypeOf(ImageKind kind) {
  switch (kind) {
    case ImageKind::kDirectory:
      return kDirectoryType;
    case ImageKind::kFile:
      return kFileType;
    case ImageKind::kSymlink:
      return kLinkType;
  }
  return 0;
}

// Reads `node` in parts; every byte that the tree knows of must be there, and no other.
template <typename Take>
Done EachPart(const ImageNode& node, Take take) {
  const Fd fd(open(node.source.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return Wrong(node.source, strerror(errno));
  static thread_local std::array<char, 1U << 16> part;
  uint64_t done = 0;
  while (done < node.size) {
    const size_t want = std::min<uint64_t>(part.size(), node.size - done);
    const ssize_t got = pread(fd.get(), part.data(), want, static_cast<off_t>(node.offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Wrong(node.source, strerror(errno));
    if (got == 0) return Wrong(node.source, "became shorter while it was read");
    if (auto taken = take(part.data(), static_cast<size_t>(got)); !taken) return taken;
    done += static_cast<uint64_t>(got);
  }
  return {};
}

class Archive {
 public:
  explicit Archive(std::string path) : path_(std::move(path)), temporary_(path_ + ".XXXXXX") {
    fd_ = Fd(mkostemp(temporary_.data(), O_CLOEXEC));
    if (!fd_) error_ = errno;
  }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  ~Archive() {
    if (fd_) unlink(temporary_.c_str());
  }

  Done Begin(std::string_view name, const Entry& entry, uint64_t size) {
    const std::string header = fmt::format(
        "070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}",
        ++entries_, entry.mode, entry.uid, entry.gid, 1, 0, size, 0, 0, entry.device_major,
        entry.device_minor, name.size() + 1, 0);
    std::string whole = header + std::string(name) + '\0';
    whole.resize((whole.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
    return Put(whole);
  }

  Done Add(std::string_view name, const Entry& entry, std::string_view content) {
    if (auto done = Begin(name, entry, content.size()); !done) return done;
    if (auto done = Put(content); !done) return done;
    return Pad(kAlignment);
  }

  Done AddNode(const std::string& name, const ImageNode& node) {
    const Entry entry{TypeOf(node.kind) | node.mode, node.uid, node.gid};
    if (node.kind != ImageKind::kFile) return Add(name, entry, node.target);
    if (auto done = Begin(name, entry, node.size); !done) return done;
    const auto put = [&](const char* bytes, size_t size) { return Put({bytes, size}); };
    if (auto done = EachPart(node, put); !done) return done;
    return Pad(kAlignment);
  }

  tl::expected<WrittenImage, std::string> Finish() {
    const uint64_t entries = entries_;
    entries_ = static_cast<uint64_t>(-1);  // the trailer has no inode
    Done done = Add("TRAILER!!!", {}, {});
    if (done) done = Pad(kBlock);
    if (done) done = Flush();
    if (!done) return tl::make_unexpected(done.error());
    WrittenImage written{size_, entries, {}};
    void* at = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd_.get(), 0);
    if (at == MAP_FAILED) return tl::make_unexpected(Wrong(path_, strerror(errno)).error());
    written.digest = Sha384({static_cast<const uint8_t*>(at), size_});
    munmap(at, size_);
    if (fchmod(fd_.get(), 0644) != 0 || fsync(fd_.get()) != 0 ||
        rename(temporary_.c_str(), path_.c_str()) != 0) {
      return tl::make_unexpected(Wrong(path_, strerror(errno)).error());
    }
    fd_.Reset();
    return written;
  }

 private:
  Done Pad(size_t to) {
    static constexpr std::array<char, kBlock> kZeros{};
    return Put({kZeros.data(), (to - size_ % to) % to});
  }

  Done Put(std::string_view bytes) {
    size_ += bytes.size();
    buffer_ += bytes;
    return buffer_.size() < (1U << 20) ? Done() : Flush();
  }

  Done Flush() {
    if (!fd_) return Wrong(path_, strerror(error_));
    for (std::string_view left = buffer_; !left.empty();) {
      const ssize_t written = write(fd_.get(), left.data(), left.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return Wrong(path_, strerror(errno));
      left.remove_prefix(static_cast<size_t>(written));
    }
    buffer_.clear();
    return {};
  }

  std::string path_;
  std::string temporary_;
  int error_ = 0;  // of opening it
  Fd fd_;
  std::string buffer_;
  uint64_t size_ = 0;
  uint64_t entries_ = 0;
};

tl::expected<ImageNode, std::string> NodeOf(const std::string& path, uint32_t mode) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return tl::make_unexpected(Wrong(path, strerror(errno)).error());
  }
  std::array<char, 4096> real;
  if (!S_ISREG(info.st_mode) || realpath(path.c_str(), real.data()) == nullptr) {
    return tl::make_unexpected(Wrong(path, "is no file").error());
  }
  ImageNode node;
  node.mode = mode;
  node.size = static_cast<uint64_t>(info.st_size);
  node.source = real.data();
  if (node.size > kMaxImageFile) {
    return tl::make_unexpected(Wrong(path, "is larger than 4 GiB").error());
  }
  return node;
}

Done AddFile(Archive& archive, const std::string& name, const std::string& path, uint32_t mode) {
  const auto node = NodeOf(path, mode);
  if (!node) return tl::make_unexpected(node.error());
  return archive.AddNode(name, *node);
}

Done AddAll(Archive& archive, const ImageParts& parts, const ImageTree& tree) {
  const Entry directory{kDirectoryType | 0755U};
  const auto text = [](const std::vector<uint8_t>& bytes) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  // The kernel opens /dev/console for its first process before that can make it.
  Done done = archive.Add("dev", directory, {});
  if (done) done = archive.Add("dev/console", {kDeviceType | 0600U, 0, 0, 5, 1}, {});
  if (done) done = archive.Add("enclave.bundle", {kFileType | 0400U}, text(parts.bundle));
  if (done && !parts.signature.empty()) {
    const std::string name = "enclave.bundle" + std::string(kSignatureSuffix);
    done = archive.Add(name, {kFileType | 0400U}, text(parts.signature));
  }
  if (done) done = AddFile(archive, "init", parts.init, 0755);
  if (done) done = archive.Add("modules", directory, {});
  for (size_t i = 0; i < parts.modules.size() && done; ++i) {
    const std::string& path = parts.modules[i];
    const std::string name = path.substr(path.rfind('/') + 1);
    done = AddFile(archive, fmt::format("modules/{:02}-{}", i, name), path, 0400);
  }
  if (done) done = archive.Add("rootfs", directory, {});
  for (auto at = tree.nodes.begin(); at != tree.nodes.end() && done; ++at) {
    done = archive.AddNode("rootfs" + at->first, at->second);
  }
  return done;
}

}  // namespace

tl::expected<std::vector<uint8_t>, std::string> ReadContent(const ImageNode& node, size_t limit) {
  if (node.size > limit) return tl::make_unexpected("is too large");
  std::vector<uint8_t> bytes;
  const auto done = EachPart(node, [&](const char* part, size_t size) {
    bytes.insert(bytes.end(), part, part + size);
    return Done();
  });
  if (!done) return tl::make_unexpected(done.error());
  return bytes;
}

tl::expected<WrittenImage, std::string> WriteImage(const std::string& path, const ImageParts& parts,
                                                   const ImageTree& tree) {
  Archive archive(path);
  if (auto done = AddAll(archive, parts, tree); !done) return tl::make_unexpected(done.error());
  return archive.Finish();
}

Digest RegisterOf(const Digest& content) {
  std::array<uint8_t, 2 * sizeof(Digest)> bytes{};
  std::copy(content.begin(), content.end(), bytes.begin() + sizeof(Digest));
  return Sha384(bytes);
}

}  // namespace bulkhead
