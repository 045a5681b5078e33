// SPDX-License-Identifier: Apache-2.0
// The supervisor: starts the components of a verified bundle in dependency order, keeps them,
// answers and records their refused calls, and ends them in order. One thread, one epoll loop;
// nothing in the loop waits for a component, reads its memory or follows its paths.
//
// Order of calls: Supervisor::Create (lays out edges, opens the audit log; nothing runs yet), then
// Run once, which returns when everything has ended.
#pragma once

#include <sys/epoll.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/attest_protocol.h"
#include "engine/attester.h"
#include "engine/audit_log.h"
#include "engine/broker.h"
#include "engine/cgroup.h"
#include "engine/control_socket.h"
#include "engine/edges.h"
#include "engine/fd.h"
#include "engine/kernel_audit.h"
#include "engine/line_log.h"
#include "engine/listen_table.h"
#include "engine/listener.h"
#include "engine/measure.h"
#include "engine/observer.h"
#include "engine/output_log.h"
#include "engine/past_runs.h"
#include "engine/service_notify.h"
#include "engine/tripwire.h"
#include "engine/unit.h"
#include "profiles/bundle.h"
#include "profiles/features.h"
#include "sandbox/launch.h"
#include "sandbox/prepared_view.h"
#include "sandbox/spare_network.h"

namespace bulkhead {

struct SupervisorOptions {
  std::string run_directory;   // 0700, this supervisor's alone
  bool plain_output = false;   // component output without its name in front
  DeviceDoor* door = nullptr;  // to the attestation devices; outlives the supervisor
  Measured measured;           // what MeasureBundle came to
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

// So long after its reaper said that it sent the stop no thread of it runs any more, and so long
// after the reaper was told where it has not said so. One of which a thread is seen running then,
// in three of its last eight stops, undoes them (timers can send it SIGCONT), and is killed.
inline constexpr uint64_t kStopTakes = 300;        // ms
inline constexpr uint64_t kUnsaidStopTakes = 900;  // ms

// Bytes a second of one run's output, beyond which it waits at its pipes.
inline constexpr uint32_t kOutputBudget = 4U << 20;

// Brokered calls a second of one component, beyond which its answers are delayed.
inline constexpr uint32_t kBrokeredBudget = 5000;

// What a call costs of that for which the supervisor forks.
inline constexpr uint32_t kChildCost = 500;
// Children of one component that wait for a file's closing; with as many its calls wait, too.
inline constexpr size_t kMaxClosers = 4;

// Refused calls a second of one component whose arguments are read; of more only the registers are
// on record.
inline constexpr uint32_t kReadBudget = 50;

// Brokered calls of one component that wait for a worker; more are deferred.
inline constexpr size_t kMaxWaiting = 32;

// Calls of one component that wait to be looked at. The kernel finds a call by walking all of the
// listener's (kernel/seccomp.c: find_notification), so these are few, and a turn of the loop that
// receives them, or looks for those whose callers have ended, takes no longer than this, ns.
inline constexpr size_t kMaxDeferred = 1024;
inline constexpr uint64_t kTurnTime = 1'000'000;
inline constexpr uint32_t kDeferredATurn = 8;  // that are answered

// How long after a call went to a worker the loop looks for events without a sleep, ns: as long as
// most calls take.
inline constexpr uint64_t kBusyTime = 30'000;

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

  // By which this run's audit log is to be judged.
  const PublicKey& audit_public_key() const { return log_.public_key(); }

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
    kObserver,
    kConnections,
    kRequests,  // of the control socket
    kAttestation,
    kAttester,
    kWorker
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
    Fd connection;                              // of an instance that is to be launched
    std::string connection_name;                // of the listener that it came to
    std::optional<PreparedView> prepared_view;  // for its instances
    bool waits = false;         // its listeners are not watched: all instances run, or `paused`
    bool paused = false;        // until the next tick: the last connection could not be served
    Fd attestation;             // the supervisor's end, of this run
    uint64_t attest_run = 0;    // which run that is, of all components
    bool attest_waits = false;  // for a job, or for the next tick: it is not watched
    uint32_t attest_spent = 0;  // of its rate; of an instance its component's counts
    uint64_t attest_since = 0;  // ms, of the window
    std::unique_ptr<LaunchPlan> plan;
    std::unique_ptr<Cgroup> cgroup;  // from its first start on
    CgroupCounters counted;          // of it, as far as they are on record
    pid_t reaper = -1;  // kReaped while its end is handled: the pid may be somebody else's by now
    pid_t pid = -1;
    Fd pidfd, control, handshake, installed, out, err;
    ListenTable listens;     // of `ready: listening`
    uint64_t next_look = 0;  // ns: whether it is ready
    SeccompListener listener;
    std::unique_ptr<Workers> workers;   // null: this kernel can't have them
    std::deque<BrokeredCall> waiting;   // for a worker, at most kMaxWaiting
    std::deque<Notification> deferred;  // calls that are answered later
    std::deque<Notification> queued;    // the same, for the broker; both at most kMaxDeferred
    bool full = false;                  // as many are deferred as may: its listener is not watched
    size_t purges = kMaxDeferred;       // calls that may be looked at for that, until the next tick
    std::array<size_t, 2> unpurged{};   // of the two, that are not looked at yet
    bool ending = false;                // it was killed, and nothing of it is answered any more
    uint32_t brokered = 0;              // since the last tick
    uint32_t read = 0;                  // of the budget of read arguments
    std::optional<Observer> observer;   // has the listener from the exec on
    LineLog out_lines, err_lines;
    uint64_t witness_refusals = 0;  // by Landlock, in each run
    std::optional<Witnessed> witnessed;
    bool launch_pending = false;  // the launch's own call has not passed the listener yet
    int exit_status = -1;
    uint64_t root_device = 0;    // of its view's root tmpfs, 0 while not known; instances share it
    uint64_t pid_namespace = 0;  // its inode, of this run
    uint64_t since = 0;          // ms, of the state
    uint32_t spent = 0;          // of the notification budget
    uint64_t spent_since = 0;    // ms
    bool muted = false;          // over budget: its calls are deferred until the next tick
    uint32_t denials = 0;        // by Landlock, since the last tick
    bool held = false;           // over budget: all of it is stopped until the next tick
    bool held_before = false;    // in this run
    uint64_t held_since = 0;     // ms
    uint64_t stopped_since = 0;  // ms, that its reaper has sent the stop; 0: it has not said so
    uint32_t stops_told = 0;     // to its reaper, in this run
    uint32_t stops_said = 0;     // by its reaper
    bool runs_on = false;        // it was seen running though it is held, in this second
    uint8_t ran_on = 0;          // its last eight stops that say so, the last one lowest
    uint32_t looks = 0;          // threads looked at in this second
    size_t look_from = 0;        // where in the list of them
    uint32_t written = 0;        // bytes of output, since the last tick
    bool choked = false;         // over budget: its output is not watched
    size_t last_output = 0;      // bytes read at the ends of its runs, since the last tick
    uint64_t unread = 0;         // bytes that were left then
    uint64_t violations = 0;     // in this run
    uint64_t all_violations = 0;
    std::set<pid_t> closers;   // children that close files of it; instances share their owner's
    std::string recent;        // its last output, whole lines, at most kKeptOutput bytes
    std::string last_refused;  // the action of the last one
  };

  Supervisor(Bundle bundle, const Digest& digest, const FeatureSet& kernel,
             SupervisorOptions options, AuditLog log, OutputLog output);
  tl::expected<void, StartError> Prepare();

  // Loop.
  void Watch(Role role, size_t component, int fd);
  void Unwatch(int fd);
  void Dispatch(const Source& source, uint32_t revents);
  int WaitTime(uint64_t now) const;
  int Wait(std::span<epoll_event> events, int milliseconds);
  void OnTimers(uint64_t now);
  void OnSignals();
  void OnAuditRecords();
  void OnTripwires();
  void TellManager();  // engine/service_notify.h
  bool Finished() const;
  void ReapWorkers();

  // Components.
  void StartReady();
  void Act(Component& component, UnitAction action);
  void StartOne(Component& component);
  bool WaitsForServer(const Component& component) const;
  tl::expected<void, EdgeError> PassDescriptors(Component& component, std::vector<Fd>& own);
  tl::expected<std::vector<ViewOp>, std::string> ViewOf(const Component& component);
  tl::expected<void, std::string> UsePreparedView(Component& component, LaunchPlan& plan);
  bool WantsSpareNetwork(uint64_t now) const;
  void MakeSpareNetwork(uint64_t now);
  void FailLaunch(Component& component, const std::string& what);
  void OnHandshake(Component& component);
  void OnInstalled(Component& component);
  std::string LastWord(Component& component, const std::string& otherwise) const;
  void SettleLaunch(Component& component);
  void Executed(Component& component);
  // Takes one message of the reaper; whether there may be more.
  bool OnControl(Component& component);
  void OnRefusals(Component& component, uint32_t revents);
  void AnswerCall(Component& component, const Notification& call);
  void SpendAnswer(Component& component);
  static bool IsAbsent(const Component& component, const Notification& call);
  void Defer(Component& component, const Notification& call);
  void RecordGone(Component& component, const Notification& call);
  static size_t Deferred(const Component& component);
  void PurgeDeferred(Component& component, std::deque<Notification>& calls, size_t& unpurged);
  void AnswerDeferred(Component& component);
  static bool MayAnswerDeferred(const Component& component);
  // With `on-violation: observe`: hands the listener to an observer, and records what that tells.
  void Observe(Component& component);
  void OnObserver(Component& component);
  void Record(Component& component, const Observation& observation);
  void FinishObserver(Component& component);
  bool IsStartupCall(Component& component, const SeccompData& data);

  // Broker: see brokered.cc.
  void OpenWorkers(Component& component);
  void CloseWorkers(Component& component);
  std::optional<Workers::Cut> ResetWorker(Component& component, size_t index);
  std::optional<BrokerRequest::Kind> BrokeredKind(const Component& component,
                                                  const Notification& call) const;
  bool ReadsArguments(Component& component, const Notification& call);
  void Broker(Component& component, const Notification& call, BrokerRequest::Kind kind);
  bool HandOver(Component& component, BrokeredCall& brokered);
  void OnWorker(Component& component, int fd);
  void Finish(Component& component, BrokeredCall& brokered, const BrokerReply& reply);
  // These three take the event that was begun.
  static Event BegunEvent(const Component& component, BrokeredCall& brokered);
  static Event BrokerEvent(const Component& component, BrokeredCall& brokered,
                           const BrokerReply& reply);
  static Event UnreadEvent(const Component& component, BrokeredCall& brokered);
  // Who made the call has ended.
  void RecordCut(const Component& component, Workers::Cut cut);
  // Who was to make the call for it has, by itself or at its deadline; `error` is for what was
  // allowed.
  void AnswerCut(Component& component, Workers::Cut cut, int error);
  // Of a call that was made: whoever is answered, it is on record.
  void AnswerMade(const Component& component, BrokeredCall& brokered, const BrokerReply& reply,
                  int64_t result);
  void Allowed(Event event, int64_t result);
  void RefuseUnread(Component& component, BrokeredCall& brokered, bool violates = true);
  void Refuse(Component& component, const Notification& call, Event event);
  void Violation(Component& component, Event event);
  // Before its record is made. Where that ends the component, its caller is left waiting: it would
  // go on until its end has come to it. False: it did not wait any more.
  static bool AnswerViolation(const Component& component, const Notification& call);
  static bool EndsByViolation(const Component& component);
  void Proceed(Component& component);
  void ExpireWorkers(Component& component, uint64_t now);
  void SpendBrokered(Component& component, uint32_t cost = 1);

  // Passes on what the component wrote; whether there may be more.
  bool OnOutput(Component& component, bool err);
  void PassOn(Component& component, bool err, const std::string& lines, const std::string& label);
  void SpendOutput(Component& component, size_t bytes);
  void OnReaperDead(Component& component);
  void EndRun(Component& component, int status);
  void CheckListening(Component& component);
  void Look(Component& component, const Readiness& ready);
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
  void RecordLimits(Component& component);
  Component* FindByPid(pid_t pid);
  Component* FindByIndex(int32_t index);
  Component* FindByNamespace(uint64_t pid_namespace);
  LandlockHandler AuditHandler();
  void OnLandlockDenial(const LandlockDenial& denial);
  void OnLandlockEnd(const LandlockDomainEnd& end);
  void FinishAudit();
  void RecordAuditLoss();
  void ReportSinks();
  void RecordLostOutput(const std::vector<OutputLoss>& losses);
  void OnSeccompKill(const SeccompKill& kill);

  // Attestation: see attestation.cc.
  tl::expected<Fd, std::string> OpenAttestation(Component& component);
  void CloseAttestation(Component& component);
  void OnAttestation(Component& component);
  void HandleAttestation(Component& component, std::span<const uint8_t> message);
  bool SpendAttestation(Component& component, uint64_t now);
  void AnswerAttestation(Component& component, AttestStatus status,
                         std::span<const uint8_t> payload = {});
  void RefuseAttestation(Component& component, std::string_view verb, AttestStatus status);
  void SubmitAttestation(Component& component, const AttestRequest& request);
  void FinishAttestation(const AttestResult& result);
  void WatchAttestation(Component& component);
  void RunAttester();
  void RecordLedger();
  void RecordMeasured();
  void RecordAuditHead(const Digest& head, const tl::expected<ByteList, std::string>& value);
  void MeasureAuditHead();
  tl::expected<Digest, std::string> SubmitAuditHead();
  tl::expected<void, StartError> BindAuditKey();

  // Control socket: see control_requests.cc.
  void OnControlRequests();
  ControlSocket::Answer AnswerControl(const ControlRequest& request, const ControlPeer& peer);
  ControlSocket::Answer StopOrRestart(const ControlRequest& request);
  ControlSocket::Answer MeasureOnRequest(const ControlPeer& peer);
  ControlSocket::Answer LogsAnswer(const ControlRequest& request) const;
  std::string StatusText() const;
  std::string StatusLine(const Component& component) const;
  void RecordControl(const ControlRequest& request, const ControlPeer& peer);
  // Keeps what the component said, without its label of that size, for those who ask for it.
  void Remember(Component& component, std::string_view text, size_t label);

  // Record.
  void Lifecycle(const Component& component, const std::string& action, const std::string& verdict,
                 const std::string& detail = {}, std::vector<EventField> extra = {});
  // Of a call whose caller still waits: who it is, and then what it was refused.
  static Event CallerEvent(const Component& component, const Notification& call);
  static void DescribeRefusal(Event& event, const Component& component, const Notification& call,
                              bool absent);
  // Both, of a call that is answered later.
  static Event RefusalEvent(const Component& component, const Notification& call);
  // `now`: by the run that there is now, which ends of it with `on-violation: kill`. Else by one
  // that has ended, or by one of several instances, and nobody knows which.
  void Violated(Component& component, bool now = true);
  // Landlock's refusals can't be delayed one by one, and their records, which the kernel drops
  // where they are too many, are everybody's: who floods is stopped for the rest of the second.
  void Hold(Component& component);
  void ReadLast(Component& component, bool err);
  void RecordUnread(Component& component);
  static bool MayExec(const Component& component);
  static bool AnyRuns(Component& component);
  // Whether its stop must have come to all of it by now.
  static bool IsStopOver(const Component& component, uint64_t now);
  void JudgeStop(Component& component);
  void Release(Component& component);
  std::string FailureText(const Component& component, const Failure& failure) const;
  void Status(const std::string& text);
  static std::string NameOf(const Component& component);  // of an instance `tools@3`
  size_t IndexOf(const Component& component) const;

  Bundle bundle_;
  FeatureSet kernel_features_;
  SupervisorOptions options_;
  AuditLog log_;
  OutputLog output_;  // may write by a sink of the audit log
  RealKernel kernel_;
  std::unique_ptr<KernelAudit> kernel_audit_;
  std::unique_ptr<Tripwires> tripwires_;
  std::optional<Cgroups> cgroups_ = Cgroups::Open();  // outlives the components' groups
  std::vector<KeptPath> kept_;                        // sandbox/view.h
  Digest digest_{};
  ControlSocket control_;
  struct AttestWaiter {
    size_t component;
    uint64_t run;
    AttestRequest request;
    Digest user_data;
  };
  std::optional<Attester> attester_;                           // nothing: nobody may ask
  std::map<uint64_t, AttestWaiter> attest_jobs_;               // by the job's id
  uint64_t next_attest_ = 1;                                   // ids of jobs and runs
  int attester_fd_ = -1;                                       // that is watched
  std::optional<std::pair<uint64_t, Digest>> measuring_head_;  // its job, and the head
  std::unique_ptr<ConnectGuard> guard_;                        // null: no listener needs it
  std::vector<std::unique_ptr<Component>> components_;
  PastRuns past_runs_;
  std::map<uint64_t, Source> sources_;  // by an id that is never used again
  std::map<int, uint64_t> source_ids_;
  uint64_t next_id_ = 1;
  Fd epoll_, signals_;
  bool stopping_ = false;
  bool booted_ = false;  // every component has been ready once
  ServiceNotify notify_;
  int exit_code_ = 0;
  std::set<pid_t> killed_workers_;  // and not yet waited for
  uint64_t last_tick_ = 0;
  uint64_t busy_until_ = 0;     // ns
  SpareNetwork spare_network_;  // for the next instance
  uint64_t spare_network_due_ = 0;
  KernelAuditCounters reported_;  // what RecordAuditLoss has put on record
  struct ToldSink {
    uint64_t behind = 0;  // as far as said; 0: it is not behind
    AuditLog::SinkState before;
  };
  std::map<std::string, ToldSink> told_sinks_;  // by the sink's name
};

}  // namespace bulkhead
