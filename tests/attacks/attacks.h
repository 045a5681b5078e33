// SPDX-License-Identifier: Apache-2.0
// Attacks on confinement, each class of them on a half rule: a rule that looks closed and is
// passed. A class is a naive rule as a tool would install it, what that rule names, what it leaves
// allowed, and the ways round it. The same attempts are made three times: past the naive rule, in
// namespaces made for it; under another tool, in the same; and from inside a component. Every
// attempt is a child of its own, or where forking is refused the process itself. Single-threaded.
#pragma once

#include <linux/io_uring.h>
#include <sys/types.h>

#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::attacks {

// Descriptors that whoever starts the program left open: a file and a directory of others.
inline constexpr int kLeakedFile = 77;
inline constexpr int kLeakedDirectory = 78;

// Where attempts find what they need. Inside a component the test says it; past a naive rule
// `Prepare` functions make it.
struct Place {
  uint16_t allowed_port = 0;  // has a listener on the loopback, and the rule allows it
  uint16_t other_port = 0;    // has one, too, but the rule doesn't
  std::string granted;        // a file that may be read, not written
  std::string decoy;          // a file of others
  std::string own;            // a directory that may be written
  std::string program;        // this program
  std::string foreign;        // a program that may not be executed
  std::string set_id;         // this program with set-user-id, of root
  std::string compat;         // a program of the other architecture (compat.h), where there is one
  std::string loader;         // of dynamic programs
  std::string dynamic;        // one of them, which may be executed
  std::string interpreter;    // of scripts
  std::string edge;           // a unix socket that may be connected to
  std::string other_edge;     // one that may not
  std::string policy;         // a file that says what is confined
  std::string audit;          // a file that tells what was refused
  int ipc_key = 0;            // of a System V memory segment of others
  int listener = -1;          // a TCP listener that was handed over
  int connected = -1;         // a socket on which descriptors are handed over
  pid_t self = 0;             // what `peers` leaves out: the main process of the component
  pid_t first_peer = 2;       // processes of others have numbers from here
  pid_t last_peer = 65535;    // to here
  pid_t init = 1;             // the process that answers for the others
  uint64_t secret = 0;        // the address of kSecret in a peer
  bool dies = false;          // the rule is that what is started dies with its maker
  std::string handle;         // of the decoy: struct file_handle
  io_uring_params ring{};     // the layout of a ring of one entry
  int terminal = 0;           // a descriptor that may be a terminal
  std::string terminal_path;  // and its name
};

// What an attempt came to: 0 where it got through, an errno, minus the number of the signal that
// ended it, or kExit and the code with which a program ended that should have run.
using Result = int;
inline constexpr Result kExit = 1000;

using Attempt = Result (*)(Place& place);

struct Way {
  std::string_view name;
  Attempt attempt = nullptr;
  void (*before)(Place& place) = nullptr;  // made before the rule is, for this attempt
  // An attack only where its naive rule is in force: policies allow it, or it needs the supervisor
  // that the rule has.
  bool relative = false;
  // Ownership or a mount may refuse it with the error of a filter, and neither leaves a record.
  bool quiet = false;
};

struct HalfRule {
  std::string_view id;
  // Makes what there is to attack, before the rule; nothing of it outlives the namespaces.
  void (*prepare)(Place& place) = nullptr;
  void (*rule)(Place& place) = nullptr;  // ends the process where it can't be installed
  std::vector<Way> named;                // what the rule refuses
  Way intended;                          // what it leaves allowed
  std::vector<Way> ways;                 // what passes it
};

// All classes. Those that leave something behind come last.
const std::vector<HalfRule>& AllRules();

// One attack in any compartment: a way, or what a rule names, that no other class has already.
struct Attack {
  const HalfRule* rule = nullptr;
  const Way* way = nullptr;
};
std::vector<Attack> AllAttacks();

std::vector<HalfRule> TcpRules();
std::vector<HalfRule> FileRules();
std::vector<HalfRule> NodeRules();
std::vector<HalfRule> DescriptorRules();
std::vector<HalfRule> ExecuteRules();
std::vector<HalfRule> MemoryRules();
std::vector<HalfRule> CallRules();
std::vector<HalfRule> ProcessRules();
std::vector<HalfRule> SignalRules();
std::vector<HalfRule> SupervisorRules();

// --- a place as words, NAME=VALUE (place.cc) -----------------------------------------------------

// Says whether there is such a name.
bool SetInPlace(Place& place, std::string_view name, const std::string& value);
// Takes words off the front as long as they are such.
Place TakePlace(std::span<char*>& words);
std::vector<std::string> WordsOf(const Place& place);

// --- what the program does (naive.cc, inside.cc) -------------------------------------------------

// An observation is a line `ID PHASE KIND NAME RESULT`.
std::string ResultText(Result result);
void Tell(const HalfRule& rule, std::string_view phase, std::string_view kind, const Way& way,
          Result result);

// The attempts of all classes past their naive rules, or under a tool, which is this command: the
// attempt's own is appended to it. In namespaces of its own, with the directory as an empty mount.
int Naive(const std::string& directory, const std::string& loader);
int UnderTool(const std::string& directory, const std::string& loader,
              const std::vector<std::string>& command);

// Makes what there is to attack outside of compartments, in the directory, prints the words of that
// place and an empty line, and becomes the program whose command line it reads from standard input,
// a word a line. Whatever is reached there is told in the file `reached` of the directory.
int Outside(const std::string& directory);

// As PID 1 of a guest of ours, from an image (tests/guest/suite.py): tries everything without
// confinement on this kernel, makes what there is to attack, and becomes the bulkhead-init that is
// in the image's root; whatever is reached is told on the console.
int Machine();

// From inside a component: NAME=VALUE... and either the ids of classes, all of which is tried, or
// `attacks FROM`: all attacks from this number on, each announced and timed, then waits for its
// end; `attacks-alone FROM`: the same with no call that isn't the attack's; `attacks-kept FILE`:
// from the number in the file on, which says at any time what comes next.
int Inside(std::span<char*> words);

// --- what is around a supervisor (outside.cc) ----------------------------------------------------

struct Report {
  std::string path;
  std::string_view mark;  // what its lines begin with
};

// Makes all of it, in the directory, and watches it.
Place Surround(const std::string& directory, const Report& report);
// What is changed and not only read is seen from here, too.
void StartGuard(const std::string& decoy, const Report& report);
[[noreturn]] void Become(std::vector<std::string> words);
void RaiseLoopback();

// --- what attempts are made of (attempts.cc) -----------------------------------------------------

inline constexpr std::string_view kSecret = "half-rule secret";

// A system call's answer as a result.
Result Answer(long answer);

// Ends the attempt: what an attempt needs is not there, so nothing can be said. Where this is
// expected, the attempt comes to why it is not there: it did not get through.
[[noreturn]] void Broken(std::string_view what);
void ExpectBroken();

// From now on attempts are made by this process, and nothing is done beside them: each refused call
// could be its end.
void StayAlone();
long Needed(long answer, std::string_view what);

// What `attempt` comes to in a child of its own; its answer comes over a pipe. Where there can be
// no child and ExpectBroken was called, in this process.
Result InChild(const std::function<Result()>& attempt);

// What `body`, which becomes another program or returns why not, comes to: 0 where that program
// ended as `program ran` does, or as `true` does.
Result Executes(const std::function<Result()>& body);
inline constexpr int kRan = 200;
Result Runs(const std::string& program, const std::vector<std::string>& arguments);

// A process of others, which waits to be attacked: it dies with its maker.
pid_t StartDecoy(const std::function<void()>& body);
void HoldSecret(const Place& place);  // kSecret in memory, the decoy at descriptor 3
uint64_t SecretAddress();             // where, in the process that holds it
void StartPeer(Place& place);         // waits, has kSecret in memory and the decoy at descriptor 3
void StartNobody(Place& place);       // the same with the uid of BecomeNobody

// The best that `attempt` comes to on any peer, `init` apart: 0, or the last refusal.
Result OnOthers(const Place& place, const std::function<Result(pid_t)>& attempt);
// Also where the policy refuses getpid(2).
pid_t OwnPid();
Result OnPeers(const Place& place, const std::function<Result(pid_t)>& attempt);  // and on `init`

// An address of another process, or one that is none.
inline void* Pointer(uint64_t address) { return std::bit_cast<void*>(address); }

void WriteFile(const std::string& path, std::string_view text, mode_t mode = 0644);
Result ReadsFile(const std::string& path, int flags = 0);
Result OpensForWriting(const std::string& path);
std::string Slurp(int fd);
std::string Directory(const std::string& path);
std::string Name(const std::string& path);

Result ReadsGranted(Place& place);
Result StatsGranted(Place& place);
Result ReadsDecoy(Place& place);
Result MakesSocket(Place& place);  // an internet one

// On the loopback: a new listener, a connection, and whether a socket comes to listen on a port.
int ListenOnLoopback(uint16_t& port);
int ReceiveOnLoopback(uint16_t port);  // datagrams
Result ConnectTo(int fd, uint16_t port);
Result Listens(int fd);

// A unix socket at a path, which listens; or one that is connected to it, -1 where it can't be.
int ListenAt(const std::string& path);
int ConnectAt(const std::string& path);

// Abstract sockets that no rule on paths speaks of.
struct AbstractSockets {
  int stream;  // listens
  int datagrams;
};
AbstractSockets ListenAbstractly();

// What a careless launcher leaves to what it starts: the decoy, its directory as a descriptor and
// as the working directory; a key in the session keyring; System V and POSIX memory and queues.
void LeaveOpen(Place& place);
void LeaveKey(Place& place);
void LeaveIpc(Place& place);

// Answers what is asked on `client` by passing descriptors, until it is closed.
[[noreturn]] void Give(const Place& place, int client);

// --- rules as a tool of a peer writes them (rules.cc) --------------------------------------------

struct PathRule {
  std::string path;
  uint64_t access;
};
struct Landlock {
  uint64_t files = 0;  // handled rights
  uint64_t net = 0;
  std::vector<PathRule> paths;
  std::vector<uint16_t> connect;
};
void Restrict(const Landlock& rules);
void DenyAllFiles(Place& place);  // but reading what is granted

// One test of a naive filter on the register of an argument.
struct Test {
  enum class Kind : uint8_t {
    kEquals64,  // the whole register, as many write it
    kBits32,    // all bits of the value, in the low half
    kAbove32,   // the low half is above the value
    kDiffers32,
  } kind;
  unsigned arg;
  uint64_t value;
};
struct Denial {
  long nr;
  std::vector<Test> when;  // all of them
};
// A list of what is denied; no look at the architecture.
void Deny(const std::vector<Denial>& denials);
// The same with a listener: denials are asked about. Returns its descriptor.
int DenyByListener(const std::vector<Denial>& denials);
// Denials stop the process for its tracer.
void DenyByTracer(const std::vector<Denial>& denials);

void BecomeNobody(Place& place);
// A new root that holds copies of the granted file and of nothing else.
void EnterJail(Place& place);

}  // namespace bulkhead::attacks
