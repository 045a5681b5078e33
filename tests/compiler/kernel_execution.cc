// SPDX-License-Identifier: Apache-2.0
#include "tests/compiler/kernel_execution.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <string_view>

#include "engine/listener.h"
#include "profiles/syscalls.h"
#include "sandbox/kernel.h"

namespace bulkhead::testing {
namespace {

constexpr int kPatience = 20000;  // ms without a refused call or the end
constexpr int kNotLoaded = 98;

// Besides those of a socket, whose form is allowed in many ways.
constexpr std::string_view kMakeDescriptors[] = {"socket",         "epoll_create", "epoll_create1",
                                                 "eventfd2",       "inotify_init", "inotify_init1",
                                                 "timerfd_create", "signalfd4"};

bool MakesDescriptor(uint64_t number) {
  const auto name = SyscallName(NativeArch(), static_cast<uint32_t>(number));
  return std::ranges::find(kMakeDescriptors, name) != std::end(kMakeDescriptors);
}

struct Control {
  std::atomic<long> listener;  // 0: not yet
  std::atomic<bool> taken;
  std::atomic<size_t> at;  // the call being made
};

struct Result {
  bool closes;  // set before: the result is a descriptor
  std::atomic<bool> back;
  long value;
};

volatile std::sig_atomic_t alarms_seen = 0;

void CountAlarm(int /*signal*/) { alarms_seen = alarms_seen + 1; }

void StartAlarms() {
  struct sigaction action = {};
  action.sa_handler = CountAlarm;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval often{{0, 1000}, {0, 1000}};
  setitimer(ITIMER_REAL, &often, nullptr);
}

// The way out of two handlers goes by rt_sigreturn.
long AwaitAlarms() {
  const int before = alarms_seen;
  while (alarms_seen - before < 2) {
  }
  return 0;
}

struct Job {
  const Filter* filter;
  const std::vector<KernelCall>& calls;
  bool alarms;
  const SharedArray<Control>& control;
  const SharedArray<Result>& results;
};

// In the child. After the filter is loaded it makes only calls that every filter allows, besides
// those it is to make.
void Work(const Job& job) {
  RealKernel kernel;
  if (job.alarms) StartAlarms();
  if (job.filter != nullptr) {
    const long listener = LoadFilter(*job.filter, true);
    job.control[0].listener = listener;
    if (listener < 0) _exit(kNotLoaded);
    while (!job.control[0].taken) {
    }
    kernel(SYS_close, listener);
  }
  for (size_t i = 0; i < job.calls.size(); ++i) {
    job.control[0].at = i;
    const bool returns = job.alarms && job.calls[i].number == SYS_rt_sigreturn;
    const long result = returns ? AwaitAlarms() : MakeCall(job.calls[i]);
    job.results[i].value = result;
    job.results[i].back = true;
    if (job.results[i].closes && result > 2) kernel(SYS_close, result);
  }
  kernel(SYS_exit_group, 0);
}

SeccompListener TakeListener(const Job& job, int child) {
  const auto give_up = [](const std::string& why) {
    throw std::runtime_error("no listener: " + why);
  };
  pollfd ended{child, POLLIN, 0};
  while (job.control[0].listener == 0) {
    if (poll(&ended, 1, 0) != 0) give_up("the child ended");
    usleep(50);
  }
  if (job.control[0].listener < 0) give_up("the filter is refused");
  auto listener = SeccompListener::Take(child, static_cast<int>(job.control[0].listener));
  if (!listener) give_up("it can't be taken");
  job.control[0].taken = true;
  return std::move(*listener);
}

void Hear(const Job& job, const SeccompListener& listener, const std::vector<uint32_t>& absent,
          std::vector<Outcome>& outcomes) {
  Notification notification;
  if (listener.Receive(notification) != SeccompListener::State::kCall) return;
  outcomes[job.control[0].at].heard.push_back(notification.data);
  const bool is_absent = std::ranges::binary_search(absent, notification.data.nr);
  listener.Respond(notification, is_absent ? Answer::kAbsent : Answer::kRefuse);
}

// Answers until the child is gone.
void Supervise(const Job& job, int child, const std::vector<uint32_t>& absent,
               std::vector<Outcome>& outcomes) {
  SeccompListener listener;
  if (job.filter != nullptr) listener = TakeListener(job, child);
  std::array<pollfd, 2> ready{{{child, POLLIN, 0}, {listener.fd(), POLLIN, 0}}};
  while (true) {
    if (poll(ready.data(), listener ? 2 : 1, kPatience) <= 0) {
      throw std::runtime_error("call " + std::to_string(job.control[0].at) + " of " +
                               std::to_string(job.calls.size()) + ", number " +
                               std::to_string(job.calls[job.control[0].at].number) +
                               ", does not come back");
    }
    const bool call = listener && (ready[1].revents & POLLIN) != 0;
    if (call) Hear(job, listener, absent, outcomes);
    if (!call && ready[0].revents != 0) return;
  }
}

}  // namespace

Execution Execute(const KernelCell& cell, const Filter* filter, const std::vector<uint32_t>& absent,
                  const std::vector<KernelCall>& calls, bool alarms) {
  const SharedArray<Control> control(1);
  const SharedArray<Result> results(calls.size());
  for (size_t i = 0; i < calls.size(); ++i) results[i].closes = MakesDescriptor(calls[i].number);
  const Job job{filter, calls, alarms, control, results};
  const pid_t child = cell.Start([&] { Work(job); });
  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  Execution execution;
  execution.outcomes.resize(calls.size());
  try {
    Supervise(job, pidfd.get(), absent, execution.outcomes);
  } catch (...) {
    kill(child, SIGKILL);
    KernelCell::End(child);
    throw;
  }
  execution.end = KernelCell::End(child);
  for (size_t i = 0; i < calls.size(); ++i) {
    if (results[i].back) execution.outcomes[i].result = results[i].value;
  }
  return execution;
}

}  // namespace bulkhead::testing
