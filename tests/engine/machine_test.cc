// SPDX-License-Identifier: Apache-2.0
// PID 1 on a kernel of its own: a fake one, which refuses call n for every n.
#include "engine/machine.h"

#include <fcntl.h>
#include <linux/reboot.h>
#include <nettle/eddsa.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include "engine/bundle_signature.h"
#include "engine/heartbeat.h"
#include "engine/machine_setup.h"
#include "profiles/bundle.h"

namespace bulkhead {
namespace {

const char* Text(long word) { return reinterpret_cast<const char*>(word); }

class FakeKernel final : public Kernel {
 public:
  std::map<std::string, std::string> files{
      {"/dev/null", ""},
      {"/dev/console", ""},
      {"/enclave.bundle", "bundle"},
      {"/modules", ""},
      {"/proc/cmdline", "console=ttyS0\n"},
      {"/proc/sys/kernel/modules_disabled", "0"},
      {"/proc/sys/kernel/sysrq", "1"},
      {"/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n"}};
  std::vector<std::string> modules;  // names in /modules, in the directory's order
  std::vector<std::string> done;     // what changed something
  std::string answer{static_cast<char>(kHeartbeat)};
  long fail_at = -1;
  int fail_with = EIO;
  long calls = 0;
  long failed = -1;  // number of the call that was failed
  std::string failed_object;
  long pid = 1;
  bool initial_namespace = true;

 protected:
  long Spawning(long, const long (&)[6], const SpawnTarget&) override { return -ENOSYS; }
  long Call(long number, const long (&args)[6]) override {
    if (calls++ == fail_at) {
      failed = number;
      if (number == SYS_mount) failed_object = Text(args[1]);
      if (number == SYS_read) failed_object = fds_[args[0]];
      if (number == SYS_openat) failed_object = Text(args[1]);
      return -fail_with;
    }
    switch (number) {
      case SYS_mount:
        return Do(std::string("mount ") + (args[2] == 0 ? "" : Text(args[2])) + " " +
                  Text(args[1]));
      case SYS_umount2:
        return Do(std::string("umount ") + Text(args[0]));
      case SYS_openat:
        return Open(Text(args[1]));
      case SYS_read:
        return Read(args[0], reinterpret_cast<char*>(args[1]), static_cast<size_t>(args[2]));
      case SYS_getdents64:
        return List(reinterpret_cast<char*>(args[1]));
      case SYS_finit_module:
        return Do("insert " + fds_[args[0]]);
      case SYS_unlinkat:
        files.erase(Text(args[1]));
        return Do(std::string("remove ") + Text(args[1]));
      case SYS_chdir:
        return Do(std::string("chdir ") + Text(args[0]));
      case SYS_chroot:
        return Do(std::string("chroot ") + Text(args[0]));
      case SYS_write:
        files[fds_[args[0]]].assign(Text(args[1]), static_cast<size_t>(args[2]));
        return Do("write " + fds_[args[0]]) + static_cast<long>(args[2]);
      case SYS_sendto:
        return args[2];
      case SYS_getpid:
        return pid;
      case SYS_reboot:
        return initial_namespace && args[2] == LINUX_REBOOT_CMD_CAD_OFF ? 0 : -EINVAL;
      case SYS_socket:
        return Fd("socket");
      default:
        return 0;
    }
  }

 private:
  long Do(const std::string& what) {
    done.push_back(what);
    return 0;
  }

  long Fd(const std::string& name) {
    fds_[next_] = name;
    return next_++;
  }

  long Open(const std::string& path) { return files.contains(path) ? Fd(path) : -ENOENT; }

  long Read(long fd, char* bytes, size_t size) {
    std::string& content = fds_[fd] == "socket" ? answer : files[fds_[fd]];
    const size_t got = std::min(size, content.size());
    std::memcpy(bytes, content.data(), got);
    content.erase(0, got);
    return static_cast<long>(got);
  }

  long List(char* bytes) {
    if (listed_ == modules.size()) return 0;
    const std::string& name = modules[listed_++];
    const auto length = static_cast<uint16_t>((19 + name.size() + 8) / 8 * 8);
    std::memset(bytes, 0, length);
    std::memcpy(bytes + 16, &length, sizeof length);
    std::memcpy(bytes + 19, name.c_str(), name.size() + 1);
    return length;
  }

  std::map<long, std::string> fds_;
  long next_ = 3;
  size_t listed_ = 0;
};

std::vector<std::string> Only(const std::vector<std::string>& done, std::string_view prefix) {
  std::vector<std::string> some;
  for (const std::string& what : done) {
    if (what.starts_with(prefix)) some.push_back(what.substr(prefix.size()));
  }
  return some;
}

using Names = std::vector<std::string>;

struct Signer {
  BundleKey secret{};
  BundleKey key{};
  explicit Signer(uint8_t seed) {
    secret[0] = seed;
    ed25519_sha512_public_key(key.data(), secret.data());
  }
  std::string Sign(const std::vector<uint8_t>& bundle) const {
    const auto message = SignedMessage(BundleDigest(bundle));
    BundleSignature signature{};
    ed25519_sha512_sign(key.data(), secret.data(), message.size(), message.data(),
                        signature.data());
    return Hex(signature) + "\n";
  }
};

BOOST_AUTO_TEST_SUITE(Machine)

BOOST_AUTO_TEST_CASE(IsSetUpInOrder) {
  FakeKernel kernel;
  kernel.files["/nsm.ko"] = "";
  kernel.files["/modules/01-b.ko"] = kernel.files["/modules/00-z.ko"] = "";
  kernel.modules = {".", "01-b.ko", "..", "00-z.ko"};
  const auto ready = SetUpMachine(kernel);
  BOOST_REQUIRE_MESSAGE(ready, ready.error());
  BOOST_TEST(ready->bundle.starts_with("/proc/self/fd/"));
  BOOST_TEST(ready->notes.empty());
  BOOST_TEST(
      Only(kernel.done, "insert ") == (Names{"/nsm.ko", "/modules/00-z.ko", "/modules/01-b.ko"}),
      boost::test_tools::per_element());
  // What was in the initramfs is gone, the bundle too.
  BOOST_TEST(Only(kernel.done, "remove ") ==
                 (Names{"/nsm.ko", "/modules/00-z.ko", "/modules/01-b.ko", "/enclave.bundle"}),
             boost::test_tools::per_element());
  BOOST_TEST(Only(kernel.done, "mount ") ==
                 (Names{"devtmpfs /dev", " /rootfs", " /", "proc /proc", "sysfs /sys",
                        "devtmpfs /dev", "devpts /dev/pts", "tmpfs /dev/shm", "tmpfs /run",
                        "tmpfs /tmp", "cgroup2 /sys/fs/cgroup"}),
             boost::test_tools::per_element());
  BOOST_TEST(Only(kernel.done, "write ") ==
                 (Names{"/proc/sys/kernel/sysrq", "/proc/sys/kernel/modules_disabled"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(TheConsoleGivesTheKernelNoOrders) {
  FakeKernel kernel;
  BOOST_REQUIRE(SetUpMachine(kernel));
  BOOST_TEST(kernel.files["/proc/sys/kernel/sysrq"] == "0");
  FakeKernel open;
  open.files["/proc/cmdline"] = "quiet sysrq_always_enabled=1\n";
  const auto ready = SetUpMachine(open);
  BOOST_REQUIRE(!ready);
  BOOST_TEST(ready.error().find("sysrq_always_enabled") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(WritableFileSystemsExecuteNothing) {
  for (const MachineMount& mount : MachineMounts()) {
    BOOST_TEST((mount.flags & MS_NOSUID) != 0, mount.path);
    BOOST_TEST((mount.flags & MS_NOEXEC) != 0, mount.path);
  }
}

BOOST_AUTO_TEST_CASE(EachCallThatFailsStopsTheBoot) {
  // What may fail, and what then stands for it: version 1 hierarchies; a descriptor less is closed.
  const auto tolerated = [](const FakeKernel& kernel) {
    return kernel.failed == SYS_close || kernel.failed_object.starts_with("/sys/fs/cgroup") ||
           kernel.failed_object == "/dev/console";
  };
  long calls = 0;
  for (long at = 0; at <= calls; ++at) {
    FakeKernel kernel;
    kernel.files["/enclave.bundle.sig"] = "signature";
    kernel.files["/cmd"] = "/bulkhead-init\n/enclave\n";
    kernel.files["/modules/00-a.ko"] = "";
    kernel.modules = {"00-a.ko"};
    kernel.fail_at = at;
    const auto ready = SetUpMachine(kernel);
    if (at == 0) {
      BOOST_TEST(!ready);
      FakeKernel whole;
      whole.files = FakeKernel().files;
      whole.files["/enclave.bundle.sig"] = "signature";
      whole.files["/cmd"] = "/bulkhead-init\n/enclave\n";
      whole.files["/modules/00-a.ko"] = "";
      whole.modules = {"00-a.ko"};
      BOOST_REQUIRE(SetUpMachine(whole));
      calls = whole.calls - 1;
      BOOST_TEST(calls > 40);
      continue;
    }
    if (ready) {
      BOOST_TEST(tolerated(kernel), "call " << at << ", number " << kernel.failed << " of "
                                            << kernel.failed_object << " was passed over");
    } else {
      BOOST_TEST(ready.error().find(std::strerror(EIO)) != std::string::npos, ready.error());
      BOOST_TEST(ready.error().starts_with("cannot "), ready.error());
    }
  }
}

BOOST_AUTO_TEST_CASE(WithoutTheUnifiedControllersHierarchiesAreMounted) {
  FakeKernel kernel;
  kernel.files["/sys/fs/cgroup/cgroup.controllers"] = "memory pids\n";
  BOOST_REQUIRE(SetUpMachine(kernel));
  const Names mounts = Only(kernel.done, "mount ");
  for (const char* path : {"cgroup /sys/fs/cgroup/memory", "cgroup /sys/fs/cgroup/pids",
                           "cgroup /sys/fs/cgroup/cpu", "cgroup2 /sys/fs/cgroup/unified"}) {
    BOOST_TEST(std::ranges::count(mounts, path) == 1, path);
  }
  BOOST_TEST(std::ranges::count(kernel.done, "umount /sys/fs/cgroup") == 1);
}

BOOST_AUTO_TEST_CASE(HierarchiesAreAllOrNone) {
  for (const char* enough : {"cpu memory pids", "cpuset cpu io memory hugetlb pids rdma misc\n"}) {
    BOOST_TEST(NeededHierarchies(enough).empty(), enough);
  }
  for (const char* less :
       {"", "memory pids\n", "cpuset memory pids\n", "cpu memory", "cpu pids\n"}) {
    BOOST_TEST(NeededHierarchies(less).size() == 3U, less);
  }
}

BOOST_AUTO_TEST_CASE(TakesTheBundleThatNitrosCommandNames) {
  FakeKernel kernel;
  kernel.files.erase("/enclave.bundle");
  kernel.files["/cmd"] = "/usr/sbin/bulkhead-init\n/etc/enclave.bundle\n";
  kernel.files["/env"] = "LD_PRELOAD=/x\n";
  const auto ready = SetUpMachine(kernel);
  BOOST_REQUIRE_MESSAGE(ready, ready.error());
  BOOST_TEST(ready->bundle == "/etc/enclave.bundle");
  BOOST_REQUIRE(ready->notes.size() == 1U);
  BOOST_TEST(ready->notes[0].find("/env is not used") == 0U);
  BOOST_TEST(Only(kernel.done, "remove ") == (Names{"/cmd", "/env"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(TheSignatureIsTakenAlong) {
  const Signer image(1);
  const Signer somebody(2);
  const std::vector<uint8_t> bundle(100, 7);
  std::vector<uint8_t> changed = bundle;
  changed[10] ^= 1;
  const std::string key = Hex(image.key) + "\n";
  const auto taken = [](const std::optional<std::string>& signature) {
    FakeKernel kernel;
    if (signature) kernel.files["/enclave.bundle.sig"] = *signature;
    const auto ready = SetUpMachine(kernel);
    BOOST_REQUIRE_MESSAGE(ready, ready.error());
    BOOST_REQUIRE(ready->signature);
    const auto removed = Only(kernel.done, "remove ");
    BOOST_TEST(std::ranges::count(removed, "/enclave.bundle.sig") == (signature ? 1 : 0));
    return *ready->signature;
  };
  BOOST_TEST(ImageSignatureDefect(key, taken(image.Sign(bundle)), bundle) == "");
  const std::string none = "the image takes signed bundles, and it has no signature";
  const std::string wrong = "it is not signed by the image's key";
  BOOST_TEST(ImageSignatureDefect(key, taken({}), bundle) == none);
  BOOST_TEST(ImageSignatureDefect(key, taken(""), bundle) == none);
  BOOST_TEST(ImageSignatureDefect(key, taken(somebody.Sign(bundle)), bundle) == wrong);
  BOOST_TEST(ImageSignatureDefect(key, taken(image.Sign(bundle)), changed) == wrong);
  BOOST_TEST(ImageSignatureDefect(key, taken("junk"), bundle) ==
             "its signature is not 128 hexadecimal digits");
  // An image without a key looks at none.
  for (const std::optional<std::string>& any :
       {std::optional<std::string>(), {"junk"}, {somebody.Sign(bundle)}}) {
    BOOST_TEST(ImageSignatureDefect("", taken(any), bundle) == "");
  }
}

// The bundle that /cmd names stays where it is, and what is beside it too.
BOOST_AUTO_TEST_CASE(TheSignatureOfAnotherBundleIsNoSignature) {
  FakeKernel kernel;
  kernel.files.erase("/enclave.bundle");
  kernel.files["/enclave.bundle.sig"] = "signature";
  kernel.files["/cmd"] = "/bulkhead-init\n/etc/enclave.bundle\n";
  const auto ready = SetUpMachine(kernel);
  BOOST_REQUIRE_MESSAGE(ready, ready.error());
  BOOST_TEST(ready->bundle == "/etc/enclave.bundle");
  BOOST_TEST(!ready->signature);
}

BOOST_AUTO_TEST_CASE(OtherCommandsAreRefused) {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "names no bundle"},
      {"/bin/sh\n", "names no bundle"},
      {"/bin/sh\n/etc/enclave.bundle\n", "names another program"},
      {"/bulkhead-init\netc/enclave.bundle", "no absolute path"},
      {"/bulkhead-init\n/etc/../enclave.bundle", "no absolute path"},
      {"/bulkhead-init\n/etc/enclave.bundle\n--only\n", "more than two lines"},
      {"/bulkhead-init-old\n/etc/enclave.bundle\n", "names another program"},
  };
  for (const auto& [text, what] : wrong) {
    const auto bundle = BundleOfCommand(text);
    BOOST_REQUIRE_MESSAGE(!bundle, text);
    BOOST_TEST(bundle.error().find(what) != std::string::npos, bundle.error());
  }
  BOOST_TEST(BundleOfCommand("bulkhead-init\n/e.bundle").value() == "/e.bundle");
}

BOOST_AUTO_TEST_CASE(TooManyModulesAreRefused) {
  FakeKernel kernel;
  kernel.modules.assign(kMaxModules + 1, "a.ko");
  const auto ready = SetUpMachine(kernel);
  BOOST_REQUIRE(!ready);
  BOOST_TEST(ready.error().find("/modules") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(IsPidOneOfTheInitialNamespaceAlone) {
  FakeKernel kernel;
  BOOST_TEST(IsMachinesInit(kernel));
  kernel.initial_namespace = false;  // a container's
  BOOST_TEST(!IsMachinesInit(kernel));
  kernel.initial_namespace = true;
  kernel.pid = 2;
  BOOST_TEST(!IsMachinesInit(kernel));
}

BOOST_AUTO_TEST_CASE(EndsAsThePlatformCan) {
  BOOST_TEST((EndOn("nitro") == MachineEnd::kReboot));
  BOOST_TEST((EndOn("none") == MachineEnd::kPowerOff));
  BOOST_TEST((EndOn("tdx") == MachineEnd::kPowerOff));
  BOOST_TEST(EndText(3 << 8) == "exit status 3");
  BOOST_TEST(EndText(SIGSEGV) == "signal 11");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(Heartbeat)

BOOST_AUTO_TEST_CASE(IsSentOnNitroToItsParent) {
  BOOST_TEST(WaitsForHeartbeat("nitro"));
  BOOST_TEST(!WaitsForHeartbeat("none"));
  BOOST_TEST(HeartbeatPeer().cid == 3U);
  BOOST_TEST(HeartbeatPeer().port == 9000U);
}

BOOST_AUTO_TEST_CASE(TheSameByteMustComeBack) {
  FakeKernel kernel;
  BOOST_TEST(SendHeartbeat(kernel, {1, 9000}).has_value());
  for (const char* answer : {"", "x"}) {
    FakeKernel other;
    other.answer = answer;
    const auto sent = SendHeartbeat(other, {1, 9000});
    BOOST_REQUIRE(!sent);
    BOOST_TEST(sent.error().find("to the heartbeat") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(EachCallThatFailsIsAnError) {
  FakeKernel whole;
  BOOST_REQUIRE(SendHeartbeat(whole, {1, 9000}));
  for (long at = 0; at < whole.calls; ++at) {
    FakeKernel kernel;
    kernel.fail_at = at;
    kernel.fail_with = ETIMEDOUT;
    const auto sent = SendHeartbeat(kernel, {1, 9000});
    if (kernel.failed == SYS_close) continue;
    BOOST_REQUIRE_MESSAGE(!sent, "call " << at);
    BOOST_TEST(sent.error().find(std::strerror(ETIMEDOUT)) != std::string::npos, sent.error());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
