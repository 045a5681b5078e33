// SPDX-License-Identifier: Apache-2.0
#include "cli/attest_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cli/audit_records.h"
#include "engine/event.h"
#include "profiles/attestation.h"

namespace bulkhead {
namespace {

// Of the header and of the report behind it (Intel's DCAP quoting library, sgx_quote_4.h and _5.h).
constexpr size_t kHeader = 48;
constexpr size_t kReport = 584;
constexpr size_t kAttributes = 120;
constexpr std::pair<const char*, size_t> kImageFields[] = {
    {"mrtd", 136}, {"rtmr0", 328}, {"rtmr1", 376}, {"rtmr2", 424}};
constexpr size_t kRtmr3 = 472;
constexpr size_t kReportData = 520;
constexpr uint8_t kTdxType = 0x81;

bool SameUserData(std::span<const uint8_t> found, const Digest& expected) {
  if (found.size() == expected.size()) return std::ranges::equal(found, expected);
  return std::ranges::equal(found, ReportData(expected));
}

AttestFinding AuditKeyFinding(std::span<const uint8_t> key) {
  return {"audit key", true, "ed25519:" + Hex(key)};
}

std::vector<AttestFinding> JudgeImage(const std::map<std::string, Digest>& found,
                                      const std::vector<std::string>& shown, bool debug,
                                      const ImageClaim& claim) {
  if (debug) return {{"image", false, "in debug mode: its registers say nothing of the image"}};
  std::vector<AttestFinding> findings;
  for (const auto& [name, wanted] : claim) {
    const auto held = found.find(name);
    if (held == found.end()) {
      findings.push_back({name, false, "not in the document"});
    } else if (held->second == wanted) {
      findings.push_back({name, true, "as given"});
    } else {
      findings.push_back({name, false, "it holds " + Hex(held->second)});
    }
  }
  // PCR0 is of the whole image, 1 and 2 are of its parts.
  const bool parts = claim.contains("pcr1") && claim.contains("pcr2");
  if (claim.contains("pcr0") || parts) return findings;
  std::string missing;
  for (const std::string& name : shown) {
    if (!claim.contains(name)) missing += fmt::format(", {}={}", name, Hex(found.at(name)));
  }
  if (missing.empty()) return findings;
  const std::string text =
      fmt::format("not judged{}: any image can measure this bundle; compare by --register{}",
                  claim.empty() ? "" : " as a whole", missing);
  findings.push_back({.what = "image", .good = true, .text = text, .open = true});
  return findings;
}

std::string Enough(std::span<const uint8_t> bytes) {
  return bytes.empty() ? std::string("nothing") : "sha384:" + Hex(bytes);
}

}  // namespace

std::optional<QuoteValues> ReadQuote(std::span<const uint8_t> quote) {
  if (quote.size() < kHeader + kReport) return std::nullopt;
  const unsigned version = quote[0] | quote[1] << 8;
  if (version != 4 && version != 5) return std::nullopt;
  if (quote[4] != kTdxType || quote[5] != 0 || quote[6] != 0 || quote[7] != 0) return std::nullopt;
  // Version 5 says first what kind of report follows (2 or 3) and how long it is.
  const size_t start = version == 4 ? kHeader : kHeader + 6;
  const unsigned body = quote[kHeader] | quote[kHeader + 1] << 8;
  if (version == 5 && body != 2 && body != 3) return std::nullopt;
  if (quote.size() < start + kReport) return std::nullopt;
  QuoteValues values;
  const auto report = quote.subspan(start, kReport);
  values.debug = (report[kAttributes] & 1) != 0;
  for (const auto& [name, at] : kImageFields) {
    std::ranges::copy(report.subspan(at, sizeof(Digest)), values.image[name].begin());
  }
  std::ranges::copy(report.subspan(kRtmr3, sizeof(Digest)), values.rtmr3.begin());
  const auto data = report.subspan(kReportData, 64);
  values.report_data.assign(data.begin(), data.end());
  return values;
}

tl::expected<ImageClaim, std::string> ReadImageClaim(const std::vector<std::string>& texts) {
  ImageClaim claim;
  for (const std::string& text : texts) {
    std::string lower = text;
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const size_t equals = lower.find('=');
    const std::string name = lower.substr(0, equals);
    const bool known =
        name.starts_with("pcr") ||
        std::ranges::any_of(kImageFields, [&](const auto& row) { return row.first == name; });
    if (equals == std::string::npos || !known) {
      return tl::make_unexpected(fmt::format(
          "`{}` is no register of an image: `pcr0=HEX` to `pcr15` of Nitro, `mrtd`, `rtmr0`, "
          "`rtmr1`, `rtmr2` of TDX",
          text));
    }
    const auto value = ParseDigest(std::string_view(lower).substr(equals + 1));
    if (!value) {
      return tl::make_unexpected(
          fmt::format("`{}`: a register has 96 hexadecimal digits, and no prefix", text));
    }
    if (!claim.emplace(name, *value).second) {
      return tl::make_unexpected(fmt::format("`{}` is given twice", name));
    }
  }
  return claim;
}

std::vector<AttestFinding> JudgeImage(const NitroDocument& document, const ImageClaim& claim) {
  std::map<std::string, Digest> found;
  for (const auto& [number, value] : document.pcrs) found[fmt::format("pcr{}", number)] = value;
  const std::vector<std::string> shown{"pcr0", "pcr1", "pcr2"};
  const bool debug = std::ranges::any_of(shown, [&](const std::string& name) {
    const auto held = found.find(name);
    return held == found.end() || held->second == Digest{};
  });
  return JudgeImage(found, shown, debug, claim);
}

std::vector<AttestFinding> JudgeImage(const QuoteValues& quote, const ImageClaim& claim) {
  return JudgeImage(quote.image, {"mrtd", "rtmr0", "rtmr1", "rtmr2"}, quote.debug, claim);
}

std::vector<MeasuredEvent> BundleEvents(const Bundle& bundle, const Digest& digest) {
  const std::string& enclave = bundle->enclave;
  return {{std::string(kEventBundle), {digest.begin(), digest.end()}},
          {std::string(kEventBoundary), {enclave.begin(), enclave.end()}}};
}

AttestFinding JudgeRegister(const Bundle& bundle, const Digest& digest,
                            const NitroDocument& document) {
  const Measure& measure = bundle->measure;
  if (measure.kind != RegisterKind::kNitro) {
    return {"bundle", false, "it is not measured into a register of this platform"};
  }
  const std::string name = RegisterName(measure.kind, measure.policy);
  const auto found = document.pcrs.find(measure.policy);
  if (found == document.pcrs.end()) {
    return {"bundle", false, fmt::format("{} is not in the document: it is not locked", name)};
  }
  const Digest expected = PolicyRegister(digest);
  if (found->second == expected) {
    return {"bundle", true,
            fmt::format("sha384:{} is in force: {} is locked with its value", Hex(digest), name)};
  }
  return {"bundle", false,
          fmt::format("another bundle is in force: {} holds {}, and of sha384:{} it would be {}",
                      name, Hex(found->second), Hex(digest), Hex(expected))};
}

std::vector<AttestFinding> JudgeLog(const Bundle& bundle, const Digest& digest,
                                    std::span<const MeasuredEvent> events, const Digest& rtmr3) {
  std::vector<AttestFinding> findings;
  const Digest replayed = Replay(events);
  findings.push_back({"event log", replayed == rtmr3,
                      replayed == rtmr3 ? fmt::format("replays to rtmr3, {} events", events.size())
                                        : fmt::format("replays to {}, but the quote's rtmr3 is {}",
                                                      Hex(replayed), Hex(rtmr3))});
  if (replayed != rtmr3) {
    // Nothing vouches for what it says.
    findings.push_back(
        {"bundle", false, "not judged: the event log does not lead to the register"});
    return findings;
  }
  const LogJudgement log = JudgeEvents(events);
  const bool measured = bundle->measure.kind == RegisterKind::kTdx;
  AttestFinding finding{"bundle", false, ""};
  if (!measured) {
    finding.text = "it is not measured into a register of this platform";
  } else if (log.bundles.empty()) {
    finding.text = "no bundle is measured";
  } else if (log.bundles.size() > 1) {
    finding.text = "several bundles are measured";
  } else if (log.bundles[0] != digest) {
    finding.text = fmt::format("another bundle is in force: the log says sha384:{}, not sha384:{}",
                               Hex(log.bundles[0]), Hex(digest));
  } else if (!log.boundary) {
    finding.text = "the bundle's event has no boundary event behind it";
  } else if (log.enclave != bundle->enclave) {
    finding.text = fmt::format("the boundary event names the enclave `{}`", log.enclave);
  } else if (log.foreign_after != 0) {
    finding.text = fmt::format("{} events of others after the boundary", log.foreign_after);
  } else {
    finding.good = true;
    finding.text = fmt::format("sha384:{} is in force; {} events of others before it, {} restarts",
                               Hex(digest), log.foreign, log.restarts);
  }
  findings.push_back(std::move(finding));
  for (const auto& key : log.audit_keys) findings.push_back(AuditKeyFinding(key));
  return findings;
}

std::optional<AttestFinding> JudgeAuditKey(const Digest& digest, const NitroDocument& document) {
  const Digest expected = AuditKeyUserData(digest, document.public_key);
  if (!SameUserData(document.user_data, expected)) return std::nullopt;
  return AuditKeyFinding(document.public_key);
}

tl::expected<std::vector<uint8_t>, std::string> DocumentInLog(std::string_view log) {
  std::string text;
  std::string key;
  for (size_t at = 0; at < log.size();) {
    const size_t end = std::min(log.find('\n', at), log.size());
    const std::string_view line = log.substr(at, end - at);
    at = end + 1;
    if (line.size() > kMaxEventLine) continue;
    const auto record = ParseRecord(line);
    if (!record || record->action != kEventAuditKey) continue;
    // Each run has a key of its own; a document may be longer than one record.
    if (const std::string of = ExtraOf(*record, "public_key"); of != key) {
      key = of;
      text.clear();
    }
    for (size_t part = 0; part + 1 < kMaxEventExtras; ++part) {
      text += ExtraOf(*record, fmt::format("document-{:c}", static_cast<char>('a' + part)));
    }
  }
  if (text.empty())
    return tl::make_unexpected("no document about the key of an audit log is in it");
  auto document = FromBase64(text);
  if (!document) return tl::make_unexpected("its document about the key is not in base64");
  return std::move(*document);
}

std::string RestsOn(const ProfileData& component) {
  return component.pin ? "its program is pinned, sha384:" + Hex(*component.pin)
                       : "its program is not pinned: that it is this one rests on the image";
}

AttestFinding JudgeAsker(const Bundle& bundle, const Digest& digest,
                         std::span<const uint8_t> user_data, const AttestClaim& claim) {
  const ProfileData* asker = nullptr;
  for (const ProfileData& component : bundle->components) {
    if (!component.attestation.attest) continue;
    if (SameUserData(user_data, BoundUserData(component.name, digest, claim.bytes))) {
      asker = &component;
    }
  }
  if (asker == nullptr) {
    return {
        "asked by", false,
        fmt::format("no component of this bundle, with {} bytes bound{}: the document's user data "
                    "is {}{}",
                    claim.bytes.size(),
                    claim.component.empty() ? "" : ", and not `" + claim.component + "`",
                    Enough(user_data), claim.bytes.empty() ? "; --bytes gives what it bound" : "")};
  }
  if (!claim.component.empty() && claim.component != asker->name) {
    return {"asked by", false, fmt::format("`{}`, not `{}`", asker->name, claim.component)};
  }
  return {"asked by", true, fmt::format("`{}`; {}", asker->name, RestsOn(*asker))};
}

}  // namespace bulkhead
