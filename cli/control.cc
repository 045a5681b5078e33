// SPDX-License-Identifier: Apache-2.0
// The commands that speak with a running supervisor over its control socket.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <thread>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/json.h"
#include "engine/control_protocol.h"
#include "engine/fd.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

using std::chrono::milliseconds;

constexpr const char* kRunDirectory = "/run/bulkhead";

// Ended: an exit code, said already.
template <typename T>
using Or = tl::expected<T, int>;

tl::unexpected<int> Cannot(const std::string& what, const std::string& help = {}) {
  PrintError(what, help);
  return tl::unexpected<int>(kExitCannot);
}

// errno, or 0.
int Connect(const std::string& enclave, Fd& fd) {
  const std::string path = fmt::format("{}/{}/control", kRunDirectory, enclave);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  fd = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

// Those whose supervisor answers.
std::vector<std::string> RunningEnclaves() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kRunDirectory, error)) {
    Fd fd;
    const std::string name = entry.path().filename();
    if (Connect(name, fd) == 0) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

Or<std::string> EnclaveOf(const Invocation& invocation) {
  if (geteuid() != 0) return Cannot("only root may speak with the supervisor");
  if (const std::string name = invocation.One(Parameter::kEnclave); !name.empty()) return name;
  const std::vector<std::string> names = RunningEnclaves();
  if (names.size() == 1) return names[0];
  if (names.empty()) {
    return Cannot(
        "no enclave runs on this machine",
        fmt::format("each has a directory in {}, which stays when it has ended", kRunDirectory));
  }
  return Cannot(fmt::format("{} enclaves run: {}", names.size(), fmt::join(names, ", ")),
                "say which one by `--enclave`");
}

// One request and its answer, line by line as it comes.
class Conversation {
 public:
  static Or<Conversation> Open(const std::string& enclave, const ControlRequest& request) {
    Conversation conversation;
    if (const int error = Connect(enclave, conversation.fd_); error != 0) {
      return Cannot(
          fmt::format("no supervisor of {} answers: {}", Quoted(enclave), std::strerror(error)));
    }
    const std::string text = ControlRequestText(request) + "\n";
    if (send(conversation.fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) {
      return Cannot(fmt::format("the supervisor does not listen: {}", std::strerror(errno)));
    }
    const auto head = conversation.Next();
    if (!head || !head->is_object()) return Cannot("the supervisor gave no answer");
    if (!head->value("ok", false)) {
      const std::string what = head->value("error", "an error without words");
      const bool unknown = what.starts_with("no component");
      PrintError(Shown(what), unknown ? "`bulkhead status` lists the components" : "");
      return tl::unexpected<int>(kExitNo);
    }
    return conversation;
  }

  // Nothing at its end.
  std::optional<Json> Next() {
    for (;;) {
      const size_t end = bytes_.find('\n');
      if (end != std::string::npos) {
        Json line = Json::parse(bytes_.substr(0, end), nullptr, false);
        bytes_.erase(0, end + 1);
        return line;
      }
      std::array<char, 65536> more{};
      const ssize_t size = recv(fd_.get(), more.data(), more.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return std::nullopt;
      bytes_.append(more.data(), static_cast<size_t>(size));
    }
  }

 private:
  Fd fd_;
  std::string bytes_;
};

struct State {
  Json enclave;
  std::vector<Json> components;

  const Json* Find(const std::string& name) const {
    const auto found = std::ranges::find_if(
        components, [&](const Json& row) { return row.value("component", "") == name; });
    return found == components.end() ? nullptr : &*found;
  }
};

Or<State> AskState(const std::string& enclave) {
  auto conversation = Conversation::Open(enclave, {ControlVerb::kStatus, {}, 0, false});
  if (!conversation) return tl::unexpected<int>(conversation.error());
  State state;
  if (auto head = conversation->Next(); head && head->is_object()) state.enclave = *head;
  while (auto line = conversation->Next()) {
    if (line->is_object()) state.components.push_back(std::move(*line));
  }
  if (state.enclave.is_null()) return Cannot("the supervisor gave no answer");
  return state;
}

std::string DurationText(uint64_t ms) {
  const uint64_t seconds = ms / 1000;
  if (seconds < 60) return fmt::format("{}.{}s", seconds, ms % 1000 / 100);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

std::string MemoryText(uint64_t bytes) {
  constexpr double kMebi = 1024.0 * 1024.0;
  return fmt::format("{:.1f}M", static_cast<double>(bytes) / kMebi);
}

// "-" where there is none.
std::string Cell(const Json& row, const char* key, std::string (*written)(uint64_t)) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number_unsigned() ? written(found->get<uint64_t>()) : "-";
}

std::string Plain(uint64_t value) { return std::to_string(value); }

std::string StateText(const State& state) {
  std::vector<std::vector<std::string>> rows{
      {"COMPONENT", "STATE", "PID", "UPTIME", "RESTARTS", "MEMORY", "VIOLATIONS"}};
  for (const Json& row : state.components) {
    rows.push_back({Shown(row.value("component", "")), Shown(row.value("state", "")),
                    Cell(row, "pid", Plain), Cell(row, "uptime_ms", DurationText),
                    Cell(row, "restarts", Plain), Cell(row, "memory", MemoryText),
                    Cell(row, "violations", Plain)});
  }
  return fmt::format("enclave `{}`{}, bundle sha384:{}, supervisor {}\n",
                     Shown(state.enclave.value("enclave", "")),
                     state.enclave.value("stopping", false) ? " (stopping)" : "",
                     Shown(state.enclave.value("digest", "").substr(0, 16)),
                     state.enclave.value("pid", uint64_t{0})) +
         Table(rows);
}

bool PrintState(const State& state, bool json) {
  if (!json) return PrintOut(StateText(state));
  Json whole = state.enclave;
  whole["components"] = state.components;
  return PrintOut(JsonText(whole));
}

// Asks until `done` says so of the component.
int WaitFor(const std::string& enclave, const std::string& name, const std::string& what,
            const std::function<bool(const Json&)>& done) {
  constexpr int kTries = 600;
  for (int i = 0; i < kTries; ++i) {
    const auto state = AskState(enclave);
    if (!state) return state.error();
    const Json* row = state->Find(name);
    if (row != nullptr && done(*row)) return kExitDone;
    std::this_thread::sleep_for(milliseconds(100));
  }
  PrintError(fmt::format("`{}` {} within a minute", name, what));
  return kExitNo;
}

bool IsIn(const Json& row, std::initializer_list<std::string_view> states) {
  const std::string state = row.value("state", "");
  return std::ranges::find(states, state) != states.end();
}

}  // namespace

int ShowStatus(const Invocation& invocation) {
  const auto enclave = EnclaveOf(invocation);
  if (!enclave) return enclave.error();
  const bool json = invocation.One(Parameter::kFormat) == "json";
  const bool watch = !invocation.All(Parameter::kWatch).empty();
  for (;;) {
    const auto state = AskState(*enclave);
    if (!state) return state.error();
    // From the top of an empty screen.
    if (watch && !json && isatty(STDOUT_FILENO) != 0) PrintOut("\x1b[H\x1b[2J");
    if (!PrintState(*state, json)) return kExitCannot;
    if (!watch) return kExitDone;
    std::this_thread::sleep_for(milliseconds(1000));
  }
}

int StopRunning(const Invocation& invocation) {
  const auto enclave = EnclaveOf(invocation);
  if (!enclave) return enclave.error();
  const std::string name = invocation.One(Parameter::kService);
  auto conversation = Conversation::Open(*enclave, {ControlVerb::kStop, name, 0, false});
  if (!conversation) return conversation.error();
  if (name.empty()) {
    while (conversation->Next()) {
    }
    return kExitDone;  // its supervisor has ended
  }
  // The last one takes the enclave along.
  Fd fd;
  constexpr int kTries = 600;
  for (int i = 0; i < kTries && Connect(*enclave, fd) == 0; ++i) {
    const auto state = AskState(*enclave);
    if (!state) return Connect(*enclave, fd) == 0 ? state.error() : kExitDone;
    const Json* row = state->Find(name);
    if (row != nullptr && IsIn(*row, {"done", "failed"})) return kExitDone;
    std::this_thread::sleep_for(milliseconds(100));
  }
  if (Connect(*enclave, fd) != 0) return kExitDone;
  PrintError(fmt::format("`{}` did not end within a minute", name));
  return kExitNo;
}

int RestartRunning(const Invocation& invocation) {
  const auto enclave = EnclaveOf(invocation);
  if (!enclave) return enclave.error();
  const std::string name = invocation.One(Parameter::kServiceNeeded);
  const auto before = AskState(*enclave);
  if (!before) return before.error();
  const Json* was = before->Find(name);
  const Json pid = was == nullptr ? Json() : was->value("pid", Json());
  const auto conversation = Conversation::Open(*enclave, {ControlVerb::kRestart, name, 0, false});
  if (!conversation) return conversation.error();
  bool failed = false;
  const int code = WaitFor(*enclave, name, "was not ready again", [&](const Json& row) {
    const bool other = row.value("pid", Json()) != pid || pid.is_null();
    failed = other && IsIn(row, {"failed"});
    return failed || (other && row.value("ready", false));
  });
  if (!failed) return code;
  PrintError(
      fmt::format("`{}` was started again and has failed: `bulkhead logs {}` and the audit "
                  "log tell more",
                  name, name));
  return kExitNo;
}

int MeasureRunning(const Invocation& invocation) {
  const auto enclave = EnclaveOf(invocation);
  if (!enclave) return enclave.error();
  auto conversation = Conversation::Open(*enclave, {ControlVerb::kMeasure, {}, 0, false});
  if (!conversation) return conversation.error();
  const auto said = conversation->Next();
  if (!said || !said->is_object()) {
    PrintError("the supervisor gave no answer");
    return kExitCannot;
  }
  const bool json = invocation.One(Parameter::kFormat) == "json";
  const std::string text =
      json ? JsonText(*said)
           : fmt::format("{} is asked to take sha384:{}\n", Shown(said->value("register", "")),
                         Shown(said->value("head", "")));
  return PrintOut(text) ? kExitDone : kExitCannot;
}

int ShowLogs(const Invocation& invocation) {
  const auto enclave = EnclaveOf(invocation);
  if (!enclave) return enclave.error();
  const auto lines = invocation.Number(Parameter::kLines, 100, 0, kMaxControlLines);
  if (!lines) {
    PrintError(fmt::format("`--lines` takes a number up to {}", kMaxControlLines));
    return kExitWrongUsage;
  }
  const bool follow = !invocation.All(Parameter::kFollow).empty();
  auto conversation =
      Conversation::Open(*enclave, {ControlVerb::kLogs, invocation.One(Parameter::kService),
                                    static_cast<uint32_t>(*lines), follow});
  if (!conversation) return conversation.error();
  while (const auto line = conversation->Next()) {
    if (!line->is_object()) continue;
    const std::string text =
        fmt::format("{} | {}\n", Shown(line->value("component", "")), line->value("line", ""));
    if (!PrintOut(text)) return kExitCannot;
  }
  return kExitDone;
}

}  // namespace bulkhead
