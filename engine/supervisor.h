// SPDX-License-Identifier: Apache-2.0
// The supervisor: starts the components of a verified bundle in dependency order, keeps them,
// answers and records their refused calls, and ends them in order. One thread, one epoll loop;
// nothing in the loop waits for a component, reads its memory or follows its paths.
//
// Order of calls: Supervisor::Create (lays out edges, opens the audit log; nothing runs yet), then
// Run once, which returns when everything has ended.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/audit_log.h"
#include "engine/cgroup.h"
#include "engine/control_socket.h"
#include "engine/edges.h"
#include "engine/fd.h"
#include "engine/kernel_audit.h"
#include "engine/line_log.h"
#include "engine/listener.h"
#include "engine/tripwire.h"
#include "engine/unit.h"
#include "profiles/bundle.h"
#include "profiles/features.h"
#include "sandbox/launch.h"

namespace bulkhead {

struct SupervisorOptions {
  std::string run_directory;  // 0700, this supervisor's alone
  bool plain_output = false;  // component output without its name in front
};

struct StartError {
  std::string what;  // for a person: step, object and errno in words
};

// Calls a second that one component may have refused before its answers are delayed; the delay
// costs that component alone.
inline constexpr uint32_t kNotificationBudget = 1000;

// Landlock's refusals a second of one component before it is stopped for the rest of the second.
// Less than the above, as what comes until the stop takes effect has no bound but the kernel's
// queue.
inline constexpr uint32_t kDenialBudget = 250;

// Records of a process that has ended can come late; so many of its component's runs are known.
inline constexpr size_t kPastPids = 8;

inline constexpr pid_t kReaped = 0;

inline constexpr size_t kKeptOutput = 16384;  // bytes of each component's output

class Supervisor {
 public:
  static tl::expected<std::unique_ptr<Supervisor>, StartError> Create(Bundle bundle,
                                                                      const Digest& digest,
                                                                      const FeatureSet& kernel,
                                                                      SupervisorOptions options);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // The exit code of bulkhead-init: 0 ended in order, 1 a critical component could not be kept, or
  // all components ended by themselves and one of them failed, 3 a component could not be confined
  // at its first start.
  int Run();

 private:
  enum class Role : uint8_t {
    kControl,
    kHandshake,
    kInstalled,
    kListener,
    kStdout,
    kStderr,
    kSignals,
    kAudit,
    kTripwires,
    kConnections,
    kRequests  // of the control socket
  };
  struct Source {
    Role role;
    size_t component;
    int fd;
  };
  struct Component {
    // `number` 0: the component itself, which with `instances` has no process and accepts; else
    // one of its instances, running or free.
    Component(const Profile& p, uint32_t number)
        : profile(p),
          instance(number),
          unit(p->lifecycle, number == 0 ? 0 : p->instances.lifetime_ms) {}
    bool accepts() const { return instance == 0 && profile->instances.at_most != 0; }
    const Profile& profile;
    const uint32_t instance;
    Unit unit;
    Handover handover;
    Fd connection;                // of an instance that is to be launched
    std::string connection_name;  // of the listener that it came to
    bool waits = false;           // its listeners are not watched: all instances run, or `paused`
    bool paused = false;          // until the next tick: the last connection could not be served
    std::unique_ptr<LaunchPlan> plan;
    std::unique_ptr<Cgroup> cgroup;
    pid_t reaper = -1;  // kReaped while its end is handled: the pid may be somebody else's by now
    pid_t pid = -1;
    std::deque<pid_t> past_pids;  // of the runs before this one, newest first, at most kPastPids
    Fd pidfd, control, handshake, installed, out, err;
    SeccompListener listener;
    LineLog out_lines, err_lines;
    uint64_t witness_refusals = 0;  // by Landlock, in each run
    std::optional<Witnessed> witnessed;
    bool launch_pending = false;  // the launch's own call has not passed the listener yet
    int exit_status = -1;
    uint64_t root_device = 0;  // of its view's root tmpfs, 0 while not known
    uint64_t since = 0;        // ms, of the state
    uint32_t spent = 0;        // of the notification budget
    uint64_t spent_since = 0;  // ms
    bool muted = false;        // over budget: its listener is not watched
    uint32_t denials = 0;      // by Landlock, since the last tick
    bool held = false;         // over budget: all of it is stopped until the next tick
    bool held_before = false;  // in this run
    uint64_t violations = 0;   // in this run
    uint64_t all_violations = 0;
    std::string recent;        // its last output, whole lines, at most kKeptOutput bytes
    std::string last_refused;  // the action of the last one
  };

  Supervisor(Bundle bundle, const Digest& digest, const FeatureSet& kernel,
             SupervisorOptions options, AuditLog log);
  tl::expected<void, StartError> Prepare();

  // Loop.
  void Watch(Role role, size_t component, int fd);
  void Unwatch(int fd);
  void Dispatch(const Source& source);
  int WaitTime(uint64_t now) const;
  void OnTimers(uint64_t now);
  void OnSignals();
  void OnAuditRecords();
  void OnTripwires();
  bool Finished() const;

  // Components.
  void StartReady();
  void Act(Component& component, UnitAction action);
  void StartOne(Component& component);
  tl::expected<std::vector<ViewOp>, std::string> ViewOf(const Component& component);
  void FailLaunch(Component& component, const std::string& what);
  void OnHandshake(Component& component);
  void OnInstalled(Component& component);
  void SettleLaunch(Component& component);
  void Executed(Component& component);
  // Takes one message of the reaper; whether there may be more.
  bool OnControl(Component& component);
  void OnRefusals(Component& component);
  void SpendAnswer(Component& component);
  bool IsStartupCall(Component& component, const SeccompData& data);
  // Passes on what the component wrote; whether there may be more.
  bool OnOutput(Component& component, bool err);
  void OnReaperDead(Component& component);
  void CheckListening(Component& component);
  void KillAll(Component& component);

  // Instances: see instances.cc.
  void StartAccepting(Component& component);
  void StopAccepting(Component& component);
  void WatchListeners(Component& component, bool watch);
  void OnConnection(Component& component, int listener);
  Component* FreeInstance(const Component& component);
  void EndInstance(Component& instance);
  Component& OwnerOf(const Component& component);  // itself, or whose instance it is
  void Pause(Component& component);
  void AcceptAgain(Component& component);
  void StopInOrder();
  void CloseRun(Component& component);
  void RecordLimits(const Component& component);
  Component* FindByPid(pid_t pid);
  LandlockHandler AuditHandler();
  void OnLandlockDenial(const LandlockDenial& denial);
  void OnLandlockEnd(const LandlockDomainEnd& end);
  void FinishAudit();
  void RecordAuditLoss();
  void ReportSinks();
  void OnSeccompKill(const SeccompKill& kill);

  // Control socket: see control_requests.cc.
  void OnControlRequests();
  ControlSocket::Answer AnswerControl(const ControlRequest& request, const ControlPeer& peer);
  ControlSocket::Answer StopOrRestart(const ControlRequest& request);
  ControlSocket::Answer LogsAnswer(const ControlRequest& request) const;
  std::string StatusText() const;
  std::string StatusLine(const Component& component) const;
  void RecordControl(const ControlRequest& request, const ControlPeer& peer);
  // Keeps what the component said, labelled, for those who ask for it.
  void Remember(Component& component, std::string_view text);

  // Record.
  void Lifecycle(const Component& component, const std::string& action, const std::string& verdict,
                 const std::string& detail = {}, std::vector<EventField> extra = {});
  static Event RefusalEvent(const Component& component, const Notification& call, bool absent);
  void Violated(Component& component);
  // Landlock's refusals can't be delayed one by one, and their records, which the kernel drops
  // where they are too many, are everybody's: who floods is stopped for the rest of the second.
  void Hold(Component& component);
  void Release(Component& component);
  std::string FailureText(const Component& component, const Failure& failure) const;
  void Status(const std::string& text) const;
  static std::string NameOf(const Component& component);  // of an instance `tools@3`
  size_t IndexOf(const Component& component) const;

  Bundle bundle_;
  FeatureSet kernel_features_;
  SupervisorOptions options_;
  AuditLog log_;
  RealKernel kernel_;
  std::unique_ptr<KernelAudit> kernel_audit_;
  std::unique_ptr<Tripwires> tripwires_;
  std::optional<Cgroups> cgroups_ = Cgroups::Open();  // outlives the components' groups
  std::vector<std::string> kept_;                     // sandbox/view.h
  Digest digest_{};
  ControlSocket control_;
  std::unique_ptr<ConnectGuard> guard_;  // null: no listener needs it
  std::vector<std::unique_ptr<Component>> components_;
  std::map<uint64_t, Source> sources_;  // by an id that is never used again
  std::map<int, uint64_t> source_ids_;
  uint64_t next_id_ = 1;
  Fd epoll_, signals_;
  bool stopping_ = false;
  bool booted_ = false;  // every component has been ready once
  int exit_code_ = 0;
  uint64_t last_tick_ = 0;
  KernelAuditCounters reported_;  // what RecordAuditLoss has put on record
  uint64_t reported_lost_ = 0;    // events that sinks did not take, as far as said
};

}  // namespace bulkhead
