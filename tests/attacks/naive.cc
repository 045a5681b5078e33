// SPDX-License-Identifier: Apache-2.0
// The attempts past naive rules, and under tools of others: on decoys, in namespaces made for them.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <sstream>

#include "tests/attacks/attacks.h"
#include "tests/attacks/compat.h"

namespace bulkhead::attacks {

namespace {

std::string Contents(const std::string& path) {
  const auto fd = static_cast<int>(Needed(open(path.c_str(), O_RDONLY | O_CLOEXEC), path));
  std::string text = Slurp(fd);
  close(fd);
  return text;
}

Place NaivePlace(const std::string& directory, const std::string& loader) {
  Place place;
  place.granted = directory + "/granted";
  place.decoy = directory + "/others/decoy";
  place.own = directory + "/own";
  place.program = directory + "/program";
  place.foreign = directory + "/foreign";
  place.set_id = directory + "/set-id";
  place.compat = directory + "/compat";
  place.dynamic = directory + "/own/dynamic";
  place.loader = loader;
  place.interpreter = "/usr/bin/python3";
  place.edge = directory + "/edge/s";
  place.other_edge = directory + "/other-edge/s";
  place.policy = directory + "/own/policy";
  place.audit = directory + "/own/audit";
  return place;
}

// What an attempt has changed is as it was for the next one.
void Furnish(const Place& place, const std::string& program, const std::string& plain) {
  for (const std::string& path : {place.decoy, place.own + "/x", place.edge, place.other_edge}) {
    mkdir(Directory(path).c_str(), 0755);
  }
  Needed(chmod(place.own.c_str(), 01777), "chmod");
  const auto write = [](const std::string& path, std::string_view text, mode_t mode) {
    unlink(path.c_str());
    WriteFile(path, text, mode);
  };
  write(place.granted, "granted", 0644);
  write(place.decoy, "decoy", 0600);
  write(place.program, program, 0755);
  write(place.compat, CompatProgram(), 0755);
  write(place.foreign, plain, 0755);
  write(place.set_id, program, 0755);
  Needed(chmod(place.set_id.c_str(), 04755), "chmod");
  write(place.dynamic, plain, 0755);
}

struct Furniture {
  std::string program;
  std::string plain;
};

Result Observe(const Place& place, const Furniture& furniture, const HalfRule& rule, const Way& way,
               bool ruled) {
  Furnish(place, furniture.program, furniture.plain);
  const Result result = InChild([&] {
    Place own = place;
    if (rule.prepare != nullptr) rule.prepare(own);
    if (way.before != nullptr) way.before(own);
    if (ruled) rule.rule(own);
    return way.attempt(own);
  });
  // Decoys whose maker is gone.
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  return result;
}

Furniture FurnitureHere() { return {Contents("/proc/self/exe"), Contents("/usr/bin/true")}; }

// What is tried here reaches nothing of the machine's but its kernel.
int InNamespaces(const std::string& directory, const std::function<int()>& body) {
  Needed(unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID),
         "namespaces");
  const auto child = static_cast<pid_t>(Needed(fork(), "fork"));
  if (child == 0) {
    Needed(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "to die with its maker");
    Needed(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private mounts");
    Needed(mount("proc", "/proc", "proc", 0, nullptr), "a /proc");
    Needed(mount("tmpfs", directory.c_str(), "tmpfs", 0, "mode=0755"), directory);
    umask(022);
    RaiseLoopback();
    const int code = body();
    std::fflush(stdout);
    _exit(code);
  }
  int status = 0;
  Needed(waitpid(child, &status, 0), "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

void TryRule(const Place& place, const Furniture& furniture, const HalfRule& rule) {
  const auto observe = [&](bool ruled, std::string_view kind, const Way& way) {
    const Result result = Observe(place, furniture, rule, way, ruled);
    Tell(rule, ruled ? "rule" : "bare", kind, way, result);
    return result;
  };
  for (const Way& named : rule.named) {
    observe(false, "named", named);
    observe(true, "named", named);
  }
  observe(true, "intended", rule.intended);
  for (const Way& way : rule.ways) {
    // Whether it is the rule that stops it, or the kernel has no such thing.
    if (observe(true, "way", way) != 0) observe(false, "way", way);
  }
}

// --- under a tool --------------------------------------------------------------------------------

// What the command prints, with these words of ours behind its own.
std::string OutputOf(std::vector<std::string> command, const std::vector<std::string>& words) {
  command.insert(command.end(), words.begin(), words.end());
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::array<int, 2> ends{};
  Needed(pipe2(ends.data(), O_CLOEXEC), "a pipe");
  const auto child = static_cast<pid_t>(Needed(fork(), "fork"));
  if (child == 0) {
    Needed(dup2(ends[1], STDOUT_FILENO), "dup2");
    execvp(argv[0], argv.data());
    Broken(argv[0]);
  }
  close(ends[1]);
  std::string text = Slurp(ends[0]);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return text;
}

// The line that begins so, without that, or nothing.
std::string LineOf(const std::string& text, const std::string& start) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(start)) return line.substr(start.size());
  }
  return "";
}

void TryUnderTool(const Place& place, const Furniture& furniture,
                  const std::vector<std::string>& command, const Attack& attack) {
  Furnish(place, furniture.program, furniture.plain);
  const std::string id(attack.rule->id);
  const std::string name(attack.way->name);
  const Result told = InChild([&] {
    Place own = place;
    if (attack.rule->prepare != nullptr) attack.rule->prepare(own);
    if (attack.way->before != nullptr) attack.way->before(own);
    std::vector<std::string> words{own.program, "inside"};
    for (std::string& word : WordsOf(own)) words.push_back(std::move(word));
    words.insert(words.end(), {"attack", id + "/" + name});
    const std::string result = LineOf(OutputOf(command, words), id + " tool way " + name + " ");
    std::printf("%s tool way %s %s\n", id.c_str(), name.c_str(),
                result.empty() ? "ended" : result.c_str());
    std::fflush(stdout);
    return 0;
  });
  if (told != 0) {
    std::printf("%s tool way %s %s\n", id.c_str(), name.c_str(), ResultText(told).c_str());
  }
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

}  // namespace

int Naive(const std::string& directory, const std::string& loader) {
  return InNamespaces(directory, [&] {
    const Place place = NaivePlace(directory, loader);
    const Furniture furniture = FurnitureHere();
    for (const HalfRule& rule : AllRules()) TryRule(place, furniture, rule);
    return 0;
  });
}

int UnderTool(const std::string& directory, const std::string& loader,
              const std::vector<std::string>& command) {
  return InNamespaces(directory, [&] {
    // Firejail does nothing where it sees no process of the kernel's: it takes that for a sandbox.
    const auto kernel = static_cast<pid_t>(Needed(fork(), "fork"));
    if (kernel == 0) {
      prctl(PR_SET_NAME, "kthreadd", 0, 0, 0);
      for (;;) pause();
    }
    const Place place = NaivePlace(directory, loader);
    const Furniture furniture = FurnitureHere();
    Furnish(place, furniture.program, furniture.plain);
    // A tool under which nothing runs would refuse everything.
    const std::string ran =
        OutputOf(command, {place.program, "inside", "granted=" + place.granted, "reads"});
    if (LineOf(ran, "reads ") != "passed") {
      std::fprintf(stderr, "nothing runs under it: %s\n", ran.c_str());
      return 1;
    }
    for (const Attack& attack : AllAttacks()) TryUnderTool(place, furniture, command, attack);
    return 0;
  });
}

}  // namespace bulkhead::attacks
