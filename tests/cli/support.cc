// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/support.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "cli/cli.h"

namespace bulkhead::test {
namespace {

std::string Contents(int fd) {
  std::string text;
  char part[4096];
  lseek(fd, 0, SEEK_SET);
  for (ssize_t got; (got = read(fd, part, sizeof part)) > 0;) {
    text.append(part, static_cast<size_t>(got));
  }
  return text;
}

[[noreturn]] void RunChild(const std::vector<std::string>& words, const Surroundings& around,
                           int out, int err) {
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  if (!around.directory.empty() && chdir(around.directory.c_str()) != 0) _exit(99);
  for (const std::string& variable : around.environment) {
    const size_t equals = variable.find('=');
    setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
  }
  std::vector<const char*> argv{"bulkhead"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  const int code = RunCli(static_cast<int>(argv.size()), argv.data());
  fflush(nullptr);
  _exit(code);
}

template <typename Child>
Outcome Captured(const Child& run) {
  const int out = memfd_create("out", MFD_CLOEXEC);
  const int err = memfd_create("err", MFD_CLOEXEC);
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) run(out, err);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) throw std::runtime_error("no child");
  Outcome outcome;
  outcome.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = Contents(out);
  outcome.err = Contents(err);
  close(out);
  close(err);
  return outcome;
}

}  // namespace

Outcome Bulkhead(const std::vector<std::string>& words, const Surroundings& surroundings) {
  return Captured([&](int out, int err) { RunChild(words, surroundings, out, err); });
}

Outcome Bash(const std::string& script) {
  return Captured([&](int out, int err) {
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execl("/bin/bash", "bash", "-c", script.c_str(), nullptr);
    _exit(99);
  });
}

nlohmann::ordered_json Parsed(const std::string& text) {
  auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  BOOST_REQUIRE_MESSAGE(!json.is_discarded(), "not JSON: " << text);
  return json;
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  BOOST_REQUIRE_MESSAGE(file, "can't read " << path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  BOOST_REQUIRE_MESSAGE(file.flush(), "can't write " << path);
}

TemporaryDirectory::TemporaryDirectory() : path_("/tmp/bulkhead-cli-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("no temporary directory");
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::string SmallPolicy() {
  return R"(bulkhead: 1
enclave: small
target: linux-6.18
vars: {place: /srv/data}
audit: {sinks: [stdout]}
components:
  hello:
    exec: [/usr/bin/true]
    files:
      execute: [/usr/bin/true, "@loader"]
      read: ["@libraries", "${place}"]
    syscalls: {allow: ["@service"]}
)";
}

}  // namespace bulkhead::test
