// SPDX-License-Identifier: Apache-2.0
#include "engine/machine_setup.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "engine/bundle_signature.h"
#include "profiles/profile.h"
#include "sandbox/cgroup_mounts.h"
#include "sandbox/directory.h"

namespace bulkhead {
namespace {

using Done = tl::expected<void, std::string>;

constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

constexpr MachineMount kDevices{"devtmpfs", "/dev", "mode=0755", MS_NOSUID | MS_NOEXEC};

// /tmp and /run may hold what is to be executed by nobody: views make their own.
constexpr MachineMount kMounts[] = {
    {"proc", "/proc", "", kPlain},
    {"sysfs", "/sys", "", kPlain},
    kDevices,
    {"devpts", "/dev/pts", "mode=0600,ptmxmode=0000", MS_NOSUID | MS_NOEXEC},
    {"tmpfs", "/dev/shm", "mode=1777", kPlain},
    {"tmpfs", "/run", "mode=0755", kPlain},
    {"tmpfs", "/tmp", "mode=1777", kPlain},
};

constexpr const char* kCgroups = "/sys/fs/cgroup";
constexpr const char* kRoot = "/rootfs";
constexpr const char* kBundle = "/enclave.bundle";
constexpr const char* kCommand = "/cmd";
constexpr const char* kEnvironment = "/env";
constexpr const char* kNitroModule = "/nsm.ko";
constexpr const char* kModules = "/modules";

tl::unexpected<std::string> Failed(std::string_view step, std::string_view object, long result) {
  return tl::make_unexpected("cannot " + std::string(step) + " `" + std::string(object) +
                             "`: " + std::strerror(static_cast<int>(-result)));
}

Done MakeDirectory(Kernel& kernel, const char* path) {
  const long made = kernel(SYS_mkdirat, AT_FDCWD, path, 0755);
  if (made < 0 && made != -EEXIST) return Failed("make", path, made);
  return {};
}

Done Mount(Kernel& kernel, const MachineMount& mount) {
  if (auto made = MakeDirectory(kernel, mount.path); !made) return made;
  const long result =
      kernel(SYS_mount, mount.type, mount.path, mount.type, mount.flags, mount.options);
  // A kernel may have mounted devtmpfs by itself.
  if (result < 0 && result != -EBUSY) return Failed("mount", mount.path, result);
  return {};
}

// Standard input gives nothing; output is the kernel's console. A number below 3 that is free
// would be some later file's.
Done OpenConsole(Kernel& kernel) {
  const long null = kernel(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
  if (null < 0) return Failed("open", "/dev/null", null);
  const long console = kernel(SYS_openat, AT_FDCWD, "/dev/console", O_RDWR | O_NOCTTY);
  const long out = console < 0 ? null : console;
  for (const auto& [from, to] : {std::pair{null, 0L}, std::pair{out, 1L}, std::pair{out, 2L}}) {
    const long moved = from == to ? to : kernel(SYS_dup3, from, to, 0);
    if (moved < 0) return Failed("make the console standard stream", std::to_string(to), moved);
  }
  for (const long fd : {null, console}) {
    if (fd > 2) kernel(SYS_close, fd);
  }
  return {};
}

// What is in memory twice is freed: modules are not needed again.
Done InsertModule(Kernel& kernel, const std::string& path, bool optional) {
  const long fd = kernel(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd == -ENOENT && optional) return {};
  if (fd < 0) return Failed("open module", path, fd);
  const long inserted = kernel(SYS_finit_module, fd, "", 0);
  kernel(SYS_close, fd);
  if (inserted < 0 && inserted != -EEXIST) return Failed("insert module", path, inserted);
  const long removed = kernel(SYS_unlinkat, AT_FDCWD, path.c_str(), 0);
  if (removed < 0) return Failed("remove", path, removed);
  return {};
}

tl::expected<std::vector<std::string>, std::string> ModulesOf(Kernel& kernel) {
  std::vector<std::string> names;
  const long fd =
      kernel(SYS_openat, AT_FDCWD, kModules, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd == -ENOENT) return names;
  if (fd < 0) return Failed("open", kModules, fd);
  const long listed = EachEntry(kernel, fd, [&](const char* name, uint8_t) -> long {
    if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) return 0;
    if (names.size() == kMaxModules) return -E2BIG;
    names.emplace_back(std::string(kModules) + "/" + name);
    return 0;
  });
  kernel(SYS_close, fd);
  if (listed < 0) return Failed("list", kModules, listed);
  std::sort(names.begin(), names.end());
  return names;
}

Done InsertModules(Kernel& kernel) {
  if (auto done = InsertModule(kernel, kNitroModule, true); !done) return done;
  const auto modules = ModulesOf(kernel);
  if (!modules) return tl::make_unexpected(modules.error());
  for (const std::string& path : *modules) {
    if (auto done = InsertModule(kernel, path, false); !done) return done;
  }
  return {};
}

// Empty where there is none; a file that is too long is an error.
tl::expected<std::string, std::string> TakeFile(Kernel& kernel, const char* path) {
  const long fd = kernel(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd == -ENOENT) return std::string();
  if (fd < 0) return Failed("open", path, fd);
  std::string text(kMaxCommandFile + 1, '\0');
  size_t size = 0;
  long got = 0;
  while (size < text.size() &&
         (got = kernel(SYS_read, fd, text.data() + size, text.size() - size)) > 0) {
    size += static_cast<size_t>(got);
  }
  kernel(SYS_close, fd);
  if (got < 0) return Failed("read", path, got);
  if (size > kMaxCommandFile) return Failed("read", path, -EFBIG);
  text.resize(size);
  const long removed = kernel(SYS_unlinkat, AT_FDCWD, path, 0);
  if (removed < 0) return Failed("remove", path, removed);
  return text;
}

// The enclave's root becomes /. A root that is no mount of its own could not be left by
// pivot_root(2), as the initramfs can't.
Done EnterRoot(Kernel& kernel) {
  long result = kernel(SYS_mount, kRoot, kRoot, nullptr, MS_BIND | MS_REC, nullptr);
  if (result < 0) return Failed("bind", kRoot, result);
  result = kernel(SYS_chdir, kRoot);
  if (result < 0) return Failed("enter", kRoot, result);
  result = kernel(SYS_mount, ".", "/", nullptr, MS_MOVE, nullptr);
  if (result < 0) return Failed("move to /", kRoot, result);
  result = kernel(SYS_chroot, ".");
  if (result < 0) return Failed("make the root of", kRoot, result);
  result = kernel(SYS_chdir, "/");
  if (result < 0) return Failed("enter", "/", result);
  return {};
}

std::string ReadAll(Kernel& kernel, const char* path) {
  const long fd = kernel(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 4096> text;
  const long got = kernel(SYS_read, fd, text.data(), text.size());
  kernel(SYS_close, fd);
  return got < 0 ? std::string() : std::string(text.data(), static_cast<size_t>(got));
}

Done MountCgroups(Kernel& kernel) {
  constexpr unsigned long kFlags = kPlain;
  const long unified = kernel(SYS_mount, "cgroup2", kCgroups, "cgroup2", kFlags, nullptr);
  std::string offered;
  if (unified >= 0) offered = ReadAll(kernel, "/sys/fs/cgroup/cgroup.controllers");
  const auto needed = NeededHierarchies(offered);
  if (needed.empty()) return {};
  if (unified >= 0) {
    const long gone = kernel(SYS_umount2, kCgroups, 0);
    if (gone < 0) return Failed("unmount", kCgroups, gone);
  }
  if (auto done = Mount(kernel, {"tmpfs", kCgroups, "mode=0755", kFlags}); !done) return done;
  for (const std::string_view name : needed) {
    const std::string path = std::string(kCgroups) + "/" + std::string(name);
    const MachineMount hierarchy{"cgroup", path.c_str(), name.data(), kFlags};
    // A controller that this kernel lacks is missed where a bundle needs it, by name.
    if (auto made = MakeDirectory(kernel, path.c_str()); !made) return made;
    kernel(SYS_mount, hierarchy.type, hierarchy.path, hierarchy.type, hierarchy.flags,
           hierarchy.options);
  }
  if (unified < 0) return {};
  return Mount(kernel, {"cgroup2", "/sys/fs/cgroup/unified", nullptr, kFlags});
}

Done RaiseLoopback(Kernel& kernel) {
  const long fd = kernel(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd == -EAFNOSUPPORT) return {};
  if (fd < 0) return Failed("open a socket for", "lo", fd);
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", sizeof "lo");
  long result = kernel(SYS_ioctl, fd, SIOCGIFFLAGS, &request);
  if (result >= 0) {
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    result = kernel(SYS_ioctl, fd, SIOCSIFFLAGS, &request);
  }
  kernel(SYS_close, fd);
  if (result < 0) return Failed("bring up", "lo", result);
  return {};
}

// Whoever has the console could have the kernel print a processor's registers, or reset the machine
// before the log is closed, by a break and a key (Documentation/admin-guide/sysrq.rst). This option
// of the command line is stronger than the setting.
Done RefuseSysrq(Kernel& kernel) {
  constexpr char kCommandLine[] = "/proc/cmdline";
  const std::string text = ReadAll(kernel, kCommandLine);
  // It ends in a line feed, also an empty one; of one that is longer than this the end is not
  // there.
  if (!text.ends_with('\n')) return Failed("read", kCommandLine, -EIO);
  if (text.find("sysrq_always_enabled") == std::string::npos) return {};
  return tl::make_unexpected(
      "the kernel's command line has sysrq_always_enabled: who has the console reads registers");
}

// From here on the kernel's code does not change, and its console takes no orders. A kernel that
// can't do one of these has no such file.
Done CloseKernel(Kernel& kernel) {
  if (auto done = RefuseSysrq(kernel); !done) return done;
  constexpr std::pair<const char*, const char*> kSettings[] = {
      {"/proc/sys/kernel/sysrq", "0"},
      {"/proc/sys/kernel/modules_disabled", "1"},
      {"/proc/sys/kernel/kexec_load_disabled", "1"}};
  for (const auto& [path, value] : kSettings) {
    const long fd = kernel(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (fd == -ENOENT) continue;
    if (fd < 0) return Failed("open", path, fd);
    const long written = kernel(SYS_write, fd, value, 1);
    kernel(SYS_close, fd);
    if (written != 1) return Failed("write", path, written < 0 ? written : -EIO);
  }
  return {};
}

// Opened before the initramfs is left; then it has no name any more.
tl::expected<std::string, std::string> TakeBundle(Kernel& kernel) {
  const long fd = kernel(SYS_openat, AT_FDCWD, kBundle, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd == -ENOENT) return std::string();
  if (fd < 0) return Failed("open", kBundle, fd);
  const long removed = kernel(SYS_unlinkat, AT_FDCWD, kBundle, 0);
  if (removed < 0) return Failed("remove", kBundle, removed);
  return "/proc/self/fd/" + std::to_string(fd);
}

}  // namespace

std::span<const MachineMount> MachineMounts() { return kMounts; }

std::vector<std::string_view> NeededHierarchies(std::string_view controllers) {
  const auto offers = [&](std::string_view name) {
    for (size_t from = 0; from < controllers.size();) {
      const size_t end = std::min(controllers.find_first_of(" \n", from), controllers.size());
      if (controllers.substr(from, end - from) == name) return true;
      from = end + 1;
    }
    return false;
  };
  std::vector<std::string_view> names;
  bool all = true;
  for (const Controller controller : kControllers) {
    names.push_back(ControllerName(controller));
    all = all && offers(names.back());
  }
  if (all) names.clear();
  return names;
}

tl::expected<std::string, std::string> BundleOfCommand(std::string_view text) {
  constexpr std::string_view kName = "bulkhead-init";
  const auto wrong = [](std::string_view what) {
    return tl::make_unexpected(
        "/cmd " + std::string(what) +
        ": it has two lines, the path of bulkhead-init and that of a bundle");
  };
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return wrong("names no bundle");
  const std::string_view program = text.substr(0, end);
  const std::string_view bundle = text.substr(end + 1);
  const size_t slash = program.rfind('/');
  const std::string_view name =
      slash == std::string_view::npos ? program : program.substr(slash + 1);
  if (name != kName) return wrong("names another program than bulkhead-init");
  if (bundle.find('\n') != std::string_view::npos) return wrong("has more than two lines");
  if (!IsNormalPath(bundle)) return wrong("names a bundle by no absolute path");
  return std::string(bundle);
}

tl::expected<MachineReady, std::string> SetUpMachine(Kernel& kernel) {
  MachineReady ready;
  Done done = Mount(kernel, kDevices);
  if (done) done = OpenConsole(kernel);
  if (done) done = InsertModules(kernel);
  if (!done) return tl::make_unexpected(done.error());
  auto bundle = TakeBundle(kernel);
  if (!bundle) return tl::make_unexpected(bundle.error());
  const auto signature = TakeFile(kernel, (kBundle + std::string(kSignatureSuffix)).c_str());
  const auto command = TakeFile(kernel, kCommand);
  const auto environment = TakeFile(kernel, kEnvironment);
  for (const auto* file : {&signature, &command, &environment}) {
    if (!*file) return tl::make_unexpected(file->error());
  }
  if (bundle->empty()) {
    bundle = BundleOfCommand(*command);
    if (!bundle) return tl::make_unexpected(bundle.error());
  } else {
    ready.signature = *signature;
    if (!command->empty()) {
      ready.notes.emplace_back("/cmd is not used: the image has a bundle of its own");
    }
  }
  if (!environment->empty()) {
    ready.notes.emplace_back("/env is not used: components have the environment of the bundle");
  }
  ready.bundle = std::move(*bundle);
  done = EnterRoot(kernel);
  for (const MachineMount& mount : kMounts) {
    if (done) done = Mount(kernel, mount);
  }
  if (done) done = MountCgroups(kernel);
  if (done) done = RaiseLoopback(kernel);
  if (done) done = CloseKernel(kernel);
  if (!done) return tl::make_unexpected(done.error());
  return ready;
}

}  // namespace bulkhead
