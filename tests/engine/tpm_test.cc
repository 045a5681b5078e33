// SPDX-License-Identifier: Apache-2.0
// TPM commands as bytes, and the whole sequence against swtpm where it is installed.
#include "engine/tpm.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "engine/fd.h"
#include "engine/measure.h"
#include "profiles/attestation.h"
#include "tests/support/init.h"

namespace bulkhead {
namespace {

// A TPM behind a unix socket, and this machine's files.
class SocketTpm final : public DeviceDoor {
 public:
  tl::expected<ByteList, int> AskTpm(const std::string& path, std::span<const uint8_t> command,
                                     size_t most) override {
    if (fail_next != 0) return tl::make_unexpected(std::exchange(fail_next, 0));
    if (!fd_) {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      std::memcpy(address.sun_path, path.c_str(), path.size());
      fd_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        const int error = errno;
        fd_.Reset();
        return tl::make_unexpected(error);
      }
    }
    if (write(fd_.get(), command.data(), command.size()) < 0) return tl::make_unexpected(errno);
    ByteList answer(most);
    const ssize_t size = read(fd_.get(), answer.data(), answer.size());
    if (size < 0) return tl::make_unexpected(errno);
    answer.resize(static_cast<size_t>(size));
    if (change_next) answer[std::exchange(change_next, 0)] ^= 1;
    return answer;
  }
  tl::expected<ByteList, int> AskNsm(const std::string&, std::span<const uint8_t>,
                                     size_t) override {
    return tl::make_unexpected(ENOENT);
  }
  tl::expected<ByteList, int> AskTdx(const std::string&,
                                     std::span<const uint8_t, kTdxReportData>) override {
    return tl::make_unexpected(ENOENT);
  }
  tl::expected<ByteList, int> Read(const std::string& path, size_t most) override {
    return files_->Read(path, most);
  }
  tl::expected<size_t, int> WriteOnce(const std::string& path,
                                      std::span<const uint8_t> bytes) override {
    return files_->WriteOnce(path, bytes);
  }
  tl::expected<void, int> Append(const std::string& path, std::string_view text) override {
    return files_->Append(path, text);
  }
  tl::expected<void, int> MakeDirectory(const std::string& path) override {
    return files_->MakeDirectory(path);
  }
  tl::expected<void, int> RemoveDirectory(const std::string& path) override {
    return files_->RemoveDirectory(path);
  }

  int fail_next = 0;
  size_t change_next = 0;  // a byte of the next answer

 private:
  Fd fd_;
  std::unique_ptr<DeviceDoor> files_ = MakeRealDoor();
};

bool HasSwtpm() {
  const bool there = access("/usr/bin/swtpm", X_OK) == 0;
  if (!there && std::getenv("BULKHEAD_REQUIRE_KERNEL") != nullptr) {
    BOOST_ERROR("swtpm is not installed");
  }
  if (!there) BOOST_TEST_MESSAGE("skipped: swtpm is not installed");
  return there;
}

// swtpm with one client, over when it is gone.
class Swtpm {
 public:
  Swtpm() {
    pid_ = fork();
    if (pid_ == 0) {
      const std::string server = "type=unixio,path=" + path();
      const std::string state = "dir=" + directory_.path();
      const int null = open("/dev/null", O_WRONLY);
      dup2(null, 2);
      execl("/usr/bin/swtpm", "swtpm", "socket", "--tpm2", "--server", server.c_str(), "--tpmstate",
            state.c_str(), "--flags", "not-need-init,startup-clear", nullptr);
      _exit(127);
    }
    for (int i = 0; i < 1000 && access(path().c_str(), F_OK) != 0; ++i) usleep(10000);
  }
  ~Swtpm() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;
  std::string path() const { return directory_.File("tpm"); }
  std::string log() const { return directory_.File("events"); }
  Measure measure() const {
    return {
        .kind = RegisterKind::kTpm, .policy = 14, .events = 14, .tpm = path(), .event_log = log()};
  }

 private:
  test::TempDirectory directory_;
  pid_t pid_ = -1;
};

const Digest kBundle = Sha384(std::string_view("a bundle"));

BOOST_AUTO_TEST_SUITE(Tpm)

BOOST_AUTO_TEST_CASE(CommandsAreTheKnownBytes) {
  BOOST_TEST(Hex(TpmReadCommand(14)) ==
             "8001"      // no sessions
             "00000014"  // size
             "0000017e"  // TPM_CC_PCR_Read
             "00000001"
             "000c"
             "03"
             "004000");
  std::string extend =
      "8002"
      "00000051"
      "00000182"  // TPM_CC_PCR_Extend
      "0000000e"
      "00000009"
      "40000009"
      "0000"
      "00"
      "0000"
      "00000001"
      "000c";
  for (int i = 0; i < 48; ++i) extend += "ab";
  Digest digest{};
  digest.fill(0xab);
  BOOST_TEST(Hex(TpmExtendCommand(14, digest)) == extend);
}

BOOST_AUTO_TEST_CASE(AnswersAreReadStrictly) {
  ByteList good{0x80, 0x01, 0, 0, 0,    78, 0, 0,    0, 0, 0, 0, 0, 9, 0,
                0,    0,    1, 0, 0x0c, 3,  0, 0x40, 0, 0, 0, 0, 1, 0, 0x30};
  good.resize(good.size() + 48, 7);
  good[5] = static_cast<uint8_t>(good.size());
  BOOST_REQUIRE(ReadTpmRegister(good, 14).has_value());
  for (size_t size = 0; size < good.size(); ++size) {
    BOOST_TEST(!ReadTpmRegister(std::span(good).first(size), 14).has_value(), size);
  }
  BOOST_TEST(ReadTpmRegister(good, 15).error() == "no SHA-384 bank");
  ByteList failed{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01};
  BOOST_TEST(ReadTpmRegister(failed, 14).error() == "the TPM answers 0x101");
  BOOST_TEST(ReadTpmExtended(failed).error() == "the TPM answers 0x101");
}

BOOST_AUTO_TEST_CASE(MeasuresIntoSwtpm) {
  if (!HasSwtpm()) return;
  Swtpm tpm;
  SocketTpm door;
  const auto first = TpmRegister(door, tpm.path(), 14);
  BOOST_TEST_REQUIRE(first.has_value(), first.error());
  // Others were there before.
  const Digest other = Sha384(std::string_view("shim"));
  BOOST_REQUIRE(ExtendTpmRegister(door, tpm.path(), 14, other).has_value());
  const auto found = TpmRegister(door, tpm.path(), 14);
  BOOST_TEST((*found == Extended(*first, other)));

  const auto measured = MeasureBundle(door, tpm.measure(), kBundle, "test");
  BOOST_TEST_REQUIRE(measured.has_value(), measured.error());
  BOOST_TEST(measured->what == "tpm-pcr14");
  const auto events = ReadEventLog(test::ReadWholeFile(tpm.log()));
  BOOST_REQUIRE(events && events->size() == 3);
  BOOST_TEST(Hex(events->at(0).payload) == Hex(*found));
  BOOST_TEST((Replay(std::span(*events).subspan(1), *found) == measured->value));
  BOOST_TEST((*TpmRegister(door, tpm.path(), 14) == measured->value));

  const auto again = MeasureBundle(door, tpm.measure(), kBundle, "test");
  BOOST_TEST_REQUIRE(again.has_value(), again.error());
  BOOST_TEST(again->again);
  BOOST_REQUIRE(ExtendTpmRegister(door, tpm.path(), 14, other).has_value());
  const auto late = MeasureBundle(door, tpm.measure(), kBundle, "test");
  BOOST_REQUIRE(!late);
  BOOST_TEST(late.error().find("replay") != std::string::npos, late.error());
}

BOOST_AUTO_TEST_CASE(ErrorsOfTheTpmAreEnds) {
  if (!HasSwtpm()) return;
  for (const bool changed : {false, true}) {
    Swtpm tpm;
    SocketTpm door;
    BOOST_REQUIRE(TpmRegister(door, tpm.path(), 14).has_value());
    // The response code, or the call.
    if (changed) door.change_next = 9;
    if (!changed) door.fail_next = EIO;
    const auto failed = MeasureBundle(door, tpm.measure(), kBundle, "test");
    BOOST_REQUIRE(!failed);
    BOOST_TEST(failed.error() == "read tpm-pcr14 (`" + tpm.path() +
                                     "`): " + (changed ? "the TPM answers 0x1" : "EIO"));
    BOOST_TEST(test::ReadWholeFile(tpm.log()).empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
