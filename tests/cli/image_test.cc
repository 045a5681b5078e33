// SPDX-License-Identifier: Apache-2.0
// image, as a user runs it; the archive is read back by a reader of the test's own.
#include <sys/stat.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <map>

#include "engine/bundle_signature.h"
#include "tests/cli/image_fixture.h"

namespace bulkhead {
namespace {

using test::Bash;
using test::Bulkhead;
using test::CpioEntry;
using test::ImageFixture;
using test::ReadCpio;

BOOST_FIXTURE_TEST_SUITE(Image, ImageFixture)

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
  std::string text = test::kPolicy;
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

BOOST_AUTO_TEST_CASE(AnImageIsNotWrittenIntoItsOwnTree) {
  const std::string within = root + "/srv";
  std::filesystem::create_directories(within);
  std::filesystem::create_directory_symlink(within, directory / "link");
  for (const std::string& place : {root + "/image", within + "/image", directory / "link/image"}) {
    const auto made = Image(root, place);
    BOOST_TEST(made.exit == 3, place);
    BOOST_TEST(made.err.find("is within the tree") != std::string::npos, made.err);
    BOOST_TEST(!std::filesystem::exists(place), place);
  }
  // A name that begins as the tree's does is not within it.
  BOOST_TEST(Image(root, root + "-image").exit == 0);
  std::filesystem::remove(root + "-image");
}

BOOST_AUTO_TEST_CASE(AnImageIsNotWrittenOverWhatItIsMadeOf) {
  for (const std::string& place : {bundle, bundle + ".sig"}) {
    const bool there = std::filesystem::exists(place);
    const std::string before = there ? test::ReadText(place) : "";
    const auto made = Image(root, place);
    BOOST_TEST(made.exit == 3, place);
    BOOST_TEST(made.err.find("is what the image is made of") != std::string::npos, made.err);
    BOOST_TEST(std::filesystem::exists(place) == there, place);
    if (there) BOOST_TEST((test::ReadText(place) == before), place);
  }
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
  std::string text = test::kPolicy;
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
