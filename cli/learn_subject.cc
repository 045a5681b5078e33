// SPDX-License-Identifier: Apache-2.0
#include "cli/learn_subject.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/cli.h"
#include "cli/console.h"
#include "cli/runtime.h"
#include "policy/text.h"
#include "profiles/profile.h"

namespace bulkhead {
namespace {

namespace fs = std::filesystem;

tl::unexpected<int> Fail(int code, const std::string& message, std::string_view help = {}) {
  PrintError(message, help);
  return tl::make_unexpected(code);
}

constexpr std::chrono::days kWaived{90};

std::string WaivedUntil() {
  using std::chrono::floor;
  const auto today = floor<std::chrono::days>(std::chrono::system_clock::now());
  const std::chrono::year_month_day day(today + kWaived);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()),
                     static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()));
}

// What can be a component's name of a program's.
std::string NameFrom(const std::string& program) {
  std::string name;
  for (const char c : fs::path(program).filename().string()) {
    const bool digit = c >= '0' && c <= '9';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter || (digit && !name.empty())) {
      name += static_cast<char>(letter ? c | 0x20 : c);
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  name.resize(std::min<size_t>(name.size(), 32));
  while (name.ends_with('-')) name.pop_back();
  return name.empty() ? "learnt" : name;
}

std::string UnixText(const std::string& path, const std::string& name) {
  return fmt::format("{{path: \"{}\", name: {}}}", path, name);
}

std::string TcpText(const std::string& address, const std::string& port, const std::string& name) {
  return fmt::format("{{address: {}, port: {}, name: {}}}", address, port, name);
}

tl::expected<LearnListener, int> ListenerOf(const std::string& word) {
  const size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  const std::string address = equals == std::string::npos ? "" : word.substr(equals + 1);
  const size_t colon = address.rfind(':');
  LearnListener listener;
  listener.name = name;
  if (address.starts_with("unix:/") && IsNormalPath(address.substr(5))) {
    listener.path = address.substr(5);
    listener.text = UnixText(listener.path, name);
    return listener;
  }
  if (address.starts_with("tcp:") && colon > 4) {
    listener.tcp = true;
    listener.text = TcpText(address.substr(4, colon - 4), address.substr(colon + 1), name);
    return listener;
  }
  return Fail(kExitWrongUsage, fmt::format("{} is not a listener", Quoted(word)),
              "write `web=tcp:127.0.0.1:8080` or `ssh=unix:/run/edges/ssh/socket`");
}

// What a policy can't state is said here, where it was written.
tl::expected<void, int> CheckText(const std::string& what, const std::string& text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7f) || c == '\n') continue;
    return Fail(
        kExitWrongUsage,
        fmt::format("{} has the control character U+{:04X}, which a policy can't hold", what, byte),
        "give it to the program by a file");
  }
  return {};
}

}  // namespace

tl::expected<LearnSubject, int> SubjectOfCommand(const Invocation& invocation) {
  LearnSubject subject;
  subject.command = invocation.All(Parameter::kProgram);
  if (subject.command.empty()) {
    return Fail(kExitWrongUsage, "no program is named", "write it after `--`");
  }
  for (size_t i = 1; i < subject.command.size(); ++i) {
    if (auto fits = CheckText(fmt::format("argument {}", i), subject.command[i]); !fits) {
      return tl::make_unexpected(fits.error());
    }
  }
  const char* path = std::getenv("PATH");
  const auto found =
      FindProgram(subject.command.front(), path != nullptr ? path : "/usr/sbin:/usr/bin");
  if (!found) {
    return Fail(kExitCannot, fmt::format("{} is not in PATH", Quoted(subject.command.front())));
  }
  if (access(found->c_str(), X_OK) != 0) {
    return Fail(kExitCannot,
                fmt::format("can't execute {}: {}", Quoted(*found), std::strerror(errno)));
  }
  if (std::error_code error; !fs::is_regular_file(*found, error)) {
    return Fail(kExitCannot, fmt::format("can't execute {}: it is no file", Quoted(*found)));
  }
  subject.command.front() = *found;
  subject.name = invocation.Has(Parameter::kLearnName) ? invocation.One(Parameter::kLearnName)
                                                       : NameFrom(*found);
  subject.target =
      invocation.Has(Parameter::kLearnTarget) ? invocation.One(Parameter::kLearnTarget) : "running";
  if (const std::string wanted = invocation.One(Parameter::kLearnDirectory); wanted != "/") {
    const size_t end = wanted.find_last_not_of('/');
    subject.directory = wanted.substr(0, end == std::string::npos ? 0 : end + 1);
    std::error_code error;
    const bool good = wanted.empty() || (IsNormalPath(subject.directory) &&
                                         std::filesystem::is_directory(subject.directory, error));
    if (!good) {
      return Fail(kExitWrongUsage, fmt::format("{} is no directory to begin in", Quoted(wanted)),
                  "write --directory with the whole path of one, without links");
    }
  }
  subject.sink = fmt::format("/var/log/bulkhead/{}.jsonl", subject.name);
  subject.waived_until = WaivedUntil();
  for (const std::string& word : invocation.All(Parameter::kLearnEnv)) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fail(kExitWrongUsage, fmt::format("{} is not a variable", Quoted(word)),
                  "write --env NAME=VALUE");
    }
    if (auto fits = CheckText(Quoted(word.substr(0, equals)), word); !fits) {
      return tl::make_unexpected(fits.error());
    }
    subject.environment.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  if (const std::string user = invocation.One(Parameter::kLearnUser); !user.empty()) {
    uint32_t uid = 0;
    const auto end = std::from_chars(user.data(), user.data() + user.size(), uid).ptr;
    if (end != user.data() + user.size() || uid == 0) {
      return Fail(kExitWrongUsage, fmt::format("{} is not a user to run as", Quoted(user)),
                  "a number above 0: components are never root");
    }
    subject.user = uid;
  }
  for (const std::string& word : invocation.All(Parameter::kLearnListen)) {
    auto listener = ListenerOf(word);
    if (!listener) return tl::make_unexpected(listener.error());
    subject.listeners.push_back(std::move(*listener));
  }
  return subject;
}

LearnSubject SubjectOfComponent(const ComponentPolicy& component, const ProfileData& profile,
                                const std::string& target) {
  LearnSubject subject;
  subject.name = component.name;
  subject.target = target;
  subject.command = profile.argv;
  for (const auto& [name, value] : component.env) {
    subject.environment.emplace_back(name, value.value);
  }
  if (component.directory.value != "/") subject.directory = component.directory.value;
  subject.user = profile.uid;
  subject.sink = fmt::format("/var/log/bulkhead/{}.jsonl", subject.name);
  subject.waived_until = WaivedUntil();
  for (const Listener& listener : profile.listeners) {
    LearnListener handed;
    handed.name = listener.name;
    handed.tcp = listener.kind == ListenerKind::kTcp;
    handed.path = listener.path;
    handed.text = handed.tcp
                      ? TcpText(listener.address, std::to_string(listener.port), listener.name)
                      : UnixText(listener.path, listener.name);
    subject.listeners.push_back(std::move(handed));
  }
  return subject;
}

}  // namespace bulkhead
