// SPDX-License-Identifier: Apache-2.0
// What can be asked about a component: an action and its object, as people write them. One table of
// actions is behind the parser, help texts, `tests:` of a policy and reports. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "profiles/arch.h"

namespace bulkhead {

enum class Action : uint8_t {
  kRead,
  kList,
  kWrite,
  kTruncate,
  kCreate,
  kRemove,
  kRename,
  kMetadata,
  kExecute,
  kConnect,
  kListen,
  kSocket,
  kSyscall,
  kSignal,
  kTrace,
  kMemory,
  kCapability,
  kReach,
  kAttest,
};

enum class ObjectKind : uint8_t {
  kPath,
  kTwoPaths,
  kEndpoint,
  kSocket,     // FAMILY [TYPE [PROTOCOL]]
  kCall,       // NAME [ARGUMENT=VALUE ...]
  kComponent,  // of the same enclave
  kCapability,
  kTarget,       // a component or an asset
  kAttestation,  // one of kAttested
};

struct ActionRow {
  Action action;
  std::string_view name;
  ObjectKind object;
  std::string_view about;    // what is tried
  std::string_view example;  // of the object
};
std::span<const ActionRow> Actions();  // in enum order
const ActionRow& Row(Action action);
const ActionRow* FindAction(std::string_view name);  // nullptr: none

// What can be asked of attestation, as objects.
inline constexpr std::string_view kAttestDocument = "document";
inline constexpr std::string_view kAttestKey = "public-key";  // one of the asker in a document
inline constexpr std::string_view kAttestRandom = "random";
inline constexpr std::string_view kAttested[] = {kAttestDocument, kAttestKey, kAttestRandom};

struct Endpoint {
  enum class Kind : uint8_t { kTcp, kUdp, kUnix, kAbstract, kVsock };
  Kind kind = Kind::kTcp;
  std::string address;   // tcp, udp: empty for any; unix: a path; abstract: a name; vsock: a CID
  bool is_name = false;  // the address is a host's name, behind which any address can stand
  uint32_t port = 0;     // tcp, udp, vsock
};

struct Question {
  Action action = Action::kRead;
  std::string path;                   // of files
  std::string to;                     // kRename
  Endpoint endpoint;                  // kConnect, kListen
  std::string call;                   // kSyscall, and kSocket with `socket`
  std::map<unsigned, uint64_t> args;  // those that were given, by register
  std::string name;  // of a component, asset or capability; what is asked of attestation
};

// The error is about what was written, for people.
tl::expected<Question, std::string> ParseQuestion(Arch arch, std::string_view action,
                                                  const std::vector<std::string>& object);

// The words of an object that was written as one text; a path is one word.
std::vector<std::string> ObjectWords(ObjectKind kind, const std::string& text);

// "read, list, write, ..."
std::string ActionNames();

}  // namespace bulkhead
