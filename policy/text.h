// SPDX-License-Identifier: Apache-2.0
// Text of unknown origin made fit for messages: decoded, escaped, cut, compared. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace bulkhead {

struct CodePoint {
  uint32_t value = 0;
  uint32_t length = 0;  // bytes; 0: not well-formed UTF-8 (RFC 3629) at this place
};

// The first code point of `text`, which must not be empty.
CodePoint DecodeFront(std::string_view text);

// Characters that a reader can't see or that reorder what is seen: bidirectional controls, zero
// width characters, separators that some editors take for line ends, tags, noncharacters.
bool IsInvisible(uint32_t code_point);

// C0 except line feed, DEL, C1.
bool IsControl(uint32_t code_point);

// `text` with control, invisible and malformed bytes written as \xNN.
std::string Escaped(std::string_view text);

// `text` in backticks, escaped, cut with an ellipsis after 64 characters.
std::string Quoted(std::string_view text);

// The candidate a writer most likely meant: few edits away, the first of equals.
std::optional<std::string_view> Nearest(std::string_view word,
                                        std::span<const std::string_view> candidates);

}  // namespace bulkhead
