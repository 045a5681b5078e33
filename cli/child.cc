// SPDX-License-Identifier: Apache-2.0
#include "cli/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace bulkhead {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLongestStop(20);

std::string Why(std::string_view what) { return fmt::format("{}: {}", what, strerror(errno)); }

}  // namespace

tl::expected<Child, std::string> StartChild(const std::vector<std::string>& words,
                                            const std::string& errors) {
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (pipe2(in.data(), O_CLOEXEC) != 0) return tl::make_unexpected(Why("pipe"));
  Child child;
  const Fd its_input(in[0]);
  child.input = Fd(in[1]);
  if (pipe2(out.data(), O_CLOEXEC) != 0) return tl::make_unexpected(Why("pipe"));
  child.output = Fd(out[0]);
  const Fd its_output(out[1]);
  const Fd its_errors(
      open(errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  child.pid = fork();
  if (child.pid < 0) return tl::make_unexpected(Why("fork"));
  if (child.pid == 0) {
    dup2(its_input.get(), STDIN_FILENO);
    dup2(its_output.get(), STDOUT_FILENO);
    dup2(its_errors.get(), STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  return child;
}

std::string ErrorsIn(const std::string& errors) {
  std::stringstream text;
  text << std::ifstream(errors).rdbuf();
  return text.str();
}

int EndChild(const Child& child, bool terminate) {
  if (terminate) kill(child.pid, SIGTERM);
  const auto limit = Clock::now() + kLongestStop;
  int status = 0;
  for (;;) {
    const pid_t gone = waitpid(child.pid, &status, terminate ? WNOHANG : 0);
    if (gone == child.pid || (gone < 0 && errno != EINTR)) break;
    if (terminate && Clock::now() > limit) kill(child.pid, SIGKILL);
    if (terminate) poll(nullptr, 0, 10);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::optional<std::string> LineReader::Next(std::chrono::milliseconds within) {
  const auto limit = Clock::now() + within;
  for (;;) {
    const size_t end = text_.find('\n');
    if (end != std::string::npos) {
      std::string line = text_.substr(0, end);
      text_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - Clock::now());
    pollfd ready{fd_, POLLIN, 0};
    if (ended_ || poll(&ready, 1, std::max(0, static_cast<int>(left.count()))) <= 0) return {};
    std::array<char, 65536> buffer;
    const ssize_t size = read(fd_, buffer.data(), buffer.size());
    ended_ = size <= 0;
    if (!ended_) text_.append(buffer.data(), static_cast<size_t>(size));
  }
}

tl::expected<std::vector<std::string>, std::string> OutputOf(const std::vector<std::string>& words,
                                                             const std::string& errors) {
  auto child = StartChild(words, errors);
  if (!child) return tl::make_unexpected(child.error());
  child->input.Reset();
  std::vector<std::string> lines;
  LineReader output(child->output.get());
  while (auto line = output.Next(std::chrono::minutes(2))) lines.push_back(std::move(*line));
  if (!output.ended()) kill(child->pid, SIGKILL);
  if (EndChild(*child, false) != 0) {
    return tl::make_unexpected(
        fmt::format("{} failed: {}", fmt::join(words, " "), ErrorsIn(errors)));
  }
  return lines;
}

}  // namespace bulkhead
