// SPDX-License-Identifier: Apache-2.0
// The planner's shared state: what one component's plan is made of and how its parts report. Each
// plan_*.cc plans one intent: it emits every control the intent needs on this target, the ledger
// rows that say so, the kernel features they require, and errors where the target can't enforce
// the statement. Internal to compiler/; one compilation, one thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/calls.h"
#include "compiler/compile.h"
#include "compiler/path_index.h"
#include "policy/load.h"
#include "profiles/bundle.h"

namespace bulkhead {

class FilterGenerator;

// Waivers of the policy. Each must name a statement, and must not have expired by `date`.
class WaiverBook {
 public:
  WaiverBook(const Policy& policy, std::string date) : policy_(policy), date_(std::move(date)) {}
  // The waiver that covers the statement of the component ("" for the enclave), or null.
  const WaiverPolicy* Use(std::string_view component, std::string_view statement);
  // Errors for expired waivers and for those of no statement; notes for those that this target
  // doesn't need.
  void Finish(const std::vector<LedgerRow>& ledger, std::string_view target,
              Diagnostics& diagnostics) const;

 private:
  const Policy& policy_;
  std::string date_;
  std::set<const WaiverPolicy*> used_;
};

struct EnclavePlan {
  EnclavePlan(const LoadedPolicy& input, std::string date, Diagnostics& out)
      : loaded(input),
        policy(input.policy),
        target(input.target.target),
        waivers(input.policy, std::move(date)),
        diagnostics(out) {}

  const LoadedPolicy& loaded;
  const Policy& policy;
  const Target& target;
  WaiverBook waivers;
  Diagnostics& diagnostics;
  bool allow_observe = false;               // CompileOptions
  std::set<const Text*> asset_directories;  // of the assets' paths; the others are files
  std::vector<LedgerRow> ledger;
  std::vector<Requirement> requirements;
};

// A call that no statement opens in this form.
struct ClosedCall {
  std::string_view name;
  Conjunction when;
};

struct ComponentPlan {
  ComponentPlan(EnclavePlan& enclave_plan, const ComponentPolicy& component)
      : enclave(enclave_plan), policy(component), features(enclave_plan.target.features) {}

  EnclavePlan& enclave;
  const ComponentPolicy& policy;
  const FeatureSet& features;
  ProfileData profile;
  std::vector<CallRule> owned_calls;      // those that network, files and identity decide
  std::vector<std::string_view> skipped;  // answered 0 without being made, unless allowed
  std::vector<ClosedCall> closed;         // whatever the policy allows
  std::map<std::string, FileRule> files;  // by path, sets expanded, strongest verb
  std::optional<CallPlan> calls;          // nothing after an error
  std::optional<CallPlan> startup;        // with what is allowed until ready; nothing without it

  std::string Id(std::string_view statement) const {
    return "components." + policy.name + (statement.empty() ? "" : ".") + std::string(statement);
  }
  uint32_t LandlockAbi() const { return features.Level(Feature::kLandlock); }
  // Allows the call as far as one of `allow` holds, on top of what others allow of it.
  void Own(std::string_view name, std::vector<Conjunction> allow = {{}});
  // Whether there is an edge or a channel between it and another component.
  bool IsLinked() const;
  bool HasRecords() const { return features.Has(Feature::kLandlockAudit); }

  void Row(std::string_view statement, std::vector<Control> controls, Status status,
           Recorder recorder, std::string note = {});
  // An error when the target has less.
  void Need(Feature feature, uint32_t level, std::string_view statement);
  void Error(Place place, std::string_view code, std::string message, std::string help = {}) const {
    enclave.diagnostics.Error(place, code, std::move(message), std::move(help)).component =
        policy.name;
  }
  // About a statement that the target can't enforce.
  void Refuse(Place place, std::string_view statement, std::string_view code, std::string message,
              std::string help) const {
    Diagnostic& diagnostic =
        enclave.diagnostics.Error(place, code, std::move(message), std::move(help));
    diagnostic.component = policy.name;
    diagnostic.statement = Id(statement);
  }
};

void PlanIdentity(ComponentPlan& plan);
void PlanExecution(ComponentPlan& plan);
void PlanFiles(ComponentPlan& plan);
void PlanSecrets(ComponentPlan& plan);
void PlanAttestation(ComponentPlan& plan);
void PlanDevices(ComponentPlan& plan);
void PlanNetwork(ComponentPlan& plan);
void PlanBroker(ComponentPlan& plan);           // a part of it
bool UsesBroker(const NetworkPolicy& network);  // whether a statement needs it
bool UsesUdp(const NetworkPolicy& network);
// Abstract unix sockets of the enclave's network: whether the broker keeps the component from them,
// and whether anything does; an error where nothing may.
bool BrokerKeepsFromAbstract(const ComponentPlan& plan);
bool KeepsFromAbstract(ComponentPlan& plan, const Place& place);
// socket(domain, type, protocol) and socketpair: three ints each; flags of the type may be set.
Conjunction SocketArguments(uint64_t domain, uint64_t type, uint64_t protocol);
void FindAssetDirectories(EnclavePlan& enclave);  // once, before the first component
void PlanAssets(ComponentPlan& plan);
void PlanLimits(ComponentPlan& plan);
void PlanLifecycle(ComponentPlan& plan);
void PlanCalls(ComponentPlan& plan);  // last: after all owned calls are known

// All of these for every component of the policy.
std::vector<ComponentPlan> PlanComponents(EnclavePlan& enclave);

// The filters of the planned calls, which are taken, generated and proved.
void MakeFilters(std::vector<ComponentPlan>& components, FilterGenerator& generator);

// What must hold between components and for the enclave as a whole.
void CheckEnclave(EnclavePlan& enclave, const std::vector<ComponentPlan>& components);
// That no way round what the policy says is open in what was compiled, unless waived; adds ledger
// rows for those. `enclave` is what the components were compiled to, without the ledger.
void CheckClosure(std::vector<ComponentPlan>& components, const BundleData& enclave,
                  const std::vector<MapRow>& map);
void CheckEdges(EnclavePlan& enclave, const std::vector<ComponentPlan>& components);

// The register of the policy, where this target has it, with its ledger row; and where documents
// come from. An error where the policy is to be measured and can't be.
Measure PlanMeasure(EnclavePlan& enclave);

// The files of all components that are the enclave's, by the component's place in the list.
PathIndex PersistentPaths(const std::vector<ComponentPlan>& components);

// What the runtime or the supervisor keeps for itself and `path` would reach; empty: nothing.
std::string ReservedPath(const EnclavePlan& enclave, std::string_view path);

// Whether files of this verb are the enclave's, and not a tmpfs of the component's own.
bool IsPersistent(Verb verb);
// Of these, whether it may write them.
bool WritesFiles(Verb verb);

// Adds the access to the Landlock rules, as far as the target handles it.
void AddLandlockRule(ComponentPlan& plan, const std::string& path, uint64_t access, bool optional,
                     const std::string& rule);

}  // namespace bulkhead
