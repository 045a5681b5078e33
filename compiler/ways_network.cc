// SPDX-License-Identifier: Apache-2.0
// Ways round statements about sockets.
#include <algorithm>
#include <iterator>
#include <utility>

#include "compiler/ways_round.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

bool HasBroker(const Inside& in) { return !in.profile.broker.calls.empty(); }

// What names an address without connect: by a register, or in memory.
std::vector<CallForm> Addressed() {
  return {{"sendto", {Not(Equal(4, 64, 0))}}, {"sendmsg", {}}, {"sendmmsg", {}}};
}

std::vector<WayRound> TcpWays() {
  return {
      {"tcp-fastopen",
       Intent::kTcp,
       "Landlock or a filter on connect",
       "sendto, sendmsg and sendmmsg with MSG_FASTOPEN connect",
       "3.6",
       {},
       {Refused("the flag is refused", {{"sendto", {Bits(3, kFastOpen)}},
                                        {"sendmsg", {Bits(2, kFastOpen)}},
                                        {"sendmmsg", {Bits(3, kFastOpen)}}})},
       {},
       {}},
      {"tcp-listen-autobind",
       Intent::kTcp,
       "Landlock or a filter on bind",
       "listen on a socket without a port takes one that nobody named, also on an accepted one "
       "that connect has dissolved",
       kEver,
       HasInternet,
       {Refused("listen is refused, or answered without being made", Calls({"listen"})),
        Refused("every internet socket comes with its port and can't lose it: no such socket is "
                "made, and connect, which dissolves, is refused",
                Joined(Internet({}), Calls({"connect"})))},
       "network.tcp.bind",
       "listeners that the supervisor opens and hands over: `tcp.listen`, and `unix.listen` "
       "without "
       "`by: component`"},
      {"tcp-listen-passed",
       Intent::kTcp,
       "no TCP of its own",
       "a peer passes an internet socket without a port, also over others: listen takes one in the "
       "peer's network",
       kEver,
       PeersHaveInternet,
       {Refused("listen is refused, or answered without being made", Calls({"listen"}))},
       "network.unix.listen",
       "a listener that the supervisor opens (`unix.listen` without `by: component`), or no TCP in "
       "the components that edges and channels lead to"},
      {"tcp-listener-as-client",
       Intent::kTcp,
       "a listener that is handed over",
       "shut down or dissolved it is connected or bound anew, here or where it is passed",
       kEver,
       HasTcpListener,
       {Checked(Layer::kLandlock, "TCP ports are rights",
                [](const Inside& in) {
                  return in.profile.landlock.handled_net ==
                         (landlock::kBindTcp | landlock::kConnectTcp);
                }),
        Checked(Layer::kCgroup, "programs of the socket's cgroup refuse", AllListenersGuarded),
        {Layer::kSeccomp, "connect and bind are refused, and it is passed to nobody",
         Calls({"connect", "bind"}), IsUnlinked}},
       "network.tcp.listen",
       "a target with Landlock ABI 4 or `connect-guard`"},
      {"tcp-mptcp",
       Intent::kTcp,
       "Landlock on connect",
       "protocol 262, multipath TCP",
       "5.6",
       {},
       {Refused("the protocol is refused", Internet({Equal(2, 32, kProtoMptcp)}))},
       {},
       {}},
      {"tcp-raw",
       Intent::kTcp,
       "Landlock or a filter on connect",
       "raw and packet sockets",
       kEver,
       {},
       {Refused("the types and the family are refused",
                Joined(Joined(Internet({MaskedEqual(1, 32, kSockTypeMask, kSockRaw)}),
                              Internet({MaskedEqual(1, 32, kSockTypeMask, kSockPacket)})),
                       {{"socket", {Equal(0, 32, kAfPacket)}}}))},
       {},
       {}},
      {"tcp-sctp-smc",
       Intent::kTcp,
       "Landlock or a filter on TCP",
       "SCTP, DCCP, SMC and whatever else carries streams",
       kEver,
       {},
       {Refused("streams are of TCP alone, datagrams of UDP, and every other type and AF_SMC are "
                "refused",
                Joined(Joined(Internet({MaskedEqual(1, 32, kSockTypeMask, kSockStream),
                                        Not(Equal(2, 32, 0)), Not(Equal(2, 32, kProtoTcp))}),
                              Internet({MaskedEqual(1, 32, kSockTypeMask, kSockDgram),
                                        Not(Equal(2, 32, 0)), Not(Equal(2, 32, kProtoUdp))})),
                       Joined(Internet({Not(MaskedEqual(1, 32, kSockTypeMask, kSockStream)),
                                        Not(MaskedEqual(1, 32, kSockTypeMask, kSockDgram))}),
                              {{"socket", {Equal(0, 32, kAfSmc)}},
                               {"setsockopt", {Equal(1, 32, kSolTcp), Equal(2, 32, kTcpUlp)}}})))},
       {},
       {}},
  };
}

std::vector<WayRound> SocketWays() {
  return {
      {"tcp-udp",
       Intent::kUdp,
       "Landlock on TCP ports",
       "datagrams, before Landlock ABI 10",
       kEver,
       {},
       {Refused("internet sockets of this type are refused",
                Internet({MaskedEqual(1, 32, kSockTypeMask, kSockDgram)})),
        {Layer::kBroker, "they go where the policy says: the broker makes what names an address",
         Joined(Addressed(), Calls({"connect", "bind", "listen"})), HasBroker}},
       {},
       {}},
      {"files-unix-connect",
       Intent::kUnix,
       "Landlock rules on files, before ABI 9",
       "connect and sendto reach any socket with a path",
       kEver,
       {},
       {{Layer::kSeccomp,
         "nothing is connected, and no datagram is sent to a name",
         {{"connect", {}},
          {"socket", {Equal(0, 32, kAfUnix), MaskedEqual(1, 32, kSockTypeMask, kSockDgram)}},
          {"socketpair", {MaskedEqual(1, 32, kSockTypeMask, kSockDgram)}}},
         [](const Inside& in) { return !in.profile.broker.paths; }},
        Checked(Layer::kView,
                "the view holds the directories of its own edges alone, and none in which sockets "
                "of the image lie",
                [](const Inside& in) { return OwnEdgesAlone(in) && ReadsNoSocketPlaces(in); })},
       "files",
       "keep what is needed beneath /run and /var/run somewhere else; or no `connect` and no "
       "`ready: "
       "notify` for this component"},
      {"unix-abstract",
       Intent::kUnix,
       "rules on paths",
       "abstract sockets have none",
       kEver,
       {},
       {Checked(Layer::kNamespace, "a network namespace of its own",
                [](const Inside& in) { return in.profile.network == Network::kNone; }),
        Checked(Layer::kLandlock, "those of others are out of scope",
                [](const Inside& in) {
                  return (in.profile.landlock.scoped & landlock::kScopeAbstractUnix) != 0;
                }),
        {Layer::kBroker, "it connects no socket to a name, and sends no datagram to one",
         Joined(
             Calls({"connect"}),
             {{"socket", {Equal(0, 32, kAfUnix), MaskedEqual(1, 32, kSockTypeMask, kSockDgram)}}}),
         HasBroker},
        {Layer::kBroker, "it connects no socket to a name, and nothing else names an address",
         Joined(Calls({"connect"}), Addressed()), HasBroker}},
       "network.unix",
       "no port of its own: then it has no network of others"},
      {"vsock-socket",
       Intent::kVsock,
       "a network namespace, Landlock of any ABI",
       "AF_VSOCK is asked about by neither",
       "3.9",
       {},
       {{Layer::kSeccomp,
         "the family is refused at the kernel's width, and no view has a node",
         {{"socket", {Equal(0, 32, kAfVsock)}}, {"socketpair", {Equal(0, 32, kAfVsock)}}},
         [](const Inside& in) {
           return HasNoDevice(in, {"/dev/vsock", "/dev/vhost"});
         }},
        {Layer::kBroker,
         "streams alone, which the broker connects to the addresses of the policy; none is bound "
         "or "
         "listens, and no view has a node",
         Joined(Calls({"connect", "bind", "listen"}),
                {{"socket",
                  {Equal(0, 32, kAfVsock), Not(MaskedEqual(1, 32, kSockTypeMask, kSockStream))}},
                 {"socketpair", {Equal(0, 32, kAfVsock)}}}),
         [](const Inside& in) {
           return HasBroker(in) && HasNoDevice(in, {"/dev/vsock", "/dev/vhost"});
         }}},
       {},
       {}},
      {"broker-passed",
       Intent::kUnix,
       "a broker for connect",
       "a socket that is not connected is passed to a component that may call connect, and is "
       "connected or sends from there",
       kEver,
       HasBroker,
       {Checked(Layer::kNamespace, "it has no edge and no channel", IsUnlinked),
        {Layer::kBroker, "messages with control data are refused", Calls({"sendmsg", "sendmmsg"}),
         HasBroker}},
       {},
       {}},
      {"broker-memory",
       Intent::kUnix,
       "a decision on what a pointer leads to",
       "another thread, or another process with the same memory, changes the address between the "
       "decision and the call",
       "5.0",
       HasBroker,
       {Kept(Layer::kBroker,
             "the call is made with the copy that was judged, on a duplicate of the "
             "descriptor; no call that was judged by memory goes on by itself")},
       {},
       {}},
      {"broker-tcp-forms",
       Intent::kTcp,
       "a rule about an address",
       "0.0.0.0 for this machine, ::ffff:a.b.c.d, an address of another family than the socket's",
       kEver,
       HasBroker,
       {Kept(Layer::kBroker,
             "addresses are compared as the kernel reads them, and the family must "
             "be the socket's")},
       {},
       {}},
  };
}

}  // namespace

std::vector<WayRound> NetworkWays() {
  std::vector<WayRound> ways = TcpWays();
  std::ranges::move(SocketWays(), std::back_inserter(ways));
  return ways;
}

}  // namespace bulkhead
