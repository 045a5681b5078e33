// SPDX-License-Identifier: Apache-2.0
#include "tests/platform/fake_platform.h"

#include <algorithm>
#include <cerrno>

#include "profiles/attestation.h"

namespace bulkhead::test {
namespace {

tl::unexpected<int> Error(int error) { return tl::make_unexpected(error); }

}  // namespace

int FakePlatform::Enter(const std::string& operation) {
  ++operations;
  return fail ? fail(operations, operation) : 0;
}

tl::expected<ByteList, int> FakePlatform::Leave(ByteList answer) {
  if (change) change(operations, answer);
  return answer;
}

tl::expected<ByteList, int> FakePlatform::AskNsm(const std::string& path,
                                                 std::span<const uint8_t> request, size_t most) {
  if (const int error = Enter("nsm")) return Error(error);
  if (path != root_ + "/nsm") return Error(ENOENT);
  if (request.size() > 0x1000) return Error(EMSGSIZE);
  return Leave(nsm.Answer(request, most));
}

// TDREPORT_STRUCT: of it the type, the report data and the registers are what counts here.
tl::expected<ByteList, int> FakePlatform::AskTdx(const std::string& path,
                                                 std::span<const uint8_t, kTdxReportData> data) {
  if (const int error = Enter("tdx")) return Error(error);
  if (path != root_ + "/tdx") return Error(ENOENT);
  ByteList report(kTdxReport, 0);
  report[0] = 0x81;
  std::ranges::copy(data, report.begin() + 128);
  for (size_t i = 0; i < rtmr.size(); ++i) {
    std::ranges::copy(rtmr[i], report.begin() + static_cast<std::ptrdiff_t>(720 + 48 * i));
  }
  return Leave(std::move(report));
}

tl::expected<ByteList, int> FakePlatform::AskTpm(const std::string& /*path*/,
                                                 std::span<const uint8_t> /*command*/,
                                                 size_t /*most*/) {
  return Error(ENOENT);
}

// Quote version 4: a header of 48 bytes and a report of 584, of which the registers and the report
// data are what counts here; what stands for the signature is random-looking.
ByteList FakePlatform::Quote(const ByteList& data) const {
  ByteList quote(48 + 584 + 4 + 16, 0);
  quote[0] = 4;
  quote[2] = 2;
  quote[4] = 0x81;
  for (size_t i = 0; i < rtmr.size(); ++i) {
    std::ranges::copy(rtmr[i], quote.begin() + static_cast<std::ptrdiff_t>(48 + 328 + 48 * i));
  }
  std::ranges::copy(data, quote.begin() + 48 + 520);
  quote[48 + 584] = 16;
  return quote;
}

tl::expected<ByteList, int> FakePlatform::Read(const std::string& path, size_t most) {
  const bool ours = path.starts_with(root_ + "/");
  if (const int error = Enter(ours ? "read" : "read-file")) return Error(error);
  if (!ours) {
    auto bytes = files_->Read(path, most);
    if (!bytes) return bytes;
    return Leave(std::move(*bytes));
  }
  for (size_t i = 0; i < rtmr.size(); ++i) {
    if (path == root_ + "/rtmr/rtmr" + std::to_string(i) + ":sha384") {
      return Leave(ByteList(rtmr[i].begin(), rtmr[i].end()));
    }
  }
  const size_t slash = path.rfind('/');
  const auto report = reports_.find(path.substr(0, slash));
  if (report == reports_.end()) return Error(ENOENT);
  const std::string file = path.substr(slash + 1);
  if (file == "generation") {
    const std::string text = std::to_string(report->second.generation) + "\n";
    return Leave(ByteList(text.begin(), text.end()));
  }
  if (file != "outblob") return Error(EACCES);
  if (report->second.in.size() != 64) return Error(EINVAL);
  ++quotes;
  return Leave(Quote(report->second.in));
}

tl::expected<size_t, int> FakePlatform::WriteOnce(const std::string& path,
                                                  std::span<const uint8_t> bytes) {
  if (const int error = Enter("write")) return Error(error);
  size_t written = bytes.size();
  const auto done = [&]() -> tl::expected<size_t, int> {
    if (change_written) change_written(operations, written);
    return written;
  };
  for (size_t i = 0; i < rtmr.size(); ++i) {
    if (path != root_ + "/rtmr/rtmr" + std::to_string(i) + ":sha384") continue;
    if (bytes.size() < sizeof(Digest)) return Error(EINVAL);
    rtmr[i] = Extended(rtmr[i], bytes.first(sizeof(Digest)));
    written = sizeof(Digest);
    return done();
  }
  const size_t slash = path.rfind('/');
  const auto report = reports_.find(path.substr(0, slash));
  if (report == reports_.end()) return Error(ENOENT);
  if (path.substr(slash + 1) != "inblob") return Error(EACCES);
  if (bytes.size() > 64) return Error(EINVAL);
  report->second.in.assign(bytes.begin(), bytes.end());
  ++report->second.generation;
  return done();
}

tl::expected<void, int> FakePlatform::Append(const std::string& path, std::string_view text) {
  if (const int error = Enter("append")) return Error(error);
  return files_->Append(path, text);
}

tl::expected<void, int> FakePlatform::MakeDirectory(const std::string& path) {
  if (const int error = Enter("mkdir")) return Error(error);
  if (path.substr(0, path.rfind('/')) != root_ + "/tsm") return Error(ENOENT);
  if (!reports_.try_emplace(path).second) return Error(EEXIST);
  return {};
}

tl::expected<void, int> FakePlatform::RemoveDirectory(const std::string& path) {
  if (const int error = Enter("rmdir")) return Error(error);
  if (reports_.erase(path) == 0) return Error(ENOENT);
  return {};
}

}  // namespace bulkhead::test
