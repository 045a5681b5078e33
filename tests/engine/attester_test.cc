// SPDX-License-Identifier: Apache-2.0
// The children that ask the platform, with a device that answers, fails, or never comes back.
#include "engine/attester.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <chrono>
#include <filesystem>

#include "engine/cbor.h"
#include "engine/clock.h"
#include "tests/platform/fake_platform.h"
#include "tests/support/init.h"

namespace bulkhead {
namespace {

struct Asking {
  test::TempDirectory directory;
  test::FakePlatform door{directory.path()};
  Measure nitro{.kind = RegisterKind::kNitro, .policy = 20, .nsm = directory.path() + "/nsm"};
  Measure tdx{.tsm = directory.path() + "/tsm"};

  // Waits for the next result, at most 20 s of the real clock; `late` is added to what it is told.
  static std::optional<AttestResult> Next(Attester& attester, uint64_t late = 0) {
    const uint64_t end = NowMs() + 20000;
    while (NowMs() < end) {
      if (auto result = attester.Turn(NowMs() + late)) {
        while (waitpid(-1, nullptr, WNOHANG) > 0) {
        }
        return result;
      }
      pollfd ready{attester.fd(), POLLIN, 0};
      poll(&ready, attester.fd() >= 0 ? 1 : 0, 100);
    }
    return std::nullopt;
  }
};

AttestJob Document(uint64_t id) {
  AttestJob job;
  job.id = id;
  job.user_data = Sha384(std::string_view("user data"));
  job.nonce = {1, 2, 3};
  return job;
}

BOOST_FIXTURE_TEST_SUITE(AttesterTest, Asking)

BOOST_AUTO_TEST_CASE(AnswersInTheOrderOfTheQuestions) {
  Attester attester(door, nitro, true);
  attester.Submit(Document(1));
  AttestJob random;
  random.kind = AttestJob::Kind::kRandom;
  random.id = 2;
  attester.Submit(random);
  const auto first = Next(attester);
  BOOST_REQUIRE(first && first->answer);
  BOOST_TEST(first->id == 1U);
  BOOST_TEST(first->answer->size() > 1000U);
  const auto second = Next(attester);
  BOOST_REQUIRE(second && second->answer);
  BOOST_TEST(second->id == 2U);
  BOOST_TEST(second->answer->size() == 256U);
  BOOST_TEST(attester.idle());
}

BOOST_AUTO_TEST_CASE(QuotesHaveTheUserDataAndZeros) {
  Attester attester(door, tdx, false);
  attester.Submit(Document(7));
  const auto result = Next(attester);
  BOOST_REQUIRE(result && result->answer);
  const auto data = std::span(*result->answer).subspan(48 + 520, 64);
  BOOST_TEST(Hex(data.first(48)) == Hex(Document(7).user_data));
  BOOST_TEST(Hex(data.last(16)) == std::string(32, '0'));
}

BOOST_AUTO_TEST_CASE(AFailureIsSaidOnce) {
  size_t asked = 0;
  door.fail = [&](size_t, const std::string&) {
    ++asked;  // of the child's copy
    return EIO;
  };
  Attester attester(door, nitro, true);
  attester.Submit(Document(1));
  const auto result = Next(attester);
  BOOST_REQUIRE(result);
  BOOST_REQUIRE(!result->answer);
  BOOST_TEST(result->answer.error() == "EIO");
  BOOST_TEST(attester.idle());
}

BOOST_AUTO_TEST_CASE(OneThatIsSilentIsKilledAndTheNextOneGoesOn) {
  const std::string mark = directory.File("mark");
  door.fail = [&](size_t, const std::string&) {
    if (std::filesystem::exists(mark)) return 0;
    std::filesystem::create_directory(mark);
    for (;;) pause();
    return 0;
  };
  Attester attester(door, nitro, true);
  attester.Submit(Document(1));
  BOOST_TEST(!attester.Turn(NowMs()).has_value());  // and comes back at once
  const uint64_t end = NowMs() + 10000;
  while (!std::filesystem::exists(mark) && NowMs() < end) usleep(1000);
  const auto late = Next(attester, Attester::kDeadline + 1);
  BOOST_REQUIRE(late && !late->answer);
  BOOST_TEST(late->answer.error() == "the platform was silent for too long");
  attester.Submit(Document(2));
  const auto next = Next(attester);
  BOOST_REQUIRE(next);
  BOOST_TEST(next->answer.has_value());
}

// The child holds nothing of the supervisor's but the pipe.
BOOST_AUTO_TEST_CASE(TheChildHoldsOneDescriptor) {
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const Fd secret(fcntl(null.get(), F_DUPFD_CLOEXEC, 100));
  BOOST_REQUIRE(secret.get() >= 100);
  door.fail = [&](size_t, const std::string&) {
    int open_ones = 0;
    for (int fd = 3; fd < 1024; ++fd) open_ones += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return open_ones == 1 ? EXFULL : EBADF;
  };
  for (const bool close_range : {true, false}) {
    Attester attester(door, nitro, close_range);
    attester.Submit(Document(1));
    const auto result = Next(attester);
    BOOST_REQUIRE(result && !result->answer);
    BOOST_TEST(result->answer.error() == "EXFULL");
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
