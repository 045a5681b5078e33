// SPDX-License-Identifier: Apache-2.0
// The relying party's side, against documents of a test CA and quotes made by hand.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cctype>
#include <ctime>

#include "cli/attest_judge.h"
#include "cli/cose.h"
#include "engine/nsm.h"
#include "profiles/attestation.h"
#include "tests/cli/support.h"
#include "tests/platform/fake_nsm.h"

namespace bulkhead {
namespace {

const Digest kBundle = Sha384(std::string_view("a bundle"));
const std::vector<uint8_t> kNonce{9, 9};

struct Signed {
  test::FakeNsm nsm;
  std::vector<uint8_t> Document() {
    nsm.registers[20] = {PolicyRegister(kBundle), true};
    const Digest user = BoundUserData("signer", kBundle, {});
    const std::vector<uint8_t> key{7};
    const auto answer = nsm.Answer(NsmAttestationRequest({user, kNonce, key}), kMaxNsmAnswer);
    return ReadNsmDocument(answer).value();
  }
};

BOOST_FIXTURE_TEST_SUITE(AttestDocuments, Signed)

BOOST_AUTO_TEST_CASE(ADocumentIsReadUpToItsRoot) {
  const auto document = CheckNitroDocument(Document(), nsm.RootPem(), std::time(nullptr));
  BOOST_TEST_REQUIRE(document.has_value(), document.error());
  BOOST_TEST(document->module_id == "i-test-enc1234");
  BOOST_TEST((document->nonce == kNonce));
  BOOST_TEST((document->public_key == std::vector<uint8_t>{7}));
  BOOST_TEST(document->pcrs.size() == 17U);  // the locked ones
  BOOST_TEST((document->pcrs.at(20) == PolicyRegister(kBundle)));
  BOOST_TEST(!document->pcrs.contains(21));
}

// A document that the supervisor asked for about its key is told from a component's with that key.
BOOST_AUTO_TEST_CASE(TheKeyOfAnAuditLogIsVouchedFor) {
  const std::vector<uint8_t> key(32, 5);
  const auto judged = [&](const Digest& user, const Digest& bundle) {
    const auto answer = nsm.Answer(NsmAttestationRequest({user, {}, key}), kMaxNsmAnswer);
    const auto read =
        CheckNitroDocument(ReadNsmDocument(answer).value(), nsm.RootPem(), std::time(nullptr));
    return JudgeAuditKey(bundle, read.value());
  };
  const auto good = judged(AuditKeyUserData(kBundle, key), kBundle);
  BOOST_TEST_REQUIRE(good.has_value());
  BOOST_TEST(good->good);
  BOOST_TEST(good->text == "ed25519:" + Hex(key));
  const Digest other = Sha384(std::string_view("another"));
  BOOST_TEST(!judged(AuditKeyUserData(kBundle, key), other).has_value());
  BOOST_TEST(!judged(AuditKeyUserData(kBundle, std::vector<uint8_t>(32, 6)), kBundle).has_value());
  BOOST_TEST(!judged(BoundUserData("signer", kBundle, key), kBundle).has_value());
}

std::string Record(const std::string& key, const std::vector<std::string>& parts) {
  std::string text =
      R"({"seq":1,"kind":"measure","action":"bulkhead-audit-key","extra":{"public_key":")" + key +
      '"';
  for (size_t i = 0; i < parts.size(); ++i) {
    text += std::string(",\"document-") + static_cast<char>('a' + i) + "\":\"" + parts[i] + '"';
  }
  return text + "}}\n";
}

BOOST_AUTO_TEST_CASE(ADocumentIsPutTogetherFromALog) {
  const std::vector<uint8_t> document = Document();
  const std::string text = Base64(document);
  const size_t third = text.size() / 3;
  const std::string split = Record("a", {text.substr(0, 4), text.substr(4, third)}) +
                            "{\"seq\":2,\"action\":\"start\"}\nno record\n" +
                            Record("a", {text.substr(4 + third)});
  BOOST_TEST((DocumentInLog(split).value() == document));
  // A later run's, whole, is taken instead.
  BOOST_TEST((DocumentInLog(Record("b", {"AAAA"}) + split).value() == document));
  BOOST_TEST((DocumentInLog(split + Record("b", {"AAAA"})).value() == std::vector<uint8_t>(3)));
  BOOST_TEST(DocumentInLog("{\"seq\":1}\n").error().starts_with("no document about the key"));
  BOOST_TEST(!DocumentInLog(Record("a", {"A"})).has_value());
  BOOST_TEST(!DocumentInLog(Record("a", {})).has_value());
}

BOOST_AUTO_TEST_CASE(EveryByteCounts) {
  const std::vector<uint8_t> good = Document();
  for (size_t at = 0; at < good.size(); at += 13) {
    std::vector<uint8_t> changed = good;
    changed[at] ^= 1;
    BOOST_TEST(!CheckNitroDocument(changed, nsm.RootPem(), std::time(nullptr)).has_value(), at);
  }
  std::vector<uint8_t> longer = good;
  longer.push_back(0);
  BOOST_TEST(!CheckNitroDocument(longer, nsm.RootPem(), std::time(nullptr)).has_value());
  for (size_t size = 0; size < good.size(); size += 29) {
    const auto cut = std::span(good).first(size);
    BOOST_TEST(!CheckNitroDocument(cut, nsm.RootPem(), std::time(nullptr)).has_value(), size);
  }
}

BOOST_AUTO_TEST_CASE(AnotherRootAndAnotherTimeAreRefused) {
  const std::vector<uint8_t> document = Document();
  const test::FakeNsm other;
  BOOST_TEST(CheckNitroDocument(document, other.RootPem(), std::time(nullptr))
                 .error()
                 .starts_with("the certificate chain does not lead to the root"));
  constexpr int64_t kDay = 86400;
  BOOST_TEST(!CheckNitroDocument(document, nsm.RootPem(), std::time(nullptr) + kDay).has_value());
  BOOST_TEST(!CheckNitroDocument(document, nsm.RootPem(), std::time(nullptr) - kDay).has_value());
  BOOST_TEST(CheckNitroDocument(document, "no certificate", std::time(nullptr)).error() ==
             "the root is no certificate in PEM");
}

BOOST_AUTO_TEST_CASE(DocumentsHaveAllTheirFieldsAndAModulesCertificate) {
  const auto error = [&] {
    const auto read = CheckNitroDocument(Document(), nsm.RootPem(), std::time(nullptr));
    return read ? std::string() : read.error();
  };
  for (const char* field :
       {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"}) {
    nsm.left_out = field;
    BOOST_TEST(error() == "its payload is not that of an attestation document", field);
  }
  for (const char* field : {"", "public_key", "user_data", "nonce"}) {
    nsm.left_out = field;
    BOOST_TEST(error() == "", field);
  }
  nsm.left_out.clear();
  nsm.signed_by_authority = true;
  BOOST_TEST(error() == "the document's certificate is an authority's");
}

// One field in place of another would be read as what it is not.
// Any image can measure a bundle; which one it was is in registers of its own.
BOOST_AUTO_TEST_CASE(TheImageIsJudgedByItsRegisters) {
  const auto document = CheckNitroDocument(Document(), nsm.RootPem(), std::time(nullptr));
  BOOST_REQUIRE(document);
  const auto judge = [](const NitroDocument& of, const std::vector<std::string>& texts) {
    const auto claim = ReadImageClaim(texts);
    BOOST_REQUIRE_MESSAGE(claim, (claim ? "" : claim.error()));
    const auto findings = JudgeImage(of, *claim);
    return std::ranges::all_of(findings, &AttestFinding::good);
  };
  const std::string right = "pcr0=" + Hex(document->pcrs.at(0));
  const std::string wrong = "pcr1=" + Hex(document->pcrs.at(0));
  BOOST_TEST(judge(*document, {}));
  BOOST_TEST(JudgeImage(*document, {})[0].text.find(Hex(document->pcrs.at(2))) !=
             std::string::npos);
  BOOST_TEST(judge(*document, {right}));
  BOOST_TEST(!judge(*document, {right, wrong}));
  std::string upper = right;
  std::ranges::transform(upper, upper.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  BOOST_TEST(judge(*document, {upper}));  // as nitro-cli names it
  BOOST_TEST(!judge(*document, {"pcr31=" + Hex(Digest{})}));
  BOOST_TEST(!judge(*document, {"mrtd=" + Hex(Digest{})}));
  // Of a part of the image the rest is still open.
  const auto open = [&](const ImageClaim& claim) {
    const auto findings = JudgeImage(*document, claim);
    return std::ranges::any_of(findings, &AttestFinding::open);
  };
  const auto pcr = [&](uint32_t number) {
    return std::pair("pcr" + std::to_string(number), document->pcrs.at(number));
  };
  BOOST_TEST(open({}));
  BOOST_TEST(open({pcr(1)}));
  BOOST_TEST(open({pcr(2)}));
  BOOST_TEST(!open({pcr(1), pcr(2)}));
  BOOST_TEST(!open({pcr(0)}));
  BOOST_TEST(!open({pcr(0), pcr(1), pcr(2)}));
  for (const uint32_t number : {0U, 1U, 2U}) {
    NitroDocument debug = *document;
    debug.pcrs[number] = {};
    BOOST_TEST(!judge(debug, {}));
    debug.pcrs.erase(number);
    BOOST_TEST(!judge(debug, {}));
  }
  for (const char* bad : {"pcr0", "pcr0=12", "x=00", "=", ""}) BOOST_TEST(!ReadImageClaim({bad}));
  BOOST_TEST(!ReadImageClaim({right, right}));

  std::vector<uint8_t> quote(48 + 584, 1);
  quote[0] = 4;
  quote[1] = quote[5] = quote[6] = quote[7] = 0;
  quote[4] = 0x81;
  Digest mrtd;
  mrtd.fill(1);
  BOOST_REQUIRE(ReadQuote(quote));
  BOOST_TEST(!JudgeImage(*ReadQuote(quote), {})[0].good);  // attributes: DEBUG
  quote[48 + 120] = 0;
  BOOST_TEST(JudgeImage(*ReadQuote(quote), {})[0].good);
  BOOST_TEST(JudgeImage(*ReadQuote(quote), {{"mrtd", mrtd}})[0].good);
  BOOST_TEST(!JudgeImage(*ReadQuote(quote), {{"rtmr2", Digest{}}})[0].good);
}

BOOST_AUTO_TEST_CASE(QuotesAreReadAtTheirOffsets) {
  std::vector<uint8_t> quote(48 + 584, 0);
  quote[0] = 4;
  quote[4] = 0x81;
  for (size_t i = 0; i < 48; ++i) quote[48 + 472 + i] = 0x33;
  for (size_t i = 0; i < 64; ++i) quote[48 + 520 + i] = 0x44;
  const auto values = ReadQuote(quote);
  BOOST_REQUIRE(values.has_value());
  BOOST_TEST(std::ranges::all_of(values->rtmr3, [](uint8_t b) { return b == 0x33; }));
  BOOST_TEST(values->report_data.size() == 64U);
  BOOST_TEST(std::ranges::all_of(values->report_data, [](uint8_t b) { return b == 0x44; }));
  quote[0] = 5;
  BOOST_TEST(!ReadQuote(quote).has_value());  // six bytes stand before its report
  quote.insert(quote.begin() + 48, {2, 0, 0x48, 2, 0, 0});
  BOOST_REQUIRE(ReadQuote(quote).has_value());
  BOOST_TEST((ReadQuote(quote)->rtmr3 == values->rtmr3));
  quote[4] = 0;  // SGX
  BOOST_TEST(!ReadQuote(quote).has_value());
  BOOST_TEST(!ReadQuote(std::span(quote).first(600)).has_value());
}

// What is wrong with the bundle or the file is said, and not what another platform would need.
BOOST_AUTO_TEST_CASE(FilesThatCanNotBeDocumentsAreRefused) {
  const struct {
    const char* target;
    const char* measure;
    const char* content;
    int exit;
    const char* error;
  } rows[] = {
      {"linux-6.18", "", "x", 1,
       "bulkhead: error: this bundle is not measured\n"
       "  help: no document shows whether it is in force; name a register by `measure:`\n"},
      {"tdx-ubuntu-25.10", "measure: {policy: rtmr3}\n", "broken", 1,
       "bulkhead: error: `document` is no TDX quote\n"},
      {"tdx-ubuntu-25.10", "measure: {policy: rtmr3}\n", "04 00\n", 1,
       "bulkhead: error: `document` is no TDX quote\n"
       "  help: this looks like hexadecimal: `xxd -r -p`\n"},
      {"nitro-custom", "measure: {policy: pcr20}\n", "8444a101\n", 1,
       "bulkhead: error: `document` is no Nitro document\n"
       "  help: this looks like hexadecimal: `xxd -r -p`\n"},
      {"nitro-custom", "measure: {policy: pcr20}\n", "8444a10", 2,
       "bulkhead: error: a Nitro document needs `--root`\n"
       "  help: the certificate of AWS's root, in PEM\n"},
  };
  const test::TemporaryDirectory directory;
  const test::Surroundings here{.directory = directory.path()};
  for (const auto& row : rows) {
    std::string policy = test::SmallPolicy();
    policy.replace(policy.find("linux-6.18"), 10, row.target);
    test::WriteText(directory / "policy.yaml", policy + row.measure);
    test::WriteText(directory / "document", row.content);
    const auto compiled = test::Bulkhead({"compile", "policy.yaml", "-o", "bundle"}, here);
    BOOST_REQUIRE_MESSAGE(compiled.exit == 0, compiled.err);
    const auto run = test::Bulkhead({"attest", "verify", "bundle", "document"}, here);
    BOOST_TEST(run.exit == row.exit, row.content);
    BOOST_TEST(run.err == row.error);
  }
}

// Nothing is said of a document that was not judged.
BOOST_AUTO_TEST_CASE(ARootThatIsNoCertificateIsRefused) {
  const test::TemporaryDirectory directory;
  const test::Surroundings here{.directory = directory.path()};
  std::string policy = test::SmallPolicy();
  policy.replace(policy.find("linux-6.18"), 10, "nitro-custom");
  test::WriteText(directory / "policy.yaml", policy + "measure: {policy: pcr20}\n");
  test::WriteText(directory / "document", "broken");
  BOOST_REQUIRE(test::Bulkhead({"compile", "policy.yaml", "-o", "bundle"}, here).exit == 0);
  const auto run =
      test::Bulkhead({"attest", "verify", "--root", "policy.yaml", "bundle", "document"}, here);
  BOOST_TEST(run.exit == 3);
  BOOST_TEST(run.out.empty(), run.out);
  BOOST_TEST(run.err ==
             "bulkhead: error: `policy.yaml` is no certificate in PEM\n"
             "  help: the document was not looked at; `--root` is the certificate of AWS's root\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
