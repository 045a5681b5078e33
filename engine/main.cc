// SPDX-License-Identifier: Apache-2.0
// bulkhead-init: the enclave's program. Loads a bundle, compares it with the kernel, and supervises
// its components until they end. As PID 1 of a machine it does so in a process of its own.
#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/bundle_signature.h"
#include "engine/check.h"
#include "engine/device_door.h"
#include "engine/fd.h"
#include "engine/heartbeat.h"
#include "engine/machine.h"
#include "engine/measure.h"
#include "engine/options.h"
#include "engine/supervisor.h"
#include "sandbox/capabilities.h"
#include "sandbox/kernel.h"
#include "sandbox/probe_kernel.h"

namespace bulkhead {
namespace {

int Refuse(const std::string& text) {
  std::fprintf(stderr, "bulkhead-init: %s\n", text.c_str());
  return kExitEnvironment;
}

// Reads the whole file once into memory that nobody can change any more: what is checked is what
// is used.
tl::expected<std::vector<uint8_t>, std::string> ReadBundle(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd || fstat(fd.get(), &info) != 0) {
    return tl::make_unexpected("cannot open bundle `" + path + "`: " + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) return tl::make_unexpected("`" + path + "` is not a file");
  if (info.st_size > static_cast<off_t>(kMaxBundleSize)) {
    return tl::make_unexpected("`" + path + "` is larger than 16 MiB");
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(info.st_size) + 1);
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = read(fd.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0) return tl::make_unexpected("cannot read `" + path + "`: " + std::strerror(errno));
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  bytes.resize(size);
  return bytes;
}

// A text of a line; empty: there is no such file. What is there and can't be read is no key and no
// signature.
std::string ReadLine(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return errno == ENOENT ? "" : "?";
  std::array<char, kMaxSignatureText> text{};
  const ssize_t size = read(fd.get(), text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : "?";
}

// Where the image has a key, no bundle is looked into that is not signed by it.
// `taken`: the signature of a bundle that has no place any more.
std::string SignatureDefect(const std::string& path, const std::optional<std::string>& taken,
                            const std::vector<uint8_t>& bytes) {
  const std::string key = ReadLine(std::string(kBundleKeyPath));
  return ImageSignatureDefect(key, taken ? *taken : ReadLine(path + std::string(kSignatureSuffix)),
                              bytes);
}

// One supervisor an enclave: a second one would share its directories and sockets.
tl::expected<Fd, std::string> OwnRunDirectory(const std::string& path, int lock) {
  const std::string parent = path.substr(0, path.rfind('/'));
  for (const std::string& directory : {parent, path}) {
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return tl::make_unexpected("cannot make `" + directory + "`: " + std::strerror(errno));
    }
  }
  Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!fd || fstat(fd.get(), &info) != 0 || info.st_uid != 0 || fchmod(fd.get(), 0700) != 0) {
    return tl::make_unexpected("`" + path + "` is not a directory of root's own");
  }
  if (flock(fd.get(), lock | LOCK_NB) != 0) {
    return tl::make_unexpected("another bulkhead-init runs this enclave (`" + path + "`)");
  }
  return fd;
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The bundle reduced to one component, with another command line where one was given. The ledger
// and the digest stay those of the whole.
tl::expected<Bundle, std::string> Only(const Bundle& bundle, const InitOptions& options) {
  BundleData data = *bundle;
  std::erase_if(data.components,
                [&](const ProfileData& profile) { return profile.name != options.only; });
  if (data.components.empty()) {
    return tl::make_unexpected("the bundle has no component `" + options.only + "`");
  }
  ProfileData& profile = data.components.front();
  std::erase_if(data.channels, [](const Channel&) { return true; });
  std::erase_if(data.requirements, [&](const Requirement& requirement) {
    return !requirement.component.empty() && requirement.component != options.only;
  });
  profile.lifecycle.after.clear();
  if (!options.command.empty()) {
    profile.argv = options.command;
    profile.attestation = {};  // it is not the component who would be speaking
    profile.lifecycle.restart = RestartWhen::kNever;  // nor is it a service
  }
  return Bundle::Make(std::move(data));
}

tl::expected<Measured, std::string> MeasureOnce(DeviceDoor& door, const Bundle& bundle,
                                                const Digest& digest) {
  if (bundle->measure.kind == RegisterKind::kNone) return Measured{};
  const auto lock = LockMeasuring();
  if (!lock) return tl::make_unexpected(lock.error());
  return MeasureBundle(door, bundle->measure, digest, bundle->enclave);
}

void SayMeasured(const Measured& measured) {
  if (measured.what.empty()) return;
  std::fprintf(stderr, "bulkhead-init: measured%s: %s holds sha384:%s\n",
               measured.again ? " before, in this boot" : "", measured.what.c_str(),
               Hex(measured.value).c_str());
}

// Of a machine whose PID 1 has started this process.
int Boot(const InitOptions& options, const MachineBoot* machine) {
  auto bytes = ReadBundle(options.bundle);
  if (!bytes) return Refuse(bytes.error());
  const auto taken = machine == nullptr ? std::nullopt : machine->signature;
  if (const auto defect = SignatureDefect(options.bundle, taken, *bytes); !defect.empty()) {
    return Refuse("bundle `" + options.bundle + "` refused: " + defect);
  }
  auto bundle = DecodeBundle(*bytes);
  if (!bundle) return Refuse("bundle `" + options.bundle + "` refused: " + bundle.error());
  if (machine != nullptr) {
    TellEnd(machine->end_fd, EndOn((*bundle)->target.platform));
  }
  const Digest digest = BundleDigest(*bytes);
  if (!options.only.empty()) {
    bundle = Only(*bundle, options);
    if (!bundle) return Refuse(bundle.error());
  }
  const bool audit = std::any_of(bundle->components().begin(), bundle->components().end(),
                                 [](const Profile& profile) { return profile->landlock.log; });
  const std::vector<std::string> missing = MissingPrivileges(audit);
  if (!missing.empty()) {
    for (const std::string& line : missing) Refuse("missing: " + line);
    return Refuse("this process may not confine others; the enclave does not boot");
  }
  const FeatureSet kernel = ProbeKernel();
  const std::vector<std::string> unmet = UnmetRequirements(*bundle, NativeArch(), kernel);
  if (!unmet.empty()) {
    for (const std::string& line : unmet) Refuse(line);
    return Refuse("this kernel can't enforce the bundle; the enclave does not boot");
  }
  // Single components of an enclave run beside each other, but not beside the whole.
  const bool single = !options.only.empty();
  std::string run = "/run/bulkhead/" + (*bundle)->enclave;
  const auto whole_lock = OwnRunDirectory(run, single ? LOCK_SH : LOCK_EX);
  if (!whole_lock) return Refuse(whole_lock.error());
  tl::expected<Fd, std::string> single_lock;
  if (single) {
    run += "." + options.only;
    single_lock = OwnRunDirectory(run, LOCK_EX);
    if (!single_lock) return Refuse(single_lock.error());
  }
  // What is mounted of it is opened without links (sandbox/without_links.h).
  std::array<char, PATH_MAX> real;
  if (realpath(run.c_str(), real.data()) == nullptr) {
    return Refuse("`" + run + "`: " + std::strerror(errno));
  }
  run = real.data();
  RaiseDescriptorLimit();
  // It executes nothing, and what it starts is born without.
  if (const int error = EmptyBoundingSet(); error != 0) {
    return Refuse(std::string("cannot empty the capability bounding set: ") + std::strerror(error));
  }
  // What it makes under a component's ids must not carry groups of its own (engine/act_as.h).
  if (setgroups(0, nullptr) != 0) return Refuse("cannot give up groups");
  std::fprintf(stderr, "bulkhead-init: enclave `%s`, bundle sha384:%s\n",
               (*bundle)->enclave.c_str(), Hex(digest).c_str());
  const std::unique_ptr<DeviceDoor> door = SystemDoor();
  const auto measured = MeasureOnce(*door, *bundle, digest);
  if (!measured) {
    Refuse(measured.error());
    return Refuse("the bundle can't be measured; the enclave does not boot");
  }
  SayMeasured(*measured);
  const bool heartbeat = machine != nullptr && WaitsForHeartbeat((*bundle)->target.platform);
  auto supervisor =
      Supervisor::Create(std::move(*bundle), digest, kernel, {run, single, door.get(), *measured});
  if (!supervisor) return Refuse(supervisor.error().what);
  if (heartbeat) {
    RealKernel calls;
    if (auto sent = SendHeartbeat(calls, HeartbeatPeer()); !sent) return Refuse(sent.error());
  }
  // Its sockets are closed by the end of the process and not before it: what a component left in
  // one, a connection with SO_LINGER, would hold up a close(2), but not an exit.
  _exit((*supervisor)->Run());
}

int BootMachine(const MachineBoot& machine) {
  InitOptions options;
  options.bundle = machine.bundle;
  return Boot(options, &machine);
}

}  // namespace
}  // namespace bulkhead

int main(int argc, char** argv) {
  bulkhead::RealKernel kernel;
  if (bulkhead::IsMachinesInit(kernel)) bulkhead::RunMachine(kernel, bulkhead::BootMachine);
  const auto options = bulkhead::ParseInitOptions(argc, argv);
  if (!options.exit) return bulkhead::Boot(options, nullptr);
  std::fputs(options.text.c_str(), *options.exit == 0 ? stdout : stderr);
  return *options.exit;
}
