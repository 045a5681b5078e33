// SPDX-License-Identifier: Apache-2.0
#include "cli/attack_suite.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "cli/child.h"
#include "cli/files.h"
#include "cli/json.h"
#include "cli/probe_bundle.h"
#include "cli/runtime.h"
#include "engine/audit_verify.h"
#include "engine/line_log.h"

namespace bulkhead {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;

constexpr std::string_view kDirectory = "/run/bulkhead-probe";
constexpr std::string_view kSuiteName = "bulkhead-attacks";
// An attempt ends itself after 20 s.
constexpr std::chrono::seconds kLongestAttempt(30);
constexpr std::chrono::seconds kLongestBegin(20);
constexpr std::chrono::milliseconds kGlance(100);
constexpr size_t kMaxProgram = 64U << 20;

std::string In(std::string_view name) { return fmt::format("{}/{}", kDirectory, name); }

std::string Why(std::string_view what) { return fmt::format("{}: {}", what, strerror(errno)); }

Words Split(const std::string& line) {
  std::istringstream stream(line);
  Words words;
  for (std::string word; stream >> word;) words.push_back(std::move(word));
  return words;
}

int64_t NumberOf(std::string_view text) {
  int64_t value = -1;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// --- one boot ------------------------------------------------------------------------------------

struct Watched {
  size_t next = 0;  // the attack that is the next one to be made
  bool done = false;
  bool gone = false;
  bool begun = false;  // an attempt, and not ended it
  std::string ended;   // of one that is gone: how
  int64_t killed = 0;  // for a violation, in this boot: when, in nanoseconds since boot
  std::vector<SuiteAttempt> attempts;
};
using AllWatched = std::map<std::string, Watched>;

// A line of the suite's from inside, as attacks.h has it.
void Note(Watched& component, const std::vector<AttackInfo>& attacks, const std::string& text) {
  const Words words = Split(text);
  const bool begins = words.size() == 5 && words[0] == "attack";
  const bool ends = words.size() == 4 && words[0] == "result";
  if (text == "done") component.done = true;
  if (!begins && !ends) return;
  const auto index = static_cast<size_t>(NumberOf(words[1]));
  if (index != component.next || index >= attacks.size() || begins == component.begun) return;
  if (begins) {
    component.attempts.push_back(
        {attacks[index].attack, attacks[index].quiet, "ended", NumberOf(words[4]), INT64_MAX});
  } else {
    component.attempts.back().result = words[2];
    component.attempts.back().end = NumberOf(words[3]);
    ++component.next;
  }
  component.begun = begins;
}

// Events so far; a line that is still being written is left for later.
class LogReader {
 public:
  explicit LogReader(const std::string& path) : file_(path) {}

  template <typename Visit>
  void Read(Visit visit) {
    file_.clear();
    for (;;) {
      const auto before = file_.tellg();
      std::string line;
      if (!std::getline(file_, line) || file_.eof()) {
        file_.clear();
        file_.seekg(before);
        return;
      }
      const Json event = Json::parse(line, nullptr, false);
      if (event.is_object()) visit(event);
    }
  }

 private:
  std::ifstream file_;
};

int64_t Nanoseconds(const std::string& time) {
  const size_t point = time.find('.');
  if (point == std::string::npos) return 0;
  return NumberOf(std::string_view(time).substr(0, point)) * 1'000'000'000 +
         NumberOf(std::string_view(time).substr(point + 1));
}

void NoteExits(const std::string& audit, AllWatched& watched, std::streamoff from) {
  std::ifstream file(audit);
  file.seekg(from);
  for (std::string line; std::getline(file, line);) {
    const Json event = Json::parse(line, nullptr, false);
    if (!event.is_object()) continue;
    const auto component = watched.find(event.value("component", ""));
    if (component == watched.end()) continue;
    const std::string action = event.value("action", "");
    if (action == "violation") component->second.killed = Nanoseconds(event.value("time", ""));
    if (action != "exit") continue;
    component->second.gone = true;
    component->second.ended = event.value("/extra/detail"_json_pointer, std::string());
  }
}

// Where there are no children an attempt that executes a program becomes it, and ends as that does:
// with 200 the suite's own, with 0 /usr/bin/true.
std::string EndOf(const std::string& how) {
  constexpr std::string_view kExit = "exit status ";
  constexpr std::string_view kKilled = "killed by ";
  if (how.starts_with(kKilled)) return how.substr(kKilled.size());
  if (!how.starts_with(kExit)) return "ended";
  const std::string code = how.substr(kExit.size());
  return code == "200" || code == "0" ? "passed" : "exit:" + code;
}

// Its end was for an attempt before the one that it had begun, and came late.
bool EndedByEarlier(const Watched& component) {
  const SuiteAttempt& last = component.attempts.back();
  return component.gone && component.killed != 0 && component.killed < last.begin;
}

bool Finished(const AllWatched& watched, const std::set<std::string>& active) {
  return std::ranges::all_of(active, [&](const std::string& name) {
    const Watched& component = watched.at(name);
    return component.done || component.gone;
  });
}

std::streamoff SizeOf(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<std::streamoff>(size);
}

// Reads what components say until all of them have made their attempts, or are gone, or are silent.
void Follow(Child& init, LineReader& output, const std::vector<AttackInfo>& attacks,
            const std::set<std::string>& active, AllWatched& watched,
            const std::function<void()>& progress) {
  const std::string audit = In("log/audit.jsonl");
  const std::streamoff from = SizeOf(audit);
  auto last = Clock::now();
  while (!output.ended() && Clock::now() - last < kLongestAttempt) {
    const auto line = output.Next(kGlance);
    if (line) {
      last = Clock::now();
      const size_t bar = line->find(kLabelEnd);
      const auto component = watched.find(line->substr(0, bar));
      if (bar != std::string::npos && component != watched.end()) {
        Note(component->second, attacks, line->substr(bar + kLabelEnd.size()));
      }
      progress();
    } else {
      NoteExits(audit, watched, from);
    }
    if (Finished(watched, active)) break;
  }
  NoteExits(audit, watched, from);
  EndChild(init, true);
  while (const auto line = output.Next(kGlance)) {
    const size_t bar = line->find(kLabelEnd);
    const auto component = watched.find(line->substr(0, bar));
    if (component != watched.end())
      Note(component->second, attacks, line->substr(bar + kLabelEnd.size()));
  }
}

std::string LoaderOf(Arch arch) {
  return arch == Arch::kX86_64 ? "/lib64/ld-linux-x86-64.so.2" : "/lib/ld-linux-aarch64.so.1";
}

// --- what is on record ---------------------------------------------------------------------------

void ReadLog(SuiteRun& run) {
  LogReader log(In("log/audit.jsonl"));
  log.Read([&](const Json& event) {
    const std::string kind = event.value("kind", "");
    if (kind == "loss") run.lost += event.value("count", uint64_t{1});
    if (kind != "violation" && kind != "absent") return;
    run.records.push_back({event.value("component", ""), Nanoseconds(event.value("time", "")),
                           event.value("control", ""), event.value("action", ""),
                           event.value("object", ""), event.value("errno", ""),
                           event.value("verdict", "") == "killed",
                           event.value("count", uint64_t{1})});
  });
  const auto chain = VerifyChain(In("log/audit.jsonl"));
  if (!chain) run.broken_chain = fmt::format("line {}: {}", chain.error().line, chain.error().what);
}

// What watchers outside saw, and whether what nobody may change is as it was.
void ReadReached(std::vector<std::string>& reached) {
  std::ifstream file(In("reached"));
  for (std::string line; std::getline(file, line);) reached.push_back(line);
  struct stat info {};
  const bool same = stat(In("others/decoy").c_str(), &info) == 0 && info.st_uid == 0 &&
                    info.st_mode == (S_IFREG | 0666) && info.st_size == 5;
  if (!same) reached.emplace_back("the file outside was changed");
  const auto text = ReadFile(In("others/decoy"), 64);
  if (!text || std::string(text->begin(), text->end()) != "decoy") {
    reached.emplace_back("the file outside was written");
  }
}

}  // namespace

tl::expected<AttackSuite, std::string> AttackSuite::Open(const std::string& init) {
  const auto program = FindSuite(std::string(kSuiteName));
  if (!program) {
    return tl::make_unexpected(fmt::format(
        "{} is neither beside bulkhead nor in its libexec directory nor in PATH", kSuiteName));
  }
  const auto runtime = FindInit(init);
  if (!runtime) return tl::make_unexpected("bulkhead-init is neither beside bulkhead nor in PATH");
  const auto bytes = ReadFile(*program, kMaxProgram);
  if (!bytes) return tl::make_unexpected(fmt::format("{}: {}", *program, bytes.error()));
  const std::string directory(kDirectory);
  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return tl::make_unexpected(Why(directory));
  }
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return tl::make_unexpected(Why("a mount namespace"));
  }
  if (mount("tmpfs", directory.c_str(), "tmpfs", 0, "mode=0755") != 0) {
    return tl::make_unexpected(Why(directory));
  }
  AttackSuite suite(In("program"), *runtime);
  const std::string granted = "granted";
  const bool furnished =
      WriteAtomically(In("program"), *bytes) && chmod(In("program").c_str(), 0755) == 0 &&
      WriteAtomically(In("set-id"), *bytes) && chmod(In("set-id").c_str(), 04755) == 0 &&
      WriteAtomically(In("granted"),
                      {reinterpret_cast<const uint8_t*>(granted.data()), granted.size()}) &&
      // Not by its mode is it closed to writing.
      chmod(In("granted").c_str(), 0666) == 0 && mkdir(In("log").c_str(), 0700) == 0 &&
      mkdir(In("control").c_str(), 0755) == 0;
  if (!furnished) return tl::make_unexpected(Why(directory));
  return suite;
}

AttackSuite::~AttackSuite() {
  if (program_.empty()) return;  // moved from
  const std::string directory(kDirectory);
  umount2(directory.c_str(), MNT_DETACH);
  rmdir(directory.c_str());
}

tl::expected<std::vector<AttackInfo>, std::string> AttackSuite::List() {
  const auto lines = OutputOf({program_, "attacks"}, In("errors"));
  if (!lines) return tl::make_unexpected(lines.error());
  std::vector<AttackInfo> attacks;
  for (const std::string& line : *lines) {
    const Words words = Split(line);
    if (words.size() >= 2) attacks.push_back({{words[0], words[1]}, words.size() == 3});
  }
  return attacks;
}

tl::expected<std::map<AttackName, std::string>, std::string> AttackSuite::Control(Arch arch) {
  std::map<AttackName, std::string> results;
  const auto add = [&](const Words& lines) {
    for (const std::string& line : lines) {
      const Words words = Split(line);
      if (words.size() != 5 || words[2] == "intended") continue;
      std::string& result = results[{words[0], words[3]}];
      if (result != "passed") result = words[4];
    }
  };
  for (const Words& how : {Words{"naive"}, Words{"under"}}) {
    Words command{program_, how[0], In("control"), LoaderOf(arch)};
    // Under nothing: as they are.
    if (how[0] == "under") command.emplace_back("/usr/bin/env");
    const auto lines = OutputOf(command, In("errors"));
    if (!lines) return tl::make_unexpected(lines.error());
    add(*lines);
  }
  return results;
}

tl::expected<SuiteRun, std::string> AttackSuite::Run(const Bundle& bundle,
                                                     const std::vector<std::string>& components,
                                                     const std::function<void(size_t)>& progress) {
  const auto attacks = List();
  if (!attacks) return tl::make_unexpected(attacks.error());
  const ProbeFiles files{In("program"), In("granted"), In("log/audit.jsonl")};
  AllWatched watched;
  for (const std::string& name : components) watched[name];
  SuiteRun run;
  for (;;) {
    std::set<std::string> active;
    for (auto& [name, component] : watched) {
      component.done = component.next >= attacks->size();
      component.gone = false;
      component.killed = 0;
      if (!component.done) active.insert(name);
    }
    if (active.empty()) break;
    std::error_code ignored;
    fs::remove_all(In("others"), ignored);
    auto child = StartChild({program_, "outside", std::string(kDirectory)}, In("errors"));
    if (!child) return tl::make_unexpected(child.error());
    LineReader output(child->output.get());
    Words place;
    for (auto line = output.Next(kLongestBegin); line && !line->empty();
         line = output.Next(kLongestBegin)) {
      place.push_back(std::move(*line));
    }
    ProbeWords words;
    for (const std::string& name : active) {
      const ProfileData& profile = **bundle.Find(name);
      Words& told = words[name] = {"inside"};
      told.insert(told.end(), place.begin(), place.end());
      const auto tcp = std::ranges::find(profile.listeners, ListenerKind::kTcp, &Listener::kind);
      if (tcp != profile.listeners.end()) {
        // From descriptor 3 on in their order (sd_listen_fds).
        told.push_back(fmt::format("listener={}", 3 + (tcp - profile.listeners.begin())));
      }
      told.insert(told.end(),
                  {"granted=" + files.granted, "own=" + WritableDirectory(profile),
                   "program=" + files.program, "foreign=" + init_, "set-id=" + In("set-id"),
                   "loader=" + LoaderOf(profile.arch), "dynamic=/usr/bin/true",
                   "interpreter=/usr/bin/python3", "edge=" + In("others/edge"),
                   profile.on_violation == OnViolation::kKill ? "attacks-alone" : "attacks",
                   std::to_string(watched[name].next)});
    }
    const auto derived = ProbeBundle(bundle, files, words);
    if (!derived) return tl::make_unexpected(derived.error());
    if (const auto written = WriteAtomically(In("policy.bundle"), EncodeBundle(*derived));
        !written) {
      return tl::make_unexpected(written.error());
    }
    const std::string command = init_ + "\n" + In("policy.bundle") + "\n";
    if (write(child->input.get(), command.data(), command.size()) !=
        static_cast<ssize_t>(command.size())) {
      return tl::make_unexpected(Why(program_));
    }
    child->input.Reset();
    const auto made = [&] {
      size_t sum = 0;
      for (const auto& [name, component] : watched) sum += component.next;
      return sum;
    };
    const size_t before = made();
    Follow(*child, output, *attacks, active, watched, [&] { progress(made()); });
    for (const std::string& name : active) {
      Watched& component = watched.at(name);
      if (!component.begun) continue;
      component.begun = false;
      if (EndedByEarlier(component)) {
        component.attempts.pop_back();
        continue;
      }
      // Not told: its component has ended with it, or it never came back.
      component.attempts.back().result = component.gone ? EndOf(component.ended) : "hung";
      ++component.next;
    }
    if (made() == before) {
      return tl::make_unexpected("no attack could be made: " + ErrorsIn(In("errors")));
    }
    ReadReached(run.reached);
    fs::remove(In("reached"), ignored);
  }
  for (auto& [name, component] : watched) run.attempts[name] = std::move(component.attempts);
  ReadLog(run);
  return run;
}

}  // namespace bulkhead
