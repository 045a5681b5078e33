// SPDX-License-Identifier: Apache-2.0
// Tar archives: ustar with GNU's long names and pax headers, as docker, podman, GNU tar and bsdtar
// write them.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "cli/image_tree.h"
#include "engine/fd.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

constexpr uint64_t kBlock = 512;
constexpr uint64_t kMaxExtension = 1U << 20;  // bytes of a pax header or a long name

using Block = std::array<char, kBlock>;
using Done = tl::expected<void, std::string>;

std::string_view Field(const Block& block, size_t at, size_t size) {
  const std::string_view field(block.data() + at, size);
  return field.substr(0, std::min(field.find('\0'), size));
}

// Octal, or with the first bit set big endian.
std::optional<uint64_t> Number(const Block& block, size_t at, size_t size) {
  uint64_t value = 0;
  const auto first = static_cast<unsigned char>(block[at]);
  if ((first & 0x80) != 0) {
    for (size_t i = 0; i < size; ++i) {
      const auto byte = static_cast<unsigned char>(block[at + i]);
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | (i == 0 ? byte & 0x7fU : byte);
    }
    return value;
  }
  std::string_view text = Field(block, at, size);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  for (const char c : text) {
    if (c < '0' || c > '7' || value >> 60 != 0) return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(c - '0');
  }
  return value;
}

bool ChecksumFits(const Block& block) {
  uint64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return Number(block, 148, 8) == sum;
}

// What a pax header or a long name says of the entry behind it.
struct Extension {
  std::optional<std::string> path;
  std::optional<std::string> target;
  std::optional<uint64_t> size;
};

std::optional<uint64_t> Decimal(std::string_view text) {
  uint64_t value = 0;
  if (text.empty() || text.size() > 18) return std::nullopt;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = 10 * value + static_cast<uint64_t>(c - '0');
  }
  return value;
}

// Records of "LENGTH KEY=VALUE\n".
bool ReadPax(std::string_view text, Extension& extension) {
  while (!text.empty()) {
    const size_t space = text.find(' ');
    if (space == std::string_view::npos) return false;
    const auto length = Decimal(text.substr(0, space));
    if (!length || *length <= space + 1 || *length > text.size()) return false;
    std::string_view record = text.substr(space + 1, *length - space - 1);
    text.remove_prefix(*length);
    const size_t equals = record.find('=');
    if (record.back() != '\n' || equals == std::string_view::npos) return false;
    const std::string_view key = record.substr(0, equals);
    record = record.substr(equals + 1, record.size() - equals - 2);
    if (key == "path") extension.path = record;
    if (key == "linkpath") extension.target = record;
    if (key == "size") {
      extension.size = Decimal(record);
      if (!extension.size) return false;
    }
    if (key.starts_with("GNU.sparse")) return false;
  }
  return true;
}

// "/" and the parts of `name`; empty for the root itself; nothing for one that leaves it.
std::optional<std::string> Normal(std::string_view name) {
  std::string path;
  for (size_t from = 0; from < name.size();) {
    const size_t end = std::min(name.find('/', from), name.size());
    const std::string_view part = name.substr(from, end - from);
    from = end + 1;
    if (part == "..") return std::nullopt;
    if (!part.empty() && part != ".") path += fmt::format("/{}", part);
  }
  return path;
}

class TarReader {
 public:
  explicit TarReader(std::string path)
      : path_(std::move(path)), fd_(open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {}

  tl::expected<ImageTree, std::string> Read() {
    if (!fd_) return Wrong(strerror(errno));
    for (;;) {
      Block block;
      if (!ReadBytes(block.data(), block.size(), at_)) return Wrong("ends in the middle");
      if (block == Block{}) return std::move(tree_);
      if (!ChecksumFits(block)) return Wrong(at_ == 0 ? "is no tar archive" : "is damaged");
      at_ += kBlock;
      if (auto done = Take(block); !done) return tl::make_unexpected(done.error());
    }
  }

 private:
  tl::unexpected<std::string> Wrong(std::string_view what) const {
    return tl::make_unexpected(fmt::format("{} {}", Quoted(path_), what));
  }

  bool ReadBytes(char* bytes, size_t size, uint64_t from) const {
    while (size > 0) {
      const ssize_t got = pread(fd_.get(), bytes, size, static_cast<off_t>(from));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      bytes += got;
      size -= static_cast<size_t>(got);
      from += static_cast<uint64_t>(got);
    }
    return true;
  }

  tl::expected<std::string, std::string> Text(uint64_t size) const {
    if (size > kMaxExtension) return Wrong("has a name longer than 1 MiB");
    std::string text(size, '\0');
    if (!ReadBytes(text.data(), text.size(), at_)) return Wrong("ends in the middle");
    return text;
  }

  Done Take(const Block& block) {
    const auto size = Number(block, 124, 12);
    const auto mode = Number(block, 100, 8);
    if (!size || !mode) return Wrong("has a number that is none");
    const char type = block[156];
    const uint64_t content = type == 'x' || type == 'g' || type == 'L' || type == 'K'
                                 ? *size
                                 : next_.size.value_or(*size);
    if (content > uint64_t{1} << 50) return Wrong("has a file that is too large");
    Done done = type == 'x' || type == 'L' || type == 'K' ? Extend(type, content)
                : type == 'g'                             ? Done()
                              : Enter(block, type, content, static_cast<uint32_t>(*mode));
    at_ += (content + kBlock - 1) / kBlock * kBlock;
    return done;
  }

  Done Extend(char type, uint64_t size) {
    const auto text = Text(size);
    if (!text) return tl::make_unexpected(text.error());
    if (type == 'x') {
      return ReadPax(*text, next_) ? Done() : Wrong("has a pax header that can't be read");
    }
    (type == 'L' ? next_.path : next_.target) = text->substr(0, text->find('\0'));
    return {};
  }

  std::string NameIn(const Block& block) const {
    const std::string_view prefix = Field(block, 345, 155);
    const bool ustar = Field(block, 257, 6) == "ustar" && block[263] == '0';
    const std::string name(Field(block, 0, 100));
    return ustar && !prefix.empty() ? fmt::format("{}/{}", prefix, name) : name;
  }

  Done Enter(const Block& block, char type, uint64_t size, uint32_t mode) {
    const Extension extension = std::exchange(next_, {});
    const std::string name = extension.path.value_or(NameIn(block));
    const auto path = Normal(name);
    if (!path || name.find('\0') != std::string::npos) {
      return Wrong(fmt::format("has the name {}, which leaves it", Quoted(name)));
    }
    if (path->empty()) return {};
    if (path->substr(path->rfind('/') + 1).starts_with(".wh.")) {
      return Wrong("is a layer of an image and no file system: use `docker export`");
    }
    ImageNode node;
    node.mode = mode & 07777;
    node.target = extension.target.value_or(std::string(Field(block, 157, 100)));
    node.source = path_;
    node.offset = at_;
    if (type == '1') return Link(*path, node.target);
    const bool file = type == '0' || type == '\0' || type == '7';
    if (file) node.size = size;
    const SourceKind kind = file          ? SourceKind::kFile
                            : type == '2' ? SourceKind::kSymlink
                            : type == '5' ? SourceKind::kDirectory
                                          : SourceKind::kOther;
    if (kind == SourceKind::kOther && (type < '3' || type > '6')) {
      return Wrong(fmt::format("has {} as a kind of file that is not known", Quoted(name)));
    }
    return AddToTree(tree_, *path, kind, std::move(node));
  }

  Done Link(const std::string& path, const std::string& to) {
    const auto first = Normal(to);
    const auto found = first ? tree_.nodes.find(*first) : tree_.nodes.end();
    if (found == tree_.nodes.end() || found->second.kind != ImageKind::kFile) {
      return Wrong(fmt::format("has {} as another name of a file that is not there", Quoted(path)));
    }
    ++tree_.notes.unlinked;
    return AddToTree(tree_, path, SourceKind::kFile, ImageNode(found->second));
  }

  std::string path_;
  Fd fd_;
  uint64_t at_ = 0;
  Extension next_;
  ImageTree tree_;
};

}  // namespace

tl::expected<ImageTree, std::string> ReadTar(const std::string& path) {
  return TarReader(path).Read();
}

}  // namespace bulkhead
