// SPDX-License-Identifier: Apache-2.0
#include "examples/agent-enclave/attack/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace bulkhead::attack {
namespace {

constexpr int kMaxFd = 1024;
constexpr size_t kScratch = 65536;
bool IsOwn(int fd, const Words& own) {
  std::array<char, 64> path;
  std::array<char, 256> link;
  snprintf(path.data(), path.size(), "/proc/self/fd/%d", fd);
  ssize_t size = readlink(path.data(), link.data(), link.size());
  if (size < 0) return false;
  std::string_view target(link.data(), static_cast<size_t>(size));
  return std::any_of(own.begin(), own.end(),
                     [&](std::string_view prefix) { return target.starts_with(prefix); });
}

// The first descriptor from 3 on that is not the component's own, or -1.
int ForeignDescriptor(const Words& own) {
  for (int fd = 3; fd < kMaxFd; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0 && !IsOwn(fd, own)) return fd;
  }
  return -1;
}

// A call by the ia32 entry, where 64-bit filters without a check of the
// architecture don't look.
long Int80(long number) {
#if defined(__x86_64__)
  long value = number;
  __asm__ volatile("int $0x80" : "+a"(value) : : "memory", "r8", "r9", "r10", "r11");
  return static_cast<int32_t>(value);
#else
  static_cast<void>(number);
  return -ENOSYS;
#endif
}

std::string FromHex(std::string_view digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    std::string text = "0x" + std::string(digits.substr(i, 2));
    bytes.push_back(static_cast<char>(ParseNumber(text).value_or(0)));
  }
  return bytes;
}

void AppendInteger(long value, size_t bytes, bool big_endian, std::string* data) {
  for (size_t i = 0; i < bytes; ++i) {
    size_t shift = 8 * (big_endian ? bytes - 1 - i : i);
    data->push_back(static_cast<char>((static_cast<unsigned long>(value) >> shift) & 0xff));
  }
}

Outcome Broken(std::string_view what) {
  return {Result::kBroken, 0, "", "can't run `" + std::string(what) + "`"};
}

// Takes `prefix`VALUE off the end of a step.
std::optional<std::string_view> TakeOption(std::string_view prefix, Words* words) {
  if (words->empty() || !words->back().starts_with(prefix)) return std::nullopt;
  std::string_view value = words->back().substr(prefix.size());
  words->pop_back();
  return value;
}

}  // namespace

Machine::Machine(const Table& table, const Parameters& parameters)
    : table_(table), parameters_(parameters) {
  values_["buf"] = Keep(std::string(kScratch, '\0'));
}

Machine::~Machine() {
  for (const auto& [name, value] : values_) {
    if (name.starts_with("fd") && value >= 0) close(static_cast<int>(value));
  }
}

Outcome Machine::Run(const Row& row) {
  for (const Words& words : row.steps) {
    if (std::optional<Outcome> stop = Step(words)) return *stop;
  }
  return {};
}

std::optional<Outcome> Machine::Step(Words words) {
  if (words[0] == "let" && words.size() == 4) {
    std::optional<long> address = Pointer(words[3]);
    if (!address) return Broken(words[3]);
    values_[std::string(words[1])] = *address;
    return std::nullopt;
  }
  bool optional = words[0] == "try";
  if (optional) words.erase(words.begin());
  std::string target;
  if (words.size() > 2 && words[1] == "=") {
    target = words[0];
    words.erase(words.begin(), words.begin() + 2);
  }
  std::vector<long> accepted;
  if (std::optional<std::string_view> names = TakeOption("ok=", &words)) {
    for (std::string_view name : Split(*names, ',')) {
      std::optional<long> error = Constant(name);
      if (!error) return Broken(name);
      accepted.push_back(*error);
    }
  }
  long least = 0;
  if (std::optional<std::string_view> text = TakeOption("min=", &words)) {
    least = ParseNumber(*text).value_or(0);
  }
  std::string_view call = words[0];
  words.erase(words.begin());
  std::optional<Answer> answer = Call(call, words);
  if (!answer) return Broken(call);
  bool met = answer->value >= least ||
             std::find(accepted.begin(), accepted.end(), answer->error) != accepted.end();
  if (!met && !optional) {
    bool absent =
        std::find(table_.absent.begin(), table_.absent.end(), answer->error) != table_.absent.end();
    return Outcome{absent ? Result::kAbsent : Result::kRefused, answer->error, std::string(call),
                   ""};
  }
  if (!target.empty()) values_[target] = answer->value;
  return std::nullopt;
}

std::optional<Machine::Answer> Machine::Call(std::string_view name, const Words& arguments) {
  if (name == "foreignfd") {
    int fd = ForeignDescriptor(table_.own);
    return Answer{fd, fd < 0 ? ENOENT : 0};
  }
  std::array<long, 7> numbers = {};
  size_t count = 0;
  for (std::string_view word : arguments) {
    std::optional<long> number = Argument(word);
    if (!number || count == numbers.size()) return std::nullopt;
    numbers[count++] = *number;
  }
  if (name == "int80") {
    long value = Int80(numbers[0]);
    return Answer{value, value < 0 ? static_cast<int>(-value) : 0};
  }
  if (name == "raw") {
    std::rotate(numbers.begin(), numbers.begin() + 1, numbers.end());
  } else if (!table_.calls.contains(name)) {
    return std::nullopt;
  }
  long number = name == "raw" ? numbers.back() : table_.calls.find(name)->second;
  errno = 0;
  long value =
      syscall(number, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]);
  if ((name == "clone" || name == "clone3") && value == 0) _exit(0);  // this is the new process
  return Answer{value, value < 0 ? errno : 0};
}

std::optional<long> Machine::Argument(std::string_view word) {
  if (word.starts_with('"') || word.starts_with("data:")) return Pointer(word);
  return Number(word);
}

std::optional<long> Machine::Number(std::string_view word) {
  if (word.starts_with('$')) {
    auto found = values_.find(word.substr(1));
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }
  if (word.starts_with('@')) {
    auto found = parameters_.find(word.substr(1));
    return found == parameters_.end() ? std::nullopt : ParseNumber(found->second);
  }
  if (word.starts_with('#')) {
    auto found = table_.blobs.find(word.substr(1));
    if (found == table_.blobs.end()) return std::nullopt;
    return static_cast<long>(found->second.size() / 2);
  }
  long value = 0;
  for (std::string_view part : Split(word, '|')) {
    std::optional<long> bits = Constant(part);
    if (!bits) return std::nullopt;
    value |= *bits;
  }
  return value;
}

std::optional<long> Machine::Constant(std::string_view word) const {
  auto found = table_.constants.find(word);
  return found == table_.constants.end() ? ParseNumber(word) : std::optional(found->second);
}

std::optional<long> Machine::Pointer(std::string_view word) {
  std::optional<std::string> data = word.starts_with('"') ? Text(word) : Data(word.substr(5));
  if (!data) return std::nullopt;
  return Keep(*std::move(data));
}

std::optional<std::string> Machine::Text(std::string_view word) const {
  std::string text(word.substr(1, word.size() - 2));
  if (text == "\\n") return "\n";
  for (size_t begin; (begin = text.find("@{")) != std::string::npos;) {
    size_t end = text.find('}', begin);
    auto found = parameters_.find(text.substr(begin + 2, end - begin - 2));
    if (end == std::string::npos || found == parameters_.end()) return std::nullopt;
    text.replace(begin, end - begin + 1, found->second);
  }
  return text;
}

std::optional<std::string> Machine::Data(std::string_view items) {
  std::string data;
  for (std::string_view item : Split(items, ',')) {
    if (!AppendItem(item, &data)) return std::nullopt;
  }
  return data;
}

bool Machine::AppendItem(std::string_view item, std::string* data) {
  size_t equals = item.find('=');
  if (equals == std::string_view::npos) return false;
  std::string_view kind = item.substr(0, equals);
  std::string_view value = item.substr(equals + 1);
  if (kind == "s") {
    data->append(value);
    return true;
  }
  if (kind == "blob") {
    auto found = table_.blobs.find(value);
    if (found == table_.blobs.end()) return false;
    data->append(FromHex(found->second));
    return true;
  }
  if (kind == "ptr") {
    auto found = values_.find(value);
    if (found == values_.end()) return false;
    AppendInteger(found->second, 8, false, data);
    return true;
  }
  std::optional<long> number = Number(value);
  if (!number) return false;
  if (kind == "zero" || kind == "pad") {
    data->resize(static_cast<size_t>(*number) + (kind == "zero" ? data->size() : 0));
    return true;
  }
  constexpr std::array<std::pair<std::string_view, size_t>, 5> kIntegers = {
      {{"u8", 1}, {"u16", 2}, {"u32", 4}, {"u64", 8}, {"be16", 2}}};
  for (const auto& [name, bytes] : kIntegers) {
    if (name != kind) continue;
    AppendInteger(*number, bytes, kind == "be16", data);
    return true;
  }
  return false;
}

long Machine::Keep(std::string data) {
  kept_.push_back(std::move(data));
  return reinterpret_cast<long>(kept_.back().data());
}

}  // namespace bulkhead::attack
