// SPDX-License-Identifier: Apache-2.0
// The other end of a stream sink, a load for a log, and an account of what arrived.
#pragma once

#include <fcntl.h>
#include <nettle/eddsa.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "engine/fd.h"
#include "tests/engine/audit_support.h"

namespace bulkhead::audit_test {

inline bool Fits(const PublicKey& key, std::string_view message, const Signature& signature) {
  return ed25519_sha512_verify(key.data(), message.size(),
                               reinterpret_cast<const uint8_t*>(message.data()),
                               signature.data()) == 1;
}

// Somebody who listens and keeps what it has read.
class Receiver {
 public:
  // `listen` makes a listener that does not wait, or -1; `gone` is called when it is killed.
  Receiver(std::function<int()> listen, std::function<void()> gone)
      : listen_(std::move(listen)), gone_(std::move(gone)) {
    Start();
  }
  ~Receiver() { Kill(); }

  void Start() {
    listener_ = Fd(listen_());
    BOOST_REQUIRE_MESSAGE(listener_, "no listener: " << errno);
  }
  // With all that it has not read.
  void Kill() {
    listener_ = Fd();
    connection_ = Fd();
    gone_();
  }
  void Accept() {
    const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) connection_ = Fd(fd);
  }
  // At most so many bytes.
  void Read(size_t most) {
    if (!connection_) Accept();
    std::string buffer(4096, '\0');
    while (connection_ && most > 0) {
      const ssize_t got = read(connection_.get(), buffer.data(), std::min(most, buffer.size()));
      if (got == 0) connection_ = Fd();
      if (got <= 0) return;
      text.append(buffer.data(), static_cast<size_t>(got));
      most -= static_cast<size_t>(got);
    }
  }

  std::string text;

 private:
  std::function<int()> listen_;
  std::function<void()> gone_;
  Fd listener_, connection_;
};

inline uint64_t Value(const std::string& line, const std::string& key) {
  const size_t at = line.find("\"" + key + "\":");
  if (at == std::string::npos) return 0;
  const size_t digits = line.find_first_of("0123456789", at + key.size() + 3);
  return std::strtoull(line.c_str() + digits, nullptr, 10);
}

// A receiver on a unix socket.
inline Receiver UnixReceiver(const std::string& path) {
  const auto listen_there = [path] {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(path.c_str());
    const bool good =
        bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 4) == 0;
    return good ? fd : -1;
  };
  return {listen_there, [path] { unlink(path.c_str()); }};
}

struct Account {
  uint64_t held = 0;    // events that records stand for, but for lost ones
  uint64_t lost = 0;    // events in loss records
  uint64_t late = 0;    // events in records that came late
  uint64_t missed = 0;  // events that gap records say came late
  uint64_t gaps = 0;
};

// Every record once, as a receiver stores them: by sequence, torn lines left out.
inline std::vector<std::string> Stored(const std::string& text) {
  std::vector<std::string> lines;
  uint64_t last = 0;
  for (const std::string& line : Lines(text)) {
    // A torn one may end as records do, behind an inner object.
    if (!line.ends_with("\"}\n")) continue;
    if (!ChainVerifier::IsWhole(std::string_view(line).substr(0, line.size() - 1))) continue;
    const uint64_t sequence = Value(line, "seq");
    if (sequence != last + 1) continue;
    last = sequence;
    lines.push_back(line);
  }
  return lines;
}

inline Account AccountOf(const std::vector<std::string>& lines) {
  Account account;
  for (const std::string& line : lines) {
    const uint64_t count = Value(line, "count");
    if (line.find("\"action\":\"log-gap\"") != std::string::npos) {
      account.missed += Value(line, "missed");
      ++account.gaps;
    } else if (line.find("\"kind\":\"loss\"") != std::string::npos) {
      account.lost += count;
    } else if (line.find("\"signature\":") == std::string::npos) {
      account.held += count;
      if (line.find("\"first\":") != std::string::npos) account.late += count;
    }
  }
  return account;
}

inline std::string AccountText(const Account& account, uint64_t made) {
  return std::to_string(made) + " events made, " + std::to_string(account.held) + " on record, " +
         std::to_string(account.lost) + " in loss records; " + std::to_string(account.gaps) +
         " gaps of " + std::to_string(account.missed) + " events, of which " +
         std::to_string(account.late) + " came late";
}

inline tl::expected<ChainSummary, ChainBreak> JudgeStream(const std::string& text,
                                                          const PublicKey& key) {
  ChainVerifier verifier(std::nullopt, {Fits, {key}, true});
  for (const std::string& line : Lines(text)) {
    const auto fed = verifier.Feed(std::string_view(line).substr(0, line.size() - 1));
    if (!fed) return tl::unexpected(fed.error());
  }
  return verifier.Finish();
}

// Events of mixed kinds: the same ones again, varied ones, and lives that are never folded.
class Load {
 public:
  explicit Load(uint64_t seed) : random_(seed) {}
  void Make(AuditLog& log, int events) {
    for (int i = 0; i < events; ++i, ++made) {
      const auto pick = random_() % 8;
      Event event = pick < 4 ? Refusal("same") : Refusal("k" + std::to_string(random_() % 4000));
      if (pick == 7) event = Started();
      if (pick % 3 == 0) event.component = "agent";
      log.Append(std::move(event));
    }
  }
  uint64_t made = 0;

 private:
  std::mt19937_64 random_;
};

inline uint64_t Seed() {
  const uint64_t seed = std::random_device()();
  BOOST_TEST_MESSAGE("seed " << seed);
  return seed;
}

// A log under load whose only receiver is killed at random moments and started again: nothing is
// missing in the end, and its gaps are those on record. `pause`: real time in milliseconds for what
// the kernel does on its own threads; the log's clock is the test's.
inline void KillUnderLoad(Receiver& receiver, const Sink& sink, Dial dial, int pause = 0) {
  const uint64_t seed = Seed();
  std::mt19937_64 random(seed);
  auto log = AuditLog::Open({sink}, TestBundle(), "boot-1", kFakeClock, dial);
  BOOST_REQUIRE_MESSAGE(log, (log ? 0 : log.error().error));
  Load load(seed);
  bool alive = true;
  for (int turn = 0; turn < 400; ++turn) {
    load.Make(*log, 20);
    if (alive) receiver.Read(random() % 30000);
    if (random() % 25 == 0) {
      if (alive) receiver.Kill();
      if (!alive) receiver.Start();
      alive = !alive;
    }
    poll(nullptr, 0, pause);
    fake_now += kSecond / 4;
    if (turn % 4 == 0) log->Tick();
  }
  if (!alive) receiver.Start();
  for (int i = 0; i < 40; ++i, fake_now += kSecond) {
    log->Tick();
    poll(nullptr, 0, 10 * pause);
    receiver.Read(1 << 20);
  }
  BOOST_TEST(log->Close());
  poll(nullptr, 0, 50 * pause);
  receiver.Read(1 << 20);
  const auto lines = Stored(receiver.text);
  const Account account = AccountOf(lines);
  BOOST_TEST_MESSAGE(AccountText(account, load.made));
  BOOST_TEST_CONTEXT("seed " << seed) {
    BOOST_TEST(account.held + account.lost == load.made);
    BOOST_TEST(account.lost == 0U);
    BOOST_TEST(account.gaps > 0U);
    BOOST_TEST(account.late == account.missed);
    BOOST_TEST(log->counters().missed == account.missed);
    ChainVerifier verifier(std::nullopt, {Fits, {log->public_key()}, false});
    for (const std::string& line : lines) {
      const auto fed = verifier.Feed(line.substr(0, line.size() - 1));
      BOOST_REQUIRE_MESSAGE(fed.has_value(), (fed ? "" : fed.error().what) << " at " << line);
    }
    BOOST_TEST(verifier.Finish()->segments[0].closed);
    // The same from the receiver's bytes as they came.
    const auto raw = JudgeStream(receiver.text, log->public_key());
    BOOST_REQUIRE_MESSAGE(raw.has_value(), (raw ? "" : raw.error().what));
    BOOST_TEST(raw->repeated > 0U);
    BOOST_TEST(raw->records == lines.size());
  }
}

}  // namespace bulkhead::audit_test
