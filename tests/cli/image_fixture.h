// SPDX-License-Identifier: Apache-2.0
// What the tests of images share: a small policy, its tree, and a reader of the archive of their
// own.
#pragma once

#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/cli/support.h"

namespace bulkhead::test {

inline constexpr const char* kPolicy = R"(bulkhead: 1
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
inline constexpr const char* kTree = R"(
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
inline std::vector<std::pair<std::string, CpioEntry>> ReadCpio(const std::string& bytes) {
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

struct ImageFixture {
  TemporaryDirectory directory;
  std::string bundle = directory / "small.bundle";
  std::string root = directory / "root";
  std::string file = directory / "image.cpio";

  ImageFixture() {
    WriteText(directory / "small.yaml", kPolicy);
    BOOST_REQUIRE(Bulkhead({"compile", directory / "small.yaml", "-o", bundle}).exit == 0);
    WriteText(directory / "tree", kTree);
    Tree(root, "forwards");
  }

  void Tree(const std::string& path, const std::string& order) {
    const auto made = Bash("bash " + (directory / "tree") + " " + path + " " + order);
    BOOST_REQUIRE_MESSAGE(made.exit == 0, made.err);
  }

  Outcome Image(const std::string& tree, const std::string& to,
                const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"image", bundle, "--root", tree,
                                   "-o",    to,     "--init", BULKHEAD_INIT_PATH};
    words.insert(words.end(), more.begin(), more.end());
    return Bulkhead(words);
  }

  // Of a copy of the tree, changed by a script in its root.
  Outcome Changed(const std::string& change) {
    const std::string other = directory / "changed";
    BOOST_REQUIRE(Bash("rm -rf " + other + "; cp -a " + root + " " + other).exit == 0);
    BOOST_REQUIRE(Bash("cd " + other + "; " + change).exit == 0);
    return Image(other, file);
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
    WriteText(root + "/etc/bulkhead/bundle.pub", text);
  }

  std::map<std::string, CpioEntry> Made() {
    const auto made = Image(root, file);
    BOOST_REQUIRE_MESSAGE(made.exit == 0, made.err);
    const auto entries = ReadCpio(ReadText(file));
    return {entries.begin(), entries.end()};
  }
};

}  // namespace bulkhead::test
