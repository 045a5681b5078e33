// SPDX-License-Identifier: Apache-2.0
#include "sandbox/prepared_view.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace bulkhead {
namespace {

// Puts it together and tells how it went; then it waits to be killed.
[[noreturn]] void Build(Kernel& kernel, const std::string& staging, const SplitOps& split,
                        int tripwires, int told) {
  Failure failure{};
  const bool tied = kernel(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) >= 0;
  if (!tied) failure = {Step::kParentDeath, 0, EIO};
  const bool whole = tied && ApplyView(kernel, staging, split.shared, tripwires, failure) &&
                     DetachOldRoot(kernel, failure);
  if (whole) failure.error = 0;
  if (kernel(SYS_write, told, &failure, sizeof failure) != sizeof failure) _exit(1);
  for (;;) pause();
}

}  // namespace

PreparedView::PreparedView(int fd, std::vector<ViewOp> shared)
    : namespace_(fd), shared_(std::move(shared)), sources_(SourcesOf(shared_)) {}

PreparedView::PreparedView(PreparedView&& other) noexcept
    : namespace_(std::exchange(other.namespace_, -1)),
      shared_(std::move(other.shared_)),
      sources_(std::move(other.sources_)) {}

PreparedView& PreparedView::operator=(PreparedView&& other) noexcept {
  std::swap(namespace_, other.namespace_);
  std::swap(shared_, other.shared_);
  std::swap(sources_, other.sources_);
  return *this;
}

PreparedView::~PreparedView() {
  if (namespace_ >= 0) close(namespace_);
}

tl::expected<PreparedView, Failure> PreparedView::Make(Kernel& kernel, const std::string& staging,
                                                       const SplitOps& split, int tripwires) {
  const auto fail = [](uint32_t index, long result) {
    return tl::make_unexpected(
        Failure{Step::kPreparedView, index, static_cast<int32_t>(result < 0 ? -result : EPIPE)});
  };
  std::array<int, 2> told{};
  if (const long made = kernel(SYS_pipe2, told.data(), O_CLOEXEC); made < 0) return fail(3, made);
  const long child = kernel(SYS_clone, CLONE_NEWNS | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) Build(kernel, staging, split, tripwires, told[1]);
  close(told[1]);
  if (child < 0) {
    close(told[0]);
    return fail(4, child);
  }
  Failure failure{};
  const ssize_t size = read(told[0], &failure, sizeof failure);
  close(told[0]);
  const std::string path = "/proc/" + std::to_string(child) + "/ns/mnt";
  const long fd = kernel(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0);
  kill(static_cast<pid_t>(child), SIGKILL);
  while (waitpid(static_cast<pid_t>(child), nullptr, __WALL) < 0 && errno == EINTR) {
  }
  // From here on it is closed whatever happens.
  PreparedView view(static_cast<int>(fd), split.shared);
  if (size != sizeof failure) return fail(5, 0);
  if (failure.error != 0) return tl::make_unexpected(failure);
  if (fd < 0) return fail(6, fd);
  return view;
}

// Of what is mounted there: a path may lead to another file by then.
std::vector<PreparedView::Identity> PreparedView::SourcesOf(const std::vector<ViewOp>& ops) {
  std::vector<Identity> all;
  for (const ViewOp& op : ops) {
    const bool bind = op.kind == ViewOpKind::kBindFile || op.kind == ViewOpKind::kBindDirectory;
    if (!bind || op.source.empty()) continue;
    struct stat info {};
    const bool there = stat(op.source.c_str(), &info) == 0;
    all.emplace_back(there ? info.st_dev : 0, there ? info.st_ino : 0);
  }
  return all;
}

bool PreparedView::Fits(const SplitOps& split) const {
  return shared_ == split.shared && sources_ == SourcesOf(split.shared);
}

}  // namespace bulkhead
