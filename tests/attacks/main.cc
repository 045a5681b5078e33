// SPDX-License-Identifier: Apache-2.0
// The attack suite: one static program, a class of attacks each of whose attempts is a function.
//
//   bulkhead-attacks list                       the ways of all classes, `ID NAME` each
//   bulkhead-attacks attacks                    what is an attack in any compartment, numbered
//   bulkhead-attacks naive DIRECTORY LOADER     past naive rules
//   bulkhead-attacks under DIRECTORY LOADER COMMAND...   under another tool, as root
//   bulkhead-attacks outside DIRECTORY          around a supervisor (attacks.h)
//   bulkhead-attacks inside NAME=VALUE... ...   from inside (attacks.h)
//   bulkhead-attacks give NAME=VALUE...         hands descriptors to whoever asks on a listener
//   bulkhead-attacks vsock-client PORT          connects there, if so, and says what it is sent
//   bulkhead-attacks vsock                      whether vsock addresses may be used here (vsock.h)
//   bulkhead-attacks idle                       does nothing, until it is ended
//   /init                                       as PID 1 of a guest (attacks.h)
//   /init                                       as PID 1 of an image (attacks.h)
//   bulkhead-attacks ran                        says by its exit code that it was executed
//   bulkhead-attacks root                       and as root
//
// naive and under make namespaces of their own: nothing of the machine's is within reach. Exit code
// 0 means that all attempts were made, not that any came out well.
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <set>

#include "tests/attacks/attacks.h"
#include "tests/attacks/vsock.h"

namespace bulkhead::attacks {

const std::vector<HalfRule>& AllRules() {
  static const std::vector<HalfRule> rules = [] {
    std::vector<HalfRule> all;
    for (auto part : {TcpRules(), FileRules(), DescriptorRules(), ExecuteRules(), MemoryRules(),
                      CallRules(), ProcessRules(), SignalRules(), SupervisorRules(), NodeRules()}) {
      std::ranges::move(part, std::back_inserter(all));
    }
    return all;
  }();
  return rules;
}

std::vector<Attack> AllAttacks() {
  std::vector<Attack> attacks;
  std::set<Attempt> known;
  const auto add = [&](const HalfRule& rule, const Way& way) {
    if (!way.relative && known.insert(way.attempt).second) attacks.push_back({&rule, &way});
  };
  for (const HalfRule& rule : AllRules()) {
    for (const Way& named : rule.named) add(rule, named);
    for (const Way& way : rule.ways) add(rule, way);
  }
  return attacks;
}

std::string ResultText(Result result) {
  if (result == 0) return "passed";
  if (result < 0) return std::string("SIG") + sigabbrev_np(-result);
  if (result >= kExit) return "exit:" + std::to_string(result - kExit);
  const char* const name = strerrorname_np(result);
  return name == nullptr ? "errno:" + std::to_string(result) : name;
}

void Tell(const HalfRule& rule, std::string_view phase, std::string_view kind, const Way& way,
          Result result) {
  std::printf("%s %s %s %s %s\n", std::string(rule.id).c_str(), std::string(phase).c_str(),
              std::string(kind).c_str(), std::string(way.name).c_str(), ResultText(result).c_str());
  std::fflush(stdout);
}

namespace {

int GiveAll(std::span<char*> words) {
  const Place place = TakePlace(words);
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

int ListAttacks() {
  for (const Attack& attack : AllAttacks()) {
    std::printf("%s %s%s\n", std::string(attack.rule->id).c_str(),
                std::string(attack.way->name).c_str(), attack.way->quiet ? " quiet" : "");
  }
  return 0;
}

// Both kinds of calls with an address: where they may not be made, neither is.
int TryVsock() {
  constexpr uint32_t kPort = 40001;
  const bool listens = ListenVsock(kPort) >= 0;
  const std::string listened = ResultText(listens ? 0 : errno);
  const int client = socket(AF_VSOCK, SOCK_STREAM, 0);
  const bool connects = ConnectVsock(client, kPort) == 0;
  std::printf("%s: listen %s, connect %s\n", InOwnGuest() ? "a guest of ours" : "no guest of ours",
              listened.c_str(), ResultText(connects ? 0 : errno).c_str());
  return 0;
}

// The byte that the listener sends, or why there is none; then it goes.
int AskVsock(const char* port) {
  const int client = socket(AF_VSOCK, SOCK_STREAM, 0);
  char byte = 0;
  const bool connects =
      ConnectVsock(client, static_cast<uint32_t>(std::strtoul(port, nullptr, 10))) == 0;
  const bool answered = connects && read(client, &byte, 1) == 1;
  std::printf("%s\n", answered ? std::string(1, byte).c_str() : ResultText(errno).c_str());
  return answered ? 0 : 1;
}

int Dispatch(std::span<char*> arguments) {
  const std::string_view what = arguments.size() > 1 ? arguments[1] : "";
  const std::vector<std::string> words(arguments.begin(), arguments.end());
  if (words[0] == "/init" && getpid() == 1 && access("/enclave.bundle", F_OK) == 0) {
    return Machine();
  }
  if (what == "ran") return kRan;
  if (what == "root") return geteuid() == 0 ? kRan : 1;
  if (what == "list") return List();
  if (what == "attacks") return ListAttacks();
  if (what == "naive" && words.size() == 4) return Naive(words[2], words[3]);
  if (what == "under" && words.size() > 4) {
    return UnderTool(words[2], words[3], {words.begin() + 4, words.end()});
  }
  if (what == "idle") {
    while (pause() < 0 && errno == EINTR) {
    }
    return 0;
  }
  if (what == "outside" && words.size() == 3) return Outside(words[2]);
  if (what == "vsock") return TryVsock();
  if (what == "vsock-client" && arguments.size() > 2) return AskVsock(arguments[2]);
  if (what == "inside") return Inside(arguments.subspan(2));
  if (what == "give") return GiveAll(arguments.subspan(2));
  std::fprintf(stderr,
               "usage: bulkhead-attacks list | attacks | naive DIRECTORY LOADER |\n"
               "       under DIRECTORY LOADER COMMAND... | outside DIRECTORY |\n"
               "       inside ... | give ... | vsock | vsock-client PORT | idle | ran | root\n");
  return 2;
}

}  // namespace
}  // namespace bulkhead::attacks

int main(int argc, char** argv) {
  return bulkhead::attacks::Dispatch(std::span<char*>(argv, static_cast<size_t>(argc)));
}
