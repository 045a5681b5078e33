// SPDX-License-Identifier: Apache-2.0
// Why a component may or may not do something. Evaluates the compiled bundle (the BPF itself, the
// Landlock rules, the view, the edges), never the policy text. Pure, thread-safe.
#pragma once

#include <tl/expected.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "profiles/bundle.h"

namespace bulkhead {

struct ControlVerdict {
  Layer layer = Layer::kView;
  bool allows = false;
  std::string text;
};

struct WhyAnswer {
  bool decidable = true;  // false: `note` says what the answer hangs on
  bool allowed = false;   // every control allows
  std::vector<ControlVerdict> controls;
  std::string rule;  // statement id that grants it, or that the refusal belongs to
  Recorder recorder = Recorder::kNone;  // of a refusal
  std::string note;
};

// Actions: `read|write|create|execute PATH`, `syscall NAME [arg=value ...]`,
// `connect|listen tcp:PORT|udp:PORT|unix:PATH|vsock:ADDRESS`. The error is a usage error for
// people.
tl::expected<WhyAnswer, std::string> Why(const Bundle& bundle, std::string_view component,
                                         std::string_view action,
                                         const std::vector<std::string>& object);

}  // namespace bulkhead
