// SPDX-License-Identifier: Apache-2.0
// Ways round statements about sockets.
#include <algorithm>
#include <iterator>
#include <utility>

#include "compiler/ways_round.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

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
       {Refused("streams are of TCP alone, and every other protocol and AF_SMC are refused",
                Joined(Internet({Not(Equal(2, 32, 0)), Not(Equal(2, 32, kProtoTcp))}),
                       Joined(Internet({Not(MaskedEqual(1, 32, kSockTypeMask, kSockStream))}),
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
                Internet({MaskedEqual(1, 32, kSockTypeMask, kSockDgram)}))},
       {},
       {}},
      {"files-unix-connect",
       Intent::kUnix,
       "Landlock rules on files, before ABI 9",
       "connect and sendto reach any socket with a path",
       kEver,
       {},
       {Refused("nothing is connected, and no datagram is sent to a name",
                {{"connect", {}},
                 {"socket", {Equal(0, 32, kAfUnix), MaskedEqual(1, 32, kSockTypeMask, kSockDgram)}},
                 {"socketpair", {MaskedEqual(1, 32, kSockTypeMask, kSockDgram)}}}),
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
                })},
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
         }}},
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
