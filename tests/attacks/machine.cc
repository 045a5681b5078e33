// SPDX-License-Identifier: Apache-2.0
// The suite as the first program of a guest's image, where nothing else could be around a
// supervisor that is PID 1.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "tests/attacks/attacks.h"
#include "tests/attacks/compat.h"
#include "tests/attacks/vsock.h"
#include "tests/support/modules.h"

namespace bulkhead::attacks {
namespace {

const std::string kRoot = "/rootfs";  // of the enclave, where bulkhead-init looks for it
const std::string kSuite = "/suite";  // in that
const std::string kControl = "/run/control";
#if defined(__aarch64__)
constexpr const char* kLoader = "/lib/ld-linux-aarch64.so.1";
#else
constexpr const char* kLoader = "/lib64/ld-linux-x86-64.so.2";
#endif

void Mount(const char* type, const std::string& path, const char* options = nullptr) {
  mkdir(path.c_str(), 0755);
  Needed(mount(type, path.c_str(), type, 0, options), path);
}

// The root that a component's view would be taken from.
void EnterRoot() {
  Needed(unshare(CLONE_NEWNS), "a mount namespace");
  Needed(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private mounts");
  Needed(mount(kRoot.c_str(), kRoot.c_str(), nullptr, MS_BIND | MS_REC, nullptr), "bind");
  Needed(chdir(kRoot.c_str()), kRoot);
  Needed(mount(".", "/", nullptr, MS_MOVE, nullptr), "move");
  Needed(chroot("."), "chroot");
  Mount("proc", "/proc");
  Mount("sysfs", "/sys");
  Mount("devtmpfs", "/dev");
  Mount("devpts", "/dev/pts");
  Mount("tmpfs", "/dev/shm", "mode=1777");
  Mount("tmpfs", "/run");
  Mount("tmpfs", "/tmp", "mode=1777");
}

int InRoot(const std::function<int()>& body) {
  const auto child = static_cast<pid_t>(Needed(fork(), "fork"));
  if (child == 0) {
    EnterRoot();
    Needed(mkdir(kControl.c_str(), 0755), kControl);
    _exit(body());
  }
  int status = 0;
  Needed(waitpid(child, &status, 0), "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// Everything past rules that look closed, and without confinement.
void TryBare(const std::string& loader) {
  const int naive = InRoot([&] { return Naive(kControl, loader); });
  const int bare = InRoot([&] { return UnderTool(kControl, loader, {"/usr/bin/env"}); });
  std::printf("control ended with %d\n", naive != 0 ? naive : bare);
  std::fflush(stdout);
}

// As paths are once the enclave's root is the machine's.
std::string Later(const std::string& word) {
  const size_t at = word.find("=" + kRoot + "/");
  return at == std::string::npos ? word
                                 : word.substr(0, at + 1) + word.substr(at + 1 + kRoot.size());
}

}  // namespace

int Machine() {
  const std::string suite = kRoot + kSuite;
  mkdir("/dev/shm", 0777);
  mkdir("/proc", 0755);
  mkdir("/sys", 0755);
  Mount("proc", "/proc");
  Mount("sysfs", "/sys");
  // Everything is tried here without confinement: on nobody's machine.
  if (!InOwnGuest()) Broken("no guest of ours");
  // What attacks need of the kernel. That one is not taken is seen by what the attack comes to.
  for (const std::string& failed : test::InsertModules()) {
    std::fprintf(stderr, "%s\n", failed.c_str());
  }
  TryBare(kLoader);
  RaiseLoopback();
  WriteFile(suite + "/compat", CompatProgram(), 0755);
  // Images have none.
  Needed(chmod((suite + "/set-id").c_str(), 04755), "set-id");
  const Report report{"/dev/console", "reached "};
  const Place place = Surround(suite, report);
  StartGuard(place.decoy, report);
  // The first one to be seen, as a sign that somebody looks.
  close(ConnectAt(place.other_edge));
  std::string words;
  for (const std::string& word : WordsOf(place)) words += Later(word) + "\n";
  WriteFile(suite + "/place", words);
  Needed(umount("/sys"), "/sys");
  Needed(umount("/proc"), "/proc");
  Become({suite + "/bulkhead-init"});
}

}  // namespace bulkhead::attacks
