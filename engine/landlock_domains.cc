// SPDX-License-Identifier: Apache-2.0
#include "engine/landlock_domains.h"

#include <algorithm>
#include <utility>

namespace bulkhead {

void LandlockDomains::Take(LandlockRecord record, uint64_t now, const LandlockHandler& handler) {
  if (auto* access = std::get_if<LandlockAccess>(&record)) {
    Access(std::move(*access), now, handler);
    return;
  }
  const auto& news = std::get<LandlockDomainNews>(record);
  if (news.ended) {
    End(news, handler);
  } else {
    Begin(news, handler);
  }
}

LandlockDomains::Domain& LandlockDomains::Find(uint64_t id) {
  if (const auto found = domains_.find(id); found != domains_.end()) return found->second;
  if (domains_.size() >= kMaxDomains) ForgetOne();
  Domain& domain = domains_[id];
  domain.order = next_order_++;
  ++owned_[domain.owner];
  return domain;
}

void LandlockDomains::ForgetOne() {
  const auto most =
      std::max_element(owned_.begin(), owned_.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  auto oldest = domains_.end();
  for (auto domain = domains_.begin(); domain != domains_.end(); ++domain) {
    if (domain->second.owner != most->first) continue;
    if (oldest == domains_.end() || domain->second.order < oldest->second.order) oldest = domain;
  }
  --most->second;
  domains_.erase(oldest);
  ++counters_.forgotten;
}

void LandlockDomains::Access(LandlockAccess access, uint64_t now, const LandlockHandler& handler) {
  Domain& domain = Find(access.domain);
  ++domain.received;
  if (domain.pid != 0) {
    Deliver(std::move(access), handler);
    return;
  }
  held_.push_back({std::move(access), now});
  if (held_.size() <= kMaxHeld) return;
  LandlockAccess oldest = std::move(held_.front().access);
  held_.pop_front();
  Deliver(std::move(oldest), handler);
}

void LandlockDomains::Begin(const LandlockDomainNews& news, const LandlockHandler& handler) {
  Domain& domain = Find(news.domain);
  domain.pid = news.pid;
  --owned_[domain.owner];
  domain.owner = handler.owner ? handler.owner(news.pid, news.uid) : kNobody;
  ++owned_[domain.owner];
  HandOutHeld(news.domain, handler);
}

void LandlockDomains::End(const LandlockDomainNews& news, const LandlockHandler& handler) {
  HandOutHeld(news.domain, handler);
  LandlockDomainEnd end{.domain = news.domain, .denials = news.denials};
  if (const auto found = domains_.find(news.domain); found != domains_.end()) {
    end.pid = found->second.pid;
    end.owner = found->second.owner;
    end.received = found->second.received;
    --owned_[end.owner];
    domains_.erase(found);
  }
  if (handler.quiet) end.denials -= std::min(end.denials, handler.quiet(end.owner));
  if (end.denials > end.received) counters_.missing += end.denials - end.received;
  if (handler.end) handler.end(end);
}

void LandlockDomains::HandOutHeld(uint64_t domain, const LandlockHandler& handler) {
  for (auto held = held_.begin(); held != held_.end();) {
    if (held->access.domain != domain) {
      ++held;
      continue;
    }
    LandlockAccess access = std::move(held->access);
    held = held_.erase(held);
    Deliver(std::move(access), handler);
  }
}

void LandlockDomains::Expire(uint64_t now, const LandlockHandler& handler) {
  while (!held_.empty() && now - held_.front().since >= kMaxWait) {
    LandlockAccess oldest = std::move(held_.front().access);
    held_.pop_front();
    Deliver(std::move(oldest), handler);
  }
}

void LandlockDomains::Flush(const LandlockHandler& handler) {
  while (!held_.empty()) {
    LandlockAccess oldest = std::move(held_.front().access);
    held_.pop_front();
    Deliver(std::move(oldest), handler);
  }
}

void LandlockDomains::Deliver(LandlockAccess access, const LandlockHandler& handler) {
  LandlockDenial denial{.access = std::move(access)};
  if (const auto found = domains_.find(denial.access.domain); found != domains_.end()) {
    denial.pid = found->second.pid;
    denial.owner = found->second.owner;
  }
  ++counters_.denials;
  if (denial.pid == 0) ++counters_.unattributed;
  if (handler.denial) handler.denial(denial);
}

}  // namespace bulkhead
