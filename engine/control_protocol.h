// SPDX-License-Identifier: Apache-2.0
// What is said over the control socket. A request is one line, `bulkhead 1 VERB ...`, words with
// one space between:
//   bulkhead 1 status
//   bulkhead 1 stop COMPONENT|-             - is the whole enclave
//   bulkhead 1 restart COMPONENT
//   bulkhead 1 logs COMPONENT|- LINES once|follow
//   bulkhead 1 measure                      the audit log's head goes into its register
// The answer is lines of JSON, the first one `{"bulkhead":1,"ok":true}` or with `"ok":false` and
// `"error"`. Pure, thread-safe.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace bulkhead {

inline constexpr size_t kMaxControlRequest = 256;  // bytes, with the end of the line
inline constexpr uint32_t kMaxControlLines = 10000;

enum class ControlVerb : uint8_t { kStatus, kStop, kRestart, kLogs, kMeasure };

struct ControlRequest {
  ControlVerb verb = ControlVerb::kStatus;
  std::string component;  // empty: all
  uint32_t lines = 0;     // kLogs
  bool follow = false;    // kLogs
  bool operator==(const ControlRequest&) const = default;
};

// `line` without its end. The error is for the client.
tl::expected<ControlRequest, std::string> ParseControlRequest(std::string_view line);
std::string ControlRequestText(const ControlRequest& request);

// One flat JSON object, keys in the order they are given.
class ControlLine {
 public:
  ControlLine& Text(std::string_view key, std::string_view value);
  // Of text as EscapeText writes it.
  ControlLine& Escaped(std::string_view key, std::string_view text);
  ControlLine& Number(std::string_view key, uint64_t value);
  ControlLine& Flag(std::string_view key, bool value);
  ControlLine& Null(std::string_view key);
  std::string Finish();  // with the end of the line

 private:
  void Key(std::string_view key);
  std::string line_ = "{";
};

std::string ControlOk();
std::string ControlError(std::string_view what);

}  // namespace bulkhead
