// SPDX-License-Identifier: Apache-2.0
// The words for the values of a bundle, as the policy language and the reports spell them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "profiles/bundle.h"

namespace bulkhead {

std::string_view NameOf(Stream stream);
std::string_view NameOf(ViewKind kind);
std::string_view NameOf(Network network);
std::string_view NameOf(ListenerKind kind);
std::string_view NameOf(ReadyKind kind);
std::string_view NameOf(RestartWhen when);
std::string_view NameOf(OnViolation action);
std::string_view NameOf(ChannelKind kind);
std::string_view NameOf(SinkKind kind);

// Landlock rights by name, in the order of the kernel's bits; a bit without a name as "bit-N".
std::vector<std::string> FileRightNames(uint64_t access);
std::vector<std::string> PortRightNames(uint64_t access);
std::vector<std::string> ScopeNames(uint64_t scoped);

std::string SignalName(uint32_t signal);       // "TERM"
std::string DigestText(const Digest& digest);  // "sha384:" and 96 digits

// "tcp:127.0.0.1:6379", "udp:*:53", "vsock:3:9001", "udp-bind:*:5353".
std::string BrokerRuleText(const BrokerRule& rule);

}  // namespace bulkhead
