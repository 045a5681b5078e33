// SPDX-License-Identifier: Apache-2.0
// A component may rename directories of its own between the plan of its view and the mounts, so
// that a link which root has left there stands where the plan saw a directory.
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "profiles/landlock.h"
#include "sandbox/ruleset.h"
#include "sandbox/view.h"
#include "sandbox/without_links.h"
#include "tests/support/child.h"
#include "tests/support/sample.h"

namespace bulkhead {
namespace {

namespace fs = std::filesystem;

// A kernel before 5.6.
class WithoutOpenat2 final : public Kernel {
 protected:
  long Call(long number, const long (&args)[6]) override {
    return number == SYS_openat2 ? -ENOSYS : RawCall(number, args);
  }
  long Spawning(long number, const long (&args)[6], const SpawnTarget& target) override {
    return RawSpawn(number, args, target);
  }
};

// Calls `then` once, after its nth mount(2), and knows how many there were.
class AfterMount final : public Kernel {
 public:
  AfterMount(int nth, std::function<void()> then) : left_(nth), then_(std::move(then)) {}
  bool done() const { return left_ <= 0; }

 protected:
  long Call(long number, const long (&args)[6]) override {
    const long result = RawCall(number, args);
    if (number == SYS_mount && --left_ == 0) then_();
    return result;
  }
  long Spawning(long number, const long (&args)[6], const SpawnTarget& target) override {
    return RawSpawn(number, args, target);
  }

 private:
  int left_;
  std::function<void()> then_;
};

// `st` is the component's; in it `st/d/x` is a directory, and `st/e/x` a link to all that is
// beside.
struct Place {
  Place() {
    BOOST_REQUIRE(mkdtemp(at.data()) != nullptr);
    BOOST_REQUIRE(chmod(at.c_str(), 0755) == 0);
    fs::create_directories(at + "/st/d/x");
    fs::create_directories(at + "/st/e");
    fs::create_directories(at + "/staging");
    fs::create_directory_symlink("../..", at + "/st/e/x");
    std::ofstream(at + "/key") << "secret";
  }
  ~Place() { fs::remove_all(at); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  void Swap() const {
    const std::string d = at + "/st/d";
    const std::string e = at + "/st/e";
    BOOST_REQUIRE(renameat2(AT_FDCWD, d.c_str(), AT_FDCWD, e.c_str(), RENAME_EXCHANGE) == 0);
  }

  Profile Component(ViewEntry inner) const {
    inner.path = at + "/st/d/x";
    return Component(std::vector<ViewEntry>{std::move(inner)});
  }
  Profile Component(const std::vector<ViewEntry>& inner) const {
    ProfileData data = test::SampleProfile("one", 1);
    data.view = {{.path = at + "/st", .kind = ViewKind::kWritable}};
    data.view.insert(data.view.end(), inner.begin(), inner.end());
    auto profile = Profile::Make(std::move(data));
    BOOST_REQUIRE_MESSAGE(profile.has_value(), profile.error());
    return std::move(*profile);
  }

  std::string at = "/tmp/bulkhead-apply.XXXXXX";
};

constexpr int kSecretShown = 200;

// In a mount namespace of its own: 0, the error, or that the view has what it must not have.
int Applied(Kernel& kernel, const Place& place, const std::vector<ViewOp>& view) {
  return test::ExitOf([&] {
    if (unshare(CLONE_NEWNS) != 0) return 100;
    Failure failure;
    const bool whole = ApplyView(kernel, place.at + "/staging", view, -1, failure);
    // Where it failed before, what was mounted until then is looked at all the same.
    const std::string from = whole ? "" : place.at + "/staging";
    if (access((from + place.at + "/key").c_str(), F_OK) == 0) return kSecretShown;
    return whole ? 0 : failure.step == Step::kViewEntry ? failure.error : 101;
  });
}

BOOST_AUTO_TEST_SUITE(KernelApplyView)

BOOST_FIXTURE_TEST_CASE(ADirectoryThatBecameALinkIsNotMounted, Place) {
  RealKernel now;
  WithoutOpenat2 old;
  for (Kernel* kernel : {static_cast<Kernel*>(&now), static_cast<Kernel*>(&old)}) {
    for (const auto& inner : {ViewEntry{.kind = ViewKind::kWritable},
                              ViewEntry{.kind = ViewKind::kPrivate, .size = 1 << 20}}) {
      const Profile component = Component(inner);
      const auto view = PlanView(component, {}, now);
      BOOST_REQUIRE_MESSAGE(view.has_value(), view.error().reason);
      BOOST_TEST(Applied(*kernel, *this, *view) == 0);
      Swap();
      BOOST_TEST(Applied(*kernel, *this, *view) == ELOOP);
      // Where it is there when the view is planned, it is refused then.
      BOOST_TEST((!PlanView(component, {}, now) || inner.kind == ViewKind::kPrivate));
      Swap();
      BOOST_TEST(Applied(*kernel, *this, *view) == 0);
    }
  }
}

// Every mount of a component's own directory is without execution, setuid and devices, and none is
// of something else, whenever it exchanges two of them.
BOOST_FIXTURE_TEST_CASE(ADirectoryThatIsExchangedMeanwhileHasItsFlags, Place) {
  fs::remove(at + "/st/e/x");
  fs::create_directories(at + "/st/e/x");
  const auto component = Component({{.path = at + "/st/d/x", .kind = ViewKind::kWritable},
                                    {.path = at + "/st/e/x", .kind = ViewKind::kData}});
  RealKernel now;
  const auto view = PlanView(component, {}, now);
  BOOST_REQUIRE_MESSAGE(view.has_value(), view.error().reason);
  constexpr unsigned long kFlags = ST_NOEXEC | ST_NOSUID | ST_NODEV;
  int exchanged = 0;
  for (int nth = 1;; ++nth) {
    const int result = test::ExitOf([&] {
      if (unshare(CLONE_NEWNS) != 0) return 100;
      AfterMount kernel(nth, [&] { Swap(); });
      Failure failure;
      if (!ApplyView(kernel, at + "/staging", *view, -1, failure)) return failure.error;
      int read_only = 0;
      for (const char* inner : {"/st/d/x", "/st/e/x"}) {
        struct statvfs info {};
        if (statvfs((at + inner).c_str(), &info) != 0) return 101;
        if ((info.f_flag & kFlags) != kFlags) return 102;
        read_only += (info.f_flag & ST_RDONLY) != 0;
      }
      if (read_only != 1) return 103;
      return kernel.done() ? 1 : 0;
    });
    BOOST_TEST((result == 0 || result == 1), nth << ": " << result);
    exchanged += result == 1;
    if (result == 0) break;
  }
  // As many as there are mounts of directories, at the least.
  BOOST_TEST(exchanged > 10);
}

// What is made within a directory of its own is made nowhere else.
BOOST_FIXTURE_TEST_CASE(NothingIsMadeOverALink, Place) {
  std::ofstream(at + "/st/d/x/file") << "its own";
  fs::create_directories(at + "/st/d/x/deep");
  std::ofstream(at + "/st/d/x/deep/file") << "its own";
  const auto component =
      Component({{.path = at + "/st/d/x", .kind = ViewKind::kPrivate, .size = 1 << 20},
                 {.path = at + "/st/d/x/deep/file", .kind = ViewKind::kData},
                 {.path = at + "/st/d/x/file", .kind = ViewKind::kData}});
  RealKernel now;
  const auto view = PlanView(component, {}, now);
  BOOST_REQUIRE_MESSAGE(view.has_value(), view.error().reason);
  const auto names = [&] {
    return std::distance(fs::directory_iterator(at), fs::directory_iterator());
  };
  const auto before = names();
  bool refused = false;
  for (int nth = 1;; ++nth) {
    const int result = test::ExitOf([&] {
      if (unshare(CLONE_NEWNS) != 0) return 100;
      AfterMount kernel(nth, [&] { Swap(); });
      Failure failure;
      if (ApplyView(kernel, at + "/staging", *view, -1, failure)) return kernel.done() ? 1 : 0;
      return failure.step == Step::kViewEntry ? failure.error : 101;
    });
    BOOST_TEST((result == 0 || result == 1 || result == ELOOP), nth << ": " << result);
    BOOST_TEST(names() == before, nth);
    refused |= result == ELOOP;
    if (result == 0) break;
    if (fs::is_directory(fs::symlink_status(at + "/st/e/x"))) Swap();
  }
  BOOST_TEST(refused);
}

BOOST_FIXTURE_TEST_CASE(NoRuleForWritingIsOverALink, Place) {
  RealKernel kernel;
  LandlockPlan plan;
  plan.handled_files = landlock::kReadFile | landlock::kWriteFile;
  const auto error = [&](const std::string& path, uint64_t access) {
    plan.rules = {{.path = path, .access = access}};
    Failure failure;
    const int ruleset = BuildRuleset(kernel, plan, failure);
    if (ruleset >= 0) close(ruleset);
    return failure.error;
  };
  BOOST_TEST(error(at + "/st/d/x", landlock::kWriteFile) == 0);
  BOOST_TEST(error(at + "/st/e/x", landlock::kWriteFile) == ELOOP);
  BOOST_TEST(error(at + "/st/e/x/st", landlock::kWriteFile) == ELOOP);
  BOOST_TEST(error(at + "/st/e/x", landlock::kReadFile) == 0);
}

BOOST_FIXTURE_TEST_CASE(APathIsOpenedByItsParts, Place) {
  RealKernel now;
  WithoutOpenat2 old;
  const long directory = now(SYS_openat, AT_FDCWD, at.c_str(), O_PATH | O_CLOEXEC);
  const auto opened = [&](const std::string& path) {
    long answers[2];
    Kernel* const kernels[] = {&now, &old};
    for (size_t i = 0; i < 2; ++i) {
      answers[i] = OpenWithoutLinks(*kernels[i], directory, path.c_str());
      if (answers[i] < 0) continue;
      close(static_cast<int>(answers[i]));
      answers[i] = 0;
    }
    BOOST_TEST(answers[0] == answers[1], path);
    return answers[0];
  };
  BOOST_TEST(opened("") == 0);
  BOOST_TEST(opened("key") == 0);
  BOOST_TEST(opened("st/d/x") == 0);
  BOOST_TEST(opened(at + "/st//d/x/") == 0);
  BOOST_TEST(opened("/") == 0);
  BOOST_TEST(opened("st/e/x") == -ELOOP);
  BOOST_TEST(opened("st/e/x/key") == -ELOOP);
  BOOST_TEST(opened("none/x") == -ENOENT);
  BOOST_TEST(opened("key/x") == -ENOTDIR);
  BOOST_TEST(opened(std::string(300, 'a')) == -ENAMETOOLONG);
  close(static_cast<int>(directory));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
