// SPDX-License-Identifier: Apache-2.0
//
// libattack.so: the intruder inside nginx. Preloaded, it counts the connections
// that a worker accepts; at the AGENT_ATTACK_AFTERth (default 20) one worker
// starts a thread, which runs the gateway's rows of attacks.table while the
// worker serves on, and writes one JSON line a row to stderr, each behind
// "attack: ". A file below /tmp makes sure that it happens once, also when the
// last rows end the worker and the master starts another.
//
// Parameters are lines NAME=VALUE of the file AGENT_ATTACK_PARAMETERS names,
// read at that moment; default: `parameters` beside the library's usual place.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "examples/agent-enclave/attack/machine.h"
#include "examples/agent-enclave/attack/table.h"

namespace bulkhead::attack {
namespace {

constexpr std::string_view kComponent = "gateway";
constexpr char kMarker[] = "/tmp/attack-begun";
constexpr char kParameterFile[] = "/opt/agent-enclave/attack/parameters";

// Plain and zero-initialised: nginx forks its workers after the library is
// loaded.
struct Trigger {
  std::array<char, 256> parameter_file;
  int after;
  std::atomic<int> accepted;
};
Trigger trigger;

Parameters ReadParameters(const Table& table) {
  Parameters parameters;
  for (const auto& [name, value] : table.defaults) parameters.emplace(name, value);
  FILE* file = fopen(trigger.parameter_file.data(), "re");
  if (file == nullptr) return parameters;
  std::array<char, 512> line;
  while (fgets(line.data(), line.size(), file) != nullptr) {
    std::string_view text(line.data());
    if (text.ends_with('\n')) text.remove_suffix(1);
    size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    parameters.insert_or_assign(std::string(text.substr(0, equals)),
                                std::string(text.substr(equals + 1)));
  }
  fclose(file);
  return parameters;
}

// Numbers of processes differ between namespaces: one that belongs to this service here is no peer,
// so process 1 takes its place.
void UseForeignPeer(Parameters* parameters) {
  struct stat status = {};
  std::string path = "/proc/" + (*parameters)["peer"];
  if (geteuid() == 0 || stat(path.c_str(), &status) != 0) return;
  if (status.st_uid == geteuid()) (*parameters)["peer"] = "1";
}

long BootTime() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000'000L + now.tv_nsec;
}

const char* ResultName(Result result) {
  switch (result) {
    case Result::kSucceeded:
      return "succeeded";
    case Result::kRefused:
      return "refused";
    case Result::kAbsent:
      return "absent";
    case Result::kKilled:
      return "killed";
    case Result::kBroken:
      return "broken";
  }
  return "broken";
}

std::string Quoted(std::string_view text) {
  return text.empty() ? "null" : "\"" + std::string(text) + "\"";
}

void WriteLine(const std::string& line) {
  std::string whole = "attack: " + line + "\n";
  if (write(STDERR_FILENO, whole.data(), whole.size()) < 0) _exit(1);
}

void Print(const Row& row, const Outcome& outcome, long start) {
  const char* error = outcome.error == 0 ? nullptr : strerrorname_np(outcome.error);
  std::string_view call = outcome.call.empty() ? row.LastCall() : std::string_view(outcome.call);
  WriteLine("{\"row\": " + Quoted(row.name) + ", \"goal\": " + Quoted(row.goal) +
            ", \"asset\": " + Quoted(row.Attribute("asset")) + ", \"syscall\": " + Quoted(call) +
            ", \"result\": " + Quoted(ResultName(outcome.result)) +
            ", \"errno\": " + Quoted(error == nullptr ? "" : error) +
            ", \"detail\": " + Quoted(outcome.detail) + ", \"start_ns\": " + std::to_string(start) +
            ", \"end_ns\": " + std::to_string(BootTime()) + "}");
}

// An outcome in a form that goes through a pipe in one piece.
struct Report {
  Result result;
  int error;
  std::array<char, 32> call;
  std::array<char, 64> detail;
};

bool Send(int writer, const Outcome& outcome) {
  Report report = {outcome.result, outcome.error, {}, {}};
  outcome.call.copy(report.call.data(), report.call.size() - 1);
  outcome.detail.copy(report.detail.data(), report.detail.size() - 1);
  return write(writer, &report, sizeof(report)) == sizeof(report);
}

// Nothing comes from a process that became another program or was killed.
std::optional<Outcome> Receive(int reader) {
  Report report = {};
  if (read(reader, &report, sizeof(report)) != sizeof(report)) return std::nullopt;
  return Outcome{report.result, report.error, report.call.data(), report.detail.data()};
}

Outcome FromStatus(const Row& row, int status) {
  if (WIFSIGNALED(status)) {
    return {Result::kKilled, 0, "", "signal " + std::to_string(WTERMSIG(status))};
  }
  std::string code = std::to_string(WEXITSTATUS(status));
  bool met = row.Has("exit") && row.Attribute("exit") == code;
  return {met ? Result::kSucceeded : Result::kRefused, 0, "", "ended with " + code};
}

// Runs `work` in a forked process and returns what it sent; `unsent` makes an outcome of its wait
// status if it sent nothing. Empty if no process can be had.
template <typename Work, typename Unsent>
std::optional<Outcome> InProcess(Work work, Unsent unsent) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    _exit(Send(ends[1], work()) ? 0 : 1);
  }
  close(ends[1]);
  std::optional<Outcome> outcome;
  if (pid > 0) {
    outcome = Receive(ends[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    if (!outcome) outcome = unsent(status);
  }
  close(ends[0]);
  return outcome;
}

// nginx's handler of SIGCHLD waits for any child, so the one whose status counts is a grandchild
// and its parent has the default handler.
std::optional<Outcome> RunInChild(const Table& table, const Parameters& parameters,
                                  const Row& row) {
  auto attempt = [&] { return Machine(table, parameters).Run(row); };
  auto parent = [&] {
    signal(SIGCHLD, SIG_DFL);
    auto outcome = InProcess(attempt, [&](int status) { return FromStatus(row, status); });
    return outcome ? *outcome : attempt();
  };
  return InProcess(parent, [&](int) {
    return Outcome{Result::kKilled, 0, "", "in the only child it could have"};
  });
}

void RunRow(const Table& table, const Parameters& parameters, const Row& row) {
  long start = BootTime();
  std::optional<Outcome> outcome;
  if (row.Has("child")) outcome = RunInChild(table, parameters, row);
  if (!outcome && row.Has("last")) {
    // In place it may end this process: the line before it is then the only
    // trace.
    Print(row, {Result::kKilled, 0, "", "in place; a later line of this row replaces this one"},
          start);
  }
  if (!outcome) {
    Machine machine(table, parameters);
    outcome = machine.Run(row);
  }
  Print(row, *outcome, start);
}

void* Attack(void*) {
  std::optional<Table> table = ParseTable(TableText());
  if (!table) {
    WriteLine("{\"row\": \"table\", \"result\": \"broken\"}");
    return nullptr;
  }
  Parameters parameters = ReadParameters(*table);
  UseForeignPeer(&parameters);
  for (bool last : {false, true}) {
    for (const Row& row : table->rows) {
      bool mine = false;
      for (std::string_view name : Split(row.Attribute("by"), ',')) mine |= name == kComponent;
      if (mine && row.Has("last") == last) RunRow(*table, parameters, row);
    }
  }
  WriteLine("{\"row\": \"end\", \"result\": \"end\"}");
  return nullptr;
}

void StartOnce() {
  int marker = open(kMarker, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (marker < 0) return;
  close(marker);
  pthread_t thread;
  if (pthread_create(&thread, nullptr, Attack, nullptr) == 0) pthread_detach(thread);
}

// nginx clears its environment early, so what is in there is taken now.
__attribute__((constructor)) void TakeEnvironment() {
  const char* file = getenv("AGENT_ATTACK_PARAMETERS");
  const char* after = getenv("AGENT_ATTACK_AFTER");
  snprintf(trigger.parameter_file.data(), trigger.parameter_file.size(), "%s",
           file == nullptr ? kParameterFile : file);
  trigger.after = after == nullptr ? 20 : atoi(after);
}

void CountAccepted() {
  if (trigger.accepted.fetch_add(1) + 1 == trigger.after) StartOnce();
}

}  // namespace
}  // namespace bulkhead::attack

// Stands before the C library's: nginx's workers accept by it.
extern "C" __attribute__((visibility("default"))) int accept4(int listener, sockaddr* address,
                                                              socklen_t* size, int flags) {
  long fd = syscall(SYS_accept4, listener, address, size, flags);
  if (fd >= 0) bulkhead::attack::CountAccepted();
  return static_cast<int>(fd);
}
