// SPDX-License-Identifier: Apache-2.0
// Who may have something attested: by the socket that the supervisor gives, or by the module
// itself.
#include <fmt/format.h>

#include <iterator>

#include "compiler/asked.h"
#include "compiler/resolve_calls.h"
#include "compiler/ways_round.h"

namespace bulkhead {
namespace {

struct Verb {
  std::string_view object;
  std::string_view gives;
  bool (*given)(const Attestation&);
};
constexpr Verb kVerbs[std::size(kAttested)] = {
    {kAttestDocument, "documents", [](const Attestation& given) { return given.attest; }},
    {kAttestKey, "a key of its own in documents",
     [](const Attestation& given) { return given.public_key; }},
    {kAttestRandom, "random bytes", [](const Attestation& given) { return given.random; }},
};

const Verb& VerbOf(const Question& question) {
  for (const Verb& verb : kVerbs) {
    if (verb.object == question.name) return verb;
  }
  return kVerbs[0];
}

Attempt BySocket(const Asked& asked) {
  const Attestation& given = asked.profile.attestation;
  if (!given.given) {
    return {{},
            {{Layer::kDescriptor, Verdict::kDeny, "the supervisor gives it no attestation socket",
              asked.Id("attestation"), Recorder::kNone}}};
  }
  const Verb& verb = VerbOf(asked.question);
  Attempt attempt;
  attempt.controls.push_back({Layer::kDescriptor, Verdict::kAllow,
                              "a socket of its own to the supervisor", given.rule,
                              Recorder::kNone});
  if (verb.given(given)) {
    attempt.controls.push_back(
        {Layer::kSupervisor, Verdict::kAllow,
         fmt::format("{}, bound to `{}` and to the bundle; {} requests in {} s", verb.gives,
                     asked.profile.name, given.count, given.window_ms / 1000),
         given.rule, Recorder::kLifecycle});
  } else {
    attempt.controls.push_back({Layer::kSupervisor, Verdict::kDeny,
                                fmt::format("it is not given {}", verb.gives), given.rule,
                                Recorder::kLifecycle});
  }
  return attempt;
}

// The module asks for no capability: who opens its node and makes its request is answered as the
// enclave. Reports of TDX are asked for in a directory that no bundle shows (Bundle::Make).
void AddModule(const Asked& asked, Attempts& attempts) {
  Question question;
  question.action = Action::kRead;
  question.path = asked.enclave.measure.nsm;
  if (question.path.empty()) return;
  Asked inner{asked.enclave, asked.profile, question,         asked.allowed,
              asked.startup, asked.sets,    asked.unenforced, {}};
  for (Attempt& attempt : AttemptFile(inner)) {
    attempt.calls.push_back({"ioctl", {Equal(1, 32, kNsm)}});
    attempts.push_back(std::move(attempt));
  }
}

}  // namespace

Attempts AttemptAttestation(Asked& asked) {
  Attempts attempts{BySocket(asked)};
  AddModule(asked, attempts);
  if (!asked.enclave.measure.Attests()) asked.note = "nothing on this target attests";
  return attempts;
}

}  // namespace bulkhead
