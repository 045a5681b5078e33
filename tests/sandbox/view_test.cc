// SPDX-License-Identifier: Apache-2.0
// The view is planned on the file system that is there: what is reached by a second name, and what
// device a node is.
#include "sandbox/view.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/sample.h"

namespace bulkhead {
namespace {

struct Place {
  explicit Place(const std::string& parent = "/tmp") {
    std::string path = parent + "/bulkhead-view.XXXXXX";
    BOOST_REQUIRE(mkdtemp(path.data()) != nullptr);
    at = path;
    BOOST_REQUIRE(chmod(at.c_str(), 0755) == 0);
    std::filesystem::create_directories(at + "/real/beneath");
    std::filesystem::create_directories(at + "/other");
    std::filesystem::create_directory_symlink(at + "/real", at + "/link");
  }
  ~Place() { std::filesystem::remove_all(at); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  std::string at;
};

// Why the view with this entry and the others can't be made; empty: it can.
std::string Refusal(const std::string& path, ViewKind kind, std::vector<KeptPath> kept = {},
                    const std::vector<ViewEntry>& others = {}) {
  ProfileData data = test::SampleProfile("one", 1);
  const bool tmpfs = kind == ViewKind::kPrivate || kind == ViewKind::kRuntime;
  data.view = {{.path = path, .kind = kind, .size = tmpfs ? 1U << 20 : 0U}};
  data.view.insert(data.view.end(), others.begin(), others.end());
  std::ranges::sort(data.view, {}, &ViewEntry::path);
  const auto profile = Profile::Make(std::move(data));
  BOOST_REQUIRE_MESSAGE(profile.has_value(), profile.error());
  RealKernel kernel;
  const auto view = PlanView(*profile, {.kept = std::move(kept)}, kernel);
  return view ? std::string() : view.error().reason;
}

bool Says(const std::string& reason, const std::string& text) {
  return reason.find(text) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(Views)

BOOST_FIXTURE_TEST_CASE(WhatIsWrittenHasOneName, Place) {
  for (const ViewKind kind : {ViewKind::kWritable, ViewKind::kEdge}) {
    BOOST_TEST(Refusal(at + "/real", kind) == "");
    BOOST_TEST(Says(Refusal(at + "/link", kind), "name it `" + at + "/real`"));
    BOOST_TEST(Says(Refusal(at + "/link/beneath", kind), "name it `" + at + "/real/beneath`"));
  }
}

BOOST_FIXTURE_TEST_CASE(WhatIsItsOwnIsNotOverALinkOfItsView, Place) {
  const ViewEntry read{.path = at + "/link/beneath", .kind = ViewKind::kReadOnly};
  const ViewEntry absent{.path = at + "/link/none", .kind = ViewKind::kReadOnly, .optional = true};
  const ViewEntry other{.path = at + "/other", .kind = ViewKind::kReadOnly};
  for (const ViewKind kind : {ViewKind::kPrivate, ViewKind::kRuntime, ViewKind::kTripwire}) {
    for (const char* path : {"/link/own", "/link/own/deeper"}) {
      for (const ViewEntry& over : {read, absent}) {
        BOOST_TEST(
            Says(Refusal(at + path, kind, {}, {over}), "the symbolic link `" + at + "/link`"));
      }
      // Where nothing leads over the link, the view has a directory of this name.
      BOOST_TEST(Refusal(at + path, kind, {}, {other}) == "");
    }
  }
}

BOOST_FIXTURE_TEST_CASE(WhatIsReadByASecondNameIsNobodys, Place) {
  const std::string link = at + "/link/beneath";
  BOOST_TEST(Refusal(link, ViewKind::kReadOnly) == "");
  BOOST_TEST(Refusal(link, ViewKind::kReadOnly, {{at + "/other"}, {at + "/re"}}) == "");
  for (const char* kept : {"/real", "/real/beneath", "/real/beneath/deeper"}) {
    BOOST_TEST(
        Says(Refusal(link, ViewKind::kReadOnly, {{at + kept}}), "which meets `" + at + kept));
  }
  // Its own name was judged, but where that comes of a link.
  for (const ViewKind kind : {ViewKind::kReadOnly, ViewKind::kWritable}) {
    BOOST_TEST(Refusal(at + "/real", kind, {{at + "/real"}}) == "");
    BOOST_TEST(Says(Refusal(at + "/real", kind, {{at + "/real/f", false, true}}), "meets `"));
  }
  // A link within it leads to what another statement denies, unless it is all of one kind.
  BOOST_TEST(Says(Refusal(link, ViewKind::kReadOnly, {{at}}), "which meets `" + at));
  BOOST_TEST(Refusal(link, ViewKind::kReadOnly, {{at, true}}) == "");
  // It has that by its own name, by the nearest entry that it has.
  const std::vector<KeptPath> kept = {{at + "/real/beneath/deeper"}};
  const ViewEntry all{.path = at, .kind = ViewKind::kReadOnly};
  const ViewEntry hidden{.path = at + "/real", .kind = ViewKind::kPrivate, .size = 1 << 20};
  const ViewEntry shown{.path = at + "/real/beneath", .kind = ViewKind::kReadOnly};
  BOOST_TEST(Refusal(link, ViewKind::kReadOnly, kept, {all}) == "");
  BOOST_TEST(Says(Refusal(link, ViewKind::kReadOnly, kept, {all, hidden}), "which meets `"));
  BOOST_TEST(Says(Refusal(link, ViewKind::kReadOnly, kept, {hidden, all}), "which meets `"));
  BOOST_TEST(Refusal(link, ViewKind::kReadOnly, kept, {all, hidden, shown}) == "");
}

// A profile names devices beneath /dev, so the nodes are made there; none of them stays.
BOOST_AUTO_TEST_CASE(ADeviceIsWhatTheKernelCallsIt) {
  const Place place("/dev");
  const std::string& at = place.at;
  const auto node = [&](const char* name, unsigned major_number, unsigned minor_number) {
    std::string path = at + "/" + name;
    BOOST_REQUIRE(mknod(path.c_str(), S_IFCHR | 0666, makedev(major_number, minor_number)) == 0);
    return path;
  };
  BOOST_TEST(Refusal(node("zero", 1, 5), ViewKind::kDevice) == "");
  BOOST_TEST(Says(Refusal(node("harmless", 1, 11), ViewKind::kDevice), "is `/dev/kmsg`"));
  BOOST_TEST(
      Says(Refusal(node("unknown", 4000, 4000), ViewKind::kDevice), "doesn't tell the name"));
  std::filesystem::create_symlink("/dev/zero", at + "/named");
  BOOST_TEST(Says(Refusal(at + "/named", ViewKind::kDevice), "name it `/dev/zero`"));
  BOOST_TEST(Says(Refusal(at + "/real", ViewKind::kDevice), "not a character device"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
