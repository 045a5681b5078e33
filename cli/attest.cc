// SPDX-License-Identifier: Apache-2.0
// The relying party's side of attestation.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>

#include "cli/attest_judge.h"
#include "cli/audit_records.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/cose.h"
#include "cli/files.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "cli/names.h"
#include "policy/text.h"
#include "profiles/attestation.h"

namespace bulkhead {
namespace {

using Bytes = std::vector<uint8_t>;

// Of an audit log, which holds a document among other records.
constexpr size_t kMaxLog = 1U << 30;

Json ComponentsJson(const Bundle& bundle) {
  Json list = Json::array();
  for (const ProfileData& component : bundle->components) {
    const Attestation& given = component.attestation;
    Json row{{"component", component.name},
             {"program", component.argv[0]},
             {"pin", component.pin ? Json(DigestText(*component.pin)) : Json(nullptr)},
             {"attest", given.attest},
             {"public_key", given.public_key},
             {"random", given.random}};
    list.push_back(std::move(row));
  }
  return list;
}

Json EventsJson(const std::vector<MeasuredEvent>& events) {
  Json list = Json::array();
  for (const MeasuredEvent& event : events) {
    std::string line = EventLine(event);
    line.pop_back();
    list.push_back({{"event", event.name}, {"digest", Hex(EventDigest(event))}, {"line", line}});
  }
  return list;
}

// The condition of an AWS KMS key policy's statement.
Json KmsCondition(uint32_t number, const Digest& value) {
  const std::string key = fmt::format("kms:RecipientAttestation:PCR{}", number);
  // Any image can measure this bundle; the place is for what `nitro-cli build-enclave` prints.
  return {{"StringEqualsIgnoreCase",
           {{key, Hex(value)}, {"kms:RecipientAttestation:PCR0", "PCR0 of the image"}}}};
}

Json ExpectJson(const Opened& opened) {
  const Measure& measure = opened.bundle->measure;
  Json json{{"digest", DigestText(opened.digest)}, {"enclave", opened.bundle->enclave}};
  json["register"] = RegisterName(measure.kind, measure.policy);
  if (measure.events) json["events_register"] = RegisterName(measure.kind, *measure.events);
  if (measure.kind == RegisterKind::kNitro) {
    const Digest value = PolicyRegister(opened.digest);
    json["value"] = Hex(value);
    json["kms_condition"] = KmsCondition(measure.policy, value);
  } else if (measure.kind != RegisterKind::kNone) {
    const auto events = BundleEvents(opened.bundle, opened.digest);
    if (measure.kind == RegisterKind::kTdx) json["value"] = Hex(Replay(events));
    json["events"] = EventsJson(events);
  }
  json["components"] = ComponentsJson(opened.bundle);
  return json;
}

std::string ExpectText(const Opened& opened, const Json& json) {
  const Measure& measure = opened.bundle->measure;
  std::string out = fmt::format("bundle    {}\nenclave   {}\n", DigestText(opened.digest),
                                opened.bundle->enclave);
  const std::string name = RegisterName(measure.kind, measure.policy);
  switch (measure.kind) {
    case RegisterKind::kNone:
      out += "register  none: this bundle is not measured\n";
      break;
    case RegisterKind::kNitro:
      out += fmt::format("register  {} = {}, locked\n", name, json["value"].get<std::string>());
      break;
    case RegisterKind::kTdx:
      out += fmt::format(
          "register  {} = {} behind the boundary, when nothing was measured there before;\n"
          "          an enclave that runs has another value, by the event of its audit key: not "
          "to\n"
          "          be compared, but replayed by `attest verify --event-log`\n",
          name, json["value"].get<std::string>());
      break;
    case RegisterKind::kTpm:
      out += fmt::format("register  {}, from what it held, by the events below\n", name);
      break;
  }
  if (json.contains("events_register")) {
    out +=
        fmt::format("events    {}: the head of the log's chain, when asked for and at the stop\n",
                    json["events_register"].get<std::string>());
  }
  if (json.contains("kms_condition")) {
    out +=
        "\ncondition of an AWS KMS key policy; without the image's register it is everybody's:\n" +
        json["kms_condition"].dump(2) + "\n";
  }
  if (json.contains("events")) {
    out += "\nevents, each with the digest that the register is extended by:\n";
    for (const Json& event : json["events"]) {
      out += fmt::format("{}\n  {}\n", event["line"].get<std::string>(),
                         event["digest"].get<std::string>());
    }
  }
  std::vector<std::vector<std::string>> rows{{"COMPONENT", "ASKS FOR", "ITS PROGRAM"}};
  for (const ProfileData& component : opened.bundle->components) {
    const Attestation& given = component.attestation;
    std::string asks = given.attest ? "documents" : "";
    if (given.public_key) asks += " with a key";
    if (given.random) asks += asks.empty() ? "random" : ", random";
    const std::string rests =
        component.pin ? "pinned, " + DigestText(*component.pin) : "rests on the image";
    rows.push_back({component.name, asks.empty() ? "-" : asks, rests});
  }
  return out + "\n" + Table(rows);
}

tl::expected<Bytes, int> ReadWhole(const std::string& path, size_t limit) {
  auto bytes = ReadFile(path, limit);
  if (bytes) return std::move(*bytes);
  PrintError(fmt::format("cannot read {}: {}", Quoted(path), bytes.error()));
  return tl::unexpected<int>(kExitCannot);
}

tl::expected<AttestClaim, int> ReadClaim(const Invocation& invocation) {
  AttestClaim claim;
  claim.component = invocation.One(Parameter::kAsker);
  if (invocation.Has(Parameter::kBytes)) {
    auto bytes = ReadWhole(invocation.One(Parameter::kBytes), 1024);
    if (!bytes) return tl::unexpected<int>(bytes.error());
    claim.bytes = std::move(*bytes);
  }
  if (invocation.Has(Parameter::kNonce)) {
    auto bytes = ReadWhole(invocation.One(Parameter::kNonce), 512);
    if (!bytes) return tl::unexpected<int>(bytes.error());
    if (bytes->empty()) {
      PrintError("the file of `--nonce` is empty: any document would do");
      return tl::unexpected<int>(kExitWrongUsage);
    }
    claim.nonce = std::move(*bytes);
  }
  return claim;
}

// Digits in pairs, with white space anywhere, and nothing else.
bool LooksHexadecimal(const Bytes& bytes) {
  const auto is = [](int (*kind)(int)) { return [kind](uint8_t b) { return kind(b) != 0; }; };
  const auto digits = std::ranges::count_if(bytes, is(std::isxdigit));
  const auto spaces = std::ranges::count_if(bytes, is(std::isspace));
  return digits > 0 && digits % 2 == 0 && static_cast<size_t>(digits + spaces) == bytes.size();
}

bool LooksLikeLog(const Bytes& bytes) {
  constexpr std::string_view kStart = "{\"seq\":";
  return bytes.size() > kStart.size() && std::equal(kStart.begin(), kStart.end(), bytes.begin());
}

tl::expected<Bytes, int> ReadDocument(const Opened& opened, const std::string& path) {
  auto document = ReadWhole(path, kMaxLog);
  if (!document || ReadQuote(*document)) return document;
  if (LooksLikeLog(*document)) {
    auto inside =
        DocumentInLog({reinterpret_cast<const char*>(document->data()), document->size()});
    if (inside) return std::move(*inside);
    PrintError(fmt::format("{}: {}", Quoted(path), inside.error()));
    return tl::unexpected<int>(kExitCannot);
  }
  if (document->size() > kMaxDocument) {
    PrintError(fmt::format("{} is too long for a document", Quoted(path)));
    return tl::unexpected<int>(kExitCannot);
  }
  const bool hexadecimal = LooksHexadecimal(*document);
  const bool tdx = opened.bundle->target.platform == "tdx";
  if (!hexadecimal && !tdx) return document;
  PrintError(fmt::format("{} is no {}", Quoted(path), tdx ? "TDX quote" : "Nitro document"),
             hexadecimal ? "this looks like hexadecimal: `xxd -r -p`" : "");
  return tl::unexpected<int>(kExitNo);
}

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

using Findings = tl::expected<std::vector<AttestFinding>, int>;

void Append(std::vector<AttestFinding>& findings, const std::vector<AttestFinding>& more) {
  findings.insert(findings.end(), more.begin(), more.end());
}

Findings JudgeNitro(const Opened& opened, const Bytes& document, const AttestClaim& claim,
                    const ImageClaim& image, const Invocation& invocation) {
  int64_t when = Now();
  if (invocation.Has(Parameter::kValidAt)) {
    const auto given = ParseWhen(invocation.One(Parameter::kValidAt), when);
    if (!given) {
      PrintError(given.error());
      return tl::unexpected<int>(kExitWrongUsage);
    }
    when = *given;
  }
  const std::string path = invocation.One(Parameter::kRoot);
  if (path.empty()) {
    PrintError("a Nitro document needs `--root`", "the certificate of AWS's root, in PEM");
    return tl::unexpected<int>(kExitWrongUsage);
  }
  const auto bytes = ReadWhole(path, 65536);
  if (!bytes) return tl::unexpected<int>(bytes.error());
  const std::string root(bytes->begin(), bytes->end());
  if (!IsPemCertificate(root)) {
    PrintError(fmt::format("{} is no certificate in PEM", Quoted(path)),
               "the document was not looked at; `--root` is the certificate of AWS's root");
    return tl::unexpected<int>(kExitCannot);
  }
  const auto checked = CheckNitroDocument(document, root, when);
  std::vector<AttestFinding> findings;
  if (!checked) {
    findings.push_back({"signature", false, checked.error()});
    return findings;
  }
  const std::string then = invocation.Has(Parameter::kValidAt)
                               ? fmt::format(", at {} UTC, as asked", ClaimedText(when))
                               : "";
  findings.push_back({"signature", true, "by a certificate that leads to the root" + then});
  findings.push_back(JudgeRegister(opened.bundle, opened.digest, *checked));
  Append(findings, JudgeImage(*checked, image));
  // No component asked for it, so nobody's bytes are in it.
  const auto audit_key = claim.component.empty() && claim.bytes.empty()
                             ? JudgeAuditKey(opened.digest, *checked)
                             : std::nullopt;
  findings.push_back(
      audit_key ? *audit_key : JudgeAsker(opened.bundle, opened.digest, checked->user_data, claim));
  if (claim.nonce) {
    const bool same = checked->nonce == *claim.nonce;
    findings.push_back({"nonce", same, same ? "as given" : "another one, or none"});
  }
  if (!audit_key && !checked->public_key.empty()) {
    findings.push_back(
        {"public key", true, fmt::format("sha384:{}", Hex(Sha384(checked->public_key)))});
  }
  return findings;
}

Findings JudgeTdx(const Opened& opened, const QuoteValues& quote, const AttestClaim& claim,
                  const ImageClaim& image, const Invocation& invocation) {
  const std::string path = invocation.One(Parameter::kEventLog);
  if (invocation.Has(Parameter::kValidAt)) {
    PrintError(
        "`--at` is for the certificates of a Nitro document: a quote's are not checked here");
    return tl::unexpected<int>(kExitWrongUsage);
  }
  if (path.empty()) {
    PrintError("a quote needs `--event-log`", "what the enclave's supervisor wrote, or a copy");
    return tl::unexpected<int>(kExitWrongUsage);
  }
  const auto text = ReadWhole(path, kMaxEventLog);
  if (!text) return tl::unexpected<int>(text.error());
  const auto events = ReadEventLog({reinterpret_cast<const char*>(text->data()), text->size()});
  std::vector<AttestFinding> findings;
  if (events) {
    findings = JudgeLog(opened.bundle, opened.digest, *events, quote.rtmr3);
  } else {
    findings.push_back({"event log", false, events.error()});
  }
  Append(findings, JudgeImage(quote, image));
  findings.push_back(JudgeAsker(opened.bundle, opened.digest, quote.report_data, claim));
  if (claim.nonce) findings.push_back({"nonce", false, "a quote has no field for one"});
  return findings;
}

int PrintFindings(const std::vector<AttestFinding>& findings, bool quote, bool json) {
  const bool good = std::ranges::all_of(findings, &AttestFinding::good);
  const bool image = good && std::ranges::none_of(findings, &AttestFinding::open);
  if (json) {
    Json list = Json::array();
    for (const AttestFinding& f : findings) {
      const Json verdict = f.open ? Json(nullptr) : Json(f.good);
      list.push_back({{"what", f.what}, {"good", verdict}, {"text", f.text}});
    }
    const Json out{{"verified", good},
                   {"signature_checked", !quote},
                   {"image_checked", image},
                   {"findings", list}};
    return PrintOut(JsonText(out)) ? (good ? kExitDone : kExitNo) : kExitCannot;
  }
  std::string out;
  for (const AttestFinding& f : findings) {
    const std::string_view verdict = f.open ? "open" : (f.good ? "ok" : "WRONG");
    out += fmt::format("{:<6}{:<11} {}\n", verdict, f.what, Shown(f.text));
  }
  if (quote) out += "note: the quote's own signature is not checked here\n";
  if (!PrintOut(out)) return kExitCannot;
  return good ? kExitDone : kExitNo;
}

}  // namespace

int ExpectAttestation(const Invocation& invocation) {
  const auto opened = OpenBundle(invocation.One(Parameter::kBundle));
  if (!opened) return opened.error();
  const Json json = ExpectJson(*opened);
  const bool as_json = invocation.One(Parameter::kFormat) == "json";
  return PrintOut(as_json ? JsonText(json) : ExpectText(*opened, json)) ? kExitDone : kExitCannot;
}

int VerifyAttestation(const Invocation& invocation) {
  const auto opened = OpenBundle(invocation.One(Parameter::kBundle));
  if (!opened) return opened.error();
  if (opened->bundle->measure.kind == RegisterKind::kNone) {
    PrintError("this bundle is not measured",
               "no document shows whether it is in force; name a register by `measure:`");
    return kExitNo;
  }
  const auto document = ReadDocument(*opened, invocation.One(Parameter::kDocument));
  if (!document) return document.error();
  const auto claim = ReadClaim(invocation);
  if (!claim) return claim.error();
  if (!claim->component.empty()) {
    const auto known = FindComponent(opened->bundle, claim->component);
    if (!known) return known.error();
  }
  const auto image = ReadImageClaim(invocation.All(Parameter::kRegisterIs));
  if (!image) {
    PrintError(image.error());
    return kExitWrongUsage;
  }
  const auto quote = ReadQuote(*document);
  const auto findings = quote ? JudgeTdx(*opened, *quote, *claim, *image, invocation)
                              : JudgeNitro(*opened, *document, *claim, *image, invocation);
  if (!findings) return findings.error();
  return PrintFindings(*findings, quote.has_value(), invocation.One(Parameter::kFormat) == "json");
}

}  // namespace bulkhead
