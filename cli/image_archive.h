// SPDX-License-Identifier: Apache-2.0
// An initramfs: a cpio archive in the form "newc", which Linux unpacks (init/initramfs.c,
// Documentation/driver-api/early-userspace/buffer-format.rst). Its bytes hang on names, modes,
// owners and contents alone: times are 0, inode numbers count up, nothing is compressed, since what
// a compressor writes is its release's own matter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "cli/image_tree.h"
#include "profiles/digest.h"

namespace bulkhead {

// The whole content; an error where the file is another size than it was, or larger than `limit`.
tl::expected<std::vector<uint8_t>, std::string> ReadContent(const ImageNode& node, size_t limit);

struct ImageParts {
  std::string init;  // a file
  std::vector<uint8_t> bundle;
  std::vector<uint8_t> signature;    // the file's text; empty: none
  std::vector<std::string> modules;  // files, in the order in which they are inserted
};

struct WrittenImage {
  uint64_t bytes = 0;
  uint64_t entries = 0;
  Digest digest{};
};

// The path holds the old bytes or the whole of the new ones. Errors name the file.
tl::expected<WrittenImage, std::string> WriteImage(const std::string& path, const ImageParts& parts,
                                                   const ImageTree& tree);

// The register of a Nitro enclave that holds nothing but zeros and this content's digest.
Digest RegisterOf(const Digest& content);

}  // namespace bulkhead
