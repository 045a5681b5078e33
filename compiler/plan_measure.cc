// SPDX-License-Identifier: Apache-2.0
// The register that takes the bundle's digest, and the components that may ask for documents.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "compiler/planner.h"
#include "profiles/measure.h"

namespace bulkhead {
namespace {

struct RegisterRow {
  std::string_view word;
  RegisterKind kind;
  uint32_t number;
  std::string_view platform;  // of the target; empty: any
};
constexpr RegisterRow kRegisters[] = {
    {"pcr20", RegisterKind::kNitro, 20, "nitro"},
    {"pcr21", RegisterKind::kNitro, 21, "nitro"},
    {"rtmr3", RegisterKind::kTdx, 3, "tdx"},
    {"tpm-pcr14", RegisterKind::kTpm, 14, ""},
};

// Registers as files of the kernel's (tsm-mr).
constexpr std::pair<uint32_t, uint32_t> kRtmrSince{6, 16};

const RegisterRow* FindRegister(std::string_view word) {
  const auto* found = std::ranges::find(kRegisters, word, &RegisterRow::word);
  return found == std::end(kRegisters) ? nullptr : found;
}

std::string Device(const EnclavePlan& enclave, const char* name) {
  const auto found = enclave.loaded.target.devices.find(name);
  return found == enclave.loaded.target.devices.end() ? std::string() : found->second;
}

void RefuseMeasure(EnclavePlan& enclave, const Place& place, std::string_view code,
                   std::string message, std::string help) {
  enclave.diagnostics.Error(place, code, std::move(message), std::move(help)).statement = "measure";
}

bool HasRtmrFiles(const Target& target) {
  return std::pair(target.kernel_major, target.kernel_minor) >= kRtmrSince;
}

// Why the target has no such register; empty: it has it.
std::string WhyNone(const Target& target, const RegisterRow& wanted) {
  if (!wanted.platform.empty() && target.platform != wanted.platform) {
    return fmt::format("`{}` has no `{}`: its platform is `{}`", target.name, wanted.word,
                       target.platform);
  }
  if (wanted.kind == RegisterKind::kTpm && target.platform == "nitro") {
    return fmt::format("`{}` has no `{}`: a Nitro enclave has no TPM", target.name, wanted.word);
  }
  if (wanted.kind == RegisterKind::kTdx && !HasRtmrFiles(target)) {
    return fmt::format("`{}` can't extend `{}`: its Linux {}.{} has no files for it", target.name,
                       wanted.word, target.kernel_major, target.kernel_minor);
  }
  return {};
}

std::string ChoicesOn(const Target& target) {
  std::string own = "`tpm-pcr14` of a vTPM";
  if (target.platform == "nitro") own = "`pcr20`";
  if (target.platform == "tdx") {
    own = HasRtmrFiles(target) ? "`rtmr3`, " + own : "a target with Linux 6.16 for `rtmr3`, " + own;
  }
  const bool tee = target.platform != "none";
  return fmt::format("choices: {}, or {}", own,
                     tee ? "`none` with a waiver of `measure`" : "`none`");
}

void NotMeasured(EnclavePlan& enclave) {
  if (const auto& events = enclave.policy.measure_events) {
    return RefuseMeasure(
        enclave, events->at.place, "E0586",
        fmt::format("events can't go to `{}` when the policy goes nowhere", events->value),
        "leave `events` out, or name a register at `policy` as well");
  }
  if (enclave.target.platform == "none") {
    enclave.ledger.push_back({"",
                              "measure",
                              {{Layer::kSupervisor, "no TEE: nothing to measure into"}},
                              Status::kEnforced,
                              Recorder::kLifecycle,
                              "the digest is printed and opens the audit log"});
    return;
  }
  if (const WaiverPolicy* waiver = enclave.waivers.Use("", "measure")) {
    enclave.ledger.push_back({"", "measure", {}, Status::kWaived, Recorder::kNone, waiver->reason});
    return;
  }
  const Place place =
      enclave.policy.measure ? enclave.policy.measure->at.place : enclave.policy.target.at.place;
  RefuseMeasure(
      enclave, place, "E0555",
      fmt::format("the policy is not measured, and `{}` is a TEE target", enclave.target.name),
      "write `measure: {policy: pcr20}` for Nitro, `rtmr3` for TDX, or under `waivers:` "
      "`- {statement: measure, reason: \"...\", until: YYYY-MM-DD}`");
}

std::string_view HowMeasured(RegisterKind kind) {
  switch (kind) {
    case RegisterKind::kNone:
      break;
    case RegisterKind::kNitro:
      return "extended by the bundle's digest, read back and locked before any component starts";
    case RegisterKind::kTdx:
    case RegisterKind::kTpm:
      return "extended by a bundle event and a boundary event, read back each time, before any "
             "component starts";
  }
  return "";
}

void SetEvents(EnclavePlan& enclave, const RegisterRow& policy, Measure& measure) {
  if (!enclave.policy.measure_events) return;
  const Text& written = *enclave.policy.measure_events;
  const RegisterRow* events = FindRegister(written.value);
  const bool nitro = policy.kind == RegisterKind::kNitro;
  const bool fits = events != nullptr && events->kind == policy.kind &&
                    (events->number != policy.number) == nitro;
  if (!fits) {
    return RefuseMeasure(enclave, written.at.place, "E0586",
                         fmt::format("events can't go to `{}` when the policy goes to `{}`",
                                     written.value, policy.word),
                         nitro ? "write `events: pcr21`: the register of the policy is locked"
                               : fmt::format("write `events: {}`", policy.word));
  }
  measure.events = events->number;
}

void SetDevices(const EnclavePlan& enclave, Measure& measure) {
  if (enclave.target.platform == "nitro") measure.nsm = Device(enclave, "nsm");
  if (enclave.target.platform == "tdx") measure.tsm = Device(enclave, "tsm");
  if (measure.kind == RegisterKind::kTdx) {
    measure.rtmr = Device(enclave, "rtmr");
    measure.tdx = Device(enclave, "tdx");
  }
  if (measure.kind == RegisterKind::kTpm) measure.tpm = Device(enclave, "tpm");
  const bool logged = measure.kind == RegisterKind::kTdx || measure.kind == RegisterKind::kTpm;
  if (logged) measure.event_log = Device(enclave, "event-log");
}

bool Attests(const Target& target) {
  return target.platform == "nitro" || target.platform == "tdx";
}

// Whether the platform's own documents have the register that the policy is measured into.
bool IsInDocuments(const EnclavePlan& enclave) {
  const auto& measure = enclave.policy.measure;
  const RegisterRow* row = measure ? FindRegister(measure->value) : nullptr;
  return row != nullptr && !row->platform.empty();
}

// Whether what the policy says of its measure can be, a waiver of it included.
bool IsMeasured(EnclavePlan& enclave) {
  const auto& measure = enclave.policy.measure;
  const RegisterRow* row = measure ? FindRegister(measure->value) : nullptr;
  if (row != nullptr) return WhyNone(enclave.target, *row).empty();
  return enclave.waivers.Use("", "measure") != nullptr;
}

constexpr std::string_view kNotShown =
    "documents say who asked for them, and not that this policy is in force";

}  // namespace

Measure PlanMeasure(EnclavePlan& enclave) {
  Measure measure;
  const RegisterRow* wanted =
      enclave.policy.measure ? FindRegister(enclave.policy.measure->value) : nullptr;
  if (wanted == nullptr) {
    NotMeasured(enclave);
  } else if (const std::string why = WhyNone(enclave.target, *wanted); !why.empty()) {
    RefuseMeasure(enclave, enclave.policy.measure->at.place, "E0585", why,
                  ChoicesOn(enclave.target));
  } else {
    measure.kind = wanted->kind;
    measure.policy = wanted->number;
    SetEvents(enclave, *wanted, measure);
    enclave.ledger.push_back(
        {"",
         "measure",
         {{Layer::kSupervisor, fmt::format("{} is {}", wanted->word, HowMeasured(wanted->kind))}},
         Status::kEnforced,
         Recorder::kLifecycle,
         wanted->kind == RegisterKind::kNitro
             ? ""
             : "it can't be locked: what is measured later shows in the register and in its log"});
  }
  SetDevices(enclave, measure);
  return measure;
}

void PlanAttestation(ComponentPlan& plan) {
  if (!plan.policy.attestation) return;
  const AttestationPolicy& wanted = *plan.policy.attestation;
  const Target& target = plan.enclave.target;
  if (!wanted.random && !wanted.attest) {
    plan.Error(wanted.at.place, "E0587", "`attestation` gives nothing",
               "write `attest: true`, or `random: true`");
    return;
  }
  if (wanted.public_key && !wanted.attest) {
    plan.Error(wanted.public_key_at.place, "E0587", "a key has no document to be in",
               "write `attest: true`, too");
    return;
  }
  if (!Attests(target)) {
    if (plan.enclave.waivers.Use(plan.policy.name, "attestation") != nullptr) {
      plan.Row("attestation", {}, Status::kWaived, Recorder::kNone,
               "no platform here: the component gets no socket");
      return;
    }
    plan.Refuse(wanted.at.place, "attestation", "E0588",
                fmt::format("`{}` has nothing that attests: its platform is `{}`", target.name,
                            target.platform),
                "choices: a Nitro or TDX target, or a waiver of `attestation`: the component then "
                "gets no socket");
    return;
  }
  if (wanted.public_key && target.platform == "tdx") {
    plan.Refuse(wanted.public_key_at.place, "attestation", "E0589",
                "a TDX quote has no place for a key",
                "choices: leave `public-key` out and put the key's digest into the bytes that the "
                "component gives, or a Nitro target");
    return;
  }
  plan.profile.attestation = {.given = true,
                              .random = wanted.random,
                              .attest = wanted.attest,
                              .public_key = wanted.public_key,
                              .count = wanted.rate.first,
                              .window_ms = wanted.rate.second,
                              .rule = wanted.at.id};
  // Where the measure itself is a mistake that is said.
  const bool shown = !wanted.attest || IsInDocuments(plan.enclave) || !IsMeasured(plan.enclave);
  if (!shown) {
    plan.enclave.diagnostics.Warning(
        wanted.at.place, "E0590",
        fmt::format("{}: `{}` attests no register that it is measured into", kNotShown,
                    target.name),
        "name the platform's own register at `measure`, `pcr20` of Nitro or `rtmr3` of TDX with "
        "Linux 6.16, or let the relying party judge a TPM's quote beside them");
  }
  std::string verbs = wanted.attest ? "documents" : "random bytes";
  if (wanted.attest && wanted.random) verbs += " and random bytes";
  if (wanted.public_key) verbs += ", a key in them";
  plan.Row("attestation",
           {{Layer::kDescriptor, "a socket of its own to the supervisor, anew for each run"},
            {Layer::kSupervisor,
             fmt::format("{}; user data is bound to component and bundle; {} requests in {} s",
                         verbs, wanted.rate.first, wanted.rate.second / 1000)},
            {Layer::kView, "no attestation device in any view"},
            {Layer::kSeccomp, "the devices' requests are refused, whoever holds a descriptor"}},
           Status::kEnforced, Recorder::kLifecycle, std::string(shown ? "" : kNotShown));
}

}  // namespace bulkhead
