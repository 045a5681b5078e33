// SPDX-License-Identifier: Apache-2.0
#include "cli/learn_observed.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>

#include "cli/json.h"
#include "engine/event.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// Its bytes; nothing for one that the log had to cut.
std::optional<std::string> Whole(const Json& event, const char* key) {
  if (const auto cut = event.find("cut"); cut != event.end() && cut->contains(key)) {
    return std::nullopt;
  }
  return UnescapeText(TextOf(event, key));
}

Evidence EvidenceOf(const Json& event) {
  return {NumberOf(event, "count", 1), TextOf(event, "exe"),
          static_cast<int64_t>(NumberOf(event, "pid", 0)), TextOf(event, "time")};
}

std::optional<SeccompData> DataOf(Arch arch, const std::string& name,
                                  const std::string& arguments) {
  const auto nr = SyscallNumber(arch, name);
  if (!nr) return std::nullopt;
  SeccompData data{*nr, AuditArch(arch), 0, {}};
  const SyscallArgList list = SyscallArgs(arch, name);
  for (size_t from = 0; from < arguments.size();) {
    const size_t end = std::min(arguments.find(' ', from), arguments.size());
    const std::string word = arguments.substr(from, end - from);
    from = end + 1;
    const size_t equals = word.find("=0x");
    if (equals == std::string::npos) return std::nullopt;
    const auto place = list.Find(word.substr(0, equals));
    if (!place) return std::nullopt;
    const char* digits = word.data() + equals + 3;
    std::from_chars(digits, word.data() + word.size(), data.args[*place], 16);
  }
  return data;
}

class Reader {
 public:
  Reader(Observed& observed, Arch arch) : observed_(observed), arch_(arch) {}

  void Add(const Json& event) {
    const std::string kind = TextOf(event, "kind");
    const std::string control = TextOf(event, "control");
    const auto object = Whole(event, "object");
    const std::string action = TextOf(event, "action");
    if (kind == "violation") {
      if (object) observed_.refused[{action, *object}].Add(EvidenceOf(event));
      return;
    }
    if (kind != "observed") return;
    if (!object || action == "(several)") {
      ++observed_.unreadable;
    } else if (control == "seccomp") {
      AddCall(event, action, *object);
    } else if (control == "files") {
      AddFile(event, action, *object);
    } else if (control == "network") {
      observed_.addresses[{action, *object}].Add(EvidenceOf(event));
    }
  }

 private:
  void AddCall(const Json& event, const std::string& name, const std::string& arguments) {
    const auto data = DataOf(arch_, name, arguments);
    if (!data) {
      ++observed_.unreadable;
      return;
    }
    SeenCall& call = observed_.calls[{name, arguments}];
    call.name = name;
    call.arguments = arguments;
    call.data = *data;
    call.evidence.Add(EvidenceOf(event));
  }

  void AddFile(const Json& event, const std::string& action, const std::string& path) {
    SeenFile& file = observed_.files[path];
    const bool first = file.uses[action].count == 0;
    file.uses[action].Add(EvidenceOf(event));
    const auto extra = event.find("extra");
    if (extra == event.end()) return;
    const std::string type = TextOf(*extra, "type");
    if (first && action == "create") file.was_there = type != "-";
    // What is made in the run was there later.
    if (!type.empty() && (file.type == '-' || type != "-")) file.type = type[0];
    if (const auto real = UnescapeText(TextOf(*extra, "real"))) file.real = *real;
  }

  Observed& observed_;
  Arch arch_;
};

}  // namespace

tl::expected<Observed, std::string> ReadObserved(const std::string& log,
                                                 const std::string& component, Arch arch) {
  std::ifstream file(log);
  if (!file) return tl::make_unexpected(fmt::format("can't read `{}`", EscapeText(log).text));
  Observed observed;
  Reader reader(observed, arch);
  for (std::string line; std::getline(file, line);) {
    const Json event = Json::parse(line, nullptr, false);
    if (event.is_object() && TextOf(event, "component") == component) reader.Add(event);
  }
  return observed;
}

}  // namespace bulkhead
