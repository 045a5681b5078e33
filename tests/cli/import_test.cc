// SPDX-License-Identifier: Apache-2.0
// import, as a user runs it: the policy on standard output, what is left behind on standard error.
#include <boost/test/unit_test.hpp>

#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bulkhead;

const std::string kFolder = BULKHEAD_SOURCE_DIR "/tests/compiler/oci/";

test::Outcome Import(const std::vector<std::string>& words) {
  std::vector<std::string> all{"import", "oci-seccomp"};
  all.insert(all.end(), words.begin(), words.end());
  return Bulkhead(all);
}

BOOST_AUTO_TEST_SUITE(ImportCommand)

BOOST_AUTO_TEST_CASE(WhatItPrintsIsAPolicy) {
  const test::TemporaryDirectory directory;
  for (const char* name : {"service.json", "operators.json", "denials.json"}) {
    const auto run = Import({"--target", "linux-6.18", kFolder + name});
    BOOST_TEST(run.exit == 0, run.err);
    BOOST_TEST(run.err.starts_with(kFolder + name + ":2:"), run.err);
    test::WriteText(directory / "p.yaml", run.out);
    const auto check = Bulkhead({"check", directory / "p.yaml"});
    BOOST_TEST(check.exit == 0, check.err);
  }
}

BOOST_AUTO_TEST_CASE(Options) {
  const std::string service = kFolder + "service.json";
  const auto run = Import({service, "--target", "linux-6.18-aarch64", "--exec", "/opt/app", "--cap",
                           "CAP_SYS_ADMIN", "--cap", "CAP_KILL"});
  BOOST_TEST(run.exit == 0, run.err);
  BOOST_TEST(run.out.find("target: linux-6.18-aarch64\n") != std::string::npos, run.out);
  BOOST_TEST(run.out.find("exec: [/opt/app]\n") != std::string::npos, run.out);
  BOOST_TEST(run.out.find("        - clone\n") != std::string::npos, run.out);
  const auto without = Import({service, "--target", "linux-6.18"});
  BOOST_TEST(without.out.find("        - clone\n") == std::string::npos, without.out);
}

BOOST_AUTO_TEST_CASE(Mistakes) {
  const std::string service = kFolder + "service.json";
  BOOST_TEST(Import({service, "--cap", "SYS_ADMIN"}).exit == 2);
  BOOST_TEST(Import({service, "--exec", "app"}).exit == 2);
  BOOST_TEST(Import({}).exit == 2);
  BOOST_TEST(Import({kFolder + "none.json"}).exit == 3);
  const auto target = Import({service, "--target", "none"});
  BOOST_TEST(target.exit == 1);
  BOOST_TEST(target.out == "");
  BOOST_TEST(target.err.find("`none` is not a target") != std::string::npos, target.err);
}

BOOST_AUTO_TEST_CASE(ABrokenProfile) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "p.json";
  test::WriteText(path, "{\n  \"defaultAction\": \"SCMP_ACT_ALLOW\"\n}\n");
  const auto run = Import({path, "--target", "linux-6.18"});
  BOOST_TEST(run.exit == 1);
  BOOST_TEST(run.out == "");
  BOOST_TEST(run.err.starts_with(path + ":2:20: error: this profile allows by default [E0610]\n"),
             run.err);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
