// SPDX-License-Identifier: Apache-2.0
#include "cli/learn_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "cli/console.h"
#include "cli/learn_calls.h"
#include "cli/learn_files.h"
#include "compiler/calls_text.h"
#include "policy/scalars.h"
#include "policy/text.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr size_t kMostNamed = 12;  // calls of a group in one comment

// `$${` stands for the characters `${`.
std::string Scalar(const std::string& text) {
  std::string quoted = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"' || text[i] == '\\') quoted += '\\';
    if (text.compare(i, 2, "${") == 0) quoted += '$';
    // As it is it would be folded to a space.
    if (text[i] == '\n') {
      quoted += "\\n";
    } else {
      quoted += text[i];
    }
  }
  return quoted + "\"";
}

// A name as it is, where YAML takes it for one: a program may be called `true`.
std::string Plain(const std::string& name) {
  return ReadsAsBoolean(name) || ReadsAsOddNumber(name) ? Scalar(name) : name;
}

// One line, whatever the program is called.
std::string Comment(const std::string& text) { return Shown(text); }

std::string Seen(const Evidence& evidence) {
  if (evidence.count == 0) return "its program";
  return fmt::format("{} time{}, first by {} (pid {}, at {})", evidence.count,
                     evidence.count == 1 ? "" : "s", evidence.exe, evidence.pid, evidence.time);
}

std::string Names(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kMostNamed);
  std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + shown, ", "));
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

std::string Head(const LearnSubject& subject, const std::string& directory) {
  std::string text = fmt::format(
      "bulkhead: 1\nenclave: {}\ntarget: {}\naudit: {{sinks: [{{file: {}}}]}}\ncomponents:\n"
      "  {}:\n    exec: [",
      Plain(subject.name), subject.target, Scalar(subject.sink), Plain(subject.name));
  for (const std::string& word : subject.command) {
    text += (&word == &subject.command.front() ? "" : ", ") + Scalar(word);
  }
  text += "]\n";
  if (!subject.environment.empty()) text += "    env:\n";
  for (const auto& [name, value] : subject.environment) {
    text += fmt::format("      {}: {}\n", Plain(name), Scalar(value));
  }
  if (!directory.empty()) text += fmt::format("    directory: {}\n", Scalar(directory));
  if (subject.user) text += fmt::format("    user: {}\n", *subject.user);
  return text;
}

class Writer {
 public:
  Writer(const LearnSubject& subject, const Observed& observed, const LoadedPolicy& bare,
         uint32_t uid, const CompileText& compile)
      : subject_(subject), observed_(observed), bare_(bare), uid_(uid), compile_(compile) {}

  tl::expected<LearntPolicy, std::string> Write() {
    Addresses();
    const std::string network = Network();
    const std::string files = Files();
    const std::string base = Head(subject_, directory_) + files + network;
    auto compiled = compile_(base + End());
    if (!compiled) return tl::make_unexpected(compiled.error());
    const LearntCalls calls = LearnCalls(Refused(*compiled), bare_.policy, arch());
    const std::string whole = base + Calls(calls) + End();
    compiled = compile_(whole);
    if (!compiled) return tl::make_unexpected(compiled.error());
    for (const SeenCall* call : Refused(*compiled)) {
      Note(fmt::format("system call {}: {}", CallText(arch(), call->data), Seen(call->evidence)));
    }
    for (const auto& [call, evidence] : observed_.refused) {
      Note(fmt::format("{} {}: refused while learning, too: {}", call.first, call.second,
                       Seen(evidence)));
    }
    if (observed_.unreadable != 0) {
      Note(fmt::format("{} observations were too long or too many to be kept whole",
                       observed_.unreadable));
    }
    return LearntPolicy{Introduction() + whole + Notes(), statements_, notes_.size()};
  }

 private:
  Arch arch() const { return bare_.target.target.arch; }
  void Note(std::string text) { notes_.push_back(std::move(text)); }

  std::string Item(size_t indent, const std::string& item, const std::string& comment) {
    ++statements_;
    return fmt::format("{:{}}- {}  # {}\n", "", indent, item, Comment(comment));
  }

  // What the program binds and connects to itself.
  void Addresses() {
    for (const LearnListener& listener : subject_.listeners) {
      if (!listener.path.empty()) edges_.insert(Parent(listener.path));
    }
    for (const auto& [what, evidence] : observed_.addresses) {
      const auto& [action, address] = what;
      const std::string shown = fmt::format("{} {}: {}", action, address, Seen(evidence));
      const std::string path = address.starts_with("unix /") ? address.substr(5) : "";
      const auto port = PortOf(address);
      if (!path.empty() && action == "bind") {
        BindSocket(path, evidence, shown);
      } else if (!path.empty()) {
        Note(shown + "; name it under `unix.connect`, and the other side under `from`");
      } else if (port && action != "send") {
        (action == "bind" ? binds_ : connects_)[*port].Add(evidence);
      } else {
        Note(shown);
      }
    }
  }

  // An attempt is seen as it begins, wherever it goes.
  void BindSocket(const std::string& path, const Evidence& evidence, const std::string& shown) {
    const std::string directory = Parent(path);
    if (!CanBeWritten(path)) {
      Note(shown + "; its name can't stand in a policy");
    } else if (!IsOwnDirectory(directory, uid_)) {
      Note(shown + "; a socket needs a directory of its user's own");
    } else if (path.size() > 107 || IsTooWide(directory) || path.starts_with("/tmp/")) {
      Note(shown + "; a socket needs a directory of its own");
    } else {
      sockets_[path].Add(evidence);
      edges_.insert(directory);
    }
  }

  static std::string Parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

  // Of TCP; nothing for port 0, which is any.
  static std::optional<uint16_t> PortOf(const std::string& address) {
    if (!address.starts_with("tcp ")) return std::nullopt;
    uint16_t port = 0;
    const char* from = address.data() + address.rfind(':') + 1;
    std::from_chars(from, address.data() + address.size(), port);
    return port == 0 ? std::nullopt : std::optional(port);
  }

  std::string Files() {
    FilesContext context;
    context.uid = uid_;
    context.program = subject_.command.front();
    const auto paths = [&](const char* set) {
      const auto found = bare_.target.path_sets.find(set);
      return found == bare_.target.path_sets.end() ? std::vector<std::string>() : found->second;
    };
    context.libraries = paths("libraries");
    context.loader = paths("loader");
    context.edges = edges_;
    context.assets = subject_.assets;
    LearntFiles learnt = LearnFiles(observed_.files, context);
    WorkingDirectory(learnt);
    for (std::string& note : learnt.notes) Note(std::move(note));
    std::string text = "    files:\n";
    std::optional<Verb> last;
    for (const auto& [key, grant] : learnt.grants) {
      const auto& [verb, path] = key;
      if (last != verb) text += fmt::format("      {}:\n", VerbText(verb));
      last = verb;
      std::string comment = Seen(grant.evidence);
      if (!grant.interprets.empty()) {
        const std::string interprets = "the interpreter of " + Quoted(grant.interprets);
        comment = grant.evidence.count == 0 ? interprets : comment + "; " + interprets;
      }
      if (!grant.widened.empty()) comment += "; widened: " + grant.widened;
      text += Item(8, Scalar(path), comment);
    }
    return text;
  }

  // The view has the working directory only where something over or beneath it is granted.
  void WorkingDirectory(const LearntFiles& learnt) {
    const std::string& wanted = subject_.directory;
    const bool there = std::ranges::any_of(learnt.grants, [&](const auto& grant) {
      const std::string& path = grant.first.second;
      return Covers(path, wanted) || Covers(wanted, path);
    });
    if (there) {
      directory_ = wanted;
    } else if (!wanted.empty()) {
      Note(fmt::format("the working directory {}: nothing in it was used, so it begins in /",
                       Quoted(wanted)));
    }
  }

  static std::string_view VerbText(Verb verb) {
    switch (verb) {
      case Verb::kExecute:
        return "execute";
      case Verb::kRead:
        return "read";
      case Verb::kWrite:
        return "write";
      case Verb::kCreate:
        return "create";
      case Verb::kState:
        return "state";
      case Verb::kRuntime:
        return "runtime";
      case Verb::kPrivate:
        return "private";
    }
    return "";
  }

  std::string Network() {
    std::string unix_text;
    std::string tcp_text;
    for (const LearnListener& listener : subject_.listeners) {
      std::string& text = listener.tcp ? tcp_text : unix_text;
      if (text.empty()) text = "        listen:\n";
      text += Item(10, listener.text, "as asked for");
    }
    for (const auto& [path, evidence] : sockets_) {
      if (unix_text.empty()) unix_text = "        listen:\n";
      unix_text += Item(10, fmt::format("{{path: {}, by: component}}", Scalar(path)),
                        Seen(evidence) + "; say who may connect by `from`");
    }
    for (const auto& [key, ports] :
         {std::pair("bind", &binds_), std::pair("connect", &connects_)}) {
      if (ports->empty()) continue;
      tcp_text += fmt::format("        {}:\n", key);
      for (const auto& [port, evidence] : *ports) {
        tcp_text += Item(10, std::to_string(port), Seen(evidence) + "; at any address");
      }
    }
    std::string text;
    if (!unix_text.empty()) text += "      unix:\n" + unix_text;
    if (!tcp_text.empty()) text += "      tcp:\n" + tcp_text;
    return text.empty() ? text : "    network:\n" + text;
  }

  // Seen calls that the filter of this policy refuses.
  std::vector<const SeenCall*> Refused(const Compilation& compiled) const {
    const ProfileData& profile = **compiled.bundle.Find(subject_.name);
    std::vector<const SeenCall*> refused;
    for (const auto& [key, call] : observed_.calls) {
      if (Evaluate(profile.filter, call.data).action != kRetAllow) refused.push_back(&call);
    }
    return refused;
  }

  std::string Calls(const LearntCalls& calls) {
    std::string text = CallsText(calls.single, arch(), 6).yaml;
    std::string lines;
    for (size_t from = 0; from < text.size();) {
      const size_t end = text.find('\n', from);
      lines += Commented(text.substr(from, end - from), calls) + "\n";
      from = end + 1;
    }
    const std::string allow = "      allow:\n";
    if (lines.starts_with(allow)) lines.erase(0, allow.size());
    std::string groups;
    for (const GroupChoice& group : calls.groups) {
      std::string comment = fmt::format("{}: {}", Seen(group.evidence), Names(group.used));
      if (!group.unused.empty()) {
        comment += fmt::format("; granted and not seen: {}", Names(group.unused));
      }
      groups += Item(8, Scalar("@" + group.name), comment);
    }
    return groups.empty() && lines.empty() ? "" : "    syscalls:\n" + allow + groups + lines;
  }

  std::string Commented(const std::string& line, const LearntCalls& calls) {
    const size_t dash = line.find("- ");
    if (dash == std::string::npos) return line;
    const size_t from = line.find_first_not_of("{ ", dash + 1);
    const std::string name = line.substr(from, line.find_first_of(":}", from) - from);
    const auto found = calls.evidence.find(name);
    if (found == calls.evidence.end()) return line;
    ++statements_;
    return line + "  # " + Comment(Seen(found->second));
  }

  // A port that a program binds itself can't be held to that port on any kernel of today.
  std::string End() const {
    std::string text = "    ready: started\n    restart: {when: never}\n";
    if (binds_.empty()) return text;
    return text + fmt::format(
                      "waivers:  # for a person to judge: a program that takes LISTEN_FDS needs "
                      "none, with `--listen`\n"
                      "  - {{component: {}, statement: network.tcp.bind, reason: \"the program "
                      "binds its port itself, as was seen\", until: {}}}\n",
                      Plain(subject_.name), subject_.waived_until);
  }

  std::string Introduction() const {
    return std::string(kLearntBeginning) +
           "from what the program did while it was observed, and no more: what it did not\n# do "
           "then, it may not do. Each statement says how often it was used, and by whom first\n# "
           "(boot clock).\n";
  }

  std::string Notes() const {
    if (notes_.empty()) return "";
    std::string text = "# Observed, not granted:\n";
    for (const std::string& note : notes_) text += "#   " + Comment(note) + "\n";
    return text;
  }

  const LearnSubject& subject_;
  const Observed& observed_;
  const LoadedPolicy& bare_;
  uint32_t uid_;
  const CompileText& compile_;
  std::set<std::string> edges_;
  std::map<std::string, Evidence> sockets_;  // that it makes itself
  std::map<uint16_t, Evidence> binds_;
  std::map<uint16_t, Evidence> connects_;
  std::vector<std::string> notes_;
  std::string directory_;  // empty: /
  size_t statements_ = 0;
};

}  // namespace

std::string BarePolicy(const LearnSubject& subject) {
  std::string text = Head(subject, {});
  text += fmt::format("    files: {{execute: [{}, \"@loader\"], read: [\"@libraries\"]}}\n",
                      Scalar(subject.command.front()));
  std::string unix_text;
  std::string tcp_text;
  for (const LearnListener& listener : subject.listeners) {
    std::string& list = listener.tcp ? tcp_text : unix_text;
    list += (list.empty() ? "" : ", ") + listener.text;
  }
  if (!subject.listeners.empty()) text += "    network:\n";
  if (!unix_text.empty()) text += fmt::format("      unix: {{listen: [{}]}}\n", unix_text);
  if (!tcp_text.empty()) text += fmt::format("      tcp: {{listen: [{}]}}\n", tcp_text);
  return text + "    ready: started\n    restart: {when: never}\n";
}

tl::expected<LearntPolicy, std::string> WriteLearnt(const LearnSubject& subject,
                                                    const Observed& observed,
                                                    const LoadedPolicy& bare, uint32_t uid,
                                                    const CompileText& compile) {
  return Writer(subject, observed, bare, uid, compile).Write();
}

}  // namespace bulkhead
