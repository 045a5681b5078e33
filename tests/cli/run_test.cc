// SPDX-License-Identifier: Apache-2.0
// run, exec and doctor. A script that prints its arguments stands for bulkhead-init.
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "cli/running.h"
#include "cli/runtime.h"
#include "policy/target.h"
#include "profiles/bundle.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bulkhead;

void WriteScript(const std::string& path, const std::string& body) {
  test::WriteText(path, "#!/bin/sh\n" + body);
  std::filesystem::permissions(path, std::filesystem::perms(0755));
}

struct Fixture {
  test::TemporaryDirectory directory;
  std::string policy = directory / "small.yaml";
  std::string bundle = directory / "small.bundle";
  std::string init = directory / "bulkhead-init";

  Fixture() {
    test::WriteText(policy, test::SmallPolicy());
    const auto run = Bulkhead({"compile", policy, "-o", bundle});
    BOOST_REQUIRE_MESSAGE(run.exit == 0, run.err);
    WriteScript(init, "printf '<%s>' \"$@\"\nexit 42\n");
  }
};

BOOST_FIXTURE_TEST_SUITE(Run, Fixture)

BOOST_AUTO_TEST_CASE(ExecHandsOverComponentBundleAndProgram) {
  const auto run = Bulkhead({"exec", bundle, "hello", "--init", init, "--", "/bin/ls", "-l", "--"});
  BOOST_TEST(run.exit == 42);
  BOOST_TEST(run.out == "<--only><hello><" + bundle + "><--></bin/ls><-l><-->");
  const auto own = Bulkhead({"exec", bundle, "hello", "--init", init});
  BOOST_TEST(own.out == "<--only><hello><" + bundle + ">");
}

BOOST_AUTO_TEST_CASE(ExecFindsTheProgramInTheComponentsPath) {
  const auto run = Bulkhead({"exec", bundle, "hello", "--init", init, "--", "true"},
                            {.environment = {"PATH=/nowhere"}});
  BOOST_TEST(run.out.ends_with("<--></usr/bin/true>"), run.out);
  const auto none = Bulkhead({"exec", bundle, "hello", "--init", init, "--", "no-such-program"});
  BOOST_TEST(none.exit == 3);
  BOOST_TEST(none.err.find("`no-such-program` is not in the component's PATH") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(ABundleNamedLikeAnOptionIsNoOption) {
  std::filesystem::copy_file(bundle, directory / "-x");
  const auto run =
      Bulkhead({"exec", "--init", init, "--", "true"}, {.directory = directory.path()});
  BOOST_TEST(run.exit == 2);
  const auto dashed =
      Bulkhead({"exec", "./-x", "hello", "--init", init}, {.directory = directory.path()});
  BOOST_TEST(dashed.out == "<--only><hello><./-x>");
}

// What bulkhead-init reads is the very bundle, in memory that cannot be written.
BOOST_AUTO_TEST_CASE(RunHandsOverASealedCopy) {
  const std::string copy = directory / "copy";
  WriteScript(init,
              "cat \"$1\" > " + copy + "\n(echo x >> \"$1\") 2>/dev/null && exit 1\nexit 7\n");
  for (const std::string& input : {bundle, policy}) {
    const auto run = Bulkhead({"run", input, "--init", init});
    BOOST_TEST(run.exit == 7, run.err);
    BOOST_TEST((test::ReadText(copy) == test::ReadText(bundle)));
  }
}

BOOST_AUTO_TEST_CASE(RunOfABadPolicyStartsNothing) {
  test::WriteText(policy, "bulkhead: 1\n");
  const auto run = Bulkhead({"run", policy, "--init", init});
  BOOST_TEST(run.exit == 1);
  BOOST_TEST(run.out == "");
  const auto json = Bulkhead({"run", policy, "--init", init, "--format", "json"});
  BOOST_TEST(json.exit == 1);
  BOOST_TEST(!test::Parsed(json.out)["ok"].get<bool>());
}

BOOST_AUTO_TEST_CASE(RunForTheRunningKernel) {
  WriteScript(init, "cat \"$1\"\n");
  const auto run = Bulkhead({"run", policy, "--target", "running", "--init", init});
  BOOST_TEST(run.exit == 0, run.err);
  const auto* bytes = reinterpret_cast<const uint8_t*>(run.out.data());
  const auto decoded = DecodeBundle({bytes, run.out.size()});
  BOOST_REQUIRE(decoded);
  BOOST_TEST((*decoded)->target.name == "running");
}

BOOST_AUTO_TEST_CASE(AMissingInitIsTheEnvironment) {
  const auto run = Bulkhead({"run", bundle, "--init", "/nonexistent/init"});
  BOOST_TEST(run.exit == 3);
  BOOST_TEST(run.err.find("/nonexistent/init") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(InitIsFoundInThePath) {
  const auto found =
      Bulkhead({"exec", bundle, "hello"}, {.environment = {"PATH=" + directory.path()}});
  BOOST_TEST(found.exit == 42, found.err);
  const auto missing = Bulkhead({"exec", bundle, "hello"}, {.environment = {"PATH=/nowhere"}});
  BOOST_TEST(missing.exit == 3);
  BOOST_TEST(missing.err.find("neither beside bulkhead nor in PATH") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(ProgramsAreFoundInAbsolutePartsOnly) {
  BOOST_TEST(FindProgram("bulkhead-init", "/nowhere:" + directory.path()).value_or("") == init);
  BOOST_TEST(!FindProgram("bulkhead-init", "::.:relative"));
  BOOST_TEST(!FindProgram("small.yaml", directory.path()));  // not executable
  BOOST_TEST(FindProgram("/a/../b/c", "").value_or("") == "/b/c");
  BOOST_TEST(!FindProgram("", directory.path()));
}

BOOST_AUTO_TEST_CASE(DoctorPrintsATargetThatCompilesToTheSameBytes) {
  const auto yaml = Bulkhead({"doctor"});
  const bool can = yaml.exit == 0;
  BOOST_TEST((can ? yaml.err.empty() : yaml.exit == 3 && !yaml.err.empty()));
  test::WriteText(directory / "here.yaml", yaml.out);
  for (const std::string& target : {std::string("running"), directory / "here.yaml"}) {
    const auto run =
        Bulkhead({"compile", policy, "-o", bundle + target.back(), "--target", target});
    BOOST_TEST(run.exit == 0, run.err);
  }
  BOOST_TEST((test::ReadText(bundle + "g") == test::ReadText(bundle + "l")));
}

BOOST_AUTO_TEST_CASE(DoctorReadsAKernelsConfiguration) {
  test::WriteText(directory / "config",
                  "# Linux/x86 6.1.176 Kernel Configuration\nCONFIG_X86_64=y\n"
                  "CONFIG_SECCOMP_FILTER=y\nCONFIG_PID_NS=y\nCONFIG_IPC_NS=y\nCONFIG_UTS_NS=y\n"
                  "CONFIG_NET_NS=y\nCONFIG_PROC_FS=y\n");
  const auto yaml = Bulkhead({"doctor", "--kernel-config", directory / "config"});
  BOOST_TEST(yaml.exit == 0, yaml.err);
  BOOST_TEST(yaml.out.find("  landlock:               0\n") != std::string::npos, yaml.out);
  BOOST_TEST(yaml.out.find("#   CONFIG_SECURITY=y\n") != std::string::npos, yaml.out);
  BOOST_TEST(yaml.out.find("#   CONFIG_SECURITY_LANDLOCK=y\n") != std::string::npos, yaml.out);
  BOOST_TEST(yaml.out.find("#   CONFIG_LSM=\"landlock,lockdown,yama,loadpin,safesetid,bpf\"\n") !=
                 std::string::npos,
             yaml.out);
  // It is a target that a policy compiles for, and says what that target can't.
  test::WriteText(directory / "configured.yaml", yaml.out);
  const auto run =
      Bulkhead({"compile", policy, "-o", bundle, "--target", directory / "configured.yaml"});
  BOOST_TEST(run.exit <= 1, run.err);
  const auto json = test::Parsed(
      Bulkhead({"doctor", "--format", "json", "--kernel-config", directory / "config"}).out);
  BOOST_TEST(json["limits"][0]["feature"] == "landlock");
  BOOST_TEST(Bulkhead({"doctor", "--kernel-config", directory / "missing"}).exit == 3);
  BOOST_TEST(Bulkhead({"doctor", "--kernel-config", policy}).exit == 1);
}

BOOST_AUTO_TEST_CASE(DoctorAsJson) {
  const auto run = Bulkhead({"doctor", "--format", "json"});
  const auto json = test::Parsed(run.out);
  BOOST_TEST(json["can_confine"].get<bool>() == (run.exit == 0));
  BOOST_TEST(json["missing"].empty() == (run.exit == 0));
  BOOST_TEST(json["target"]["features"].size() == kFeatureCount);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(Running)

BOOST_AUTO_TEST_CASE(FieldsOfOsRelease) {
  const std::string text = "NAME=\"Debian\"\nVERSION_ID=\"12\"\nX_VERSION_ID=3\nBARE=a'b\nQ='z'\n";
  BOOST_TEST(OsReleaseField(text, "VERSION_ID") == "12");
  BOOST_TEST(OsReleaseField(text, "NAME") == "Debian");
  BOOST_TEST(OsReleaseField(text, "BARE") == "a'b");
  BOOST_TEST(OsReleaseField(text, "Q") == "z");
  BOOST_TEST(OsReleaseField(text, "VERSION") == "");
  BOOST_TEST(OsReleaseField("", "NAME") == "");
}

BOOST_AUTO_TEST_CASE(TargetFilesSayWhatTheTargetIs) {
  TargetSpec spec;
  spec.target = {"made-up", Arch::kAarch64, 6, 12, "nitro", {}};
  spec.target.features.Set(Feature::kLandlock, 6);
  spec.target.features.Set(Feature::kPidfd, 1);
  spec.path_sets = {{"loader", {"/lib/ld.so"}}, {"libraries", {"/usr/lib", "/etc/x"}}};
  Sources sources;
  Diagnostics diagnostics;
  const auto read = ReadTarget("t.yaml", TargetYaml(spec, "made"), sources, diagnostics);
  BOOST_REQUIRE(read);
  BOOST_TEST((read->target == spec.target));
  BOOST_TEST((read->path_sets == spec.path_sets));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
