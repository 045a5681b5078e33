// SPDX-License-Identifier: Apache-2.0
#include "cli/image_tree.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "policy/text.h"

namespace bulkhead {
namespace {

constexpr std::string_view kCovered[] = {"/dev", "/proc", "/run", "/sys", "/tmp"};
// With the directory that the image puts the tree into, and a byte for the end.
constexpr size_t kMaxPath = 4095 - 7;
constexpr int kMaxLinks = 40;

tl::unexpected<std::string> Wrong(std::string_view path, std::string_view what) {
  return tl::make_unexpected(fmt::format("{} {}", Quoted(path), what));
}

tl::unexpected<std::string> Failed(std::string_view path) { return Wrong(path, strerror(errno)); }

// Parents that are not there are made; one that is no directory is an error, as what is beneath it
// would go elsewhere.
tl::expected<void, std::string> MakeParents(ImageTree& tree, const std::string& path) {
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    const auto [parent, made] = tree.nodes.try_emplace(path.substr(0, end));
    if (made) {
      parent->second.kind = ImageKind::kDirectory;
      parent->second.mode = 0755;
    }
    if (parent->second.kind != ImageKind::kDirectory) {
      return Wrong(path,
                   fmt::format("is beneath {}, which is no directory", Quoted(parent->first)));
    }
  }
  return {};
}

std::string ReadLink(const std::string& path) {
  std::string target(4096, '\0');
  const ssize_t size = readlink(path.c_str(), target.data(), target.size());
  target.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return target;
}

SourceKind KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return SourceKind::kDirectory;
  if (S_ISREG(mode)) return SourceKind::kFile;
  return S_ISLNK(mode) ? SourceKind::kSymlink : SourceKind::kOther;
}

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

class DirectoryReader {
 public:
  explicit DirectoryReader(std::string root) : root_(std::move(root)) {}

  tl::expected<ImageTree, std::string> Read() {
    std::vector<std::string> left{""};
    while (!left.empty()) {
      const std::string at = std::move(left.back());
      left.pop_back();
      if (auto done = List(at, left); !done) return tl::make_unexpected(done.error());
    }
    return std::move(tree_);
  }

 private:
  tl::expected<void, std::string> List(const std::string& at, std::vector<std::string>& left) {
    const Directory directory(opendir((root_ + at + "/").c_str()), closedir);
    if (!directory) return Failed(root_ + at);
    errno = 0;
    while (const dirent* entry = readdir(directory.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") {
        if (auto done = Take(fmt::format("{}/{}", at, name), left); !done) return done;
      }
      errno = 0;
    }
    if (errno != 0) return Failed(root_ + at);
    return {};
  }

  tl::expected<void, std::string> Take(const std::string& path, std::vector<std::string>& left) {
    ImageNode node;
    node.source = root_ + path;
    struct stat info {};
    if (lstat(node.source.c_str(), &info) != 0) return Failed(node.source);
    node.mode = info.st_mode & 07777;
    const SourceKind kind = KindOf(info.st_mode);
    if (kind == SourceKind::kFile) {
      node.size = static_cast<uint64_t>(info.st_size);
      // Known by the second and later names of the same file.
      if (info.st_nlink > 1 && !seen_.emplace(info.st_dev, info.st_ino).second) {
        ++tree_.notes.unlinked;
      }
    }
    if (kind == SourceKind::kSymlink) node.target = ReadLink(node.source);
    // What is left out is counted where it begins: /proc of a running system has no end.
    const std::string_view covering = CoveringDirectory(path);
    if (kind == SourceKind::kDirectory && (covering.empty() || covering == path)) {
      left.push_back(path);
    }
    return AddToTree(tree_, path, kind, std::move(node));
  }

  std::string root_;
  ImageTree tree_;
  std::set<std::pair<dev_t, ino_t>> seen_;
};

}  // namespace

std::span<const std::string_view> CoveredDirectories() { return kCovered; }

std::string_view CoveringDirectory(std::string_view path) {
  for (const std::string_view directory : kCovered) {
    if (path.starts_with(directory) &&
        (path.size() == directory.size() || path[directory.size()] == '/')) {
      return directory;
    }
  }
  return {};
}

tl::expected<void, std::string> AddToTree(ImageTree& tree, const std::string& path, SourceKind kind,
                                          ImageNode node) {
  const std::string_view covering = CoveringDirectory(path);
  if (!covering.empty()) {
    if (covering.size() != path.size()) ++tree.notes.covered;
    if (covering.size() == path.size() && kind != SourceKind::kDirectory) {
      return Wrong(path, "must be a directory: another file system is mounted on it at boot");
    }
    return {};
  }
  if (path.size() > kMaxPath) return Wrong(path.substr(0, 64), "is longer than 4088 bytes");
  if (kind == SourceKind::kOther) {
    tree.notes.left_out.push_back(path);
    return {};
  }
  if (node.size > kMaxImageFile) return Wrong(path, "is larger than 4 GiB");
  const bool ends_early = node.target.find('\0') != std::string::npos;
  if (kind == SourceKind::kSymlink &&
      (node.target.empty() || node.target.size() > kMaxPath || ends_early)) {
    return Wrong(path, "is a link to nowhere, or to what can't be a name");
  }
  node.kind = kind == SourceKind::kDirectory ? ImageKind::kDirectory
              : kind == SourceKind::kFile    ? ImageKind::kFile
                                             : ImageKind::kSymlink;
  if (kind == SourceKind::kSymlink) node.mode = 0777;
  if (kind == SourceKind::kFile && (node.mode & 06000) != 0) {
    node.mode &= 01777;
    tree.notes.cleared.push_back(path);
  }
  if (auto made = MakeParents(tree, path); !made) return made;
  if (tree.nodes.size() >= kMaxImageNodes) return Wrong(path, "is one file too many");
  ImageNode& place = tree.nodes[path];
  if (place.kind == ImageKind::kDirectory && node.kind != ImageKind::kDirectory) {
    return Wrong(path, "is a directory and something else");
  }
  place = std::move(node);
  return {};
}

tl::expected<void, std::string> CompleteTree(ImageTree& tree) {
  for (const std::string_view path : kCovered) {
    ImageNode& node = tree.nodes[std::string(path)];
    node = {};
    node.kind = ImageKind::kDirectory;
    node.mode = path == "/tmp" ? 01777 : 0755;
  }
  for (auto* list : {&tree.notes.cleared, &tree.notes.left_out}) std::ranges::sort(*list);
  return {};
}

tl::expected<ImageTree, std::string> ReadImageTree(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return tl::make_unexpected(fmt::format("{}: {}", Quoted(path), std::strerror(errno)));
  }
  auto tree = S_ISDIR(info.st_mode) ? DirectoryReader(path).Read() : ReadTar(path);
  if (!tree) return tree;
  if (tree->nodes.empty()) return Wrong(path, "holds no files");
  if (auto done = CompleteTree(*tree); !done) return tl::make_unexpected(done.error());
  return tree;
}

tl::expected<Resolved, std::string> Resolve(const ImageTree& tree, std::string_view path,
                                            std::vector<std::string>* followed) {
  std::vector<std::string> left;  // parts still to be walked, the next one last
  const auto push = [&](std::string_view text) {
    std::vector<std::string> parts;
    for (size_t from = 0; from < text.size();) {
      const size_t end = std::min(text.find('/', from), text.size());
      if (end > from) parts.emplace_back(text.substr(from, end - from));
      from = end + 1;
    }
    left.insert(left.end(), parts.rbegin(), parts.rend());
  };
  push(path);
  Resolved at;
  for (int links = 0; !left.empty();) {
    const std::string part = std::move(left.back());
    left.pop_back();
    if (part == ".") continue;
    if (part == "..") {
      // There is nothing yet, or what the kernel puts there.
      const std::string_view covering = CoveringDirectory(at.path);
      if (!covering.empty() && covering != at.path) {
        return tl::make_unexpected("leads out of what is made at boot");
      }
      at.path.resize(at.path.empty() ? 0 : at.path.rfind('/'));
      continue;
    }
    const std::string next = at.path + "/" + part;
    if (!CoveringDirectory(next).empty()) {
      at.path = next;
      continue;
    }
    const auto found = tree.nodes.find(next);
    if (found == tree.nodes.end()) return tl::make_unexpected("is not there");
    if (found->second.kind == ImageKind::kSymlink) {
      if (++links > kMaxLinks) return tl::make_unexpected("leads round in a circle");
      at.links.push_back(next);
      if (followed != nullptr) followed->push_back(next);
      if (found->second.target.front() == '/') at.path.clear();
      push(found->second.target);
      continue;
    }
    if (!left.empty() && found->second.kind != ImageKind::kDirectory) {
      return tl::make_unexpected("is beneath what is no directory");
    }
    at.path = next;
  }
  if (!CoveringDirectory(at.path).empty()) return at;
  const auto found = tree.nodes.find(at.path);
  at.node = found == tree.nodes.end() ? nullptr : &found->second;
  return at;
}

}  // namespace bulkhead
