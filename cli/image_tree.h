// SPDX-License-Identifier: Apache-2.0
// The root file system of an image, read from a directory or a tar archive, as names and what they
// stand for; contents stay where they are until they are copied. Equal trees are equal whatever
// order, owner, time or inode number the files had: what an initramfs can't hold, or should not, is
// decided here. As read-only data, thread-safe. Sources: tar(5), pax(1).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace bulkhead {

enum class ImageKind : uint8_t { kDirectory, kFile, kSymlink };

struct ImageNode {
  ImageKind kind = ImageKind::kFile;
  uint32_t mode = 0644;  // the lower twelve bits
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string target;   // of a symbolic link
  uint64_t size = 0;    // of a file
  std::string source;   // of a file: where its content is
  uint64_t offset = 0;  // and from which byte on
};

// What was not taken as it was, in the order of names.
struct ImageNotes {
  std::vector<std::string> cleared;   // files that had a set-user-id or set-group-id bit
  std::vector<std::string> left_out;  // devices, sockets, fifos
  uint64_t covered = 0;               // entries beneath CoveredDirectories
  uint64_t unlinked = 0;              // names of a file that has another one
};

struct ImageTree {
  std::map<std::string, ImageNode>
      nodes;  // by path, which begins with a slash; not the root itself
  ImageNotes notes;
};

// Where PID 1 mounts other file systems. They are in every tree, empty.
std::span<const std::string_view> CoveredDirectories();
// The one that `path` is or is beneath; empty if none.
std::string_view CoveringDirectory(std::string_view path);

inline constexpr size_t kMaxImageNodes = 1U << 20;
inline constexpr uint64_t kMaxImageFile = 0xffffffff;  // a newc header's field

// A directory, or else a tar archive. Errors name the file and what is wrong with it.
tl::expected<ImageTree, std::string> ReadImageTree(const std::string& path);

// Adds one entry by these rules; what it replaces is gone. The parts of image_tree, for their
// readers. `path` begins with a slash and has no empty, "." or ".." part.
enum class SourceKind : uint8_t { kDirectory, kFile, kSymlink, kOther };
tl::expected<void, std::string> AddToTree(ImageTree& tree, const std::string& path, SourceKind kind,
                                          ImageNode node);
// Adds what every tree has. To be called last.
tl::expected<void, std::string> CompleteTree(ImageTree& tree);

tl::expected<ImageTree, std::string> ReadTar(const std::string& path);

// What a path leads to, symbolic links followed inside the tree.
struct Resolved {
  const ImageNode* node = nullptr;  // nullptr: beneath a covered directory, or the root
  std::string path;
  std::vector<std::string> links;  // that were followed
};
// Errors: "is not there", "is beneath what is no directory", "leads out of what is made at boot",
// "leads round in a circle". `links`: gets those that were followed until the error, too.
tl::expected<Resolved, std::string> Resolve(const ImageTree& tree, std::string_view path,
                                            std::vector<std::string>* links = nullptr);

}  // namespace bulkhead
