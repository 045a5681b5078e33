// SPDX-License-Identifier: Apache-2.0
// What components ask of the platform: each has a socket of its own, so that whoever asks is who
// the document names.
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "engine/clock.h"
#include "engine/nsm.h"
#include "engine/supervisor.h"
#include "profiles/attestation.h"

namespace bulkhead {
namespace {

std::string_view VerbName(AttestVerb verb) {
  return verb == AttestVerb::kRandom ? "random" : "attest";
}

bool Given(const Attestation& given, const AttestRequest& request) {
  if (request.verb == AttestVerb::kRandom) return given.random;
  return given.attest && (given.public_key || request.public_key.empty());
}

// A quote has room for the user data alone.
bool HasFields(const Measure& measure, const AttestRequest& request) {
  return !measure.nsm.empty() || (request.nonce.empty() && request.public_key.empty());
}

Event EventOf(EventKind kind, std::string_view action, std::string verdict) {
  Event event;
  event.kind = kind;
  event.control = "attestation";
  event.action = action;
  event.verdict = std::move(verdict);
  return event;
}

// Once, as each push_back in place is larger than all calls of this.
void Tell(Event& event, std::string_view name, std::string_view value) {
  event.extra.push_back({std::string(name), std::string(value)});
}

}  // namespace

// A run's own: nothing that one run left in it reaches the next.
tl::expected<Fd, std::string> Supervisor::OpenAttestation(Component& component) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return tl::make_unexpected(std::string("attestation socket: ") + std::strerror(errno));
  }
  component.attestation = Fd(ends[0]);
  Fd theirs(ends[1]);
  if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
    return tl::make_unexpected(std::string("attestation socket: ") + std::strerror(errno));
  }
  component.attest_run = next_attest_++;
  component.attest_waits = false;
  Watch(Role::kAttestation, IndexOf(component), ends[0]);
  return theirs;
}

void Supervisor::CloseAttestation(Component& component) {
  if (component.attestation) Unwatch(component.attestation.get());
  // Descriptors in its queue are closed with it, and closing may wait.
  CloseElsewhere(component.attestation);
  component.attest_run = 0;
  component.attest_waits = false;
}

namespace {

// Whether the next message brings descriptors. Looked at, it keeps them: to receive it would make
// them this process's, to be closed here, and the close of a file or a socket may wait.
bool BringsDescriptors(int socket) {
  uint8_t byte = 0;
  iovec vector{&byte, 1};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  // Without room for them the kernel says so (net/core/scm.c: scm_detach_fds).
  return recvmsg(socket, &message, MSG_DONTWAIT | MSG_PEEK) >= 0 &&
         (message.msg_flags & MSG_CTRUNC) != 0;
}

}  // namespace

// One request a turn, and none while one is being answered: what waits is in the socket's queue.
void Supervisor::OnAttestation(Component& component) {
  const int socket = component.attestation.get();
  if (BringsDescriptors(socket)) {
    RefuseAttestation(component, "request", AttestStatus::kMalformed);
    return CloseAttestation(component);
  }
  std::array<uint8_t, kMaxAttestRequest + 1> message{};
  const ssize_t size = recv(socket, message.data(), message.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return CloseAttestation(component);
  HandleAttestation(component, std::span(message).first(static_cast<size_t>(size)));
}

void Supervisor::HandleAttestation(Component& component, std::span<const uint8_t> message) {
  const auto request = ParseAttestRequest(message);
  const std::string_view verb = request ? VerbName(request->verb) : "request";
  if (!SpendAttestation(component, NowMs())) {
    // Until the next tick: a flood costs the flooder alone.
    component.attest_waits = true;
    Unwatch(component.attestation.get());
    return RefuseAttestation(component, verb, AttestStatus::kRate);
  }
  if (!request) return RefuseAttestation(component, verb, request.error());
  if (!Given(component.profile->attestation, *request)) {
    return RefuseAttestation(component, verb, AttestStatus::kNotGiven);
  }
  if (!HasFields(bundle_->measure, *request)) {
    return RefuseAttestation(component, verb, AttestStatus::kNoField);
  }
  SubmitAttestation(component, *request);
}

bool Supervisor::SpendAttestation(Component& component, uint64_t now) {
  Component& owner = OwnerOf(component);
  const Attestation& given = owner.profile->attestation;
  if (now - owner.attest_since >= given.window_ms) {
    owner.attest_since = now;
    owner.attest_spent = 0;
  }
  if (owner.attest_spent >= given.count) return false;
  ++owner.attest_spent;
  return true;
}

void Supervisor::AnswerAttestation(Component& component, AttestStatus status,
                                   std::span<const uint8_t> payload) {
  const std::vector<uint8_t> answer = AttestAnswerBytes(status, payload);
  // One who does not read loses its answer.
  send(component.attestation.get(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Supervisor::RefuseAttestation(Component& component, std::string_view verb,
                                   AttestStatus status) {
  AnswerAttestation(component, status);
  Event event = EventOf(EventKind::kViolation, verb, "refused");
  event.component = component.profile->name;
  event.pid = component.pid;
  event.object = AttestStatusName(status);
  event.error = status == AttestStatus::kRate ? "EAGAIN" : "EPERM";
  event.rule = component.profile->attestation.rule;
  component.last_refused = verb;
  log_.Append(std::move(event));
  // To ask too often, or for what another platform has, is no attempt at somebody else's.
  if (status == AttestStatus::kNotGiven || status == AttestStatus::kMalformed) Violated(component);
}

void Supervisor::SubmitAttestation(Component& component, const AttestRequest& request) {
  const bool random = request.verb == AttestVerb::kRandom;
  AttestJob job;
  job.id = next_attest_++;
  job.kind = random ? AttestJob::Kind::kRandom : AttestJob::Kind::kDocument;
  if (!random) job.user_data = BoundUserData(component.profile->name, digest_, request.bytes);
  job.nonce = request.nonce;
  job.public_key = request.public_key;
  attest_jobs_[job.id] = {IndexOf(component), component.attest_run, request, job.user_data};
  component.attest_waits = true;
  Unwatch(component.attestation.get());
  attester_->Submit(std::move(job));
  RunAttester();
}

void Supervisor::FinishAttestation(const AttestResult& result) {
  if (measuring_head_ && measuring_head_->first == result.id) {
    RecordAuditHead(measuring_head_->second, result.answer);
    measuring_head_.reset();
    return;
  }
  const auto found = attest_jobs_.find(result.id);
  if (found == attest_jobs_.end()) return;
  const AttestWaiter waiter = std::move(found->second);
  attest_jobs_.erase(found);
  Component& component = *components_[waiter.component];
  const bool random = waiter.request.verb == AttestVerb::kRandom;
  Event event = EventOf(EventKind::kMeasure, VerbName(waiter.request.verb),
                        result.answer ? "done" : "failed");
  event.component = component.profile->name;
  event.rule = component.profile->attestation.rule;
  if (!random) event.object = Hex(waiter.user_data);
  if (!waiter.request.nonce.empty()) {
    Tell(event, "nonce", Hex(Sha384(waiter.request.nonce)));
  }
  if (!waiter.request.public_key.empty()) {
    Tell(event, "public_key", Hex(Sha384(waiter.request.public_key)));
  }
  if (!result.answer) Tell(event, "why", result.answer.error());
  const bool there = component.attestation && component.attest_run == waiter.run;
  if (there) event.pid = component.pid;
  log_.Append(std::move(event));
  if (!there) return;  // the run that asked has ended
  if (!result.answer) {
    AnswerAttestation(component, AttestStatus::kFailed);
  } else {
    std::span<const uint8_t> payload(*result.answer);
    if (random && payload.size() > waiter.request.count) {
      payload = payload.first(waiter.request.count);
    }
    AnswerAttestation(component, AttestStatus::kOk, payload);
  }
  WatchAttestation(component);
}

// Again, once its job is done and the tick is over.
void Supervisor::WatchAttestation(Component& component) {
  if (!component.attest_waits || !component.attestation) return;
  const bool asked = std::any_of(attest_jobs_.begin(), attest_jobs_.end(), [&](const auto& job) {
    return job.second.run == component.attest_run;
  });
  if (asked) return;
  component.attest_waits = false;
  Watch(Role::kAttestation, IndexOf(component), component.attestation.get());
}

void Supervisor::RunAttester() {
  if (!attester_) return;
  while (true) {
    // The descriptor is closed with its child.
    if (attester_fd_ >= 0) Unwatch(attester_fd_);
    attester_fd_ = -1;
    const auto result = attester_->Turn(NowMs());
    if (result) {
      FinishAttestation(*result);
      continue;
    }
    attester_fd_ = attester_->fd();
    if (attester_fd_ >= 0) Watch(Role::kAttester, 0, attester_fd_);
    return;
  }
}

void Supervisor::RecordMeasured() {
  const Measured& measured = options_.measured;
  if (measured.what.empty()) return;
  Event event = EventOf(EventKind::kMeasure, measured.again ? "found" : "extend", "done");
  event.object = measured.what;
  event.rule = "measure";
  Tell(event, "value", Hex(measured.value));
  log_.Append(std::move(event));
}

// May wait for the device. Before any component runs: who verifies the log need not believe what it
// says of its own key. A Nitro document has locked registers only, and one that is locked takes no
// second run's key, so there it is a document about the key. Else the event log tells it, and the
// register vouches for that.
tl::expected<void, StartError> Supervisor::BindAuditKey() {
  const Measure& measure = bundle_->measure;
  const bool nitro = measure.kind == RegisterKind::kNitro;
  if (options_.door == nullptr || measure.kind == RegisterKind::kNone) return {};
  const PublicKey& key = audit_public_key();
  const auto document =
      nitro ? AskNsmDocument(*options_.door, measure.nsm, {AuditKeyUserData(digest_, key), {}, key})
            : MeasureLater(*options_.door, measure,
                           {std::string(kEventAuditKey), {key.begin(), key.end()}})
                  .map([](const Digest&) { return ByteList(); });
  if (!document) {
    return tl::make_unexpected(StartError{
        "cannot bind the audit key: " + (nitro ? measure.nsm + ": " : "") + document.error()});
  }
  const std::string text = Base64(*document);
  size_t at = 0;
  do {
    Event record = EventOf(EventKind::kMeasure, kEventAuditKey, "done");
    record.rule = "measure";
    Tell(record, "public_key", Hex(key));
    // A field has an end, a record too, and a document is longer than either.
    for (char part = 'a'; at < text.size() && record.extra.size() < kMaxEventExtras; ++part) {
      Tell(record, std::string("document-") + part,
           std::string_view(text).substr(at, kMaxEventField));
      at += kMaxEventField;
    }
    log_.Append(std::move(record));
  } while (at < text.size());
  return {};
}

// What stands in the log after this head is not in the register yet, the record of this among it.
void Supervisor::RecordAuditHead(const Digest& head,
                                 const tl::expected<ByteList, std::string>& value) {
  Event record = EventOf(EventKind::kMeasure, kEventAuditHead, value ? "done" : "failed");
  record.object = RegisterName(bundle_->measure.kind, *bundle_->measure.events);
  record.rule = "measure";
  Tell(record, "head", Hex(head));
  if (value) {
    Tell(record, "value", Hex(*value));
  } else {
    Tell(record, "why", value.error());
    Status("the audit log's head could not be measured: " + value.error());
  }
  log_.Append(std::move(record));
}

// Everything that ran has ended, so this may wait for the device.
void Supervisor::MeasureAuditHead() {
  if (!bundle_->measure.events || options_.door == nullptr) return;
  attester_.reset();  // it may hold the lock, and wait for a device
  AttestJob job;
  job.kind = AttestJob::Kind::kAuditHead;
  job.user_data = log_.head().head;
  RecordAuditHead(job.user_data, RunAttestJob(*options_.door, bundle_->measure, job, {}));
}

// The same while components run: the device may take its time.
tl::expected<Digest, std::string> Supervisor::SubmitAuditHead() {
  if (!bundle_->measure.events || !attester_) {
    return tl::make_unexpected(std::string("the policy has no register for events"));
  }
  if (measuring_head_) return tl::make_unexpected(std::string("it is being measured already"));
  AttestJob job;
  job.kind = AttestJob::Kind::kAuditHead;
  job.id = next_attest_++;
  job.user_data = log_.head().head;
  measuring_head_ = {job.id, job.user_data};
  const Digest head = job.user_data;
  attester_->Submit(std::move(job));
  RunAttester();
  return head;
}

}  // namespace bulkhead
