// SPDX-License-Identifier: Apache-2.0
#include "cli/audit_meaning.h"

#include "engine/audit_chain.h"

namespace bulkhead {
namespace {

struct Meaning {
  std::string_view kind, action, text;
};

// By docs/AUDIT.md; further values of the record say how many and since when.
constexpr Meaning kMeanings[] = {
    {"lifecycle", kLogOpen,
     "a run of the supervisor begins here; the object is the digest of its bundle, and what is "
     "signed in this run is signed by `public_key`"},
    {"lifecycle", kLogReopen, "a new file begins here; the chain goes on from the one before"},
    {"lifecycle", kLogGap,
     "the sink took nothing from `first` to `last`, for the reason that stands as its error: of "
     "the `missed` events tell the `entries` records before this one that have `first` and `last` "
     "as well, each with its count; only the `unheld` are without kind and object, in a loss "
     "record `write`"},
    {"lifecycle", kLogClose,
     "the supervisor has ended in order: nothing follows in this run, and the counts of its "
     "records add up to `events`"},
    {"checkpoint", kCheckpoint,
     "what stands before it in this run is complete as of here: who lacks the run's key can't "
     "change, remove or add a record of it unseen"},
    {"loss", "write",
     "so many events could not even be held for this sink while it took nothing; the other sinks "
     "may have them"},
    {"loss", "records-lost",
     "the kernel counted so many refusals by Landlock in this domain beyond those that it "
     "reported: they were refused, and of what is not known"},
    {"loss", "kernel-backlog-full",
     "the kernel dropped so many audit records before anybody could read them; `records-lost` "
     "tells of which domains"},
    {"loss", "socket-full",
     "the supervisor read the kernel's audit records too slowly, so many times; `records-lost` "
     "tells of which domains records are missing"},
    {"loss", "switched-off",
     "somebody switched the kernel's audit off, so many times; it was switched on again"},
    {"loss", "not-understood", "so many audit records of the kernel were not in a form known here"},
    {"loss", "domains-forgotten",
     "more Landlock domains were alive than are kept track of: refusals of so many are of no "
     "component here, and not reconciled"},
    {"loss", "output",
     "lines of a component's output are lost, as many as the count says or the object's bytes; no "
     "record is"},
    {"lifecycle", "start", "the component was confined, and its program started"},
    {"lifecycle", "ready", "the component is ready by what its `ready` asks for"},
    {"lifecycle", "stop", "the component was asked to stop"},
    {"lifecycle", "control-stop", "process `pid` of user `uid` asked for it by the control socket"},
    {"lifecycle", "control-restart",
     "process `pid` of user `uid` asked for it by the control socket"},
    {"lifecycle", "exit", "the run of the component has ended, and with it all of its processes"},
    {"lifecycle", "give-up",
     "the component's budget of restarts is spent: it is not started again; if it is critical the "
     "enclave ends"},
    {"lifecycle", "hold",
     "Landlock refused the component so often that it was stopped for the rest of the second, so "
     "that the kernel drops no records"},
    {"lifecycle", "memory",
     "the kernel killed processes of the component for want of memory around it: its own limit was "
     "not reached"},
    {"lifecycle", "violation", "the component was ended, as its `on-violation: kill` says"},
    {"lifecycle", "confine", "the component could not be confined, and nothing of it was run"},
    {"lifecycle", "observe", "who observed the component died, and the component was ended"},
    {"lifecycle", "start-timeout", "the component was not ready in time, and was killed"},
    {"lifecycle", "stop-timeout", "the component did not end in time when asked, and was killed"},
    {"lifecycle", "watchdog", "the component gave no sign of life in time, and was killed"},
    {"lifecycle", "lifetime", "the instance was there for longer than it may, and was killed"},
};

}  // namespace

std::string_view MeaningOf(const AuditRecord& record) {
  for (const Meaning& meaning : kMeanings) {
    if (record.kind == meaning.kind && record.action == meaning.action) return meaning.text;
  }
  return {};
}

}  // namespace bulkhead
