// SPDX-License-Identifier: Apache-2.0
#include "cli/audit_question.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "cli/audit_call.h"
#include "engine/event.h"
#include "policy/owned_calls.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// The question about a path that is behind each right of Landlock on files.
constexpr std::pair<std::string_view, Action> kFileRights[] = {
    {"fs.read_file", Action::kRead},     {"fs.read_dir", Action::kList},
    {"fs.write_file", Action::kWrite},   {"fs.truncate", Action::kTruncate},
    {"fs.execute", Action::kExecute},    {"fs.remove_dir", Action::kRemove},
    {"fs.remove_file", Action::kRemove}, {"fs.make_", Action::kCreate}};

std::optional<Question> PathQuestion(Action action, const std::string& object) {
  Question question;
  question.action = action;
  const auto path = UnescapeText(object);
  if (!path || !path->starts_with('/')) return std::nullopt;
  question.path = *path;
  return question;
}

// "192.0.2.1:443", "[::1]:443" or ":443".
std::optional<Question> TcpQuestion(Action action, const std::string& object) {
  const size_t colon = object.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  Question question;
  question.action = action;
  question.endpoint.kind = Endpoint::Kind::kTcp;
  question.endpoint.address = object.substr(0, colon);
  const char* end = object.data() + object.size();
  const auto [stop, error] =
      std::from_chars(object.data() + colon + 1, end, question.endpoint.port);
  if (error != std::errc() || stop != end) return std::nullopt;
  return question;
}

// What the broker was asked for; an address that the language can't name is none.
std::optional<Question> BrokerQuestion(const AuditRecord& record, Arch arch) {
  const auto object = UnescapeText(record.object);
  if (record.action == "bind" || !object) return std::nullopt;
  auto question = ParseQuestion(arch, Row(Action::kConnect).name, {*object});
  if (!question) return std::nullopt;
  return std::move(*question);
}

std::optional<Question> LandlockQuestion(const AuditRecord& record) {
  if (record.action.starts_with("net.connect_tcp")) {
    return TcpQuestion(Action::kConnect, record.object);
  }
  if (record.action.starts_with("net.bind_tcp")) return TcpQuestion(Action::kListen, record.object);
  for (const auto& [right, action] : kFileRights) {
    if (record.action.starts_with(right)) return PathQuestion(action, record.object);
  }
  return std::nullopt;
}

}  // namespace

std::optional<SeccompData> CallOf(const AuditRecord& record, Arch arch) {
  if (!record.IsRefusal() || record.control != "seccomp") return std::nullopt;
  const auto nr = SyscallNumber(arch, record.action);
  const auto call = RecordedCallOf(record);
  if (!nr || !call || !call->known.all()) return std::nullopt;
  return SeccompData{*nr, AuditArch(arch), 0, call->registers};
}

std::optional<Question> QuestionOf(const AuditRecord& record, Arch arch) {
  if (record.IsBrokered()) return BrokerQuestion(record, arch);
  if (!record.IsRefusal()) return std::nullopt;
  if (const auto call = CallOf(record, arch)) {
    Question question;
    question.action = Action::kSyscall;
    question.call = record.action;
    // Addresses say nothing to a filter, and nothing to a reader.
    const SyscallArgList infos = SyscallArgs(arch, record.action);
    for (unsigned i = 0; i < infos.size(); ++i) {
      if (infos[i].type != ArgType::kPointer) question.args[i] = call->args.at(i);
    }
    return question;
  }
  if (record.control == "broker") return BrokerQuestion(record, arch);
  if (record.control == "landlock") return LandlockQuestion(record);
  if (record.control == "tripwire") return PathQuestion(Action::kRead, record.object);
  return std::nullopt;
}

RecordStatement StatementOf(const AuditRecord& record, const Explanation* answer) {
  if (answer == nullptr || answer->rule.empty()) return {record.rule, {}};
  if (record.IsBrokered() && answer->verdict == Verdict::kAllow) return {record.rule, {}};
  if (answer->verdict == Verdict::kUntilReady) {
    return {answer->rule, "it was allowed until the component was ready, which it was by then"};
  }
  if (answer->verdict != Verdict::kDeny) {
    return {record.rule,
            fmt::format("asked in general, the bundle's answer is `{}`, by {}: it hangs "
                        "on what the record does not hold",
                        VerdictName(answer->verdict), answer->rule)};
  }
  if (IsBeneath(record.rule, answer->rule)) return {record.rule, {}};
  if (IsBeneath(answer->rule, record.rule)) {
    return {answer->rule,
            "the record names the part of the policy, the bundle the statement in it"};
  }
  if (answer->rule.starts_with("assets.")) {
    return {answer->rule,
            "a record names the component's files; this path is an asset's, where a "
            "tripwire stands"};
  }
  const std::string_view owner = record.control == "seccomp" ? OwnerOf(record.action) : "";
  if (!owner.empty()) {
    return {answer->rule, fmt::format("all that the filter refuses is recorded under `syscalls`; "
                                      "`{}` is a call of `{}`",
                                      record.action, owner)};
  }
  return {answer->rule, "the record names who answered, the bundle what would have to be allowed"};
}

}  // namespace bulkhead
