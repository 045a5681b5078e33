// SPDX-License-Identifier: Apache-2.0
// Rules on which programs run, and what runs all the same.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "profiles/landlock.h"
#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

constexpr int kLaunchDescriptor = 100;
constexpr mode_t kProgram = 0755;

// What becomes of this process where it can't become that program.
Result Becomes(const std::string& program, std::vector<std::string> arguments) {
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::array<char*, 1> environment{};
  execve(program.c_str(), argv.data(), environment.data());
  return errno;
}

Result BecomesDescriptor(int fd) {
  std::string name = "program";
  std::string ran = "ran";
  std::array<char*, 3> argv{name.data(), ran.data(), nullptr};
  std::array<char*, 1> environment{};
  syscall(SYS_execveat, fd, "", argv.data(), environment.data(), AT_EMPTY_PATH);
  return errno;
}

Result RunsForeign(Place& place) { return Runs(place.foreign, {}); }
Result RunsProgram(Place& place) { return Runs(place.program, {"ran"}); }
Result RunsDynamic(Place& place) { return Runs(place.dynamic, {}); }

// Writes what a file holds into another one, or says why it can't.
Result Copy(const std::string& from, int to) {
  const int fd = open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const std::string text = Slurp(fd);
  close(fd);
  const ssize_t size = write(to, text.data(), text.size());
  if (size == static_cast<ssize_t>(text.size())) return 0;
  return size < 0 ? errno : ENOSPC;
}

Result CopyTo(const std::string& from, const std::string& to) {
  unlink(to.c_str());
  const int fd = open(to.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, kProgram);
  if (fd < 0) return errno;
  const Result result = Copy(from, fd);
  // Made so, but where the umask has other ideas.
  struct stat made {};
  if (fstat(fd, &made) == 0 && (made.st_mode & S_IXUSR) == 0) fchmod(fd, kProgram);
  close(fd);
  return result;
}

void Listed(std::vector<std::string> programs) {
  Landlock rules{.files = landlock::kExecute};
  for (std::string& program : programs) {
    rules.paths.push_back({std::move(program), landlock::kExecute});
  }
  Restrict(rules);
}

// --- execute-memfd, execute-launch-descriptor ----------------------------------------------------

void ProgramAlone(Place& place) { Listed({place.program}); }

Result MemoryProgram(Place& place, int& fd) {
  fd = static_cast<int>(syscall(SYS_memfd_create, "program", 0));
  return fd < 0 ? errno : Copy(place.program, fd);
}

Result RunsMemory(Place& place) {
  int fd = -1;
  if (const Result result = MemoryProgram(place, fd); result != 0) return result;
  return Executes([&] { return BecomesDescriptor(fd); });
}

Result RunsMemoryByPath(Place& place) {
  int fd = -1;
  if (const Result result = MemoryProgram(place, fd); result != 0) return result;
  return Runs("/proc/self/fd/" + std::to_string(fd), {"ran"});
}

void LaunchOnly(Place& /*place*/) {
  Deny({{SYS_execve, {}}, {SYS_execveat, {{Test::Kind::kDiffers32, 0, kLaunchDescriptor}}}});
}

Result RunsFromLaunchDescriptor(int fd) {
  Needed(dup2(fd, kLaunchDescriptor), "dup2");
  return Executes([] { return BecomesDescriptor(kLaunchDescriptor); });
}

Result LaunchesMemory(Place& place) {
  int fd = -1;
  if (const Result result = MemoryProgram(place, fd); result != 0) return result;
  return RunsFromLaunchDescriptor(fd);
}

Result LaunchesWritten(Place& place) {
  const std::string written = place.own + "/launched";
  if (const Result result = CopyTo(place.program, written); result != 0) return result;
  return RunsFromLaunchDescriptor(open(written.c_str(), O_RDONLY | O_CLOEXEC));
}

Result LaunchesItself(Place& place) {
  return RunsFromLaunchDescriptor(open(place.program.c_str(), O_RDONLY | O_CLOEXEC));
}

// --- execute-loader ------------------------------------------------------------------------------

void LoaderListed(Place& place) { Listed({place.loader, place.dynamic}); }

Result RunsCopy(Place& place) {
  const std::string copy = place.own + "/copy";
  if (const Result result = CopyTo(place.dynamic, copy); result != 0) return result;
  return Runs(copy, {});
}

Result LoadsCopy(Place& place) {
  const std::string copy = place.own + "/copy";
  if (const Result result = CopyTo(place.dynamic, copy); result != 0) return result;
  return Runs(place.loader, {copy});
}

// --- execute-script ------------------------------------------------------------------------------

void InterpreterListed(Place& place) { Listed({place.interpreter, place.loader}); }

std::string Script(const Place& place) {
  std::string path = place.own + "/script";
  WriteFile(path, "#!" + place.interpreter + "\nraise SystemExit(200)\n", kProgram);
  Needed(chmod(path.c_str(), kProgram), "chmod");
  return path;
}

Result RunsScript(Place& place) { return Runs(Script(place), {}); }
Result RunsInterpreter(Place& place) { return Runs(place.interpreter, {"-I", "-S", "-c", ""}); }
Result InterpretsScript(Place& place) {
  return Runs(place.interpreter, {"-I", "-S", Script(place)});
}

// --- execute-written -----------------------------------------------------------------------------

// A list that holds what is writable.
void OwnListed(Place& place) { Listed({place.own, place.program, place.dynamic, place.loader}); }

Result RunsAdded(Place& place) {
  const std::string added = place.own + "/added";
  if (const Result result = CopyTo(place.program, added); result != 0) return result;
  return Runs(added, {"ran"});
}

Result RunsOverwritten(Place& place) {
  const int fd = open(place.dynamic.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (fd < 0) return errno;
  if (const Result result = Copy(place.program, fd); result != 0) return result;
  close(fd);
  return Runs(place.dynamic, {"ran"});
}

Result RunsRenamed(Place& place) {
  const std::string written = place.own + "/renamed";
  if (const Result result = CopyTo(place.program, written); result != 0) return result;
  if (rename(written.c_str(), place.dynamic.c_str()) != 0) return errno;
  return Runs(place.dynamic, {"ran"});
}

// --- execute-set-id ------------------------------------------------------------------------------

Result RunsAsRoot(Place& place) { return Runs(place.set_id, {"root"}); }

}  // namespace

Result Runs(const std::string& program, const std::vector<std::string>& arguments) {
  return Executes([&] { return Becomes(program, arguments); });
}

std::vector<HalfRule> ExecuteRules() {
  const std::vector<Way> foreign{{"execve", RunsForeign}};
  const Way program{"execve-listed", RunsProgram};
  return {
      {"execute-memfd",
       nullptr,
       ProgramAlone,
       foreign,
       program,
       {{"memfd", RunsMemory}, {"memfd-by-path", RunsMemoryByPath}}},
      {"execute-launch-descriptor",
       nullptr,
       LaunchOnly,
       {{"execve", RunsProgram}},
       {"read", ReadsGranted},
       {{"memfd", LaunchesMemory}, {"written", LaunchesWritten}, {"itself", LaunchesItself}}},
      {"execute-loader",
       nullptr,
       LoaderListed,
       {{"execve", RunsCopy, nullptr, false, true}},
       {"execve-listed", RunsDynamic},
       {{"loader", LoadsCopy}}},
      {"execute-script",
       nullptr,
       InterpreterListed,
       {{"execve", RunsScript, nullptr, false, true}},
       {"execve-listed", RunsInterpreter},
       {{"interpreter", InterpretsScript, nullptr, true}}},
      {"execute-set-id",
       nullptr,
       BecomeNobody,
       {{"open", ReadsDecoy}},
       program,
       {{"set-user-id", RunsAsRoot}}},
      {"execute-written",
       nullptr,
       OwnListed,
       foreign,
       program,
       {{"added", RunsAdded, nullptr, false, true},
        {"overwritten", RunsOverwritten},
        {"renamed", RunsRenamed}}},
  };
}

}  // namespace bulkhead::attacks
