// SPDX-License-Identifier: Apache-2.0
#include "cli/audit_call.h"

#include <fmt/format.h>

#include <charconv>
#include <sstream>

#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

std::optional<uint64_t> Hex(std::string_view digits) {
  uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, 16);
  return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

// "28 1 0 0 0 0".
bool ReadRegisters(const std::string& text, RecordedCall& call) {
  std::istringstream words(text);
  std::string word;
  for (size_t i = 0; i < call.registers.size(); ++i) {
    const auto value = words >> word ? Hex(word) : std::nullopt;
    if (!value) return false;
    call.registers.at(i) = *value;
    call.known.set(i);
  }
  return !(words >> word);
}

// "domain=0x28 type=0x1": of an observed call, whose table of arguments is the same on all
// architectures in what is told.
bool ReadTold(const AuditRecord& record, RecordedCall& call) {
  SyscallArgList infos = SyscallArgs(Arch::kX86_64, record.action);
  if (infos.empty()) infos = SyscallArgs(Arch::kAarch64, record.action);
  std::istringstream words(record.object);
  for (std::string word; words >> word;) {
    const size_t equals = word.find("=0x");
    if (equals == std::string::npos) return false;
    const auto index = infos.Find(std::string_view(word).substr(0, equals));
    const auto value = Hex(std::string_view(word).substr(equals + 3));
    if (!index || !value) return false;
    call.registers.at(*index) = *value;
    call.known.set(*index);
  }
  return true;
}

}  // namespace

std::optional<RecordedCall> RecordedCallOf(const AuditRecord& record) {
  const bool by_call = record.control == "seccomp" || record.control == "broker";
  if (!by_call || !IsSyscallName(record.action)) return std::nullopt;
  const bool of_call = record.IsRefusal() || record.IsBrokered() || record.kind == "observed" ||
                       record.kind == "witness";
  if (!of_call) return std::nullopt;
  const std::string registers = ExtraOf(record, "registers");
  RecordedCall call;
  if (ReadRegisters(registers.empty() ? record.object : registers, call)) {
    if (!registers.empty()) call.object = record.object;
    return call;
  }
  call = {};
  if (!registers.empty() || !ReadTold(record, call)) return std::nullopt;
  return call;
}

NamedTexts RecordedArguments(const AuditRecord& record, std::optional<Arch> arch) {
  const auto call = RecordedCallOf(record);
  if (!call) return {};
  return ArgumentTexts(arch, record.action, call->registers, call->known);
}

namespace {

std::string ArgumentsText(const AuditRecord& record, std::optional<Arch> arch) {
  std::string arguments;
  for (const auto& [name, value] : RecordedArguments(record, arch)) {
    arguments += fmt::format("{}{}={}", arguments.empty() ? "" : ", ", name, value);
  }
  return arguments;
}

std::string After(std::string text, const std::string& object) {
  if (!text.empty() && !object.empty()) text += ' ';
  return text + object;
}

}  // namespace

std::string TriedText(const AuditRecord& record, std::optional<Arch> arch) {
  const auto call = RecordedCallOf(record);
  if (!call) return After(record.action, record.object);
  return After(fmt::format("{}({})", record.action, ArgumentsText(record, arch)), call->object);
}

std::string ObjectText(const AuditRecord& record, std::optional<Arch> arch) {
  const auto call = RecordedCallOf(record);
  return call ? After(ArgumentsText(record, arch), call->object) : record.object;
}

}  // namespace bulkhead
