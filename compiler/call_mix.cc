// SPDX-License-Identifier: Apache-2.0
#include "compiler/call_mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

struct NamedCall {
  std::string_view name;
  uint64_t weight = 0;  // billionths
  std::array<uint64_t, 6> args{};
};

template <typename... Args>
constexpr NamedCall Row(std::string_view name, uint64_t weight, Args... args) {
  return {name, weight, {static_cast<uint64_t>(args)...}};
}

constexpr NamedCall kDefault[] = {
#define BULKHEAD_CALL(name, ...) Row(#name, __VA_ARGS__),
#include "compiler/call_mix.inc"
#undef BULKHEAD_CALL
};

// What glibc and musl do where the kernel lacks the older call; its arguments stand elsewhere.
constexpr std::pair<std::string_view, std::string_view> kInstead[] = {
    {"access", "faccessat"},
    {"chmod", "fchmodat"},
    {"chown", "fchownat"},
    {"dup2", "dup3"},
    {"epoll_create", "epoll_create1"},
    {"epoll_wait", "epoll_pwait"},
    {"eventfd", "eventfd2"},
    {"fork", "clone"},
    {"getdents", "getdents64"},
    {"link", "linkat"},
    {"lstat", "newfstatat"},
    {"mkdir", "mkdirat"},
    {"open", "openat"},
    {"pipe", "pipe2"},
    {"poll", "ppoll"},
    {"readlink", "readlinkat"},
    {"rename", "renameat"},
    {"rmdir", "unlinkat"},
    {"select", "pselect6"},
    {"stat", "newfstatat"},
    {"symlink", "symlinkat"},
    {"unlink", "unlinkat"},
    {"vfork", "clone"},
};

std::optional<uint32_t> NumberInstead(Arch arch, std::string_view name) {
  for (const auto& [older, newer] : kInstead) {
    if (older == name) return SyscallNumber(arch, newer);
  }
  return std::nullopt;
}

// `total` is the sum of the weights. Equal calls are joined.
CallMix Normalized(CallMix calls, uint64_t total) {
  std::ranges::sort(calls);
  CallMix mix;
  for (const MixedCall& call : calls) {
    if (!mix.empty() && mix.back().nr == call.nr && mix.back().args == call.args) {
      mix.back().weight += call.weight;
    } else {
      mix.push_back(call);
    }
  }
  for (MixedCall& call : mix) {
    call.weight =
        static_cast<uint64_t>(static_cast<unsigned __int128>(call.weight) * kMixTotal / total);
  }
  return mix;
}

// A line's words; the last one is empty when there are fewer.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  std::string_view Next() {
    const size_t space = std::min(rest_.find(' '), rest_.size());
    const std::string_view word = rest_.substr(0, space);
    at_end_ = space == rest_.size();
    rest_.remove_prefix(std::min(space + 1, rest_.size()));
    return word;
  }

  template <typename T>
  std::optional<T> NextNumber() {
    const std::string_view word = Next();
    T value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return value;
  }

  bool AtEnd() const { return at_end_; }

 private:
  std::string_view rest_;
  bool at_end_ = false;
};

// Scales of weights that a recording can mix: shares, counts of a long run.
constexpr double kLeastWeight = 1e-12;
constexpr double kMostWeight = 1e6;

std::optional<MixedCall> ParseLine(std::string_view line) {
  Words words(line);
  if (words.Next().empty()) return std::nullopt;
  const auto weight = words.NextNumber<double>();
  const auto nr = words.NextNumber<uint32_t>();
  if (!weight || !nr || !(*weight >= 0 && *weight <= kMostWeight)) return std::nullopt;
  MixedCall call;
  call.nr = *nr;
  // One multiplication and one rounding: the same on any machine.
  call.weight = static_cast<uint64_t>(std::llround(*weight / kLeastWeight));
  for (uint64_t& arg : call.args) {
    const auto value = words.NextNumber<uint64_t>();
    if (!value) return std::nullopt;
    arg = *value;
  }
  if (!words.AtEnd()) return std::nullopt;
  return call;
}

}  // namespace

CallMix DefaultCallMix(Arch arch) {
  CallMix calls;
  uint64_t total = 0;
  for (const NamedCall& row : kDefault) {
    MixedCall call{0, row.args, row.weight};
    auto nr = SyscallNumber(arch, row.name);
    if (!nr) {
      nr = NumberInstead(arch, row.name);
      call.args = {};
    }
    if (!nr) continue;
    call.nr = *nr;
    total += call.weight;
    calls.push_back(call);
  }
  return Normalized(std::move(calls), total);
}

tl::expected<CallMix, std::string> ParseCallMix(std::string_view text) {
  if (text.size() > kMaxCallMixSize) {
    return tl::unexpected(fmt::format("is larger than {} MiB", kMaxCallMixSize >> 20));
  }
  CallMix calls;
  unsigned __int128 total = 0;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const auto call = ParseLine(text.substr(0, end));
    if (!call) {
      return tl::unexpected(
          fmt::format("line {} is not `program weight nr arg0 arg1 arg2 arg3 arg4 arg5`", number));
    }
    total += call->weight;
    calls.push_back(*call);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (total == 0) return tl::unexpected<std::string>("has no call with a weight above 0");
  if (total > UINT64_MAX) {
    return tl::unexpected<std::string>("has weights that come to more than 18,000,000");
  }
  return Normalized(std::move(calls), static_cast<uint64_t>(total));
}

Weighing WeighingFor(uint32_t kernel_major, uint32_t kernel_minor) {
  constexpr std::pair<uint32_t, uint32_t> kFirstWithBitmap{5, 11};
  return std::pair(kernel_major, kernel_minor) >= kFirstWithBitmap ? Weighing::kUncached
                                                                   : Weighing::kAll;
}

}  // namespace bulkhead
