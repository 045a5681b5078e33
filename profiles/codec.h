// SPDX-License-Identifier: Apache-2.0
// The fields of a bundle, once: Describe(io, value) names them in wire order, and the same walk
// encodes and decodes. Integers are little endian and fixed width, strings and lists are a u32
// count and their content, enums one byte, optionals a byte 0 or 1. Internal to profiles/.
#pragma once

#include <concepts>
#include <type_traits>

#include "profiles/bundle.h"

namespace bulkhead::codec {

template <typename Io>
void Describe(Io& io, EnvVar& v) {
  io(v.name, v.value);
}
template <typename Io>
void Describe(Io& io, NamedDigest& v) {
  io(v.name, v.digest);
}
template <typename Io>
void Describe(Io& io, Instruction& v) {
  io(v.code, v.jt, v.jf, v.k);
}
template <typename Io>
void Describe(Io& io, ViewEntry& v) {
  io(v.path, v.kind, v.size, v.optional, v.directory, v.rule);
}
template <typename Io>
void Describe(Io& io, LandlockRule& v) {
  io(v.path, v.access, v.optional, v.rule);
}
template <typename Io>
void Describe(Io& io, LandlockPort& v) {
  io(v.port, v.access, v.rule);
}
template <typename Io>
void Describe(Io& io, LandlockPlan& v) {
  io(v.handled_files, v.handled_net, v.scoped, v.log, v.rules, v.ports);
}
template <typename Io>
void Describe(Io& io, Listener& v) {
  io(v.name, v.kind, v.path, v.address, v.port, v.nonblocking, v.guarded, v.rule);
}
template <typename Io>
void Describe(Io& io, EdgeDirectory& v) {
  io(v.path, v.group, v.server, v.rule);
}
template <typename Io>
void Describe(Io& io, Secret& v) {
  io(v.name, v.path, v.rule);
}
template <typename Io>
void Describe(Io& io, Attestation& v) {
  io(v.given, v.random, v.attest, v.public_key, v.count, v.window_ms, v.rule);
}
template <typename Io>
void Describe(Io& io, Measure& v) {
  io(v.kind, v.policy, v.events, v.nsm, v.rtmr, v.tdx, v.tsm, v.tpm, v.event_log);
}
template <typename Io>
void Describe(Io& io, BrokerRule& v) {
  io(v.kind, v.any, v.address, v.port, v.rule);
}
template <typename Io>
void Describe(Io& io, BrokerPlan& v) {
  io(v.calls, v.paths, v.rules);
}
template <typename Io>
void Describe(Io& io, Readiness& v) {
  io(v.kind, v.path, v.exit_code, v.within_ms);
}
template <typename Io>
void Describe(Io& io, Lifecycle& v) {
  io(v.after, v.ready, v.watchdog_ms, v.stop_signal, v.stop_within_ms, v.restart, v.restart_at_most,
     v.restart_within_ms, v.critical);
}
template <typename Io>
void Describe(Io& io, Instances& v) {
  io(v.at_most, v.lifetime_ms);
}
template <typename Io>
void Describe(Io& io, Limits& v) {
  io(v.memory, v.processes, v.files, v.cpu_percent, v.file_size, v.cpu_yields);
}
template <typename Io>
void Describe(Io& io, ProfileData& v) {
  io(v.name, v.argv, v.pin, v.environment, v.directory, v.umask, v.stdin_from, v.stdout_to,
     v.stderr_to, v.uid, v.gid, v.groups, v.view, v.landlock, v.network, v.listeners, v.edges,
     v.secrets, v.attestation, v.broker, v.arch, v.filter, v.startup, v.absent, v.notifies,
     v.on_violation, v.limits, v.lifecycle, v.instances);
}
template <typename Io>
void Describe(Io& io, Control& v) {
  io(v.layer, v.text);
}
template <typename Io>
void Describe(Io& io, LedgerRow& v) {
  io(v.component, v.statement, v.controls, v.status, v.recorder, v.note);
}
template <typename Io>
void Describe(Io& io, Requirement& v) {
  io(v.feature, v.level, v.component, v.statement);
}
template <typename Io>
void Describe(Io& io, Channel& v) {
  io(v.name, v.from, v.to, v.kind, v.size, v.path, v.as_server, v.rule);
}
template <typename Io>
void Describe(Io& io, Asset& v) {
  io(v.name, v.files, v.readers);
}
template <typename Io>
void Describe(Io& io, Sink& v) {
  io(v.kind, v.path);
}
template <typename Io>
void Describe(Io& io, OutputPlan& v) {
  io(v.sinks, v.file_size);
}
template <typename Io>
void Describe(Io& io, Waiver& v) {
  io(v.component, v.statement, v.reason, v.until);
}
template <typename Io>
void Describe(Io& io, FeatureSet& v) {
  for (const FeatureInfo& info : Features()) {
    uint32_t level = v.Level(info.feature);
    io(level);
    v.Set(info.feature, level);
  }
}
template <typename Io>
void Describe(Io& io, Target& v) {
  io(v.name, v.arch, v.kernel_major, v.kernel_minor, v.platform, v.features);
}
template <typename Io>
void Describe(Io& io, BundleData& v) {
  io(v.enclave, v.target, v.vars, v.sources, v.requirements, v.sinks, v.assets, v.channels,
     v.waivers, v.ledger, v.components, v.measure, v.output);
}

}  // namespace bulkhead::codec
