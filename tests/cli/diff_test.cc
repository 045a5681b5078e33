// SPDX-License-Identifier: Apache-2.0
// diff as a command: its text, its JSON, what accepts a change, and its exit codes.
#include <boost/test/unit_test.hpp>

#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bulkhead;
using test::Parsed;

struct Fixture {
  test::TemporaryDirectory directory;
  std::string before = directory / "old.yaml";
  std::string after = directory / "new.yaml";
  std::string accepted = directory / "accepted.yaml";

  Fixture() {
    test::WriteText(before, test::SmallPolicy());
    std::string wider = test::SmallPolicy();
    wider.replace(wider.find("\"@service\""), 10, "\"@service\", mlockall");
    test::WriteText(after, wider);
  }

  void WriteAccepted(const std::string& change, const std::string& until) {
    test::WriteText(accepted, "bulkhead: 1\naccepted:\n  - component: hello\n    changes: [" +
                                  change +
                                  "]\n    owner: platform\n    reason: asks for its parent\n"
                                  "    until: " +
                                  until + "\n");
  }
  test::Outcome Diff() {
    return Bulkhead({"diff", "--accept", accepted, "--date", "2030-01-01", before, after});
  }
};

BOOST_FIXTURE_TEST_SUITE(Diffs, Fixture)

BOOST_AUTO_TEST_CASE(WhatIsWidenedEndsWithOne) {
  const auto run = Bulkhead({"diff", before, after});
  BOOST_TEST(run.exit == 1, run.err);
  BOOST_TEST(run.out.starts_with("widened   hello: syscall mlockall flags=0: refused, now passes"),
             run.out);
  BOOST_TEST(run.out.ends_with("1 widened, 0 narrowed, 0 neutral\n"), run.out);
  const auto back = Bulkhead({"diff", after, before});
  BOOST_TEST(back.exit == 0, back.err);
  BOOST_TEST(back.out.ends_with("0 widened, 1 narrowed, 0 neutral\n"), back.out);
}

BOOST_AUTO_TEST_CASE(WhatIsAcceptedEndsWithNothing) {
  WriteAccepted("syscall mlockall flags=0", "2030-01-01");
  const auto run = Diff();
  BOOST_TEST(run.exit == 0, run.err);
  BOOST_TEST(run.err == "");
  BOOST_TEST(run.out.find("accepted  hello: syscall mlockall flags=0") == 0U, run.out);
  BOOST_TEST(run.out.find("  by      platform, until 2030-01-01: asks for its parent\n") !=
                 std::string::npos,
             run.out);
  const auto json = Parsed(Bulkhead({"diff", "--accept", accepted, "--date", "2030-01-01",
                                     "--format", "json", before, after})
                               .out);
  BOOST_TEST(json["accepted"] == 1);
  BOOST_TEST(json["differences"][0]["accepted"]["owner"] == "platform");
}

BOOST_AUTO_TEST_CASE(WhatHasEndedAcceptsNothing) {
  WriteAccepted("syscall mlockall flags=0", "2029-12-31");
  const auto run = Diff();
  BOOST_TEST(run.exit == 1);
  BOOST_TEST(run.err.find("this acceptance ended on 2029-12-31 [E0801]") != std::string::npos,
             run.err);
  BOOST_TEST(run.out.starts_with("widened   hello"), run.out);
}

BOOST_AUTO_TEST_CASE(WhatAcceptsNothingIsSaid) {
  WriteAccepted("syscall getpid", "2031-01-01");
  const auto run = Diff();
  BOOST_TEST(run.exit == 1);
  BOOST_TEST(run.err.find("`syscall getpid` of `hello` is no change that widens [E0802]") !=
                 std::string::npos,
             run.err);
}

BOOST_AUTO_TEST_CASE(AFileThatIsNoneAcceptsNothing) {
  BOOST_TEST(Diff().exit == 3);
  test::WriteText(accepted, "bulkhead: 1\naccepted: [{component: hello, changes: [x]}]\n");
  const auto run = Diff();
  BOOST_TEST(run.exit == 3);
  BOOST_TEST(run.err.find("`owner` is missing") != std::string::npos, run.err);
  BOOST_TEST(run.out == "");
}

// What is nobody's but the enclave's is accepted without a component.
BOOST_AUTO_TEST_CASE(WhatTheEnclaveLosesCanBeAccepted) {
  const std::string small = test::SmallPolicy();
  const std::string asset = "assets: {gold: {files: [/srv/data/gold]}}\n";
  test::WriteText(before, small + asset);
  test::WriteText(after, small);
  const auto plain = Bulkhead({"diff", before, after});
  BOOST_TEST(plain.exit == 1, plain.err);
  BOOST_TEST(plain.out.find("widened   (enclave): asset gold: /srv/data/gold, now none\n"
                            "  before  assets.gold, ") == 0U,
             plain.out);
  const auto back = Bulkhead({"diff", after, before});
  BOOST_TEST(back.exit == 0, back.err);
  BOOST_TEST(back.out.find("narrowed  (enclave): asset gold: none, now /srv/data/gold\n") == 0U,
             back.out);
  const std::string rest = "    changes: [asset gold]\n    reason: sold\n    until: 2030-01-01\n";
  test::WriteText(accepted, "bulkhead: 1\naccepted:\n  - owner: platform\n" + rest);
  const auto run = Diff();
  BOOST_TEST(run.exit == 0, run.err);
  BOOST_TEST(run.err == "");
  BOOST_TEST(run.out.find("accepted  (enclave): asset gold: ") == 0U, run.out);
  // Of a component it is another change.
  test::WriteText(accepted,
                  "bulkhead: 1\naccepted:\n  - component: hello\n    owner: platform\n" + rest);
  const auto other = Diff();
  BOOST_TEST(other.exit == 1);
  BOOST_TEST(other.err.find("`asset gold` of `hello` is no change that widens [E0802]") !=
                 std::string::npos,
             other.err);
  test::WriteText(before, small);
  test::WriteText(accepted, "bulkhead: 1\naccepted:\n  - owner: platform\n" + rest);
  const auto none = Diff();
  BOOST_TEST(none.exit == 0, none.err);
  BOOST_TEST(none.err.find("`asset gold` of the enclave is no change that widens [E0802]") !=
                 std::string::npos,
             none.err);
}

// The same policy on two kernels: what the older one can't do shows.
BOOST_AUTO_TEST_CASE(BetweenTargets) {
  const auto run =
      Bulkhead({"diff", "--old-target", "linux-6.18", "--target", "debian-12", before, before});
  BOOST_TEST(run.exit != 2, run.err);
  BOOST_TEST(run.out.find("neutral   hello: files.execute: enforced, now substituted") !=
                 std::string::npos,
             run.out);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
