// SPDX-License-Identifier: Apache-2.0
#include "bench/enclave.h"

#include <fmt/format.h>

#include <array>

namespace bulkhead::bench {
namespace {

std::string Gateway(size_t i) {
  return fmt::format(R"(  gateway{0}:
    profile: [gateway, nginx]
    exec: [/usr/sbin/nginx, -e, stderr, -c, /opt/g{0}/gateway/nginx.conf]
    files:
      read: [/opt/g{0}/gateway, {{path: /etc/localtime, optional: true}}]
      private: [{{path: /tmp, size: 16M}}]
    network:
      tcp: {{listen: [{{port: {1}, name: http}}]}}
      unix: {{connect: [/run/edges/agent{0}/agent.sock]}}
    syscalls: {{allow: ["@master-worker"]}}
    after: [agent{0}]
)",
                     i, 8000 + i);
}

std::string Agent(size_t i) {
  return fmt::format(R"(  agent{0}:
    profile: [stateful-service, python]
    exec: [/usr/bin/python3, -I, /opt/g{0}/agent/main.py]
    files: {{read: [/opt/g{0}/agent], private: [{{path: /tmp, size: 16M}}]}}
    network:
      unix:
        listen: [{{path: /run/edges/agent{0}/agent.sock, name: http, from: [gateway{0}]}}]
        connect: [/run/edges/store{0}/redis.sock, /run/edges/tools{0}/run.sock]
    syscalls: {{allow: [{{ioctl: {{request: [{1}, {2}]}}}}, {{madvise: {{advice: [MADV_HUGEPAGE]}}}}]}}
    after: [store{0}, tools{0}]
)",
                     i, 0x6000 + i, 0x7000 + 3 * i);
}

std::string Tools(size_t i) {
  return fmt::format(R"(  tools{0}:
    profile: [untrusted-code, python]
    exec: [/usr/bin/python3, -I, /opt/g{0}/tools/run.py]
    files: {{read: [/opt/g{0}/tools], private: [{{path: /tmp, size: 16M}}]}}
    network: {{unix: {{listen: [{{path: /run/edges/tools{0}/run.sock, name: run, from: [agent{0}]}}]}}}}
    syscalls: {{deny: [{{fcntl: {{cmd: [F_SETPIPE_SZ]}}}}]}}
)",
                     i);
}

std::string Store(size_t i) {
  return fmt::format(R"(  store{0}:
    profile: [stateful-service, redis]
    exec: [/usr/bin/redis-server, /opt/g{0}/store/redis.conf]
    files: {{read: [/opt/g{0}/store], state: [/var/lib/store{0}]}}
    directory: /var/lib/store{0}
    network:
      unix: {{listen: [{{path: /run/edges/store{0}/redis.sock, by: component, from: [agent{0}]}}]}}
    syscalls: {{allow: ["@file-modes"], deny: [{{ioctl: {{request: [{1}]}}}}]}}
    limits: {{memory: 128M}}
)",
                     i, 0x9000 + i);
}

std::string Job(size_t i) {
  return fmt::format(R"(  job{0}:
    profile: [batch]
    exec: [/usr/bin/gzip, -k, /var/spool/job{0}/in]
    files: {{execute: [/usr/bin/gzip, "@loader"], read: ["@libraries"], create: [/var/spool/job{0}]}}
)",
                     i);
}

}  // namespace

std::string EnclaveText(size_t components) {
  std::string text =
      "bulkhead: 1\nenclave: bench\ntarget: linux-6.18\nmeasure: {policy: none}\n"
      "assets: {keys: {files: [/etc/keys]}}\ncomponents:\n";
  constexpr std::array kMakers = {Gateway, Agent, Tools, Store, Job};
  for (size_t i = 0; i < components; ++i) text += kMakers[i % kMakers.size()](i / kMakers.size());
  // Its peers have TCP, and it calls listen.
  for (size_t i = 3; i < components; i += kMakers.size()) {
    text += fmt::format(
        "{}  - {{component: store{}, statement: network.unix.listen, reason: bench, until: "
        "2099-12-31}}\n",
        i == 3 ? "waivers:\n" : "", i / kMakers.size());
  }
  return text;
}

}  // namespace bulkhead::bench
