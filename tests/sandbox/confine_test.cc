// SPDX-License-Identifier: Apache-2.0
// The steps of confinement against a kernel that refuses one call, for every call: there is no
// proof of confinement then, so nothing can be executed, and the failure names a step and the
// errno.
#include "sandbox/confine.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <set>
#include <string_view>
#include <vector>

#include "sandbox/ruleset.h"
#include "sandbox/view.h"
#include "tests/support/sample.h"

namespace bulkhead {
namespace {

constexpr long kDirectory = 5;  // what is opened
constexpr int kAlone = 13;

// Answers as a kernel would where every call succeeds, but for call number `fail_at`.
class ScriptedKernel final : public Kernel {
 public:
  explicit ScriptedKernel(int listener, long fail_at = -1, int error = EIO)
      : listener_(listener), fail_at_(fail_at), error_(error) {}
  long calls() const { return calls_; }
  const std::vector<long>& numbers() const { return numbers_; }

 protected:
  long Call(long number, const long (&args)[6]) override {
    numbers_.push_back(number);
    if (calls_++ == fail_at_) return -error_;
    switch (number) {
      case SYS_getpid:
        return kComponentPid;
      case SYS_recvfrom:
        return 1;
      case SYS_sendto:
      case SYS_write:
        return args[2];
      case SYS_read:
        return args[0] == kAlone ? args[2] : 0;
      case SYS_fcntl:
        return args[2] + next_++;
      case SYS_openat:
        return kDirectory;
      case SYS_getdents64:
        return List(args[0], std::bit_cast<char*>(args[1]));
      case SYS_seccomp:
        return listener_;
      case SYS_fstat:
      case SYS_newfstatat: {
        auto* info = std::bit_cast<struct stat*>(number == SYS_fstat ? args[1] : args[2]);
        *info = {};
        info->st_mode = S_IFDIR | 0755;
        return 0;
      }
      default:
        return 0;
    }
  }
  long Spawning(long, const long (&)[6], const SpawnTarget&) override { return -ENOSYS; }

 private:
  // Every directory has, once: a file, a directory, a link, and what is a process or a descriptor.
  long List(long directory, char* out) {
    if (!listed_.insert(directory).second) return 0;
    long size = 0;
    const auto add = [&](std::string_view name, uint8_t type) {
      const auto length = static_cast<uint16_t>((19 + name.size() + 1 + 7) / 8 * 8);
      std::memset(out + size, 0, length);
      std::memcpy(out + size + 16, &length, sizeof length);
      out[size + 18] = static_cast<char>(type);
      std::memcpy(out + size + 19, name.data(), name.size());
      size += length;
    };
    add(".", DT_DIR);
    add("77", DT_DIR);
    add("meminfo", DT_REG);
    add("sys", DT_DIR);
    add("mounts", DT_LNK);
    return size;
  }

  std::set<long> listed_;
  int listener_;
  long fail_at_;
  int error_;
  long calls_ = 0;
  long next_ = 0;
  std::vector<long> numbers_;
};

Profile Sample() {
  ProfileData data = test::SampleProfile("one", 1);
  data.limits = {.processes = 8, .files = 64, .file_size = 4096};
  auto profile = Profile::Make(std::move(data));
  BOOST_REQUIRE(profile.has_value());
  return *profile;
}

BOOST_AUTO_TEST_SUITE(ConfineSteps)

void NoProofWhateverIsRefused(bool old_kernel) {
  const Profile profile = Sample();
  LaunchPlan plan(profile);
  plan.Prepare();
  plan.witness = {};  // of no use where every call succeeds: witness_test.cc
  plan.close_range = !old_kernel;
  plan.traced = old_kernel;
  Failure failure;
  ScriptedKernel good(ListenerNumber(plan));
  ChildDescriptors fds{10, 11, 12, -1, kAlone};
  BOOST_REQUIRE(Confine(good, plan, fds, failure).has_value());
  BOOST_TEST(good.calls() > 100);
  for (long n = 0; n < good.calls(); ++n) {
    ScriptedKernel kernel(ListenerNumber(plan), n);
    ChildDescriptors moved{10, 11, 12, -1, kAlone};
    failure = {};
    const bool proved = Confine(kernel, plan, moved, failure).has_value();
    BOOST_TEST_CONTEXT("call " << n << ", number " << good.numbers()[static_cast<size_t>(n)]) {
      BOOST_REQUIRE(!proved);
      // A wrong pid is found by comparing, not by an errno.
      if (failure.step != Step::kPid) BOOST_TEST(failure.error == EIO);
      BOOST_TEST(StepName(failure.step) != "unknown step");
    }
  }
}

BOOST_AUTO_TEST_CASE(EveryRefusedCallEndsInNoProof) {
  for (const bool old_kernel : {false, true}) {
    BOOST_TEST_CONTEXT("old kernel " << old_kernel) { NoProofWhateverIsRefused(old_kernel); }
  }
}

// Which way is taken is the plan's to say: the kernel is not asked, and nothing else is tried.
BOOST_AUTO_TEST_CASE(TheWayIsThePlans) {
  for (const bool old_kernel : {false, true}) {
    const Profile profile = Sample();
    LaunchPlan plan(profile);
    plan.Prepare();
    plan.witness = {};  // of no use where every call succeeds: witness_test.cc
    plan.close_range = !old_kernel;
    plan.traced = old_kernel;
    Failure failure;
    ScriptedKernel kernel(ListenerNumber(plan));
    ChildDescriptors fds{10, 11, 12, -1, kAlone};
    BOOST_REQUIRE(Confine(kernel, plan, fds, failure).has_value());
    const auto made = [&](long call) { return std::ranges::count(kernel.numbers(), call) > 0; };
    BOOST_TEST(made(SYS_close_range) == !old_kernel);
    BOOST_TEST(made(SYS_getdents64) == old_kernel);
    BOOST_TEST(made(SYS_ptrace) == old_kernel);
    if (old_kernel) BOOST_TEST(kernel.numbers()[1] == SYS_ptrace);  // before the hello
  }
}

BOOST_AUTO_TEST_CASE(TheFilterIsTheLastControlAndNoControlPrecedesTheGo) {
  const Profile profile = Sample();
  LaunchPlan plan(profile);
  plan.Prepare();
  plan.witness = {};  // of no use where every call succeeds: witness_test.cc
  Failure failure;
  ScriptedKernel kernel(ListenerNumber(plan));
  ChildDescriptors fds{10, 11, 12, -1, kAlone};
  BOOST_REQUIRE(Confine(kernel, plan, fds, failure).has_value());
  const std::vector<long>& calls = kernel.numbers();
  BOOST_TEST(calls[0] == SYS_sendto);
  const auto at = [&](long call) { return std::ranges::find(calls, call) - calls.begin(); };
  const auto go = at(SYS_recvfrom);
  BOOST_TEST(at(SYS_setsid) < go);
  BOOST_TEST(go + 1 == at(SYS_read));  // and that the old root is gone
  for (const long call : {SYS_fcntl, SYS_prlimit64, SYS_setgroups, SYS_setresuid, SYS_prctl}) {
    BOOST_TEST(go < at(call));
    BOOST_TEST(at(call) < static_cast<long>(calls.size()));
  }
  BOOST_TEST(calls[calls.size() - 3] == SYS_seccomp);
  BOOST_TEST(calls[calls.size() - 2] ==
             SYS_close);                  // tells the supervisor that the filter is in place
  BOOST_TEST(calls.back() == SYS_write);  // and that the witness saw everything at work
}

// A listener elsewhere than agreed could be taken for another descriptor.
BOOST_AUTO_TEST_CASE(AMisplacedListenerIsAFailure) {
  const Profile profile = Sample();
  LaunchPlan plan(profile);
  plan.Prepare();
  plan.witness = {};  // of no use where every call succeeds: witness_test.cc
  Failure failure;
  ScriptedKernel kernel(ListenerNumber(plan) + 1);
  ChildDescriptors fds{10, 11, 12, -1, kAlone};
  BOOST_TEST(!Confine(kernel, plan, fds, failure).has_value());
  BOOST_TEST((failure.step == Step::kFilter));
}

BOOST_AUTO_TEST_CASE(EveryRefusedCallOfTheRulesetAndTheViewIsReported) {
  const Profile profile = Sample();
  Failure failure;
  ScriptedKernel counter(0);
  BOOST_REQUIRE(BuildRuleset(counter, profile->landlock, failure) >= 0);
  for (long n = 0; n < counter.calls(); ++n) {
    ScriptedKernel kernel(0, n);
    BOOST_TEST(BuildRuleset(kernel, profile->landlock, failure) == -1);
    BOOST_TEST(failure.error == EIO);
  }
  RealKernel real;
  for (const bool subset : {false, true}) {
    const auto view = PlanView(profile, {.proc_subset = subset}, real);
    BOOST_REQUIRE(view.has_value());
    ScriptedKernel mounts(0);
    BOOST_REQUIRE(ApplyView(mounts, "/staging", *view, -1, failure));
    const long applied = mounts.calls();
    BOOST_REQUIRE(DetachOldRoot(mounts, failure));
    for (long n = applied; n < mounts.calls(); ++n) {
      ScriptedKernel kernel(0, n - applied);
      BOOST_TEST(!DetachOldRoot(kernel, failure));
      BOOST_TEST(failure.error == EIO);
    }
    for (long n = 1; n < applied; ++n) {  // 0 is umask, which can't fail
      ScriptedKernel kernel(0, n);
      BOOST_TEST(!ApplyView(kernel, "/staging", *view, -1, failure));
      BOOST_TEST(failure.error == EIO);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(ViewPlan)

size_t IndexOf(const std::vector<ViewOp>& ops, const std::string& path) {
  for (size_t i = ops.size(); i-- > 0;) {
    if (ops[i].path == path) return i;
  }
  return ops.size();
}

BOOST_AUTO_TEST_CASE(ParentsComeBeforeWhatIsBeneathAndWritableIsNeverExecutable) {
  RealKernel kernel;
  const auto view = PlanView(Sample(), {}, kernel);
  BOOST_REQUIRE(view.has_value());
  BOOST_TEST(IndexOf(*view, "/usr/lib") < view->size());
  BOOST_TEST(IndexOf(*view, "/lib") < IndexOf(*view, "/usr/lib"));  // a link, made before mounts
  for (const ViewOp& op : *view) {
    const bool mount = op.kind == ViewOpKind::kBindDirectory || op.kind == ViewOpKind::kBindFile ||
                       op.kind == ViewOpKind::kTmpfs;
    if (!mount) continue;
    BOOST_TEST((op.flags & MS_NOSUID) != 0U, op.path);
    BOOST_TEST((op.flags & (MS_RDONLY | MS_NOEXEC)) != 0U, op.path);
  }
}

// "/x-y" sorts between "/x" and "/x/z".
BOOST_AUTO_TEST_CASE(AMountFindsTheNearestOneAbove) {
  ProfileData data = test::SampleProfile("one", 1);
  for (const char* path : {"/x", "/x-y", "/x/z/w"}) {
    data.view.push_back({.path = path, .kind = ViewKind::kPrivate, .size = 4096, .rule = "r"});
  }
  std::sort(data.view.begin(), data.view.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  auto profile = Profile::Make(std::move(data));
  BOOST_REQUIRE(profile.has_value());
  RealKernel kernel;
  const auto view = PlanView(*profile, {}, kernel);
  BOOST_REQUIRE(view.has_value());
  BOOST_TEST((*view)[IndexOf(*view, "/x/z/w")].may_exist);
  BOOST_TEST(!(*view)[IndexOf(*view, "/x-y")].may_exist);
  BOOST_TEST(IndexOf(*view, "/x") < IndexOf(*view, "/x/z"));
  BOOST_TEST(IndexOf(*view, "/x/z") < IndexOf(*view, "/x/z/w"));
}

BOOST_AUTO_TEST_CASE(ALinkThatOthersCanSetIsRefused) {
  char name[] = "/tmp/bulkhead-view-XXXXXX";
  BOOST_REQUIRE(mkdtemp(name) != nullptr);
  const std::string base = name;
  BOOST_REQUIRE(chmod(name, 0777) == 0);
  BOOST_REQUIRE(symlink("/etc", (base + "/link").c_str()) == 0);
  ProfileData data = test::SampleProfile("one", 1);
  data.view.erase(data.view.begin() + 3);  // /tmp of its own would be in the way
  data.view.insert(data.view.begin() + 3, ViewEntry{.path = base + "/link", .rule = "r"});
  auto profile = Profile::Make(std::move(data));
  BOOST_REQUIRE(profile.has_value());
  RealKernel kernel;
  const auto view = PlanView(*profile, {}, kernel);
  BOOST_REQUIRE(!view.has_value());
  BOOST_TEST(view.error().reason.find("symbolic link") != std::string::npos, view.error().reason);
  unlink((base + "/link").c_str());
  rmdir(name);
}

BOOST_AUTO_TEST_CASE(StateOfAnotherOwnerIsRefused) {
  ProfileData data = test::SampleProfile("one", 1);
  data.view.insert(data.view.begin(), ViewEntry{.path = "/.x", .kind = ViewKind::kState});
  data.view[0].path = "/etc";  // exists, root's
  std::sort(data.view.begin(), data.view.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  auto profile = Profile::Make(std::move(data));
  BOOST_REQUIRE(profile.has_value());
  RealKernel kernel;
  const auto view = PlanView(*profile, {}, kernel);
  BOOST_REQUIRE(!view.has_value());
  BOOST_TEST(view.error().reason.find("owned by uid") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
