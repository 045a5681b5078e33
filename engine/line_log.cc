// SPDX-License-Identifier: Apache-2.0
#include "engine/line_log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "engine/event.h"

namespace bulkhead {
std::string LineLog::Render(std::string_view label) {
  std::string text(label);
  text += EscapeText(line_, 2 * kMaxLine).text;
  if (cut_) text += " …";
  text += '\n';
  line_.clear();
  cut_ = false;
  return text;
}

std::string LineLog::Feed(std::string_view bytes, std::string_view label) {
  std::string out;
  for (const char c : bytes) {
    if (c == '\n') {
      out += Render(label);
    } else if (line_.size() < kMaxLine) {
      line_ += c;
    } else {
      cut_ = true;
    }
  }
  return out;
}

std::string LineLog::Finish(std::string_view label) { return line_.empty() ? "" : Render(label); }

size_t WriteWithoutWaiting(int fd, std::string_view text) {
  while (!text.empty()) {
    pollfd poll_fd{fd, POLLOUT, 0};
    if (poll(&poll_fd, 1, 0) <= 0 || (poll_fd.revents & POLLOUT) == 0) break;
    // A pipe that polls writable takes PIPE_BUF bytes without waiting.
    const ssize_t written = write(fd, text.data(), std::min<size_t>(text.size(), 4096));
    if (written <= 0) break;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return text.size();
}

}  // namespace bulkhead
