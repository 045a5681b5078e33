// SPDX-License-Identifier: Apache-2.0
// image, as a user runs it; the archive is read back by a reader of the test's own.
#include <sys/stat.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <map>

#include "engine/bundle_signature.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bash;
using test::Bulkhead;

constexpr const char* kPolicy = R"(bulkhead: 1
enclave: small
target: linux-6.18
audit: {sinks: [stdout]}
components:
  hello:
    exec: [/usr/bin/hello]
    files:
      execute: [/usr/bin/hello, /srv/code, "@loader"]
      read: ["@libraries", /srv/data, /srv/code/data, {path: /srv/perhaps, optional: true}]
      write: [/srv/out]
      state: [/var/lib/hello]
      private: [{path: /srv/data/tmp, size: 1M}, {path: /srv/out/tmp, size: 1M},
                {path: /srv/data/tmp/of/it, size: 1M}]
    secrets: [{name: key, from: /etc/hello.key}]
    syscalls: {allow: ["@service"]}
)";

// In this order, or the other way round; a copy without hard links, times or owners is the same.
constexpr const char* kTree = R"(
set -e
umask 022
mkdir -p "$1" && cd "$1"
steps=(
  'mkdir -p usr/bin lib64 etc usr/lib/x86_64-linux-gnu srv/data srv/out var/lib/hello/keys'
  'mkdir -p usr/bin && printf program > usr/bin/hello && chmod 755 usr/bin/hello'
  'mkdir -p lib64 && printf loader > lib64/ld-linux-x86-64.so.2 && chmod 755 lib64/*'
  'mkdir -p etc && printf cache > etc/ld.so.cache && printf key > etc/hello.key && chmod 600 etc/hello.key'
  'mkdir -p srv/data/tmp srv/code/data'
  'mkdir -p srv/data && printf one > srv/data/b && ln -f srv/data/b srv/data/a'
  'mkdir -p srv/data && printf odd > srv/data/$'"'"'\xff\n *'"'"''
  'mkdir -p srv/data && truncate -s 100000 srv/data/sparse'
  'mkdir -p usr/bin && printf su > usr/bin/su && chmod 4755 usr/bin/su'
  'mkdir -p var/lib/hello/keys && printf key > var/lib/hello/keys/k && chmod 600 var/lib/hello/keys/k && chmod 700 var/lib/hello'
  'mkdir -p usr/bin && ln -sf hello usr/bin/hi'
)
if [[ $2 == backwards ]]; then
  for ((i = ${#steps[@]} - 1; i >= 0; --i)); do eval "${steps[i]}"; done
else
  for s in "${steps[@]}"; do eval "$s"; done
fi
)";

struct CpioEntry {
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t mtime = 0;
  uint32_t links = 0;
  uint32_t major = 0;
  uint32_t minor = 0;
  std::string content;
};

// In the order of the archive.
std::vector<std::pair<std::string, CpioEntry>> ReadCpio(const std::string& bytes) {
  std::vector<std::pair<std::string, CpioEntry>> entries;
  const auto field = [&](size_t at, size_t number) {
    return static_cast<uint32_t>(std::stoul(bytes.substr(at + 6 + 8 * number, 8), nullptr, 16));
  };
  const auto aligned = [](size_t at) { return (at + 3) / 4 * 4; };
  for (size_t at = 0;;) {
    BOOST_REQUIRE(bytes.substr(at, 6) == "070701");
    const size_t name_size = field(at, 11);
    const std::string name = bytes.substr(at + 110, name_size - 1);
    const size_t content = aligned(at + 110 + name_size);
    const size_t size = field(at, 6);
    if (name == "TRAILER!!!") return entries;
    entries.push_back({name,
                       {field(at, 1), field(at, 2), field(at, 5), field(at, 4), field(at, 9),
                        field(at, 10), bytes.substr(content, size)}});
    at = aligned(content + size);
  }
}

struct Fixture {
  test::TemporaryDirectory directory;
  std::string bundle = directory / "small.bundle";
  std::string root = directory / "root";
  std::string file = directory / "image.cpio";

  Fixture() {
    test::WriteText(directory / "small.yaml", kPolicy);
    BOOST_REQUIRE(Bulkhead({"compile", directory / "small.yaml", "-o", bundle}).exit == 0);
    test::WriteText(directory / "tree", kTree);
    Tree(root, "forwards");
  }

  void Tree(const std::string& path, const std::string& order) {
    const auto made = Bash("bash " + (directory / "tree") + " " + path + " " + order);
    BOOST_REQUIRE_MESSAGE(made.exit == 0, made.err);
  }

  test::Outcome Image(const std::string& tree, const std::string& to,
                      const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"image", bundle, "--root", tree,
                                   "-o",    to,     "--init", BULKHEAD_INIT_PATH};
    words.insert(words.end(), more.begin(), more.end());
    return Bulkhead(words);
  }

  // What `sign` prints of the key, whose pair is made where there is none of that name.
  std::string Sign(const std::string& name) {
    const std::string pem = directory / (name + ".pem");
    const auto key = Bash("test -f " + pem + " || openssl genpkey -algorithm ed25519 -out " + pem);
    BOOST_REQUIRE_MESSAGE(key.exit == 0, key.err);
    const auto run = Bulkhead({"sign", "--key", pem, bundle});
    BOOST_REQUIRE_MESSAGE(run.exit == 0, run.err);
    return run.out.substr(run.out.find('\n') + 1);
  }

  // Into the tree, as its key for bundles.
  void SetKey(const std::string& text) {
    BOOST_REQUIRE(Bash("mkdir -p " + root + "/etc/bulkhead").exit == 0);
    test::WriteText(root + "/etc/bulkhead/bundle.pub", text);
  }

  std::map<std::string, CpioEntry> Made() {
    const auto made = Image(root, file);
    BOOST_REQUIRE_MESSAGE(made.exit == 0, made.err);
    const auto entries = ReadCpio(test::ReadText(file));
    return {entries.begin(), entries.end()};
  }
};

BOOST_FIXTURE_TEST_SUITE(Image, Fixture)

BOOST_AUTO_TEST_CASE(SameFilesSameBytes) {
  const std::string expected = directory / "first.cpio";
  BOOST_REQUIRE(Image(root, expected).exit == 0);
  const std::string bytes = test::ReadText(expected);
  BOOST_TEST(bytes.size() > 1'000'000U);
  const std::string other = directory / "other";
  Tree(other, "backwards");
  // A long name is written in different ways.
  const std::string copy = directory / "copy";
  const auto copied = Bash("cp -r " + root + " " + copy + " && touch -d 2001-02-03 " + copy +
                           "/srv/data/* && chmod 4755 " + copy + "/usr/bin/su && chmod 600 " +
                           copy + "/var/lib/hello/keys/k && for f in gnu pax; do tar -C " + other +
                           " --format=$f -cf " + (directory / "$f.tar") + " . ; done && tar -C " +
                           root + " --owner=7 --group=9 --sort=name -cf " +
                           (directory / "sorted.tar") + " $(ls -r " + root + ")");
  BOOST_REQUIRE_MESSAGE(copied.exit == 0, copied.err);
  for (const char* name : {"root", "other", "copy", "gnu.tar", "pax.tar", "sorted.tar"}) {
    const auto made = Image(directory / name, file);
    BOOST_REQUIRE_MESSAGE(made.exit == 0, name << ": " << made.err);
    BOOST_TEST((test::ReadText(file) == bytes), name);
  }
  // One bit of a mode is seen.
  BOOST_REQUIRE(Bash("chmod 700 " + root + "/srv/data").exit == 0);
  BOOST_REQUIRE(Image(root, file).exit == 0);
  BOOST_TEST((test::ReadText(file) != bytes));
}

BOOST_AUTO_TEST_CASE(HoldsWhatTheKernelAndPid1Need) {
  const auto made = Made();
  BOOST_TEST(made.at("init").content == test::ReadText(BULKHEAD_INIT_PATH));
  BOOST_TEST(made.at("init").mode == (S_IFREG | 0755U));
  BOOST_TEST(made.at("enclave.bundle").content == test::ReadText(bundle));
  BOOST_TEST(made.at("enclave.bundle").mode == (S_IFREG | 0400U));
  const CpioEntry& console = made.at("dev/console");
  BOOST_TEST(console.mode == (S_IFCHR | 0600U));
  BOOST_TEST((console.major == 5 && console.minor == 1));
  for (const char* name : {"dev", "proc", "run", "sys", "tmp"}) {
    BOOST_TEST(S_ISDIR(made.at(std::string("rootfs/") + name).mode), name);
  }
  BOOST_TEST(made.at("rootfs/tmp").mode == (S_IFDIR | 01777U));
}

BOOST_AUTO_TEST_CASE(EntriesAreInOrderAndSayNothingOfTheirSource) {
  BOOST_REQUIRE(Image(root, file).exit == 0);
  const auto entries = ReadCpio(test::ReadText(file));
  BOOST_TEST(std::ranges::is_sorted(entries, {}, [](const auto& entry) { return entry.first; }));
  for (const auto& [name, entry] : entries) {
    BOOST_TEST(entry.mtime == 0U, name);
    BOOST_TEST(entry.links == 1U, name);
  }
}

BOOST_AUTO_TEST_CASE(KeepsNamesModesAndContents) {
  const auto made = Made();
  BOOST_TEST(made.at("rootfs/srv/data/\xff\n *").content == "odd");
  BOOST_TEST(made.at("rootfs/srv/data/a").content == "one");
  BOOST_TEST(made.at("rootfs/srv/data/b").content == "one");
  BOOST_TEST(made.at("rootfs/srv/data/sparse").content == std::string(100000, '\0'));
  BOOST_TEST(made.at("rootfs/usr/bin/hi").content == "hello");
  BOOST_TEST(S_ISLNK(made.at("rootfs/usr/bin/hi").mode));
  BOOST_TEST(made.at("rootfs/var/lib/hello").mode == (S_IFDIR | 0700U));
}

BOOST_AUTO_TEST_CASE(OwnersAreTheBundles) {
  const auto inspected = Bulkhead({"inspect", bundle, "--format", "json"});
  const uint32_t uid = test::Parsed(inspected.out)["components"][0]["uid"];
  const auto made = Made();
  for (const char* name : {"var/lib/hello", "var/lib/hello/keys/k", "srv/out"}) {
    BOOST_TEST(made.at(std::string("rootfs/") + name).uid == uid, name);
  }
  for (const char* name : {"var/lib", "srv/data/a", "usr/bin/hello"}) {
    BOOST_TEST(made.at(std::string("rootfs/") + name).uid == 0U, name);
  }
}

BOOST_AUTO_TEST_CASE(WhatAnImageShouldNotHoldIsLeftOutAndSaid) {
  BOOST_REQUIRE(Bash("cd " + root +
                     " && mkfifo srv/data/fifo && mkdir -p proc tmp && "
                     "touch proc/version tmp/left && ln -s /srv run 2>/dev/null; rm -f run")
                    .exit == 0);
  const auto made = Image(root, file, {"--format", "json"});
  BOOST_REQUIRE_MESSAGE(made.exit == 0, made.err);
  const auto json = test::Parsed(made.out);
  BOOST_TEST(json["cleared"].dump() == R"(["/usr/bin/su"])");
  BOOST_TEST(json["left_out"].dump() == R"(["/srv/data/fifo"])");
  BOOST_TEST(json["covered"] == 2);
  BOOST_TEST(json["hard_links"] == 1);
  const auto entries = Made();
  BOOST_TEST(entries.at("rootfs/usr/bin/su").mode == (S_IFREG | 0755U));
  BOOST_TEST(!entries.contains("rootfs/srv/data/fifo"));
  BOOST_TEST(!entries.contains("rootfs/tmp/left"));
}

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
    const std::string other = directory / "changed";
    BOOST_REQUIRE(Bash("rm -rf " + other + "; cp -a " + root + " " + other).exit == 0);
    BOOST_REQUIRE(Bash("cd " + other + "; " + row.change).exit == 0);
    const auto made = Image(other, file);
    BOOST_TEST(made.exit == 1, row.change << made.err);
    BOOST_TEST(made.err.find("component `hello`: ") != std::string::npos, made.err);
    BOOST_TEST(made.err.find(row.statement) != std::string::npos, row.change << ": " << made.err);
    BOOST_TEST(made.err.find(row.what) != std::string::npos, row.change << ": " << made.err);
    BOOST_TEST(!std::filesystem::exists(file));
  }
}

BOOST_AUTO_TEST_CASE(PinnedProgramsAreLookedAt) {
  const std::string policy = directory / "pinned.yaml";
  std::string text = kPolicy;
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

BOOST_AUTO_TEST_CASE(ASignatureGoesIn) {
  BOOST_TEST(!Made().contains("enclave.bundle.sig"));
  SetKey(Sign("release"));
  const auto run = Image(root, file);
  BOOST_REQUIRE_MESSAGE(run.exit == 0, run.err);
  BOOST_TEST(run.out.find("signed  by the key in /etc/bulkhead/bundle.pub") != std::string::npos);
  const std::string bytes = test::ReadText(file);
  const auto entries = ReadCpio(bytes);
  BOOST_TEST(std::ranges::is_sorted(entries, {}, [](const auto& entry) { return entry.first; }));
  const std::map<std::string, CpioEntry> made(entries.begin(), entries.end());
  BOOST_TEST(made.at("enclave.bundle.sig").mode == (S_IFREG | 0400U));
  BOOST_TEST(made.at("enclave.bundle.sig").content == test::ReadText(bundle + ".sig"));
  // What bulkhead-init will decide by.
  const std::string& content = made.at("enclave.bundle").content;
  BOOST_TEST(ImageSignatureDefect(made.at("rootfs/etc/bulkhead/bundle.pub").content,
                                  made.at("enclave.bundle.sig").content,
                                  std::vector<uint8_t>(content.begin(), content.end())) == "");
  // The same again, of a tree that is an archive, signed anew.
  Sign("release");
  BOOST_REQUIRE(Bash("tar -C " + root + " -cf " + (directory / "keyed.tar") + " .").exit == 0);
  BOOST_REQUIRE(Image(directory / "keyed.tar", file).exit == 0);
  BOOST_TEST((test::ReadText(file) == bytes));
}

BOOST_AUTO_TEST_CASE(WithoutAKeyASignatureIsNotLookedAt) {
  test::WriteText(bundle + ".sig", "of somebody\n");
  BOOST_TEST(Made().at("enclave.bundle.sig").content == "of somebody\n");
  const auto json = test::Parsed(Image(root, file, {"--format", "json"}).out);
  BOOST_TEST(json["signed"] == false);
}

BOOST_AUTO_TEST_CASE(WhatTheTreesKeyDidNotSignIsRefused) {
  const std::string key = Sign("release");
  const std::string good = test::ReadText(bundle + ".sig");
  Sign("somebody");
  const std::string other = test::ReadText(bundle + ".sig");
  const std::string none = "the image takes signed bundles, and it has no signature";
  const std::string wrong = "it is not signed by the image's key";
  const std::string bad_key = "the image's key is not 64 hexadecimal digits";
  const auto refused = [&](const std::string& what, const std::string& text) {
    std::filesystem::remove(file);
    const auto run = Image(root, file);
    BOOST_TEST(run.exit == 1, text << run.err);
    BOOST_TEST(run.err.find(what) != std::string::npos, text << ": " << run.err);
    BOOST_TEST(run.err.find("nothing is written") != std::string::npos, run.err);
    BOOST_TEST(!std::filesystem::exists(file), text);
  };
  const auto taken = [&] {
    const auto run = Image(root, file);
    BOOST_TEST(run.exit == 0, run.err);
  };
  SetKey(key);
  for (const auto& [text, what] :
       {std::pair{other, wrong}, std::pair{std::string(), none},
        std::pair{std::string("junk\n"), std::string("its signature is not 128")}}) {
    test::WriteText(bundle + ".sig", good);
    taken();
    test::WriteText(bundle + ".sig", text);
    refused(what, "signature " + text);
  }
  std::filesystem::remove(bundle + ".sig");
  refused(none, "no signature");
  test::WriteText(bundle + ".sig", good);
  taken();
  for (const std::string& text : {std::string(), std::string("junk\n"), std::string(300, '0')}) {
    SetKey(text);
    refused(bad_key, "key " + text);
  }
  SetKey(key);
  taken();
  // Links to the directory are followed, as at boot, and one in the key's place is not.
  const std::string keys = "cd " + root + "/etc && ";
  BOOST_REQUIRE(Bash(keys + "mv bulkhead keys && ln -s keys bulkhead").exit == 0);
  taken();
  BOOST_TEST(test::ReadText(file).find(good) != std::string::npos);
  BOOST_REQUIRE(Bash(keys + "mv keys/bundle.pub keys/k && ln -s k keys/bundle.pub").exit == 0);
  refused(bad_key, "a link");
  BOOST_REQUIRE(Bash(keys + "rm keys/bundle.pub && mkdir keys/bundle.pub").exit == 0);
  refused(bad_key, "a directory");
  BOOST_REQUIRE(Bash(keys + "rm bulkhead && ln -s bulkhead bulkhead").exit == 0);
  refused(bad_key, "a circle");
  BOOST_REQUIRE(Bash(keys + "rm bulkhead && touch file && ln -s file/x bulkhead").exit == 0);
  refused(bad_key, "beneath a file");
  BOOST_REQUIRE(Bash(keys + "rm file").exit == 0);
  BOOST_REQUIRE(Bash(keys + "rm -r bulkhead keys").exit == 0);
  SetKey(key);
  taken();
  std::string text = kPolicy;
  test::WriteText(directory / "small.yaml", text.replace(text.find("small"), 5, "other"));
  BOOST_REQUIRE(Bulkhead({"compile", directory / "small.yaml", "-o", bundle}).exit == 0);
  refused(wrong, "another bundle");
  std::filesystem::remove_all(root + "/etc/bulkhead");
  taken();
}

BOOST_AUTO_TEST_CASE(OnlyStaticProgramsAndModulesGoIn) {
  const auto loaded =
      Bulkhead({"image", bundle, "--root", root, "-o", file, "--init", "/bin/true"});
  BOOST_TEST(loaded.exit == 3);
  BOOST_TEST(loaded.err.find("no static program") != std::string::npos, loaded.err);
  test::WriteText(directory / "text.ko", "no module");
  for (const auto& [path, what] : {std::pair{directory / "text.ko", "no ELF file"},
                                   std::pair{std::string(BULKHEAD_INIT_PATH), "no kernel module"},
                                   std::pair{directory / "none.ko", "can't be opened"}}) {
    const auto made = Image(root, file, {"--module", path});
    BOOST_TEST(made.exit == 3);
    BOOST_TEST(made.err.find(what) != std::string::npos, made.err);
  }
  BOOST_TEST(!std::filesystem::exists(file));
}

BOOST_AUTO_TEST_CASE(ModulesKeepTheirOrder) {
  // An object file is as good as a module here.
  const auto compiled = Bash("cd " + directory.path() +
                             " && for n in z a; do echo 'int x;' > $n.c && "
                             "cc -c $n.c -o $n.ko; done");
  BOOST_REQUIRE_MESSAGE(compiled.exit == 0, compiled.err);
  const auto made =
      Image(root, file, {"--module", directory / "z.ko", "--module", directory / "a.ko"});
  BOOST_REQUIRE_MESSAGE(made.exit == 0, made.err);
  const auto entries = ReadCpio(test::ReadText(file));
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries) {
    if (name.starts_with("modules/")) names.push_back(name);
  }
  BOOST_TEST(names == (std::vector<std::string>{"modules/00-z.ko", "modules/01-a.ko"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(ArchivesThatAreNoneAreRefused) {
  const std::string tar = directory / "bad.tar";
  const auto tried = [&](const std::string& make) {
    const auto made = Bash("cd " + directory.path() + " && rm -f bad.tar && " + make);
    BOOST_REQUIRE_MESSAGE(made.exit == 0, make << made.err);
    return Image(tar, file);
  };
  const std::string whole = "tar -C root -cf bad.tar .";
  BOOST_TEST(tried(whole).exit == 0);
  const struct {
    std::string make;
    const char* what;
  } rows[] = {
      {"head -c 1000 /dev/zero | tr '\\0' x > bad.tar", "is no tar archive"},
      {": > bad.tar", "ends in the middle"},
      {whole + " && truncate -s 5000 bad.tar", "ends in the middle"},
      {"touch up && tar -P --transform 's,^,../,' -cf bad.tar up", "leaves it"},
      {"touch .wh.gone && tar -cf bad.tar .wh.gone", "docker export"},
      {"head -c 1024 /dev/zero > bad.tar", "holds no files"},
      {"touch x && tar -cf bad.tar x x --transform 's,x,run,' ", "must be a directory"},
  };
  for (const auto& row : rows) {
    const auto made = tried(row.make);
    BOOST_TEST(made.exit == 3, row.make);
    BOOST_TEST(made.err.find(row.what) != std::string::npos, row.make << ": " << made.err);
    BOOST_TEST(made.err.find("compressed") == std::string::npos, row.make << ": " << made.err);
  }
  for (const std::string compressor : {"gzip", "xz", "bzip2"}) {
    const auto made = tried("tar -C root -cf - . | " + compressor + " > bad.tar");
    BOOST_TEST(made.exit == 3, compressor);
    BOOST_TEST(made.err.find("help: it is compressed: unpack it by `" + compressor + " -d`") !=
                   std::string::npos,
               made.err);
  }
}

BOOST_AUTO_TEST_CASE(WhereNothingCanBeWrittenIsSaid) {
  const auto made = Image(root, "/nonexistent/image.cpio");
  BOOST_TEST(made.exit == 3);
  BOOST_TEST(made.err == "bulkhead: error: `/nonexistent/image.cpio`: No such file or directory\n");
}

BOOST_AUTO_TEST_CASE(NitrosRegistersAreTold) {
  std::string text = kPolicy;
  text.replace(text.find("linux-6.18"), 10, "nitro-custom");
  text +=
      "waivers: [{statement: measure, reason: test, until: 2099-01-01}]\n"
      "measure: {policy: none}\n";
  test::WriteText(directory / "nitro.yaml", text);
  const auto compiled = Bulkhead({"compile", directory / "nitro.yaml", "-o", bundle});
  BOOST_REQUIRE_MESSAGE(compiled.exit == 0, compiled.err);
  const auto made = Image(root, file);
  BOOST_REQUIRE_MESSAGE(made.exit == 0, made.err);
  // What nitro-cli shows for an image without a second ramdisk.
  BOOST_TEST(
      made.out.find("21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb3094"
                    "8c90ba67310f7b964fc500a") != std::string::npos,
      made.out);
  BOOST_TEST(made.out.find("eif_build --kernel") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
