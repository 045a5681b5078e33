// SPDX-License-Identifier: Apache-2.0
#include "engine/open_path.h"

#include <fcntl.h>

namespace bulkhead {

Fd OpenWithoutLinks(const std::string& root, std::string_view path, int flags) {
  Fd at(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  while (at && !path.empty()) {
    path.remove_prefix(1);
    const std::string part(path.substr(0, path.find('/')));
    path.remove_prefix(part.size());
    const int how = path.empty() ? flags : O_PATH | O_DIRECTORY;
    at = Fd(openat(at.get(), part.c_str(), how | O_NOFOLLOW | O_CLOEXEC));
  }
  return at;
}

}  // namespace bulkhead
