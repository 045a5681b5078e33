// SPDX-License-Identifier: Apache-2.0
// e2e-nsm ROOT: the Nitro security module of fake_nsm.h as /dev/nsm, mode 0666 like the driver's,
// until it is killed; the certificate of its CA goes into the file ROOT. What becomes of registers
// is said on standard output. An ioctl gives first the four words of the request (linux/nsm.h),
// then what these point to.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "tests/platform/cuse_device.h"
#include "tests/platform/fake_nsm.h"

namespace bulkhead::test {
namespace {

constexpr uint32_t kNsmRaw = 0xC0200A00;
constexpr size_t kMostRequest = 0x1000;
constexpr size_t kMostAnswer = 0x3000;

struct NsmRaw {
  uint64_t request = 0, request_size = 0, answer = 0, answer_size = 0;
};

class Module final : public CuseDevice {
 public:
  Module() : CuseDevice("nsm", 0666) {}

  std::string RootPem() const { return nsm_.RootPem(); }

 protected:
  IoctlReply Ioctl(const IoctlCall& call) override {
    if (call.command != kNsmRaw) return {EINVAL};
    const Memory words{call.argument, sizeof(NsmRaw)};
    if (call.input.size() < sizeof(NsmRaw)) return {.in = {words}};
    NsmRaw raw;
    std::memcpy(&raw, call.input.data(), sizeof raw);
    if (raw.request_size > kMostRequest) return {EMSGSIZE};
    raw.answer_size = std::min<uint64_t>(raw.answer_size, kMostAnswer);
    if (call.input.size() != sizeof raw + raw.request_size || call.room == 0) {
      return {.in = {words, {raw.request, raw.request_size}},
              .out = {words, {raw.answer, raw.answer_size}}};
    }
    const auto before = nsm_.registers;
    const std::vector<uint8_t> answer =
        nsm_.Answer(call.input.subspan(sizeof raw, raw.request_size), raw.answer_size);
    TellChanges(before);
    raw.answer_size = answer.size();
    std::string bytes(reinterpret_cast<const char*>(&raw), sizeof raw);
    bytes.append(answer.begin(), answer.end());
    return {.bytes = bytes};
  }

 private:
  void TellChanges(const std::array<FakeNsm::Register, 32>& before) const {
    for (size_t i = 0; i < before.size(); ++i) {
      const FakeNsm::Register& now = nsm_.registers[i];
      if (now.value == before[i].value && now.locked == before[i].locked) continue;
      std::printf("module: pcr%zu = %s%s\n", i, Hex(now.value).c_str(),
                  now.locked ? ", locked" : "");
      std::fflush(stdout);
    }
  }

  FakeNsm nsm_;
};

}  // namespace
}  // namespace bulkhead::test

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  bulkhead::test::Module module;
  std::ofstream(argv[1]) << module.RootPem();
  return module.Serve();
}
