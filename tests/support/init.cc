// SPDX-License-Identifier: Apache-2.0
#include "tests/support/init.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace bulkhead::test {
namespace {

using Clock = std::chrono::steady_clock;

Clock::time_point After(double seconds) {
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void Nap() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

}  // namespace

TempDirectory::TempDirectory() {
  char name[] = "/tmp/bulkhead-test-XXXXXX";
  if (mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = name;
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Init::Init(const TempDirectory& directory, BundleData data, std::vector<std::string> before,
           std::vector<std::string> after)
    : directory_(directory) {
  const std::string audit_directory = directory.File("audit");
  data.sinks = {{SinkKind::kFile, audit_directory + "/audit.jsonl"}};
  data.output = {{{SinkKind::kStdout, ""}}, 0};
  auto bundle = Bundle::Make(std::move(data));
  if (!bundle) throw std::invalid_argument(bundle.error());
  const auto bytes = EncodeBundle(*bundle);
  WriteFile(directory.File("a.bundle"), {bytes.begin(), bytes.end()});
  std::vector<std::string> argv{BULKHEAD_INIT_PATH};
  argv.insert(argv.end(), before.begin(), before.end());
  argv.push_back(directory.File("a.bundle"));
  argv.insert(argv.end(), after.begin(), after.end());
  pid_ = fork();
  if (pid_ != 0) return;
  const int out = open(directory.File("output").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(out, 1);
  dup2(out, 2);
  std::vector<char*> raw;
  for (std::string& arg : argv) raw.push_back(arg.data());
  raw.push_back(nullptr);
  execv(raw[0], raw.data());
  _exit(127);
}

Init::~Init() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  if (Wait(5) == -1000) {
    kill(pid_, SIGKILL);
    Wait(5);
  }
}

int Init::Wait(double seconds) {
  const auto end = After(seconds);
  while (Clock::now() < end) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    Nap();
  }
  return -1000;
}

void Init::Signal(int signal) const { kill(pid_, signal); }

bool Init::WaitForOutput(const std::string& text, double seconds) const {
  const auto end = After(seconds);
  while (Clock::now() < end) {
    if (Output().find(text) != std::string::npos) return true;
    Nap();
  }
  return false;
}

std::string Init::Output() const { return ReadWholeFile(directory_.File("output")); }

std::string Init::Audit() const { return ReadWholeFile(directory_.File("audit/audit.jsonl")); }

std::vector<pid_t> Init::ProcessesOf(uint32_t uid) {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream status(entry.path() / "status");
    std::string line;
    while (std::getline(status, line)) {
      if (!line.starts_with("Uid:")) continue;
      uint32_t real = 0;
      std::istringstream(line.substr(4)) >> real;
      if (real == uid) pids.push_back(std::stoi(name));
      break;
    }
  }
  return pids;
}

bool CanConfine() { return geteuid() == 0; }

}  // namespace bulkhead::test
