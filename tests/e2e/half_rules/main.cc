// SPDX-License-Identifier: Apache-2.0
// Tries half rules and what passes them:
//
//   half_rules list                       what there is, `ID NAME` a way
//   half_rules naive DIRECTORY LOADER     all of them, past the naive rule; in namespaces of
//                                         its own, with the directory as an empty mount
//   half_rules inside NAME=VALUE... ID... from inside a component
//   half_rules give NAME=VALUE...         hands descriptors to whoever asks on a listener
//   half_rules ran                        says by its exit code that it was executed
//   half_rules root                       and as root
//
// An observation is a line `ID PHASE KIND NAME RESULT`: phase bare (no rule), rule or inside; kind
// named, intended or way; the result `passed`, an errno, a signal or `exit:N`. Exit code 0 means
// that all were made, not that any came out well.
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <optional>
#include <span>

#include "tests/e2e/half_rules/half_rules.h"

namespace bulkhead::half_rules {
namespace {

std::vector<HalfRule> AllRules() {
  std::vector<HalfRule> rules;
  for (auto part : {TcpRules(), FileRules(), NodeRules(), DescriptorRules(), ExecuteRules(),
                    MemoryRules(), CallRules(), ProcessRules(), SignalRules(), SupervisorRules()}) {
    std::ranges::move(part, std::back_inserter(rules));
  }
  return rules;
}

std::string Text(Result result) {
  if (result == 0) return "passed";
  if (result < 0) return std::string("SIG") + sigabbrev_np(-result);
  if (result >= kExit) return "exit:" + std::to_string(result - kExit);
  const char* const name = strerrorname_np(result);
  return name == nullptr ? "errno:" + std::to_string(result) : name;
}

void Tell(const HalfRule& rule, std::string_view phase, std::string_view kind, const Way& way,
          Result result) {
  std::printf("%s %s %s %s %s\n", std::string(rule.id).c_str(), std::string(phase).c_str(),
              std::string(kind).c_str(), std::string(way.name).c_str(), Text(result).c_str());
  std::fflush(stdout);
}

// --- past the naive rule -------------------------------------------------------------------------

void RaiseLoopback() {
  const auto fd = static_cast<int>(Needed(socket(AF_INET, SOCK_DGRAM, 0), "a socket"));
  ifreq request{};
  std::string_view("lo").copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_UP;
  Needed(ioctl(fd, SIOCSIFFLAGS, &request), "the loopback");
  close(fd);
}

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

int Naive(const std::string& directory, const std::string& loader) {
  umask(022);
  RaiseLoopback();
  const Place place = NaivePlace(directory, loader);
  const Furniture furniture{Contents("/proc/self/exe"), Contents("/usr/bin/true")};
  for (const HalfRule& rule : AllRules()) {
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
  return 0;
}

// --- from inside ---------------------------------------------------------------------------------

std::optional<long> Number(std::string_view text) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
  if (error != std::errc() || end != text.end()) return std::nullopt;
  return value;
}

void Set(Place& place, std::string_view name, const std::string& value) {
  const long number = Number(value).value_or(0);
  if (name == "allowed-port") place.allowed_port = static_cast<uint16_t>(number);
  if (name == "other-port") place.other_port = static_cast<uint16_t>(number);
  if (name == "listener") place.listener = static_cast<int>(number);
  if (name == "ipc-key") place.ipc_key = static_cast<int>(number);
  if (name == "granted") place.granted = value;
  if (name == "decoy") place.decoy = value;
  if (name == "own") place.own = value;
  if (name == "program") place.program = value;
  if (name == "foreign") place.foreign = value;
  if (name == "set-id") place.set_id = value;
  if (name == "loader") place.loader = value;
  if (name == "dynamic") place.dynamic = value;
  if (name == "interpreter") place.interpreter = value;
  if (name == "edge") place.edge = value;
  if (name == "other-edge") place.other_edge = value;
  if (name == "policy") place.policy = value;
  if (name == "audit") place.audit = value;
}

// Takes NAME=VALUE off the front.
Place Given(std::span<char*>& arguments) {
  Place place;
  place.self = getpid();
  place.terminal_path = "/dev/tty";
  for (; !arguments.empty(); arguments = arguments.subspan(1)) {
    const std::string_view argument = arguments[0];
    const size_t equals = argument.find('=');
    if (equals == std::string_view::npos) break;
    Set(place, argument.substr(0, equals), std::string(argument.substr(equals + 1)));
  }
  return place;
}

int Inside(std::span<char*> arguments) {
  const Place place = Given(arguments);
  const std::vector<HalfRule> rules = AllRules();
  for (const char* const id : arguments) {
    const auto rule = std::ranges::find(rules, id, &HalfRule::id);
    if (rule == rules.end()) Broken(id);
    const auto observe = [&](std::string_view kind, const Way& way) {
      const Result result = InChild([&] {
        Place own = place;
        return way.attempt(own);
      });
      Tell(*rule, "inside", kind, way, result);
    };
    observe("intended", rule->intended);
    for (const Way& named : rule->named) observe("named", named);
    for (const Way& way : rule->ways) observe("way", way);
  }
  std::printf("done\n");
  return 0;
}

int GiveAll(std::span<char*> arguments) {
  const Place place = Given(arguments);
  for (;;) {
    const auto client =
        static_cast<int>(Needed(accept(place.listener, nullptr, nullptr), "accept"));
    if (fork() == 0) Give(place, client);
    close(client);
  }
}

int List() {
  for (const HalfRule& rule : AllRules()) {
    for (const Way& way : rule.ways) {
      std::printf("%s %s\n", std::string(rule.id).c_str(), std::string(way.name).c_str());
    }
  }
  return 0;
}

}  // namespace
}  // namespace bulkhead::half_rules

int main(int argc, char** argv) {
  using namespace bulkhead::half_rules;
  const std::span<char*> arguments(argv, static_cast<size_t>(argc));
  const std::string_view what = argc > 1 ? arguments[1] : "";
  if (what == "ran") return kRan;
  if (what == "root") return geteuid() == 0 ? kRan : 1;
  if (what == "list") return List();
  if (what == "naive" && argc == 4) return Naive(arguments[2], arguments[3]);
  if (what == "inside") return Inside(arguments.subspan(2));
  if (what == "give") return GiveAll(arguments.subspan(2));
  std::fprintf(
      stderr,
      "usage: half_rules list | naive DIRECTORY LOADER | inside ... | give ... | ran | root\n");
  return 2;
}
