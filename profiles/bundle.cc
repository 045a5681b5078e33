// SPDX-License-Identifier: Apache-2.0
#include "profiles/bundle.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>

#include "profiles/codec.h"

namespace bulkhead {
namespace {

constexpr std::string_view kMagic = "BULKHEAD";
constexpr uint32_t kFormatVersion = 1;
constexpr size_t kHeaderSize = 8 + 4 + 4;  // magic, version, body length
constexpr size_t kDigestSize = sizeof(Digest);

class Encoder {
 public:
  explicit Encoder(std::vector<uint8_t>& out) : out_(out) {}

  template <typename... Fields>
  void operator()(Fields&... fields) {
    (Put(fields), ...);
  }

 private:
  template <std::integral T>
  void Put(T value) {
    auto bits = static_cast<uint64_t>(value);
    for (size_t i = 0; i < sizeof(T); ++i, bits >>= 8) out_.push_back(static_cast<uint8_t>(bits));
  }
  template <typename T>
  requires std::is_enum_v<T>
  void Put(T value) { Put(static_cast<uint8_t>(value)); }
  void Put(std::string& text) {
    Put(static_cast<uint32_t>(text.size()));
    out_.insert(out_.end(), text.begin(), text.end());
  }
  void Put(Digest& digest) { out_.insert(out_.end(), digest.begin(), digest.end()); }
  template <typename T>
  void Put(std::optional<T>& value) {
    Put(static_cast<uint8_t>(value ? 1 : 0));
    if (value) Put(*value);
  }
  template <typename T>
  void Put(std::vector<T>& items) {
    Put(static_cast<uint32_t>(items.size()));
    for (T& item : items) Put(item);
  }
  template <typename T>
  requires std::is_class_v<T>
  void Put(T& value) { codec::Describe(*this, value); }

  std::vector<uint8_t>& out_;
};

class Decoder {
 public:
  explicit Decoder(std::span<const uint8_t> in) : in_(in) {}

  template <typename... Fields>
  void operator()(Fields&... fields) {
    (Get(fields), ...);
  }
  bool AtEnd() const { return ok_ && at_ == in_.size(); }

 private:
  // How many bytes are left if `want` of them are there; otherwise the decoder has failed.
  bool Take(size_t want) {
    if (!ok_ || in_.size() - at_ < want) ok_ = false;
    return ok_;
  }
  template <std::integral T>
  void Get(T& value) {
    if (!Take(sizeof(T))) return;
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof(T); ++i) bits |= uint64_t{in_[at_++]} << (8 * i);
    if constexpr (std::is_same_v<T, bool>) {
      if (bits > 1) ok_ = false;
      value = bits == 1;
    } else {
      value = static_cast<T>(bits);
    }
  }
  template <typename T>
  requires std::is_enum_v<T>
  void Get(T& value) {
    uint8_t raw = 0;
    Get(raw);
    value = static_cast<T>(raw);
  }
  void Get(std::string& text) {
    uint32_t size = 0;
    Get(size);
    if (!Take(size)) return;
    text.assign(reinterpret_cast<const char*>(in_.data()) + at_, size);
    at_ += size;
  }
  void Get(Digest& digest) {
    if (!Take(digest.size())) return;
    std::copy_n(in_.begin() + static_cast<std::ptrdiff_t>(at_), digest.size(), digest.begin());
    at_ += digest.size();
  }
  template <typename T>
  void Get(std::optional<T>& value) {
    uint8_t present = 0;
    Get(present);
    if (present > 1) ok_ = false;
    if (ok_ && present == 1) Get(value.emplace());
  }
  template <typename T>
  void Get(std::vector<T>& items) {
    uint32_t count = 0;
    Get(count);
    // Every item takes at least one byte, so a count above what is left is a lie; growing item by
    // item keeps the memory in proportion to the input.
    if (!Take(count)) return;
    for (uint32_t i = 0; ok_ && i < count; ++i) Get(items.emplace_back());
  }
  template <typename T>
  requires std::is_class_v<T>
  void Get(T& value) { codec::Describe(*this, value); }

  std::span<const uint8_t> in_;
  size_t at_ = 0;
  bool ok_ = true;
};

using Defect = std::optional<std::string>;

template <typename T, typename Key>
bool StrictlySorted(const std::vector<T>& items, Key key) {
  return std::adjacent_find(items.begin(), items.end(), [&](const T& a, const T& b) {
           return !(key(a) < key(b));
         }) == items.end();
}

const char* SinkDefect(const Sink& sink) {
  if (sink.kind > SinkKind::kVsock) return "sink: unknown kind";
  if (HasPath(sink.kind) != IsNormalPath(sink.path)) return "sink: path";
  if (sink.kind == SinkKind::kUnix && sink.path.size() > kMaxUnixPath) return "sink: path";
  const bool vsock = ParseVsockPeer(sink.path).has_value();
  if ((sink.kind == SinkKind::kVsock) != vsock) return "sink: address";
  if (sink.kind == SinkKind::kStdout && !sink.path.empty()) return "sink: stdout has no path";
  return nullptr;
}

// No line of a component comes where records are, nor is a file of these replaced by a full one.
const char* OutputDefect(const std::vector<Sink>& audit, const OutputPlan& output) {
  if (output.sinks.empty()) return "output: no sink";
  if (!StrictlySorted(output.sinks, [](const Sink& s) { return std::tie(s.kind, s.path); })) {
    return "output: sinks are not sorted";
  }
  const std::vector<std::string> all = SinkPaths(audit, output);
  for (const std::string& path : SinkPaths({}, output)) {
    if (std::ranges::count(all, path) != 1) return "output: a path of two sinks";
  }
  bool file = false;
  for (const Sink& sink : output.sinks) {
    if (const char* defect = SinkDefect(sink)) return defect;
    file = file || sink.kind == SinkKind::kFile;
    const bool both = sink.kind == SinkKind::kVsock && std::ranges::count(audit, sink) != 0;
    if (both) return "output: an audit sink";
  }
  const bool sized = output.file_size >= kMinOutputFile && output.file_size <= kMaxOutputFile;
  return (file ? sized : output.file_size == 0) ? nullptr : "output: file size";
}

Defect EnumDefect(const BundleData& data) {
  for (const Requirement& r : data.requirements) {
    if (static_cast<size_t>(r.feature) >= kFeatureCount) return "requirement: unknown feature";
    if (r.level == 0) return "requirement: level 0";
  }
  for (const Sink& sink : data.sinks) {
    if (const char* defect = SinkDefect(sink)) return defect;
  }
  if (const char* defect = OutputDefect(data.sinks, data.output)) return defect;
  for (const LedgerRow& row : data.ledger) {
    if (row.status > Status::kWaived || row.recorder > Recorder::kNone) return "ledger: enum";
    if (row.controls.empty() && row.status != Status::kWaived) return "ledger: empty row";
    for (const Control& control : row.controls) {
      if (control.layer > Layer::kBroker) return "ledger: layer";
    }
  }
  if (data.target.arch != Arch::kX86_64 && data.target.arch != Arch::kAarch64) {
    return "target: arch";
  }
  return std::nullopt;
}

// Whether the component has the socket, handed over or made by itself.
bool Serves(const ProfileData& profile, const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/'));
  return std::ranges::any_of(profile.listeners,
                             [&](const Listener& listener) {
                               return listener.kind == ListenerKind::kUnixStream &&
                                      listener.path == path;
                             }) ||
         std::ranges::any_of(profile.edges, [&](const EdgeDirectory& edge) {
           return edge.server && edge.path == directory;
         });
}

// The names of its ends are known.
Defect ConnectionDefect(const BundleData& data, const Channel& channel) {
  const bool connected = channel.kind == ChannelKind::kConnected;
  if (!connected) {
    const bool plain = channel.path.empty() && !channel.as_server;
    return plain ? Defect() : "channel `" + channel.name + "`: connected to nothing";
  }
  const auto server = std::ranges::find(data.components, channel.to, &ProfileData::name);
  if (!IsNormalPath(channel.path) || !Serves(*server, channel.path)) {
    return "channel `" + channel.name + "`: no such listener";
  }
  return std::nullopt;
}

Defect ReferenceDefect(const BundleData& data) {
  std::set<std::string> names;
  std::set<std::string> instanced;
  std::set<uint32_t> uids;
  for (const ProfileData& component : data.components) {
    names.insert(component.name);
    if (component.instances.at_most != 0) instanced.insert(component.name);
    if (!uids.insert(component.uid).second) return "two components have the same uid";
    if (component.arch != data.target.arch) return "a component of another architecture";
  }
  for (const ProfileData& component : data.components) {
    for (const std::string& name : component.lifecycle.after) {
      if (!names.contains(name)) return "`after` names no component: " + name;
    }
  }
  for (const Channel& channel : data.channels) {
    if (channel.kind > ChannelKind::kConnected) return "channel: unknown kind";
    const bool sized = channel.size != 0;
    if (sized != (channel.kind == ChannelKind::kMemory) || channel.size > kMaxChannelMemory) {
      return "channel `" + channel.name + "`: size";
    }
    if (!names.contains(channel.from) || !names.contains(channel.to) ||
        channel.from == channel.to) {
      return "channel `" + channel.name + "` has no two ends";
    }
    const bool shared = channel.kind != ChannelKind::kConnected;
    if (shared && (instanced.contains(channel.from) || instanced.contains(channel.to))) {
      return "channel `" + channel.name + "`: an end for many";
    }
    if (Defect defect = ConnectionDefect(data, channel)) return defect;
  }
  return std::nullopt;
}

// A path that is there is one, and every register has what it needs.
Defect MeasureDefect(const BundleData& data) {
  const Measure& m = data.measure;
  if (m.kind > RegisterKind::kTpm) return "measure: unknown register";
  for (const std::string* path : {&m.nsm, &m.rtmr, &m.tdx, &m.tsm, &m.tpm, &m.event_log}) {
    if (!path->empty() && (!IsNormalPath(*path) || *path == "/")) return "measure: path";
  }
  if (m.kind == RegisterKind::kNone && (m.policy != 0 || m.events)) return "measure: no register";
  const bool nitro = m.kind == RegisterKind::kNitro;
  if (nitro && (m.nsm.empty() || m.policy < 16 || m.policy > 31)) return "measure: nitro";
  if (nitro && m.events && (*m.events < 16 || *m.events > 31 || *m.events == m.policy)) {
    return "measure: events";
  }
  if (m.kind == RegisterKind::kTdx && (m.rtmr.empty() || m.tdx.empty() || m.policy > 3)) {
    return "measure: tdx";
  }
  if (m.kind == RegisterKind::kTpm && (m.tpm.empty() || m.policy > 23)) return "measure: tpm";
  if (m.kind == RegisterKind::kTdx || m.kind == RegisterKind::kTpm) {
    if (m.event_log.empty()) return "measure: no event log";
    if (m.events && *m.events != m.policy) return "measure: events";
  }
  if (!m.nsm.empty() && !m.tsm.empty()) return "measure: two platforms";
  for (const ProfileData& component : data.components) {
    const Attestation& a = component.attestation;
    if (!a.given) continue;
    if (!m.Attests()) return "component `" + component.name + "`: attestation by nobody";
    if (a.public_key && m.nsm.empty()) return "component `" + component.name + "`: public key";
  }
  return std::nullopt;
}

Defect OrderDefect(const BundleData& data) {
  if (data.components.empty()) return "no components";
  if (data.components.size() > 4096) return "too many components";
  const auto by_name = [](const auto& item) -> const auto& { return item.name; };
  if (!StrictlySorted(data.components, by_name)) return "components are not sorted";
  if (!StrictlySorted(data.channels, by_name)) return "channels are not sorted";
  if (!StrictlySorted(data.vars, by_name)) return "vars are not sorted";
  if (!StrictlySorted(data.sources, by_name)) return "sources are not sorted";
  if (!StrictlySorted(data.assets, by_name)) return "assets are not sorted";
  return std::nullopt;
}

// Removes components whose predecessors are gone until nothing moves; what stays is in a cycle.
Defect CycleDefect(const BundleData& data) {
  std::map<std::string, std::set<std::string>> waiting;
  for (const ProfileData& component : data.components) {
    waiting[component.name] = {component.lifecycle.after.begin(), component.lifecycle.after.end()};
  }
  for (bool moved = true; moved && !waiting.empty();) {
    moved = false;
    for (auto it = waiting.begin(); it != waiting.end();) {
      std::erase_if(it->second, [&](const std::string& name) { return !waiting.contains(name); });
      const bool free = it->second.empty();
      it = free ? waiting.erase(it) : std::next(it);
      moved |= free;
    }
  }
  if (waiting.empty()) return std::nullopt;
  return "the start order of `" + waiting.begin()->first + "` is a cycle";
}

uint32_t ReadU32(std::span<const uint8_t> bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t{bytes[at + i]} << (8 * i);
  return value;
}

Defect FrameDefect(std::span<const uint8_t> bytes) {
  if (bytes.size() < kHeaderSize + kDigestSize) return "too short for a bundle";
  if (bytes.size() > kMaxBundleSize) return "larger than 16 MiB";
  if (!std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) return "not a bundle";
  if (ReadU32(bytes, 8) != kFormatVersion) return "unknown format version";
  if (ReadU32(bytes, 12) != bytes.size() - kHeaderSize - kDigestSize) return "wrong length";
  const Digest digest = BundleDigest(bytes);
  if (!std::equal(digest.begin(), digest.end(), bytes.end() - kDigestSize)) {
    return "the digest does not match the content";
  }
  return std::nullopt;
}

}  // namespace

tl::expected<Bundle, std::string> Bundle::Make(BundleData data) {
  for (auto check : {OrderDefect, EnumDefect, ReferenceDefect, MeasureDefect, CycleDefect}) {
    if (Defect defect = check(data)) return tl::make_unexpected(*defect);
  }
  std::vector<Profile> profiles;
  for (const ProfileData& component : data.components) {
    auto profile = Profile::Make(component);
    if (!profile) {
      return tl::make_unexpected("component `" + component.name + "`: " + profile.error());
    }
    profiles.push_back(std::move(*profile));
  }
  return Bundle(std::move(data), std::move(profiles));
}

const Profile* Bundle::Find(std::string_view component) const {
  for (const Profile& profile : profiles_) {
    if (profile->name == component) return &profile;
  }
  return nullptr;
}

std::vector<uint8_t> EncodeBundle(const Bundle& bundle) {
  std::vector<uint8_t> bytes(kMagic.begin(), kMagic.end());
  Encoder io(bytes);
  uint32_t version = kFormatVersion;
  uint32_t length = 0;
  io(version, length);
  BundleData data = *bundle;  // the walk takes its fields by reference
  codec::Describe(io, data);
  length = static_cast<uint32_t>(bytes.size() - kHeaderSize);
  for (size_t i = 0; i < 4; ++i) bytes[12 + i] = static_cast<uint8_t>(length >> (8 * i));
  const Digest digest = Sha384(bytes);
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  return bytes;
}

tl::expected<Bundle, std::string> DecodeBundle(std::span<const uint8_t> bytes) {
  if (Defect defect = FrameDefect(bytes)) return tl::make_unexpected(*defect);
  Decoder io(bytes.subspan(kHeaderSize, bytes.size() - kHeaderSize - kDigestSize));
  BundleData data;
  codec::Describe(io, data);
  if (!io.AtEnd()) return tl::make_unexpected("the body is malformed");
  auto bundle = Bundle::Make(std::move(data));
  if (!bundle) return bundle;
  const std::vector<uint8_t> again = EncodeBundle(*bundle);
  if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) {
    return tl::make_unexpected("not in canonical form");
  }
  return bundle;
}

Digest BundleDigest(std::span<const uint8_t> bytes) {
  return Sha384(bytes.first(bytes.size() - std::min(bytes.size(), kDigestSize)));
}

std::vector<std::string> SinkPaths(const std::vector<Sink>& audit, const OutputPlan& output) {
  std::vector<std::string> paths;
  for (const std::vector<Sink>* sinks : {&audit, &output.sinks}) {
    for (const Sink& sink : *sinks) {
      if (!HasPath(sink.kind)) continue;
      paths.push_back(sink.path);
      const bool renamed = sinks == &output.sinks && sink.kind == SinkKind::kFile;
      if (renamed) paths.push_back(sink.path + std::string(kOldSuffix));
    }
  }
  return paths;
}

std::optional<VsockPeer> ParseVsockPeer(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  VsockPeer peer;
  const auto parse = [](std::string_view digits, uint32_t& value) {
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    return error == std::errc() && stop == end && std::to_string(value) == digits;
  };
  if (!parse(text.substr(0, colon), peer.cid)) return std::nullopt;
  if (!parse(text.substr(colon + 1), peer.port)) return std::nullopt;
  return peer;
}

}  // namespace bulkhead
