// SPDX-License-Identifier: Apache-2.0
// guest-first: the first program of a guest's image, before bulkhead-init, which it becomes, and
// the image's components (inside.h). What it does before is said by words of the kernel's command
// line, `first=WORD,WORD`, in this order:
//
//   nsm       a Nitro security module as /dev/nsm (e2e-nsm); who may open it is shown to own it
//   extended  somebody has extended register 20 of it
//   locked    and locked it
//   taken     somebody has extended register 21
//   parent    the parent of a Nitro enclave (parent.h)
//   tpm       looks at register 14 of the TPM and says when it changes
//   used      somebody has extended that
//   cmd       instead of becoming bulkhead-init it runs it as Nitro's own init runs /cmd
#include <fcntl.h>
#include <grp.h>
#include <linux/reboot.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "engine/device_door.h"
#include "engine/nsm.h"
#include "engine/tpm.h"
#include "profiles/digest.h"
#include "tests/attacks/vsock.h"
#include "tests/guest/first/inside.h"
#include "tests/guest/first/parent.h"
#include "tests/support/modules.h"

namespace bulkhead::test {
namespace {

const std::string kRoot = "/rootfs";
const std::string kInit = "/bulkhead-init";  // in that
constexpr char kModule[] = "/suite/nsm";
constexpr char kNode[] = "/dev/nsm";
constexpr char kTpm[] = "/dev/tpmrm0";
constexpr char kRegisterFile[] = "/sys/class/tpm/tpm0/pcr-sha384/14";
constexpr uid_t kNobody = 65534;

// The machine is nobody's without it.
void Must(bool good, const std::string& what) {
  if (good) return;
  std::perror(("guest-first: " + what).c_str());
  reboot(LINUX_REBOOT_CMD_POWER_OFF);
  _exit(1);
}

template <typename T>
void MustAnswer(const tl::expected<T, std::string>& answer, const std::string& what) {
  Must(answer.has_value(), answer ? what : what + ": " + answer.error());
}

void Mount(const char* type, const char* path) {
  mkdir(path, 0755);
  Must(mount(type, path, type, 0, nullptr) == 0, path);
}

template <typename Body>
pid_t InChild(const Body& body) {
  const pid_t child = fork();
  Must(child >= 0, "fork");
  if (child == 0) _exit(body());
  return child;
}

void AwaitFile(const char* path, mode_t mode) {
  struct stat info {};
  for (int i = 0; i < 3000; ++i, usleep(10'000)) {
    if (stat(path, &info) == 0 && (info.st_mode & 0777) == mode) return;
  }
  Must(false, std::string(path) + " has not come");
}

// As anybody may, register 22 is taken for good.
int OwnTheModule() {
  const auto door = MakeRealDoor();
  if (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0) return 1;
  const auto extended = ExtendNsmRegister(*door, kNode, 22, Sha384(std::string_view("nobody")));
  const auto locked = LockNsmRegister(*door, kNode, 22);
  const auto document = AskNsmDocument(*door, kNode, {});
  if (!extended || !locked || !document) return 1;
  std::printf("control: uid %u extended and locked pcr22, and got a document\n", getuid());
  return std::fflush(stdout);
}

void PlayModule() {
  const char* const root = "/root.pem";
  InChild([&] {
    execl((kRoot + kModule).c_str(), kModule, root, nullptr);
    return 1;
  });
  AwaitFile(kNode, 0666);
  std::cout << std::ifstream(root).rdbuf() << std::flush;
  int status = 1;
  const pid_t control = InChild(OwnTheModule);
  Must(waitpid(control, &status, 0) == control && status == 0, "whoever may open it");
  struct stat info {};
  Must(stat(kNode, &info) == 0, kNode);
  std::ofstream(kRoot + kDeviceNumbers) << major(info.st_rdev) << ' ' << minor(info.st_rdev);
  const int fd = open(kNode, O_RDWR);
  Must(dup2(fd, kLeft) == kLeft, "a descriptor that is left open");
}

void Extend(uint32_t number) {
  const auto door = MakeRealDoor();
  MustAnswer(ExtendNsmRegister(*door, kNode, number, Sha384(std::string_view("somebody"))),
             "extend");
}

// By the kernel's own reading of it, and from outside of the enclave.
int WatchTpm(int fd) {
  std::string last;
  for (;; usleep(3'000)) {
    char text[128] = {};
    const ssize_t size = pread(fd, text, sizeof text - 1, 0);
    if (size > 0 && last != text)
      std::cout << std::string("seen: tpm-pcr14 = ") + text << std::flush;
    if (size > 0) last = text;
  }
}

// A console is slow, and what a supervisor can't say at once it drops: of that this is no test.
int PassOn(int from) {
  std::array<char, 65536> text;
  for (ssize_t got = 0; (got = read(from, text.data(), text.size())) > 0;) {
    for (ssize_t at = 0; at < got;) {
      const ssize_t written = write(STDOUT_FILENO, text.data() + at, static_cast<size_t>(got - at));
      if (written < 0 && errno != EINTR && errno != EAGAIN) return 1;
      if (written > 0) at += written;
    }
  }
  return 0;
}

// As init of aws-nitro-enclaves-sdk-bootstrap does it, so far as its child can tell.
[[noreturn]] void RunAsCommand() {
  std::string program;
  std::string bundle;
  std::ifstream command("/cmd");
  Must(std::getline(command, program) && std::getline(command, bundle), "/cmd");
  unlink("/cmd");
  Must(umount2("/dev", MNT_DETACH) == 0, "/dev");
  Must(mount(kRoot.c_str(), kRoot.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
           chdir(kRoot.c_str()) == 0 && mount(".", "/", nullptr, MS_MOVE, nullptr) == 0 &&
           chroot(".") == 0 && chdir("/") == 0,
       "the root");
  Mount("devtmpfs", "/dev");
  Mount("proc", "/proc");
  Mount("tmpfs", "/run");
  Mount("tmpfs", "/tmp");
  Mount("tmpfs", "/dev/shm");
  Mount("devpts", "/dev/pts");
  Mount("sysfs", "/sys");
  Mount("cgroup2", "/sys/fs/cgroup");
  std::array<int, 2> said{};
  Must(pipe2(said.data(), O_CLOEXEC) == 0 && fcntl(said[0], F_SETPIPE_SZ, 1 << 20) > 0, "a pipe");
  const pid_t passing = InChild([&] {
    close(said[1]);
    return PassOn(said[0]);
  });
  // The word to stop, which the machine would take for itself.
  Must(reboot(LINUX_REBOOT_CMD_CAD_OFF) == 0, "ctrl-alt-delete");
  static pid_t child = 0;
  signal(SIGINT, [](int) {
    if (child > 0) kill(child, SIGTERM);
  });
  child = InChild([&] {
    setsid();
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) Must(dup2(said[1], fd) == fd, "output");
    execl(program.c_str(), program.c_str(), bundle.c_str(), nullptr);
    return 127;
  });
  close(said[1]);
  int status = 0;
  while (waitpid(child, &status, 0) != child) continue;
  while (waitpid(passing, nullptr, 0) != passing) continue;
  std::printf("init: /cmd ended with exit status %d\n",
              WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  std::fflush(stdout);
  sync();
  reboot(LINUX_REBOOT_CMD_RESTART);
  _exit(1);
}

void First() {
  Mount("proc", "/proc");
  Mount("sysfs", "/sys");
  Must(attacks::InOwnGuest(), "no guest of ours");
  Mount("devtmpfs", "/dev");
  for (const std::string& failed : test::InsertModules()) Must(false, failed);
  const char* const words = std::getenv("first");
  const std::string all = words == nullptr ? "," : std::string(",") + words + ",";
  const auto is = [&](const std::string& word) { return all.find("," + word + ",") != all.npos; };
  const auto door = MakeRealDoor();
  if (is("nsm")) PlayModule();
  if (is("extended")) Extend(20);
  if (is("locked")) MustAnswer(LockNsmRegister(*door, kNode, 20), "lock");
  if (is("taken")) Extend(21);
  if (is("parent")) {
    InChild([] {
      std::perror(PlayParent());
      return 1;
    });
  }
  if (is("tpm")) {
    AwaitFile(kRegisterFile, 0444);
    // What is mounted later is over this path.
    const int fd = open(kRegisterFile, O_RDONLY | O_CLOEXEC);
    Must(fd >= 0, kRegisterFile);
    if (is("used")) {
      MustAnswer(ExtendTpmRegister(*door, kTpm, 14, Sha384(std::string_view("somebody"))),
                 "extend");
    }
    InChild([fd] { return WatchTpm(fd); });
  }
  Must(umount2("/sys", MNT_DETACH) == 0 && umount2("/proc", MNT_DETACH) == 0, "umount");
  if (is("cmd")) RunAsCommand();
  const std::string init = kRoot + kInit;
  execl(init.c_str(), init.c_str(), nullptr);
  Must(false, init);
}

}  // namespace
}  // namespace bulkhead::test

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "inside") return bulkhead::test::Inside(argv[2]);
  if (getpid() != 1) return 2;
  bulkhead::test::First();
}
