// SPDX-License-Identifier: Apache-2.0
// A bundle: the compiled policy of one enclave, and its canonical byte form. Decode accepts exactly
// what Encode writes: every decoded bundle is encoded again and compared. The format is described
// in docs/BUNDLE.md. Immutable after construction.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "profiles/digest.h"
#include "profiles/features.h"
#include "profiles/ledger.h"
#include "profiles/measure.h"
#include "profiles/profile.h"

namespace bulkhead {

struct Requirement {
  Feature feature = Feature::kLandlock;
  uint32_t level = 1;     // at least
  std::string component;  // empty for the enclave
  std::string statement;  // which statement needs it
  bool operator==(const Requirement&) const = default;
};

enum class ChannelKind : uint8_t {
  kStream,
  kMessages,
  kPipe,
  kMemory,     // of a fixed size; `from` writes, `to` reads
  kConnected,  // `from` starts with a connection to a socket of `to`
};

// Whether only `from` can send by it.
constexpr bool IsOneWay(ChannelKind kind) {
  return kind == ChannelKind::kPipe || kind == ChannelKind::kMemory;
}

inline constexpr uint64_t kMaxChannelMemory = uint64_t{1} << 32;

// Made by the supervisor; both ends keep it across restarts, but for kConnected, which is made for
// each run of `from`.
struct Channel {
  std::string name;
  std::string from;
  std::string to;
  ChannelKind kind = ChannelKind::kStream;
  uint64_t size = 0;  // bytes, of kMemory
  std::string rule;
  std::string path{};      // of kConnected: a unix listener of `to`, or one it makes itself
  bool as_server = false;  // of kConnected: under the uid of `to` instead of that of `from`
  bool operator==(const Channel&) const = default;
};

struct Asset {
  std::string name;
  std::vector<std::string> files;
  std::vector<std::string> readers;  // components whose policy reaches it, sorted
  bool operator==(const Asset&) const = default;
};

enum class SinkKind : uint8_t { kFile, kStdout, kUnix, kVsock };

inline bool IsStream(SinkKind kind) { return kind == SinkKind::kUnix || kind == SinkKind::kVsock; }
// Of those that have a place in the file system.
inline bool HasPath(SinkKind kind) { return kind == SinkKind::kFile || kind == SinkKind::kUnix; }

struct Sink {
  SinkKind kind = SinkKind::kStdout;
  std::string path;  // of a file or a unix socket; of vsock "CID:PORT"; of stdout empty
  bool operator==(const Sink&) const = default;
};

// Where lines of components go. Of a file of `file_size` bytes the content goes on in a new one,
// and what was there has kOldSuffix behind its name.
struct OutputPlan {
  std::vector<Sink> sinks;  // at least one, sorted; none of them a place of the audit log
  uint64_t file_size = 0;   // 0: no file is among them
  bool operator==(const OutputPlan&) const = default;
};

inline constexpr std::string_view kOldSuffix = ".old";
inline constexpr uint64_t kMinOutputFile = uint64_t{1} << 20;
inline constexpr uint64_t kMaxOutputFile = uint64_t{1} << 40;

inline constexpr size_t kMaxUnixPath = 107;  // unix(7): sun_path without its NUL

struct VsockPeer {
  uint32_t cid = 0;
  uint32_t port = 0;
};
// "3:9001" as a bundle has it: decimal, without leading zeros.
std::optional<VsockPeer> ParseVsockPeer(std::string_view text);

struct Waiver {
  std::string component;
  std::string statement;
  std::string reason;
  std::string until;  // YYYY-MM-DD; not judged at boot
  bool operator==(const Waiver&) const = default;
};

struct NamedDigest {
  std::string name;
  Digest digest{};
  bool operator==(const NamedDigest&) const = default;
};

// What of the file system the supervisor writes or connects to for these.
std::vector<std::string> SinkPaths(const std::vector<Sink>& audit, const OutputPlan& output);

struct BundleData {
  std::string enclave;
  Target target;
  Measure measure;
  std::vector<EnvVar> vars;          // the policy's variables, sorted
  std::vector<NamedDigest> sources;  // files of `use`, sorted by name
  std::vector<Requirement> requirements;
  std::vector<Sink> sinks;  // of the audit log
  OutputPlan output;
  std::vector<Asset> assets;
  std::vector<Channel> channels;  // sorted by name
  std::vector<Waiver> waivers;
  std::vector<LedgerRow> ledger;
  std::vector<ProfileData> components;  // sorted by name, at least one
  bool operator==(const BundleData&) const = default;
};

class Bundle {
 public:
  // Checks every profile (Profile::Make) and what must hold between them: unique names and uids,
  // sorted order, references that exist, start order without cycles.
  static tl::expected<Bundle, std::string> Make(BundleData data);

  const BundleData& operator*() const { return data_; }
  const BundleData* operator->() const { return &data_; }
  const std::vector<Profile>& components() const { return profiles_; }  // same order as the data
  const Profile* Find(std::string_view component) const;

 private:
  Bundle(BundleData data, std::vector<Profile> profiles)
      : data_(std::move(data)), profiles_(std::move(profiles)) {}
  BundleData data_;
  std::vector<Profile> profiles_;
};

inline constexpr size_t kMaxBundleSize = 16U << 20;  // bytes

std::vector<uint8_t> EncodeBundle(const Bundle& bundle);

// Refuses anything that EncodeBundle would not write, with the reason. Reads bounded memory.
tl::expected<Bundle, std::string> DecodeBundle(std::span<const uint8_t> bytes);

// SHA-384 over the whole frame but its own last 48 bytes: the digest that is measured.
// Precondition: `bytes` decodes.
Digest BundleDigest(std::span<const uint8_t> bytes);

}  // namespace bulkhead
