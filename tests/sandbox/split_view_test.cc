// SPDX-License-Identifier: Apache-2.0
// Which operations of a view runs have in common, and that a prepared view is made anew where files
// have become others.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "sandbox/prepared_view.h"
#include "tests/sandbox/launch_run.h"

namespace bulkhead {
namespace {

ViewOp Op(ViewOpKind kind, const std::string& path) {
  ViewOp op;
  op.kind = kind;
  op.path = path;
  return op;
}

std::vector<std::string> PathsOf(const std::vector<ViewOp>& ops) {
  std::vector<std::string> paths;
  for (const ViewOp& op : ops) paths.push_back(op.path);
  return paths;
}

using Paths = std::vector<std::string>;

BOOST_AUTO_TEST_SUITE(SplitOfAView)

BOOST_AUTO_TEST_CASE(WhatARunHasForItselfIsApart) {
  const std::vector<ViewOp> view{Op(ViewOpKind::kDirectory, "/usr"),
                                 Op(ViewOpKind::kBindDirectory, "/usr/lib"),
                                 Op(ViewOpKind::kTmpfs, "/tmp"),
                                 Op(ViewOpKind::kDirectory, "/tmp/a"),
                                 Op(ViewOpKind::kBindFile, "/tmp/a/b"),
                                 Op(ViewOpKind::kBindFile, "/tmpfile"),
                                 Op(ViewOpKind::kDirectory, "/proc"),
                                 Op(ViewOpKind::kProc, "/proc"),
                                 Op(ViewOpKind::kBindDirectory, "/run/notify"),
                                 Op(ViewOpKind::kSymlink, "/lib")};
  const auto split = SplitView(view);
  BOOST_REQUIRE(split.has_value());
  BOOST_TEST((PathsOf(split->own) == Paths{"/tmp", "/tmp/a", "/tmp/a/b", "/proc", "/run/notify"}));
  BOOST_TEST((split->own_index == std::vector<uint32_t>{2, 3, 4, 7, 8}));
  BOOST_TEST((PathsOf(split->shared) == Paths{"/usr", "/usr/lib", "/tmp", "/tmpfile", "/proc",
                                              "/proc", "/run/notify", "/lib"}));
  // Nothing of a run's own is ever put into what they have in common.
  for (const ViewOp& op : split->shared) {
    BOOST_TEST((op.kind != ViewOpKind::kTmpfs && op.kind != ViewOpKind::kProc), op.path);
  }
}

BOOST_AUTO_TEST_CASE(AViewThatNeedsAWritableRootIsNotSplit) {
  BOOST_TEST(!SplitView({Op(ViewOpKind::kProc, "/proc"), Op(ViewOpKind::kCoverProc, "/proc")}));
}

BOOST_AUTO_TEST_CASE(AViewWithAFileOfTheEnclaveInARunsOwnIsNotSplit) {
  ViewOp bind = Op(ViewOpKind::kBindFile, "/tmp/a");
  BOOST_TEST(SplitView({Op(ViewOpKind::kTmpfs, "/tmp"), bind}).has_value());
  bind.source = "/tmp/a";
  BOOST_TEST(!SplitView({Op(ViewOpKind::kTmpfs, "/tmp"), bind}));
  bind.path = bind.source = "/srv/a";
  BOOST_TEST(SplitView({Op(ViewOpKind::kTmpfs, "/tmp"), bind}).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(KernelPreparedView)

BOOST_AUTO_TEST_CASE(FilesThatBecameOthersAreNoticed) {
  if (!test::CanLaunch()) return;
  char name[] = "/tmp/bulkhead-prepared.XXXXXX";
  const std::string directory = mkdtemp(name);
  const std::string file = directory + "/file";
  const std::string staging = directory + "/staging";
  BOOST_REQUIRE(mkdir(staging.c_str(), 0700) == 0);
  std::ofstream(file) << "one";
  ViewOp bind = Op(ViewOpKind::kBindFile, "/file");
  bind.source = file;
  const auto split = SplitView({bind});
  RealKernel kernel;
  auto prepared = PreparedView::Make(kernel, staging, *split, -1);
  BOOST_REQUIRE(prepared.has_value());
  BOOST_TEST(prepared->Fits(*split));
  std::ofstream(file) << "another content, the same file";
  BOOST_TEST(prepared->Fits(*split));
  std::ofstream(directory + "/other") << "two";
  BOOST_REQUIRE(rename((directory + "/other").c_str(), file.c_str()) == 0);
  BOOST_TEST(!prepared->Fits(*split));
  const auto more = SplitView({bind, Op(ViewOpKind::kDirectory, "/more")});
  BOOST_TEST(!prepared->Fits(*more));
  BOOST_REQUIRE(unlink(file.c_str()) == 0);
  const auto gone = PreparedView::Make(kernel, staging, *split, -1);
  BOOST_REQUIRE(!gone.has_value());
  BOOST_TEST((gone.error().step == Step::kViewEntry));
  BOOST_TEST(gone.error().error == ENOENT);
  rmdir(staging.c_str());
  rmdir(directory.c_str());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
