// SPDX-License-Identifier: Apache-2.0
#include "engine/arguments.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// As profiles/syscall_table.inc calls those that are paths.
constexpr std::string_view kPaths[] = {"filename", "from_pathname", "linkpath",   "newpath",
                                       "oldpath",  "path",          "pathname",   "source",
                                       "special",  "target",        "to_pathname"};

struct AddressArgument {
  std::string_view call;
  unsigned pointer;
  unsigned size;
};
constexpr AddressArgument kAddresses[] = {{"bind", 1, 2}, {"connect", 1, 2}, {"sendto", 4, 5}};

bool IsPath(std::string_view name) { return std::ranges::find(kPaths, name) != std::end(kPaths); }

}  // namespace

Pieces PiecesOf(Arch arch, const SeccompData& call) {
  Pieces pieces;
  const std::string_view name = SyscallName(arch, call.nr);
  for (const AddressArgument& row : kAddresses) {
    if (row.call != name || call.args.at(row.pointer) == 0) continue;
    const auto size = static_cast<uint32_t>(call.args.at(row.size));
    pieces[0] = {call.args.at(row.pointer), std::min<uint32_t>(size, kMaxSocketAddress), 0};
    return pieces;
  }
  const SyscallArgList args = SyscallArgs(arch, name);
  size_t used = 0;
  for (size_t i = 0; i < args.size() && used < pieces.size(); ++i) {
    if (args[i].type != ArgType::kPointer || !IsPath(args[i].name) || call.args.at(i) == 0)
      continue;
    pieces.at(used++) = {call.args.at(i), kMaxPieceSize, 1};
  }
  return pieces;
}

std::string DescribePieces(const Pieces& pieces, const BrokerReply& reply) {
  std::string text;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const uint32_t size = reply.sizes[i];
    if (pieces.at(i).size == 0 || size == kUnreadPiece || size > kMaxPieceSize) continue;
    const std::span<const uint8_t> bytes(reply.bytes[i], size);
    if (!text.empty()) text += " ";
    if (pieces.at(i).text != 0) {
      text.append(bytes.begin(), bytes.end());
    } else {
      text += EndpointText({}, bytes);
    }
  }
  return text;
}

}  // namespace bulkhead
