// SPDX-License-Identifier: Apache-2.0
#include "engine/tdx.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "engine/event.h"

namespace bulkhead {
namespace {

// In a TDREPORT.
constexpr uint8_t kTdxType = 0x81;
constexpr size_t kReportDataAt = 128;
constexpr size_t kRtmrsAt = 512 + 208;

tl::unexpected<std::string> Failed(const std::string& step, const std::string& path, int error) {
  return tl::make_unexpected(step + " `" + path + "`: " + ErrnoName(error));
}

tl::expected<uint64_t, std::string> Generation(DeviceDoor& door, const std::string& report) {
  const std::string path = report + "/generation";
  const auto bytes = door.Read(path, 32);
  if (!bytes) return Failed("read", path, bytes.error());
  const char* const begin = reinterpret_cast<const char*>(bytes->data());
  const char* end = begin + bytes->size();
  if (end != begin && end[-1] == '\n') --end;
  uint64_t value = 0;
  const auto read = std::from_chars(begin, end, value);
  if (read.ec != std::errc() || read.ptr != end) {
    return tl::make_unexpected("read `" + path + "`: not a number");
  }
  return value;
}

tl::expected<ByteList, std::string> QuoteOf(DeviceDoor& door, const std::string& report,
                                            const std::array<uint8_t, 64>& data) {
  const auto before = Generation(door, report);
  if (!before) return tl::make_unexpected(before.error());
  const std::string in = report + "/inblob";
  const auto written = door.WriteOnce(in, data);
  if (!written) return Failed("write", in, written.error());
  if (*written != data.size()) return tl::make_unexpected("write `" + in + "`: short");
  const std::string out = report + "/outblob";
  auto quote = door.Read(out, kMaxQuote);
  if (!quote) return Failed("read", out, quote.error());
  const auto after = Generation(door, report);
  if (!after) return tl::make_unexpected(after.error());
  // The kernel counts each write to the report.
  if (*after != *before + 1) {
    return tl::make_unexpected("read `" + out + "`: somebody else wrote to the report");
  }
  if (quote->empty()) return tl::make_unexpected("read `" + out + "`: an empty quote");
  return std::move(*quote);
}

}  // namespace

std::string RtmrPath(const std::string& base, uint32_t index) {
  return base + "/rtmr" + std::to_string(index) + ":sha384";
}

tl::expected<Digest, std::string> ReadRtmr(DeviceDoor& door, const std::string& base,
                                           uint32_t index) {
  const std::string path = RtmrPath(base, index);
  const auto bytes = door.Read(path, sizeof(Digest));
  if (!bytes) return Failed("read", path, bytes.error());
  if (bytes->size() != sizeof(Digest)) {
    return tl::make_unexpected("read `" + path + "`: " + std::to_string(bytes->size()) +
                               " bytes instead of 48");
  }
  Digest digest{};
  std::ranges::copy(*bytes, digest.begin());
  return digest;
}

tl::expected<void, std::string> ExtendRtmr(DeviceDoor& door, const std::string& base,
                                           uint32_t index, const Digest& digest) {
  const std::string path = RtmrPath(base, index);
  const auto written = door.WriteOnce(path, digest);
  if (!written) return Failed("extend", path, written.error());
  if (*written != digest.size()) {
    return tl::make_unexpected("extend `" + path + "`: a short write of " +
                               std::to_string(*written) + " bytes");
  }
  return {};
}

tl::expected<Digest, std::string> ReportedRtmr(DeviceDoor& door, const std::string& device,
                                               uint32_t index, const Digest& data) {
  std::array<uint8_t, kTdxReportData> wanted{};
  std::ranges::copy(data, wanted.begin());
  const auto bytes = door.AskTdx(device, wanted);
  if (!bytes) return Failed("ask", device, bytes.error());
  if (bytes->size() != kTdxReport || bytes->front() != kTdxType) {
    return tl::make_unexpected("ask `" + device + "`: it gives no report of a TDX guest");
  }
  const std::span<const uint8_t> report(*bytes);
  if (!std::ranges::equal(report.subspan(kReportDataAt, kTdxReportData), wanted)) {
    return tl::make_unexpected("ask `" + device + "`: the report is the answer to something else");
  }
  Digest value{};
  std::ranges::copy(report.subspan(kRtmrsAt + index * value.size(), value.size()), value.begin());
  return value;
}

tl::expected<ByteList, std::string> AskTdxQuote(DeviceDoor& door, const std::string& base,
                                                const std::string& name,
                                                const std::array<uint8_t, 64>& data) {
  const std::string report = base + "/" + name;
  auto made = door.MakeDirectory(report);
  if (!made && made.error() == EEXIST) {
    // Of a process that had this number before and was ended while it asked.
    made = door.RemoveDirectory(report).and_then([&] { return door.MakeDirectory(report); });
  }
  if (!made) return Failed("make", report, made.error());
  auto quote = QuoteOf(door, report, data);
  if (const auto removed = door.RemoveDirectory(report); !removed && quote) {
    return Failed("remove", report, removed.error());
  }
  return quote;
}

}  // namespace bulkhead
