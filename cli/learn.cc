// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/files.h"
#include "cli/inputs.h"
#include "cli/learn_bundle.h"
#include "cli/learn_observed.h"
#include "cli/learn_policy.h"
#include "cli/learn_subject.h"
#include "cli/running.h"
#include "cli/runtime.h"
#include "engine/fd.h"
#include "policy/text.h"
#include "sandbox/probe_kernel.h"

namespace bulkhead {
namespace {

namespace fs = std::filesystem;

struct Compiled {
  LoadedPolicy loaded;
  Compilation compilation;
};

tl::expected<Compiled, std::string> CompileLearnt(const std::string& text) {
  LoadOptions options;
  options.running = RunningSpec;
  Sources sources;
  Diagnostics diagnostics;
  auto loaded = LoadPolicyText("<learnt policy>", text, ".", options, sources, diagnostics);
  if (loaded) {
    auto compilation = Compile(*loaded, {TodayUtc()}, diagnostics);
    if (compilation) return Compiled{std::move(*loaded), std::move(*compilation)};
  }
  std::string what;
  for (const Diagnostic& diagnostic : diagnostics.Sorted()) {
    if (diagnostic.severity == Severity::kError) what += RenderText(diagnostic, sources, false);
  }
  return tl::make_unexpected(what);
}

// A directory of root's for the log of one run.
class Workplace {
 public:
  Workplace() {
    std::string name = "/run/bulkhead-learn.XXXXXX";
    if (mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~Workplace() {
    std::error_code error;
    if (!path_.empty()) fs::remove_all(path_, error);
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Runs bulkhead-init to its end; what asks this process to end asks that one. Its exit code, or -1.
int RunObserved(const std::string& init, int bundle) {
  sigset_t asked;
  sigset_t before;
  sigemptyset(&asked);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&asked, signal);
  sigprocmask(SIG_BLOCK, &asked, &before);
  const pid_t child = fork();
  if (child == 0) {
    sigprocmask(SIG_SETMASK, &before, nullptr);
    setpgid(0, 0);  // Ctrl-C comes to it once, from here
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    _exit(BecomeInit(init, {fmt::format("/proc/self/fd/{}", bundle)}));
  }
  int status = -1;
  while (child > 0 && waitpid(child, &status, WNOHANG) == 0) {
    int signal = 0;
    sigwait(&asked, &signal);
    if (signal != SIGCHLD) kill(child, SIGTERM);
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The one to observe, in the enclave in which it runs.
struct Scene {
  LearnSubject subject;
  Bundle bundle;
  Compiled bare;  // the component without files and calls
};

tl::unexpected<int> Fail(int code, const std::string& message, std::string_view help = {}) {
  PrintError(message, help);
  return tl::make_unexpected(code);
}

tl::expected<Compiled, int> CompileBare(const LearnSubject& subject) {
  auto bare = CompileLearnt(BarePolicy(subject));
  if (bare) return std::move(*bare);
  PrintError("the program can't be a component");
  PrintRaw(bare.error());
  return tl::make_unexpected(kExitNo);
}

tl::expected<Scene, int> SceneOfCommand(const Invocation& invocation) {
  auto subject = SubjectOfCommand(invocation);
  if (!subject) return tl::make_unexpected(subject.error());
  auto bare = CompileBare(*subject);
  if (!bare) return tl::make_unexpected(bare.error());
  Bundle bundle = bare->compilation.bundle;
  return Scene{std::move(*subject), std::move(bundle), std::move(*bare)};
}

tl::expected<Scene, int> SceneOfPolicy(const Invocation& invocation) {
  if (!invocation.All(Parameter::kProgram).empty()) {
    return Fail(kExitWrongUsage, "a component of a policy has its own program",
                "leave out either `--policy` or the program");
  }
  const auto result = CompilePolicy(invocation.One(Parameter::kLearnPolicy), invocation, false);
  if (!result) return tl::make_unexpected(result.error());
  PrintDiagnostics(*result);
  if (!result->compilation) return tl::make_unexpected(kExitNo);
  const Bundle& bundle = result->compilation->bundle;
  if (!invocation.Has(Parameter::kOnly)) {
    std::vector<std::string_view> names;
    for (const ProfileData& profile : bundle->components) names.push_back(profile.name);
    return Fail(kExitWrongUsage,
                fmt::format("`--policy` needs `--component`: {}", fmt::join(names, ", ")));
  }
  const auto profile = FindComponent(bundle, invocation.One(Parameter::kOnly));
  if (!profile) return tl::make_unexpected(profile.error());
  if (!(*profile)->broker.calls.empty()) {
    return Fail(kExitNo,
                fmt::format("`{}` has addresses that the broker decides, and can't be observed "
                            "[E0582]",
                            (*profile)->name),
                "leave out `tcp.connect` with `to`, `udp` and `vsock` while it is learnt, or write "
                "ports, and put them back");
  }
  const Policy& policy = result->loaded->policy;
  const auto component =
      std::ranges::find(policy.components, (*profile)->name, &ComponentPolicy::name);
  LearnSubject subject = SubjectOfComponent(*component, **profile, policy.target.value);
  for (const Asset& asset : bundle->assets) {
    if (std::ranges::find(asset.readers, subject.name) != asset.readers.end()) continue;
    subject.assets.insert(subject.assets.end(), asset.files.begin(), asset.files.end());
  }
  auto bare = CompileBare(subject);
  if (!bare) return tl::make_unexpected(bare.error());
  return Scene{std::move(subject), bundle, std::move(*bare)};
}

int Observe(const Invocation& invocation, const Scene& scene, const std::string& log) {
  BundleData data = *scene.bundle;
  data.sinks = {{SinkKind::kFile, log}};
  data.output = {{{SinkKind::kStdout, ""}}, 0};
  const std::string& name = scene.subject.name;
  // What is seen while it is observed is more than what the bare policy grants.
  const auto observed = std::ranges::find(data.components, name, &ProfileData::name);
  if (observed != data.components.end() && !scene.subject.directory.empty()) {
    observed->directory = scene.subject.directory;
  }
  const auto base = Bundle::Make(std::move(data));
  if (!base) return Fail(kExitDefect, base.error()).value();
  // Asks about every call but those that the launch itself makes.
  const Filter& filter = (*scene.bare.compilation.bundle.Find(name))->filter;
  const auto bundle = ObservedBundle(*base, name, filter);
  if (!bundle) return Fail(kExitDefect, "the outer bounds: " + bundle.error()).value();
  const auto copy = SealedCopy("bundle", EncodeBundle(*bundle));
  if (!copy) return Fail(kExitCannot, copy.error()).value();
  const bool others = (*base)->components.size() > 1;
  PrintNote(fmt::format("observing {} as uid {}; Ctrl-C asks {} to end",
                        Quoted(scene.subject.command.front()), (*base->Find(name))->uid,
                        others ? "the enclave" : "it"));
  const int code = RunObserved(invocation.One(Parameter::kInit), *copy);
  close(*copy);
  return code;
}

tl::expected<LearntPolicy, int> Judge(const Scene& scene, const std::string& log) {
  const LoadedPolicy& loaded = scene.bare.loaded;
  const auto observed = ReadObserved(log, scene.subject.name, loaded.target.target.arch);
  if (!observed) return Fail(kExitCannot, observed.error());
  if (observed->calls.empty()) {
    return Fail(kExitNo, "nothing was observed; no policy is written");
  }
  const uint32_t uid = (*scene.bundle.Find(scene.subject.name))->uid;
  auto learnt = WriteLearnt(scene.subject, *observed, loaded, uid,
                            [](const std::string& text) -> tl::expected<Compilation, std::string> {
                              auto compiled = CompileLearnt(text);
                              if (!compiled) return tl::make_unexpected(text + compiled.error());
                              return std::move(compiled->compilation);
                            });
  if (learnt) return std::move(*learnt);
  PrintError("what was learnt does not compile");
  PrintRaw(learnt.error());
  return tl::make_unexpected(kExitNo);
}

constexpr size_t kMaxLearnt = 1U << 24;

// A learnt policy may be learnt again.
bool IsWrittenByHand(const std::string& path) {
  std::error_code error;
  const auto kind = fs::status(path, error).type();
  if (kind == fs::file_type::not_found) return false;
  if (error || kind != fs::file_type::regular) return true;
  const auto bytes = ReadFile(path, kMaxLearnt);
  if (!bytes) return true;
  return !bytes->empty() &&
         !std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size())
              .starts_with(kLearntBeginning);
}

}  // namespace

int Learn(const Invocation& invocation) {
  const std::vector<std::string> missing = MissingPrivileges(true);
  for (const std::string& line : missing) PrintError("missing: " + line);
  if (!missing.empty()) return kExitCannot;
  const std::string output = invocation.One(Parameter::kLearnOutput);
  // Not after a long run. The directory is meant that is there now: the program may exchange it.
  const fs::path directory = fs::absolute(output).parent_path();
  const Fd place(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!place || access(directory.c_str(), W_OK) != 0) {
    PrintError(fmt::format("can't write {}: {}", Quoted(output), strerror(errno)));
    return kExitCannot;
  }
  const std::string file =
      fmt::format("/proc/self/fd/{}/{}", place.get(), fs::path(output).filename().string());
  const auto is_lost = [&] {
    if (!IsWrittenByHand(file)) return false;
    PrintError(fmt::format("{} is there, and was not learnt: it would be lost", Quoted(output)),
               "name another file by `--output`, or remove it");
    return true;
  };
  if (is_lost()) return kExitCannot;
  const bool component = invocation.Has(Parameter::kLearnPolicy);
  const auto scene = component ? SceneOfPolicy(invocation) : SceneOfCommand(invocation);
  if (!scene) return scene.error();
  const Workplace workplace;
  std::string log = invocation.One(Parameter::kLearnLog);
  if (log.empty()) log = workplace.path() + "/audit.jsonl";
  log = fs::absolute(log).lexically_normal().string();
  const int code = Observe(invocation, *scene, log);
  if (code != kExitDone) {
    PrintError("the program did not end well while it was observed",
               "what is learnt is of what it did until then");
  }
  const auto learnt = Judge(*scene, log);
  if (!learnt) return learnt.error();
  if (is_lost()) return kExitCannot;
  const auto written = WriteAtomically(
      file, {reinterpret_cast<const uint8_t*>(learnt->text.data()), learnt->text.size()});
  if (!written) return Fail(kExitCannot, written.error()).value();
  PrintNote(fmt::format("{}: {} statements; {} observations are listed and not granted", output,
                        learnt->statements, learnt->notes));
  return code == kExitDone ? kExitDone : kExitNo;
}

}  // namespace bulkhead
