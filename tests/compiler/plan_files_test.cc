// SPDX-License-Identifier: Apache-2.0
// Files, devices and assets: what each verb comes to in the view and in Landlock, at every ABI.
#include <boost/test/unit_test.hpp>
#include <string>

#include "profiles/landlock.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::AccessOf;
using testing::Compiled;
using testing::Granted;
using testing::MustCompile;
using testing::One;
using testing::ViewOf;
using testing::WithLevel;

const std::string kAllVerbs = One(R"(    files:
      execute: [/usr/bin/one, "@loader"]
      read: [/srv/read, "@libraries"]
      write: [/srv/write]
      create: [/srv/create]
      state: [/var/lib/one]
      runtime: [{path: /run/one, size: 1M}]
      private: [{path: /tmp, size: 2M}]
)");

constexpr uint64_t kRead = landlock::kReadFile | landlock::kReadDir;
constexpr uint64_t kWrite = kRead | landlock::kWriteFile | landlock::kTruncate;
constexpr uint64_t kCreate = kWrite | landlock::kMakeReg | landlock::kMakeDir |
                             landlock::kRemoveFile | landlock::kRemoveDir | landlock::kRefer;
constexpr uint64_t kNodes = landlock::kMakeChar | landlock::kMakeBlock;

struct Expected {
  const char* path;
  ViewKind kind;
  uint64_t size;
  uint64_t access;
};

constexpr Expected kExpected[] = {
    {"/usr/bin/one", ViewKind::kReadOnly, 0, kRead | landlock::kExecute},
    {"/lib64/ld-linux-x86-64.so.2", ViewKind::kReadOnly, 0, kRead | landlock::kExecute},
    {"/srv/read", ViewKind::kReadOnly, 0, kRead},
    {"/usr/lib/x86_64-linux-gnu", ViewKind::kReadOnly, 0, kRead},
    {"/srv/write", ViewKind::kWritable, 0, kWrite},
    {"/srv/create", ViewKind::kWritable, 0, kCreate},
    {"/var/lib/one", ViewKind::kState, 0, kCreate},
    {"/run/one", ViewKind::kRuntime, 1U << 20, kCreate | landlock::kMakeSock | landlock::kMakeFifo},
    {"/tmp", ViewKind::kPrivate, 2U << 20,
     kCreate | landlock::kMakeSock | landlock::kMakeFifo | landlock::kMakeSym},
};

BOOST_AUTO_TEST_SUITE(PlanOfFiles)

BOOST_AUTO_TEST_CASE(Verbs) {
  for (int abi = 1; abi <= 7; ++abi) {
    const Compiled compiled =
        MustCompile(kAllVerbs, WithLevel(Feature::kLandlock, static_cast<uint32_t>(abi)));
    const ProfileData& profile = compiled.Component("one");
    BOOST_TEST(profile.landlock.handled_files == landlock::FileRights(abi));
    BOOST_TEST((profile.landlock.handled_net != 0) == (abi >= landlock::kNetAbi));
    BOOST_TEST((profile.landlock.scoped != 0) == (abi >= landlock::kScopeAbi));
    BOOST_TEST(profile.landlock.log == (abi >= landlock::kLogAbi));
    for (const Expected& expected : kExpected) {
      const ViewEntry* entry = ViewOf(profile, expected.path);
      BOOST_REQUIRE_MESSAGE(entry != nullptr, expected.path);
      BOOST_TEST((entry->kind == expected.kind), expected.path);
      BOOST_TEST(entry->size == expected.size, expected.path);
      BOOST_TEST(AccessOf(profile, expected.path) == (expected.access & landlock::FileRights(abi)),
                 expected.path);
    }
  }
}

BOOST_AUTO_TEST_CASE(WithoutLandlockTheViewDecides) {
  std::string text = kAllVerbs;
  text.erase(text.find("      write: [/srv/write]\n"), 26);
  const Compiled compiled = MustCompile(text, [](LoadedPolicy& loaded) {
    loaded.target.target.features.Set(Feature::kLandlock, 0);
    loaded.target.target.features.Set(Feature::kLandlockAudit, 0);
  });
  const ProfileData& profile = compiled.Component("one");
  BOOST_TEST(profile.landlock.handled_files == 0U);
  BOOST_TEST(profile.landlock.rules.empty());
  const LedgerRow* row = compiled.Row("one", "components.one.files.create");
  BOOST_TEST((row->status == Status::kSubstituted));
  BOOST_TEST((row->recorder == Recorder::kNone));
  for (const Control& control : row->controls) BOOST_TEST((control.layer == Layer::kView));
}

// Nothing is both writable and executable, and nobody makes device nodes.
BOOST_AUTO_TEST_CASE(NoRuleGivesTooMuch) {
  const Compiled compiled = MustCompile(kAllVerbs);
  for (const LandlockRule& rule : compiled.Component("one").landlock.rules) {
    const bool executes = (rule.access & landlock::kExecute) != 0;
    const bool writes = (rule.access & landlock::kWriteFile) != 0;
    BOOST_TEST(!(executes && writes), rule.path);
    BOOST_TEST((rule.access & kNodes) == 0U, rule.path);
  }
}

BOOST_AUTO_TEST_CASE(OptionalPaths) {
  const Compiled compiled = MustCompile(One(
      "    files: {execute: [/usr/bin/one], read: [{path: /srv/a, optional: true}, /srv/b]}\n"));
  const ProfileData& profile = compiled.Component("one");
  BOOST_TEST(ViewOf(profile, "/srv/a")->optional);
  BOOST_TEST(!ViewOf(profile, "/srv/b")->optional);
}

// The runtime's own files, and nothing else that nobody asked for.
BOOST_AUTO_TEST_CASE(RuntimePaths) {
  const Compiled compiled = MustCompile(Granted(""));
  const ProfileData& profile = compiled.Component("one");
  BOOST_TEST(profile.view.size() == 1U);
  const uint64_t device = landlock::kReadFile | landlock::kWriteFile;
  for (const char* path : {"/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"}) {
    BOOST_TEST(AccessOf(profile, path) == device, path);
  }
  BOOST_TEST(AccessOf(profile, "/dev/shm") == kCreate);
  BOOST_TEST(AccessOf(profile, "/proc") == kRead);
  BOOST_TEST(AccessOf(profile, "/etc/passwd") == landlock::kReadFile);
  BOOST_TEST(AccessOf(profile, "/etc/group") == landlock::kReadFile);
  BOOST_TEST(profile.landlock.rules.size() == 10U);
}

BOOST_AUTO_TEST_CASE(TheStrongerVerbOfAPathSetStays) {
  const Compiled compiled =
      MustCompile(One("    files: {execute: [/usr/bin/one], read: [\"@libraries\"], "
                      "create: [/etc/ld.so.cache]}\n"));
  const ViewEntry* entry = ViewOf(compiled.Component("one"), "/etc/ld.so.cache");
  BOOST_TEST((entry->kind == ViewKind::kWritable));
  BOOST_TEST(entry->rule == "components.one.files.create:/etc/ld.so.cache");
}

const std::string kAsset =
    "assets: {key: {files: [/var/lib/two, /var/lib/two/a, /srv/key]}}\n" +
    Granted("",
            "  two:\n    exec: [/usr/bin/two]\n"
            "    files: {execute: [/usr/bin/two], state: [/var/lib/two], read: [/srv]}\n");

BOOST_AUTO_TEST_CASE(TripwiresStandForAssets) {
  const Compiled compiled = MustCompile(kAsset);
  const ProfileData& one = compiled.Component("one");
  for (const auto& [path, directory] :
       {std::pair("/var/lib/two", true), {"/var/lib/two/a", false}, {"/srv/key", false}}) {
    const ViewEntry* entry = ViewOf(one, path);
    BOOST_REQUIRE_MESSAGE(entry != nullptr, path);
    BOOST_TEST((entry->kind == ViewKind::kTripwire), path);
    BOOST_TEST(entry->directory == directory, path);
    BOOST_TEST(AccessOf(one, path) == 0U, path);
    BOOST_TEST((ViewOf(compiled.Component("two"), path) == nullptr ||
                ViewOf(compiled.Component("two"), path)->kind != ViewKind::kTripwire));
  }
  const LedgerRow* row = compiled.Row("one", "assets.key");
  BOOST_TEST((row->recorder == Recorder::kLandlockRecord));
  BOOST_TEST(row->controls.size() == 4U);
  BOOST_TEST((compiled->assets[0].readers == std::vector<std::string>{"two"}));
}

BOOST_AUTO_TEST_CASE(WithoutRecordsTripwiresAreWatched) {
  const Compiled compiled = MustCompile(kAsset, WithLevel(Feature::kLandlockAudit, 0));
  const LedgerRow* row = compiled.Row("one", "assets.key");
  BOOST_TEST((row->recorder == Recorder::kTripwire));
  BOOST_TEST((row->status == Status::kSubstituted));
  BOOST_TEST(!compiled.Component("one").landlock.log);
  const bool required =
      std::any_of(compiled->requirements.begin(), compiled->requirements.end(),
                  [](const Requirement& item) { return item.feature == Feature::kFanotifyPerm; });
  BOOST_TEST(required);
}

// Whoever has a part of an asset has no tripwire there, and one for the rest.
BOOST_AUTO_TEST_CASE(PartsOfAnAsset) {
  const Compiled compiled =
      MustCompile("assets: {key: {files: [/srv/a, /srv/b]}}\n" +
                  One("    files: {execute: [/usr/bin/one], read: [/srv/a]}\n"));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST((ViewOf(one, "/srv/a")->kind == ViewKind::kReadOnly));
  BOOST_TEST((ViewOf(one, "/srv/b")->kind == ViewKind::kTripwire));
  BOOST_TEST((compiled.Row("one", "assets.key") != nullptr));
  BOOST_TEST((compiled->assets[0].readers == std::vector<std::string>{"one"}));
}

// Landlock gives a directory's rights to all beneath it; the mount keeps what is only to be read.
BOOST_AUTO_TEST_CASE(WhatIsOnlyReadBeneathCodeIsNotExecuted) {
  const Compiled compiled = MustCompile(
      One("    files: {execute: [/usr/bin/one, /opt/one], read: [/opt/one/data, /srv/a]}\n"));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST((ViewOf(one, "/opt/one/data")->kind == ViewKind::kData));
  BOOST_TEST((ViewOf(one, "/opt/one")->kind == ViewKind::kReadOnly));
  BOOST_TEST((ViewOf(one, "/srv/a")->kind == ViewKind::kReadOnly));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
