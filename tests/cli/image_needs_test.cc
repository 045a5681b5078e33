// SPDX-License-Identifier: Apache-2.0
// What image and check look at in the tree, so that a boot does not have to.
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "tests/cli/image_fixture.h"

namespace bulkhead {
namespace {

using test::Bash;
using test::Bulkhead;
using test::ImageFixture;

BOOST_FIXTURE_TEST_SUITE(ImageNeeds, ImageFixture)

BOOST_AUTO_TEST_CASE(WhatTheBundleNeedsMustBeThere) {
  const struct {
    const char* change;
    const char* statement;
    const char* what;
  } rows[] = {
      {"rm usr/bin/hello", "components.hello.exec", "`/usr/bin/hello` is not there"},
      {"chmod 644 usr/bin/hello", "components.hello.exec", "no program that may be executed"},
      {"rm -r srv/data", "components.hello.files.read:/srv/data", "`/srv/data` is not there"},
      {"rm -r srv/out", "components.hello.files.write:/srv/out", "`/srv/out` is not there"},
      {"rm -r var/lib/hello", "components.hello.files.state:/var/lib/hello", "is not there"},
      {"chmod 777 var/lib/hello", "components.hello.files.state:/var/lib/hello",
       "may be written by others"},
      {"rm -r var/lib/hello; touch var/lib/hello", "components.hello.files.state:/var/lib/hello",
       "is no directory"},
      {"rm lib64/*", "@loader", "is not there"},
      {"rm -r srv/data; ln -s /tmp/out srv/data", "components.hello.files.read:/srv/data",
       "is beneath /tmp, which is empty at boot"},
      {"rm -r srv/out; ln -s out srv/out", "components.hello.files.write:/srv/out",
       "leads round in a circle"},
      {"rm -r srv/out; mkdir srv/other; ln -s other srv/out",
       "components.hello.files.write:/srv/out", "over a symbolic link: name it `/srv/other`"},
      {"mv var/lib/hello var/lib/there; ln -s there var/lib/hello",
       "components.hello.files.state:/var/lib/hello", "name it `/var/lib/there`"},
      {"rm -r srv/data; ln -s /dev/../srv/none srv/data", "components.hello.files.read:/srv/data",
       "`/srv/data` is not there"},
      {"rm -r srv/data; ln -s ../usr/bin/hello/data srv/data",
       "components.hello.files.read:/srv/data", "is beneath what is no directory"},
      {"rm -r srv/data; ln -s /run/none/../../srv/out srv/data",
       "components.hello.files.read:/srv/data", "leads out of what is made at boot"},
      {"chmod 777 srv; mv srv/data srv/d; ln -s d srv/data",
       "components.hello.files.read:/srv/data",
       "`/srv/data`, a link that others than root can set"},
      {"rm -r srv/data; ln -s ../srv/out srv/data", "components.hello.files.read:/srv/data",
       "which meets `/srv/out`, not its own to read"},
      {"rm -r srv/data; ln -s / srv/data", "components.hello.files.read:/srv/data",
       "is `/`, which meets"},
      {"rm -r srv/out; ln -s /dev/shm srv/out", "components.hello.files.write:/srv/out",
       "over a symbolic link: name it `/dev/shm`"},
      {"rm -r srv/data; ln -s /dev/null srv/data", "components.hello.files.read:/srv/data",
       "is `/dev/null`, which meets `/dev`, not its own to read"},
      {"chmod 777 srv; ln -s nowhere srv/perhaps", "components.hello.files.read:/srv/perhaps",
       "`/srv/perhaps`, a link that others than root can set"},
      {"chmod 700 usr/bin/hello", "components.hello.exec", "no program that may be executed"},
      {": > usr/bin/hello", "components.hello.exec", "no program that may be executed"},
      {"rm -r srv/data/tmp", "components.hello.files.private:/srv/data/tmp",
       "`/srv/data/tmp` is not there, and `/srv/data` is not its own"},
      {"rm -r srv/data/tmp; touch srv/data/tmp", "components.hello.files.private:/srv/data/tmp",
       "is no directory"},
      {"rm -r srv/data/tmp; ln -s . srv/data/tmp", "components.hello.files.private:/srv/data/tmp",
       "over a symbolic link: name it `/srv/data`"},
      {"ln -s . srv/out/tmp", "components.hello.files.private:/srv/out/tmp",
       "over a symbolic link: name it `/srv/out`"},
      {"mkdir srv/other; mv srv/data/* srv/other; rmdir srv/data; ln -s other srv/data",
       "components.hello.files.private:/srv/data/tmp", "name it `/srv/other/tmp`"},
      {"mv etc/hello.key etc/k; ln -s k etc/hello.key", "components.hello.secrets",
       "is reached over a symbolic link"},
      {": > etc/hello.key", "components.hello.secrets", "has 0 bytes: a secret has 1 to 65536"},
      {"truncate -s 70000 etc/hello.key", "components.hello.secrets", "has 70000 bytes"},
      {"ln -s code/data srv/perhaps", "components.hello.files.read:/srv/perhaps",
       "is `/srv/code/data`, which is named twice, in other ways"},
  };
  // What may be missing may be missing behind a link of root's, too.
  BOOST_REQUIRE(Bash("ln -s nowhere " + root + "/srv/perhaps").exit == 0);
  BOOST_REQUIRE(Image(root, file).exit == 0);
  BOOST_REQUIRE(Bash("rm " + root + "/srv/perhaps").exit == 0);
  BOOST_REQUIRE(Image(root, file).exit == 0);
  std::filesystem::remove(file);
  for (const auto& row : rows) {
    const auto made = Changed(row.change);
    BOOST_TEST(made.exit == 1, row.change << made.err);
    BOOST_TEST(made.err.find("component `hello`: ") != std::string::npos, made.err);
    BOOST_TEST(made.err.find(row.statement) != std::string::npos, row.change << ": " << made.err);
    BOOST_TEST(made.err.find(row.what) != std::string::npos, row.change << ": " << made.err);
    BOOST_TEST(!std::filesystem::exists(file));
  }
}

BOOST_AUTO_TEST_CASE(WhatIsKeptIsKeptByItsNameWithoutLinks) {
  std::string text = test::kPolicy;
  const auto change = [&](const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
  };
  change("audit: {sinks: [stdout]}",
         "audit: {sinks: [{file: /srv/log/a.jsonl}]}\n"
         "assets: {vault: {files: [/srv/vault]}}");
  change("/srv/data, ", "/srv/data, /srv/vault/public, ");
  test::WriteText(directory / "small.yaml", text);
  const auto compiled = Bulkhead({"compile", directory / "small.yaml", "-o", bundle});
  BOOST_REQUIRE_MESSAGE(compiled.exit == 0, compiled.err);
  BOOST_REQUIRE(Bash("cd " + root + "/srv; mkdir vault; echo > vault/public").exit == 0);
  BOOST_REQUIRE_MESSAGE(Image(root, file).exit == 0, Image(root, file).err);
  const struct {
    const char* change;
    const char* what;
  } rows[] = {
      {"mv vault/public vault/private; ln -s private vault/public",
       "is `/srv/vault/private`, which meets `/srv/vault`, not its own to read"},
      {"mv vault v; ln -s v vault", "is reached over a symbolic link: name it `/srv/v`"},
      {"rm -r vault; ln -s none vault", "is reached over a symbolic link: name it `/srv/none`"},
      {"rm -r vault; ln -s x vault; ln -s /srv/none x", "name it `/srv/none`"},
      {"ln -s out log", "`/srv/out` meets `/srv/out/a.jsonl`, not its own to read"},
      {"ln -s x log; ln -s none/../out x", "`/srv/out` meets `/srv/out/a.jsonl`"},
  };
  for (const auto& row : rows) {
    const auto made = Changed(std::string("cd srv; ") + row.change);
    BOOST_TEST(made.exit == 1, row.change << made.err);
    BOOST_TEST(made.err.find(row.what) != std::string::npos, row.change << ": " << made.err);
  }
}

BOOST_AUTO_TEST_CASE(PinnedProgramsAreLookedAt) {
  const std::string policy = directory / "pinned.yaml";
  std::string text = test::kPolicy;
  const std::string digest = Bash("sha384sum < " + root + "/usr/bin/hello").out.substr(0, 96);
  const std::string plain = "exec: [/usr/bin/hello]";
  text.replace(text.find(plain), plain.size(),
               "exec: [{path: /usr/bin/hello, sha384: " + digest + "}]");
  test::WriteText(policy, text);
  BOOST_REQUIRE(Bulkhead({"compile", policy, "-o", bundle}).exit == 0);
  BOOST_TEST(Image(root, file).exit == 0);
  test::WriteText(root + "/usr/bin/hello", "progran");
  const auto made = Image(root, file);
  BOOST_TEST(made.exit == 1);
  BOOST_TEST(made.err.find("is another file than the pinned one") != std::string::npos, made.err);
}

// Before there is a bundle, by the same rules.
BOOST_AUTO_TEST_CASE(ARootIsComparedWhereThePolicyIsChecked) {
  const std::string policy = directory / "small.yaml";
  const std::string other = directory / "other.bundle";
  for (const char* target : {"", "all"}) {
    std::vector<std::string> check{"check", policy, "--root", root};
    std::vector<std::string> compile{"compile", policy, "--root", root};
    if (*target != 0) {
      check.insert(check.end(), {"--target", target});
      compile.insert(compile.end(), {"--target", target});
    } else {
      compile.insert(compile.end(), {"-o", other});
    }
    BOOST_TEST(Bulkhead(check).exit == (*target == 0 ? 0 : 2));
    BOOST_TEST(Bulkhead(compile).exit == (*target == 0 ? 0 : 2));
  }
  BOOST_TEST(test::ReadText(other) == test::ReadText(bundle));
  std::filesystem::remove(other);
  BOOST_REQUIRE(Bash("rm " + root + "/usr/bin/hello").exit == 0);
  const auto checked = Bulkhead({"check", policy, "--root", root});
  BOOST_TEST(checked.exit == 1);
  BOOST_TEST(checked.err.find("small.yaml:7:") != std::string::npos, checked.err);
  BOOST_TEST(checked.err.find("`/usr/bin/hello` is not there in") != std::string::npos,
             checked.err);
  BOOST_TEST(Bulkhead({"compile", policy, "--root", root, "-o", other}).exit == 1);
  BOOST_TEST(!std::filesystem::exists(other));
  const auto json = Bulkhead({"check", policy, "--root", root, "--format", "json"});
  BOOST_TEST(json.exit == 1);
  const auto parsed = test::Parsed(json.out);
  BOOST_TEST(!parsed["ok"].get<bool>());
  BOOST_TEST(parsed["diagnostics"][0]["code"] == "E0591");
  const auto sarif = Bulkhead({"check", policy, "--root", root, "--format", "sarif"});
  BOOST_TEST(sarif.exit == 1);
  BOOST_TEST(test::Parsed(sarif.out)["runs"][0]["results"][0]["ruleId"] == "E0591", sarif.out);
  BOOST_TEST(Bulkhead({"check", policy, "--root", directory / "none"}).exit == 3);
  BOOST_TEST(Bulkhead({"check", policy}).exit == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
