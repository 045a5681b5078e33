// SPDX-License-Identifier: Apache-2.0
#include "engine/tripwire.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

#include <array>

#include "engine/pid_namespace.h"

namespace bulkhead {
namespace {

std::string PathOf(int fd) {
  std::array<char, 4096> text{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = readlink(link.c_str(), text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : std::string();
}

}  // namespace

std::unique_ptr<Tripwires> Tripwires::Open() {
  Fd fd(fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC));
  if (!fd) return nullptr;
  return std::unique_ptr<Tripwires>(new Tripwires(std::move(fd)));
}

std::optional<TripwireAccess> Tripwires::Next() {
  // Room for one event, so that none is read that is not answered at once.
  fanotify_event_metadata event{};
  const ssize_t size = read(fd_.get(), &event, sizeof event);
  if (size < static_cast<ssize_t>(sizeof event) || event.vers != FANOTIFY_METADATA_VERSION) {
    return std::nullopt;
  }
  const Fd opened(event.fd);
  if (!opened) return std::nullopt;
  TripwireAccess access;
  access.pid = event.pid;
  access.pid_namespace = PidNamespaceOf(event.pid);
  access.path = PathOf(opened.get());
  struct stat info {};
  if (fstat(opened.get(), &info) == 0) access.device = info.st_dev;
  const fanotify_response response{opened.get(), FAN_DENY};
  // A caller that has died needs no answer.
  [[maybe_unused]] const ssize_t written = write(fd_.get(), &response, sizeof response);
  return access;
}

}  // namespace bulkhead
