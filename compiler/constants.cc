// SPDX-License-Identifier: Apache-2.0
#include "compiler/constants.h"

#include <algorithm>

namespace bulkhead {
namespace {

constexpr Constant Same(std::string_view name, int64_t value) {
  return {name, static_cast<uint64_t>(value), static_cast<uint64_t>(value)};
}

constexpr Constant PerArch(std::string_view name, uint64_t x86_64, uint64_t aarch64) {
  return {name, x86_64, aarch64};
}

constexpr Constant OnX86(std::string_view name, uint64_t value) {
  return {name, value, std::nullopt};
}

constexpr Constant OnAarch64(std::string_view name, uint64_t value) {
  return {name, std::nullopt, value};
}

// clang-format off
constexpr Constant kConstants[] = {
    // Address families (linux/socket.h); PF_* are the same numbers.
    Same("AF_UNSPEC", 0), Same("AF_UNIX", 1), Same("AF_LOCAL", 1), Same("AF_INET", 2),
    Same("AF_AX25", 3), Same("AF_IPX", 4), Same("AF_APPLETALK", 5), Same("AF_NETROM", 6),
    Same("AF_BRIDGE", 7), Same("AF_ATMPVC", 8), Same("AF_X25", 9), Same("AF_INET6", 10),
    Same("AF_ROSE", 11), Same("AF_DECnet", 12), Same("AF_NETBEUI", 13), Same("AF_SECURITY", 14),
    Same("AF_KEY", 15), Same("AF_NETLINK", 16), Same("AF_ROUTE", 16), Same("AF_PACKET", 17),
    Same("AF_ASH", 18), Same("AF_ECONET", 19), Same("AF_ATMSVC", 20), Same("AF_RDS", 21),
    Same("AF_SNA", 22), Same("AF_IRDA", 23), Same("AF_PPPOX", 24), Same("AF_WANPIPE", 25),
    Same("AF_LLC", 26), Same("AF_IB", 27), Same("AF_MPLS", 28), Same("AF_CAN", 29),
    Same("AF_TIPC", 30), Same("AF_BLUETOOTH", 31), Same("AF_IUCV", 32), Same("AF_RXRPC", 33),
    Same("AF_ISDN", 34), Same("AF_PHONET", 35), Same("AF_IEEE802154", 36), Same("AF_CAIF", 37),
    Same("AF_ALG", 38), Same("AF_NFC", 39), Same("AF_VSOCK", 40), Same("AF_KCM", 41),
    Same("AF_QIPCRTR", 42), Same("AF_SMC", 43), Same("AF_XDP", 44), Same("AF_MCTP", 45),

    Same("PF_UNSPEC", 0), Same("PF_UNIX", 1), Same("PF_LOCAL", 1), Same("PF_INET", 2),
    Same("PF_INET6", 10), Same("PF_KEY", 15), Same("PF_NETLINK", 16), Same("PF_ROUTE", 16),
    Same("PF_PACKET", 17), Same("PF_ALG", 38), Same("PF_VSOCK", 40), Same("PF_XDP", 44),

    // Socket types and flags (linux/net.h).
    Same("SOCK_STREAM", 1), Same("SOCK_DGRAM", 2), Same("SOCK_RAW", 3), Same("SOCK_RDM", 4),
    Same("SOCK_SEQPACKET", 5), Same("SOCK_DCCP", 6), Same("SOCK_PACKET", 10),
    Same("SOCK_CLOEXEC", 02000000), Same("SOCK_NONBLOCK", 04000),

    // Protocols (linux/in.h).
    Same("IPPROTO_IP", 0), Same("IPPROTO_ICMP", 1), Same("IPPROTO_IGMP", 2),
    Same("IPPROTO_IPIP", 4), Same("IPPROTO_TCP", 6), Same("IPPROTO_EGP", 8),
    Same("IPPROTO_UDP", 17), Same("IPPROTO_DCCP", 33), Same("IPPROTO_IPV6", 41),
    Same("IPPROTO_GRE", 47), Same("IPPROTO_ESP", 50), Same("IPPROTO_AH", 51),
    Same("IPPROTO_ICMPV6", 58), Same("IPPROTO_SCTP", 132), Same("IPPROTO_UDPLITE", 136),
    Same("IPPROTO_MPLS", 137), Same("IPPROTO_RAW", 255), Same("IPPROTO_MPTCP", 262),

    Same("NETLINK_ROUTE", 0), Same("NETLINK_SOCK_DIAG", 4), Same("NETLINK_NFLOG", 5),
    Same("NETLINK_XFRM", 6), Same("NETLINK_SELINUX", 7), Same("NETLINK_AUDIT", 9),
    Same("NETLINK_CONNECTOR", 11), Same("NETLINK_NETFILTER", 12),
    Same("NETLINK_KOBJECT_UEVENT", 15), Same("NETLINK_GENERIC", 16), Same("NETLINK_CRYPTO", 21),

    // Clone, unshare, setns (linux/sched.h).
    Same("CSIGNAL", 0xff), Same("CLONE_VM", 0x100), Same("CLONE_FS", 0x200),
    Same("CLONE_FILES", 0x400), Same("CLONE_SIGHAND", 0x800), Same("CLONE_PIDFD", 0x1000),
    Same("CLONE_PTRACE", 0x2000), Same("CLONE_VFORK", 0x4000), Same("CLONE_PARENT", 0x8000),
    Same("CLONE_THREAD", 0x10000), Same("CLONE_NEWNS", 0x20000), Same("CLONE_SYSVSEM", 0x40000),
    Same("CLONE_SETTLS", 0x80000), Same("CLONE_PARENT_SETTID", 0x100000),
    Same("CLONE_CHILD_CLEARTID", 0x200000), Same("CLONE_DETACHED", 0x400000),
    Same("CLONE_UNTRACED", 0x800000), Same("CLONE_CHILD_SETTID", 0x1000000),
    Same("CLONE_NEWCGROUP", 0x2000000), Same("CLONE_NEWUTS", 0x4000000),
    Same("CLONE_NEWIPC", 0x8000000), Same("CLONE_NEWUSER", 0x10000000),
    Same("CLONE_NEWPID", 0x20000000), Same("CLONE_NEWNET", 0x40000000),
    Same("CLONE_IO", 0x80000000), Same("CLONE_NEWTIME", 0x80),
    Same("CLONE_CLEAR_SIGHAND", 0x100000000), Same("CLONE_INTO_CGROUP", 0x200000000),

    // Memory (asm-generic/mman.h, asm/mman.h).
    Same("PROT_NONE", 0), Same("PROT_READ", 1), Same("PROT_WRITE", 2), Same("PROT_EXEC", 4),
    Same("PROT_SEM", 8), Same("PROT_GROWSDOWN", 0x1000000), Same("PROT_GROWSUP", 0x2000000),
    OnAarch64("PROT_BTI", 0x10), OnAarch64("PROT_MTE", 0x20),

    Same("MAP_SHARED", 1), Same("MAP_PRIVATE", 2), Same("MAP_SHARED_VALIDATE", 3),
    Same("MAP_TYPE", 0xf), Same("MAP_FIXED", 0x10), Same("MAP_ANONYMOUS", 0x20),
    Same("MAP_ANON", 0x20), Same("MAP_FILE", 0), OnX86("MAP_32BIT", 0x40),
    OnX86("MAP_ABOVE4G", 0x80), Same("MAP_GROWSDOWN", 0x100), Same("MAP_DENYWRITE", 0x800),
    Same("MAP_EXECUTABLE", 0x1000), Same("MAP_LOCKED", 0x2000), Same("MAP_NORESERVE", 0x4000),
    Same("MAP_POPULATE", 0x8000), Same("MAP_NONBLOCK", 0x10000), Same("MAP_STACK", 0x20000),
    Same("MAP_HUGETLB", 0x40000), Same("MAP_SYNC", 0x80000), Same("MAP_FIXED_NOREPLACE", 0x100000),
    Same("MAP_UNINITIALIZED", 0x4000000),

    Same("MREMAP_MAYMOVE", 1), Same("MREMAP_FIXED", 2), Same("MREMAP_DONTUNMAP", 4),
    Same("MS_ASYNC", 1), Same("MS_INVALIDATE", 2), Same("MS_SYNC", 4), Same("MCL_CURRENT", 1),
    Same("MCL_FUTURE", 2), Same("MCL_ONFAULT", 4), Same("MLOCK_ONFAULT", 1),

    Same("MADV_NORMAL", 0), Same("MADV_RANDOM", 1), Same("MADV_SEQUENTIAL", 2),
    Same("MADV_WILLNEED", 3), Same("MADV_DONTNEED", 4), Same("MADV_FREE", 8),
    Same("MADV_REMOVE", 9), Same("MADV_DONTFORK", 10), Same("MADV_DOFORK", 11),
    Same("MADV_HWPOISON", 100), Same("MADV_SOFT_OFFLINE", 101), Same("MADV_MERGEABLE", 12),
    Same("MADV_UNMERGEABLE", 13), Same("MADV_HUGEPAGE", 14), Same("MADV_NOHUGEPAGE", 15),
    Same("MADV_DONTDUMP", 16), Same("MADV_DODUMP", 17), Same("MADV_WIPEONFORK", 18),
    Same("MADV_KEEPONFORK", 19), Same("MADV_COLD", 20), Same("MADV_PAGEOUT", 21),
    Same("MADV_POPULATE_READ", 22), Same("MADV_POPULATE_WRITE", 23),
    Same("MADV_DONTNEED_LOCKED", 24), Same("MADV_COLLAPSE", 25), Same("MADV_GUARD_INSTALL", 102),
    Same("MADV_GUARD_REMOVE", 103),

    Same("MFD_CLOEXEC", 1), Same("MFD_ALLOW_SEALING", 2), Same("MFD_HUGETLB", 4),
    Same("MFD_NOEXEC_SEAL", 0x8), Same("MFD_EXEC", 0x10),

    // Open and *at (asm-generic/fcntl.h, asm/fcntl.h).
    Same("O_ACCMODE", 3), Same("O_RDONLY", 0), Same("O_WRONLY", 1), Same("O_RDWR", 2),
    Same("O_CREAT", 0100), Same("O_EXCL", 0200), Same("O_NOCTTY", 0400), Same("O_TRUNC", 01000),
    Same("O_APPEND", 02000), Same("O_NONBLOCK", 04000), Same("O_NDELAY", 04000),
    Same("O_DSYNC", 010000), Same("FASYNC", 020000), Same("O_ASYNC", 020000),
    PerArch("O_DIRECT", 040000, 0200000), PerArch("O_LARGEFILE", 0100000, 0400000),
    PerArch("O_DIRECTORY", 0200000, 040000), PerArch("O_NOFOLLOW", 0400000, 0100000),
    Same("O_NOATIME", 01000000), Same("O_CLOEXEC", 02000000), Same("O_SYNC", 04010000),
    Same("O_PATH", 010000000), PerArch("O_TMPFILE", 020200000, 020040000),

    Same("AT_FDCWD", -100), Same("AT_SYMLINK_NOFOLLOW", 0x100), Same("AT_REMOVEDIR", 0x200),
    Same("AT_EACCESS", 0x200), Same("AT_SYMLINK_FOLLOW", 0x400), Same("AT_NO_AUTOMOUNT", 0x800),
    Same("AT_EMPTY_PATH", 0x1000), Same("AT_RECURSIVE", 0x8000), Same("AT_STATX_SYNC_TYPE", 0x6000),
    Same("AT_STATX_FORCE_SYNC", 0x2000), Same("AT_STATX_DONT_SYNC", 0x4000),
    Same("AT_EXECVE_CHECK", 0x10000),

    Same("F_OK", 0), Same("X_OK", 1), Same("W_OK", 2), Same("R_OK", 4), Same("SEEK_SET", 0),
    Same("SEEK_CUR", 1), Same("SEEK_END", 2), Same("SEEK_DATA", 3), Same("SEEK_HOLE", 4),
    Same("RENAME_NOREPLACE", 1), Same("RENAME_EXCHANGE", 2), Same("RENAME_WHITEOUT", 4),

    Same("S_IFMT", 0170000), Same("S_IFSOCK", 0140000), Same("S_IFLNK", 0120000),
    Same("S_IFREG", 0100000), Same("S_IFBLK", 060000), Same("S_IFDIR", 040000),
    Same("S_IFCHR", 020000), Same("S_IFIFO", 010000), Same("S_ISUID", 04000),
    Same("S_ISGID", 02000), Same("S_ISVTX", 01000), Same("S_IRWXU", 0700), Same("S_IRUSR", 0400),
    Same("S_IWUSR", 0200), Same("S_IXUSR", 0100), Same("S_IRWXG", 070), Same("S_IRGRP", 040),
    Same("S_IWGRP", 020), Same("S_IXGRP", 8), Same("S_IRWXO", 7), Same("S_IROTH", 4),
    Same("S_IWOTH", 2), Same("S_IXOTH", 1),

    Same("LOCK_SH", 1), Same("LOCK_EX", 2), Same("LOCK_NB", 4), Same("LOCK_UN", 8),
    Same("FALLOC_FL_KEEP_SIZE", 1), Same("FALLOC_FL_PUNCH_HOLE", 2),
    Same("FALLOC_FL_COLLAPSE_RANGE", 8), Same("FALLOC_FL_ZERO_RANGE", 0x10),
    Same("FALLOC_FL_INSERT_RANGE", 0x20),

    Same("POSIX_FADV_NORMAL", 0), Same("POSIX_FADV_RANDOM", 1), Same("POSIX_FADV_SEQUENTIAL", 2),
    Same("POSIX_FADV_WILLNEED", 3), Same("POSIX_FADV_DONTNEED", 4), Same("POSIX_FADV_NOREUSE", 5),

    // Fcntl commands (asm-generic/fcntl.h, linux/fcntl.h).
    Same("F_DUPFD", 0), Same("F_GETFD", 1), Same("F_SETFD", 2), Same("F_GETFL", 3),
    Same("F_SETFL", 4), Same("F_GETLK", 5), Same("F_SETLK", 6), Same("F_SETLKW", 7),
    Same("F_SETOWN", 8), Same("F_GETOWN", 9), Same("F_SETSIG", 10), Same("F_GETSIG", 11),
    Same("F_SETOWN_EX", 15), Same("F_GETOWN_EX", 16), Same("F_GETOWNER_UIDS", 17),
    Same("F_OFD_GETLK", 36), Same("F_OFD_SETLK", 37), Same("F_OFD_SETLKW", 38),
    Same("F_SETLEASE", 1024), Same("F_GETLEASE", 1025), Same("F_CREATED_QUERY", 1028),
    Same("F_DUPFD_QUERY", 1027), Same("F_CANCELLK", 1029), Same("F_DUPFD_CLOEXEC", 02006),
    Same("F_NOTIFY", 1026), Same("F_SETPIPE_SZ", 1031), Same("F_GETPIPE_SZ", 1032),
    Same("F_ADD_SEALS", 1033), Same("F_GET_SEALS", 1034), Same("F_GET_RW_HINT", 1035),
    Same("F_SET_RW_HINT", 1036), Same("F_GET_FILE_RW_HINT", 1037), Same("F_SET_FILE_RW_HINT", 1038),
    Same("FD_CLOEXEC", 1),

    // Ioctl requests (asm-generic/ioctls.h, linux/sockios.h, linux/fs.h).
    Same("TCGETS", 0x5401), Same("TCSETS", 0x5402), Same("TCSETSW", 0x5403),
    Same("TCSETSF", 0x5404), Same("TCGETA", 0x5405), Same("TCSETA", 0x5406),
    Same("TCSETAW", 0x5407), Same("TCSETAF", 0x5408), Same("TCSBRK", 0x5409),
    Same("TCXONC", 0x540a), Same("TCFLSH", 0x540b), Same("TCGETS2", 0x802c542a),
    Same("TCSETS2", 0x402c542b), Same("TCSETSW2", 0x402c542c), Same("TCSETSF2", 0x402c542d),
    Same("TCSBRKP", 0x5425), Same("TIOCEXCL", 0x540c), Same("TIOCNXCL", 0x540d),
    Same("TIOCSCTTY", 0x540e), Same("TIOCNOTTY", 0x5422), Same("TIOCGPGRP", 0x540f),
    Same("TIOCSPGRP", 0x5410), Same("TIOCOUTQ", 0x5411), Same("TIOCSTI", 0x5412),
    Same("TIOCGWINSZ", 0x5413), Same("TIOCSWINSZ", 0x5414), Same("TIOCMGET", 0x5415),
    Same("TIOCMSET", 0x5418), Same("TIOCGSOFTCAR", 0x5419), Same("TIOCSSOFTCAR", 0x541a),
    Same("TIOCINQ", 0x541b), Same("TIOCLINUX", 0x541c), Same("TIOCCONS", 0x541d),
    Same("TIOCGSERIAL", 0x541e), Same("TIOCSSERIAL", 0x541f), Same("TIOCPKT", 0x5420),
    Same("TIOCSETD", 0x5423), Same("TIOCGETD", 0x5424), Same("TIOCSBRK", 0x5427),
    Same("TIOCCBRK", 0x5428), Same("TIOCGSID", 0x5429), Same("TIOCGPTN", 0x80045430),
    Same("TIOCSPTLCK", 0x40045431), Same("TIOCGPTPEER", 0x5441), Same("TIOCGPTLCK", 0x80045439),
    Same("TIOCGDEV", 0x80045432), Same("TIOCVHANGUP", 0x5437),

    Same("FIONREAD", 0x541b), Same("FIONBIO", 0x5421), Same("FIOASYNC", 0x5452),
    Same("FIOCLEX", 0x5451), Same("FIONCLEX", 0x5450), Same("FIOQSIZE", 0x5460),
    Same("FIOSETOWN", 0x8901), Same("FIOGETOWN", 0x8903), Same("SIOCSPGRP", 0x8902),
    Same("SIOCGPGRP", 0x8904), Same("SIOCATMARK", 0x8905), Same("SIOCINQ", 0x541b),
    Same("SIOCOUTQ", 0x5411), Same("SIOCGIFNAME", 0x8910), Same("SIOCGIFCONF", 0x8912),
    Same("SIOCGIFFLAGS", 0x8913), Same("SIOCSIFFLAGS", 0x8914), Same("SIOCGIFADDR", 0x8915),
    Same("SIOCSIFADDR", 0x8916), Same("SIOCGIFNETMASK", 0x891b), Same("SIOCSIFNETMASK", 0x891c),
    Same("SIOCGIFHWADDR", 0x8927), Same("SIOCSIFHWADDR", 0x8924), Same("SIOCGIFINDEX", 0x8933),
    Same("SIOCGIFMTU", 0x8921), Same("SIOCSIFMTU", 0x8922), Same("SIOCETHTOOL", 0x8946),
    Same("SIOCADDRT", 0x890b), Same("SIOCDELRT", 0x890c),

    Same("FICLONE", 0x40049409), Same("FICLONERANGE", 0x4020940d),
    Same("FIDEDUPERANGE", 0xc0189436), Same("FIBMAP", 1), Same("FIGETBSZ", 2),
    Same("FIFREEZE", 0xc0045877), Same("FITHAW", 0xc0045878), Same("FITRIM", 0xc0185879),
    Same("FS_IOC_GETFLAGS", 0x80086601), Same("FS_IOC_SETFLAGS", 0x40086602),
    Same("FS_IOC_FSGETXATTR", 0x801c581f), Same("FS_IOC_FSSETXATTR", 0x401c5820),
    Same("FS_IOC_FIEMAP", 0xc020660b), Same("BLKGETSIZE64", 0x80081272), Same("BLKROSET", 0x125d),
    Same("BLKRRPART", 0x125f), Same("RNDGETENTCNT", 0x80045200), Same("RNDADDTOENTCNT", 0x40045201),
    Same("RNDADDENTROPY", 0x40085203),

    // Messages and sockets (linux/socket.h, asm-generic/socket.h).
    Same("MSG_OOB", 1), Same("MSG_PEEK", 2), Same("MSG_DONTROUTE", 4), Same("MSG_CTRUNC", 8),
    Same("MSG_TRUNC", 0x20), Same("MSG_DONTWAIT", 0x40), Same("MSG_EOR", 0x80),
    Same("MSG_WAITALL", 0x100), Same("MSG_CONFIRM", 0x800), Same("MSG_ERRQUEUE", 0x2000),
    Same("MSG_NOSIGNAL", 0x4000), Same("MSG_MORE", 0x8000), Same("MSG_WAITFORONE", 0x10000),
    Same("MSG_ZEROCOPY", 0x4000000), Same("MSG_FASTOPEN", 0x20000000),
    Same("MSG_CMSG_CLOEXEC", 010000000000), Same("SHUT_RD", 0), Same("SHUT_WR", 1),
    Same("SHUT_RDWR", 2),

    Same("SOL_SOCKET", 1), Same("SOL_IP", 0), Same("SOL_TCP", 6), Same("SOL_UDP", 17),
    Same("SOL_IPV6", 41), Same("SOL_ICMPV6", 58), Same("SOL_RAW", 255), Same("SOL_PACKET", 263),
    Same("SOL_NETLINK", 270), Same("SOL_ALG", 279), Same("SOL_TLS", 282), Same("SOL_XDP", 283),
    Same("SOL_MPTCP", 284), Same("SOL_VSOCK", 287),

    Same("SO_DEBUG", 1), Same("SO_REUSEADDR", 2), Same("SO_TYPE", 3), Same("SO_ERROR", 4),
    Same("SO_DONTROUTE", 5), Same("SO_BROADCAST", 6), Same("SO_SNDBUF", 7), Same("SO_RCVBUF", 8),
    Same("SO_SNDBUFFORCE", 32), Same("SO_RCVBUFFORCE", 33), Same("SO_KEEPALIVE", 9),
    Same("SO_OOBINLINE", 10), Same("SO_NO_CHECK", 11), Same("SO_PRIORITY", 12),
    Same("SO_LINGER", 13), Same("SO_BSDCOMPAT", 14), Same("SO_REUSEPORT", 15),
    Same("SO_PASSCRED", 16), Same("SO_PEERCRED", 17), Same("SO_RCVLOWAT", 18),
    Same("SO_SNDLOWAT", 19), Same("SO_RCVTIMEO", 20), Same("SO_SNDTIMEO", 21),
    Same("SO_BINDTODEVICE", 25), Same("SO_ATTACH_FILTER", 26), Same("SO_DETACH_FILTER", 27),
    Same("SO_PEERNAME", 28), Same("SO_ACCEPTCONN", 30), Same("SO_PEERSEC", 31),
    Same("SO_PASSSEC", 34), Same("SO_MARK", 36), Same("SO_PROTOCOL", 38), Same("SO_DOMAIN", 39),
    Same("SO_RXQ_OVFL", 40), Same("SO_PEEK_OFF", 42), Same("SO_NOFCS", 43),
    Same("SO_LOCK_FILTER", 44), Same("SO_BUSY_POLL", 46), Same("SO_INCOMING_CPU", 49),
    Same("SO_ATTACH_BPF", 50), Same("SO_ATTACH_REUSEPORT_CBPF", 51),
    Same("SO_ATTACH_REUSEPORT_EBPF", 52), Same("SO_MEMINFO", 55), Same("SO_INCOMING_NAPI_ID", 56),
    Same("SO_COOKIE", 57), Same("SO_PEERGROUPS", 59), Same("SO_ZEROCOPY", 60),
    Same("SO_TXTIME", 61), Same("SO_BINDTOIFINDEX", 62), Same("SO_DETACH_REUSEPORT_BPF", 68),
    Same("SO_PREFER_BUSY_POLL", 69), Same("SO_BUSY_POLL_BUDGET", 70), Same("SO_NETNS_COOKIE", 71),
    Same("SO_BUF_LOCK", 72), Same("SO_RESERVE_MEM", 73), Same("SO_TXREHASH", 74),
    Same("SO_PASSPIDFD", 76), Same("SO_PEERPIDFD", 77),

    Same("TCP_NODELAY", 1), Same("TCP_MAXSEG", 2), Same("TCP_CORK", 3), Same("TCP_KEEPIDLE", 4),
    Same("TCP_KEEPINTVL", 5), Same("TCP_KEEPCNT", 6), Same("TCP_SYNCNT", 7), Same("TCP_LINGER2", 8),
    Same("TCP_DEFER_ACCEPT", 0x9), Same("TCP_WINDOW_CLAMP", 0xa), Same("TCP_INFO", 0xb),
    Same("TCP_QUICKACK", 0xc), Same("TCP_CONGESTION", 0xd), Same("TCP_MD5SIG", 0xe),
    Same("TCP_USER_TIMEOUT", 0x12), Same("TCP_REPAIR", 0x13), Same("TCP_FASTOPEN", 0x17),
    Same("TCP_FASTOPEN_CONNECT", 0x1e), Same("TCP_ULP", 0x1f),

    Same("IP_TOS", 1), Same("IP_TTL", 2), Same("IP_HDRINCL", 3), Same("IP_PKTINFO", 8),
    Same("IP_TRANSPARENT", 19), Same("IP_FREEBIND", 15), Same("IP_BIND_ADDRESS_NO_PORT", 24),
    Same("IPV6_V6ONLY", 26), Same("IPV6_RECVPKTINFO", 49),

    // Prctl (linux/prctl.h) and arch_prctl (asm/prctl.h).
    Same("PR_SET_PDEATHSIG", 1), Same("PR_GET_PDEATHSIG", 2), Same("PR_GET_DUMPABLE", 3),
    Same("PR_SET_DUMPABLE", 4), Same("PR_GET_UNALIGN", 5), Same("PR_SET_UNALIGN", 6),
    Same("PR_GET_KEEPCAPS", 7), Same("PR_SET_KEEPCAPS", 8), Same("PR_GET_FPEMU", 9),
    Same("PR_SET_FPEMU", 10), Same("PR_GET_TIMING", 13), Same("PR_SET_TIMING", 14),
    Same("PR_SET_NAME", 15), Same("PR_GET_NAME", 16), Same("PR_GET_SECCOMP", 21),
    Same("PR_SET_SECCOMP", 22), Same("PR_CAPBSET_READ", 23), Same("PR_CAPBSET_DROP", 24),
    Same("PR_GET_TSC", 25), Same("PR_SET_TSC", 26), Same("PR_GET_SECUREBITS", 27),
    Same("PR_SET_SECUREBITS", 28), Same("PR_SET_TIMERSLACK", 29), Same("PR_GET_TIMERSLACK", 30),
    Same("PR_TASK_PERF_EVENTS_DISABLE", 31), Same("PR_TASK_PERF_EVENTS_ENABLE", 32),
    Same("PR_MCE_KILL", 33), Same("PR_MCE_KILL_GET", 34), Same("PR_SET_MM", 35),
    Same("PR_SET_PTRACER", 0x59616d61), Same("PR_SET_CHILD_SUBREAPER", 36),
    Same("PR_GET_CHILD_SUBREAPER", 37), Same("PR_SET_NO_NEW_PRIVS", 38),
    Same("PR_GET_NO_NEW_PRIVS", 39), Same("PR_GET_TID_ADDRESS", 40), Same("PR_SET_THP_DISABLE", 41),
    Same("PR_GET_THP_DISABLE", 42), Same("PR_CAP_AMBIENT", 47), Same("PR_CAP_AMBIENT_IS_SET", 1),
    Same("PR_CAP_AMBIENT_RAISE", 2), Same("PR_CAP_AMBIENT_LOWER", 3),
    Same("PR_CAP_AMBIENT_CLEAR_ALL", 4), Same("PR_SVE_SET_VL", 50), Same("PR_SVE_GET_VL", 51),
    Same("PR_GET_SPECULATION_CTRL", 52), Same("PR_SET_SPECULATION_CTRL", 53),
    Same("PR_PAC_RESET_KEYS", 54), Same("PR_SET_TAGGED_ADDR_CTRL", 55),
    Same("PR_GET_TAGGED_ADDR_CTRL", 56), Same("PR_SET_IO_FLUSHER", 57),
    Same("PR_GET_IO_FLUSHER", 58), Same("PR_SET_SYSCALL_USER_DISPATCH", 59),
    Same("PR_PAC_SET_ENABLED_KEYS", 60), Same("PR_PAC_GET_ENABLED_KEYS", 61),
    Same("PR_SCHED_CORE", 62), Same("PR_SET_VMA", 0x53564d41), Same("PR_SET_VMA_ANON_NAME", 0),
    Same("PR_SET_MDWE", 65), Same("PR_GET_MDWE", 66), Same("PR_SET_MEMORY_MERGE", 67),
    Same("PR_GET_MEMORY_MERGE", 68), Same("PR_RSEQ_SLICE_EXTENSION", 79),

    OnX86("ARCH_SET_GS", 0x1001), OnX86("ARCH_SET_FS", 0x1002),
    OnX86("ARCH_GET_FS", 0x1003), OnX86("ARCH_GET_GS", 0x1004),
    OnX86("ARCH_GET_CPUID", 0x1011), OnX86("ARCH_SET_CPUID", 0x1012),
    OnX86("ARCH_GET_XCOMP_SUPP", 0x1021), OnX86("ARCH_GET_XCOMP_PERM", 0x1022),
    OnX86("ARCH_REQ_XCOMP_PERM", 0x1023), OnX86("ARCH_SHSTK_ENABLE", 0x5001),
    OnX86("ARCH_SHSTK_DISABLE", 0x5002), OnX86("ARCH_SHSTK_LOCK", 0x5003),
    OnX86("ARCH_SHSTK_STATUS", 0x5005),

    // Futex, epoll, eventfd and timers.
    Same("FUTEX_WAIT", 0), Same("FUTEX_WAKE", 1), Same("FUTEX_FD", 2), Same("FUTEX_REQUEUE", 3),
    Same("FUTEX_CMP_REQUEUE", 4), Same("FUTEX_WAKE_OP", 5), Same("FUTEX_LOCK_PI", 6),
    Same("FUTEX_UNLOCK_PI", 7), Same("FUTEX_TRYLOCK_PI", 8), Same("FUTEX_WAIT_BITSET", 9),
    Same("FUTEX_WAKE_BITSET", 10), Same("FUTEX_WAIT_REQUEUE_PI", 11),
    Same("FUTEX_CMP_REQUEUE_PI", 12), Same("FUTEX_LOCK_PI2", 13), Same("FUTEX_PRIVATE_FLAG", 0x80),
    Same("FUTEX_CLOCK_REALTIME", 0x100),

    Same("EPOLL_CTL_ADD", 1), Same("EPOLL_CTL_DEL", 2), Same("EPOLL_CTL_MOD", 3),
    Same("EPOLL_CLOEXEC", 02000000), Same("EFD_SEMAPHORE", 1), Same("EFD_CLOEXEC", 02000000),
    Same("EFD_NONBLOCK", 04000), Same("SFD_CLOEXEC", 02000000), Same("SFD_NONBLOCK", 04000),
    Same("TFD_CLOEXEC", 02000000), Same("TFD_NONBLOCK", 04000), Same("IN_CLOEXEC", 02000000),
    Same("IN_NONBLOCK", 04000), Same("GRND_NONBLOCK", 1), Same("GRND_RANDOM", 2),
    Same("GRND_INSECURE", 4),

    Same("CLOCK_REALTIME", 0), Same("CLOCK_MONOTONIC", 1), Same("CLOCK_PROCESS_CPUTIME_ID", 2),
    Same("CLOCK_THREAD_CPUTIME_ID", 3), Same("CLOCK_MONOTONIC_RAW", 4),
    Same("CLOCK_REALTIME_COARSE", 5), Same("CLOCK_MONOTONIC_COARSE", 6), Same("CLOCK_BOOTTIME", 7),
    Same("CLOCK_REALTIME_ALARM", 8), Same("CLOCK_BOOTTIME_ALARM", 9), Same("CLOCK_TAI", 11),
    Same("TIMER_ABSTIME", 1), Same("ITIMER_REAL", 0), Same("ITIMER_VIRTUAL", 1),
    Same("ITIMER_PROF", 2),

    // Limits, scheduling and waiting.
    Same("RLIMIT_CPU", 0), Same("RLIMIT_FSIZE", 1), Same("RLIMIT_DATA", 2), Same("RLIMIT_STACK", 3),
    Same("RLIMIT_CORE", 4), Same("RLIMIT_RSS", 5), Same("RLIMIT_NPROC", 6),
    Same("RLIMIT_NOFILE", 7), Same("RLIMIT_MEMLOCK", 8), Same("RLIMIT_AS", 9),
    Same("RLIMIT_LOCKS", 10), Same("RLIMIT_SIGPENDING", 11), Same("RLIMIT_MSGQUEUE", 12),
    Same("RLIMIT_NICE", 13), Same("RLIMIT_RTPRIO", 14), Same("RLIMIT_RTTIME", 15),
    Same("RUSAGE_SELF", 0), Same("RUSAGE_CHILDREN", -1), Same("RUSAGE_THREAD", 1),

    Same("SCHED_NORMAL", 0), Same("SCHED_OTHER", 0), Same("SCHED_FIFO", 1), Same("SCHED_RR", 2),
    Same("SCHED_BATCH", 3), Same("SCHED_IDLE", 5), Same("SCHED_DEADLINE", 6), Same("SCHED_EXT", 7),
    Same("SCHED_RESET_ON_FORK", 1073741824), Same("PRIO_PROCESS", 0), Same("PRIO_PGRP", 1),
    Same("PRIO_USER", 2),

    Same("WNOHANG", 1), Same("WUNTRACED", 2), Same("WSTOPPED", 2), Same("WEXITED", 4),
    Same("WCONTINUED", 8), Same("WNOWAIT", 16777216), Same("P_ALL", 0), Same("P_PID", 1),
    Same("P_PGID", 2), Same("P_PIDFD", 3), Same("CLOSE_RANGE_UNSHARE", 2),
    Same("CLOSE_RANGE_CLOEXEC", 4),

    Same("MEMBARRIER_CMD_QUERY", 0), Same("MEMBARRIER_CMD_GLOBAL", 1),
    Same("MEMBARRIER_CMD_GLOBAL_EXPEDITED", 2), Same("MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED", 4),
    Same("MEMBARRIER_CMD_PRIVATE_EXPEDITED", 8),
    Same("MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED", 0x10),
    Same("MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE", 0x20),
    Same("MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE", 0x40),
    Same("MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ", 0x80),
    Same("MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ", 0x100),

    // Signals (asm-generic/signal.h).
    Same("SIGHUP", 1), Same("SIGINT", 2), Same("SIGQUIT", 3), Same("SIGILL", 4), Same("SIGTRAP", 5),
    Same("SIGABRT", 6), Same("SIGIOT", 6), Same("SIGBUS", 7), Same("SIGFPE", 8), Same("SIGKILL", 9),
    Same("SIGUSR1", 10), Same("SIGSEGV", 11), Same("SIGUSR2", 12), Same("SIGPIPE", 13),
    Same("SIGALRM", 14), Same("SIGTERM", 15), Same("SIGSTKFLT", 16), Same("SIGCHLD", 17),
    Same("SIGCONT", 18), Same("SIGSTOP", 19), Same("SIGTSTP", 20), Same("SIGTTIN", 21),
    Same("SIGTTOU", 22), Same("SIGURG", 23), Same("SIGXCPU", 24), Same("SIGXFSZ", 25),
    Same("SIGVTALRM", 26), Same("SIGPROF", 27), Same("SIGWINCH", 28), Same("SIGIO", 29),
    Same("SIGPOLL", 29), Same("SIGPWR", 30), Same("SIGSYS", 31), Same("SIG_BLOCK", 0),
    Same("SIG_UNBLOCK", 1), Same("SIG_SETMASK", 2),

    // Seccomp, keyctl, ptrace, personality, System V IPC.
    Same("SECCOMP_MODE_STRICT", 1), Same("SECCOMP_MODE_FILTER", 2),
    Same("SECCOMP_SET_MODE_STRICT", 0), Same("SECCOMP_SET_MODE_FILTER", 1),
    Same("SECCOMP_GET_ACTION_AVAIL", 2), Same("SECCOMP_GET_NOTIF_SIZES", 3),
    Same("SECCOMP_FILTER_FLAG_TSYNC", 1), Same("SECCOMP_FILTER_FLAG_LOG", 2),
    Same("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4), Same("SECCOMP_FILTER_FLAG_NEW_LISTENER", 8),
    Same("SECCOMP_FILTER_FLAG_TSYNC_ESRCH", 0x10),
    Same("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0x20),

    Same("KEYCTL_GET_KEYRING_ID", 0), Same("KEYCTL_JOIN_SESSION_KEYRING", 1),
    Same("KEYCTL_UPDATE", 2), Same("KEYCTL_REVOKE", 3), Same("KEYCTL_CHOWN", 4),
    Same("KEYCTL_SETPERM", 5), Same("KEYCTL_DESCRIBE", 6), Same("KEYCTL_CLEAR", 7),
    Same("KEYCTL_LINK", 8), Same("KEYCTL_UNLINK", 9), Same("KEYCTL_SEARCH", 10),
    Same("KEYCTL_READ", 11), Same("KEYCTL_INSTANTIATE", 12), Same("KEYCTL_NEGATE", 13),
    Same("KEYCTL_SET_REQKEY_KEYRING", 14), Same("KEYCTL_SET_TIMEOUT", 15),
    Same("KEYCTL_ASSUME_AUTHORITY", 16), Same("KEYCTL_GET_SECURITY", 17),
    Same("KEYCTL_SESSION_TO_PARENT", 18), Same("KEYCTL_REJECT", 19),
    Same("KEYCTL_INSTANTIATE_IOV", 20), Same("KEYCTL_INVALIDATE", 21),
    Same("KEYCTL_GET_PERSISTENT", 22), Same("KEYCTL_DH_COMPUTE", 23), Same("KEYCTL_PKEY_QUERY", 24),
    Same("KEYCTL_PKEY_ENCRYPT", 25), Same("KEYCTL_PKEY_DECRYPT", 26), Same("KEYCTL_PKEY_SIGN", 27),
    Same("KEYCTL_PKEY_VERIFY", 28), Same("KEYCTL_RESTRICT_KEYRING", 29), Same("KEYCTL_MOVE", 30),
    Same("KEYCTL_CAPABILITIES", 31), Same("KEYCTL_WATCH_KEY", 32),

    Same("PTRACE_TRACEME", 0), Same("PTRACE_PEEKTEXT", 1), Same("PTRACE_PEEKDATA", 2),
    Same("PTRACE_POKETEXT", 4), Same("PTRACE_POKEDATA", 5), Same("PTRACE_CONT", 7),
    Same("PTRACE_KILL", 8), Same("PTRACE_ATTACH", 16), Same("PTRACE_DETACH", 17),
    Same("PTRACE_SETOPTIONS", 16896), Same("PTRACE_SEIZE", 16902), Same("PTRACE_INTERRUPT", 16903),

    Same("PER_LINUX", 0), Same("ADDR_NO_RANDOMIZE", 0x40000), Same("READ_IMPLIES_EXEC", 0x400000),
    Same("UNAME26", 0x20000), Same("IPC_CREAT", 512), Same("IPC_EXCL", 1024),
    Same("IPC_NOWAIT", 2048), Same("IPC_RMID", 0), Same("IPC_SET", 1), Same("IPC_STAT", 2),
    Same("IPC_INFO", 3), Same("IPC_PRIVATE", 0),

    Same("LANDLOCK_CREATE_RULESET_VERSION", 1),
};
// clang-format on

const Constant* FindConstant(std::string_view name) {
  const Constant* found = std::ranges::find(kConstants, name, &Constant::name);
  return found != std::end(kConstants) ? found : nullptr;
}

}  // namespace

std::span<const Constant> AllConstants() { return kConstants; }

std::optional<uint64_t> ConstantValue(Arch arch, std::string_view name) {
  const Constant* constant = FindConstant(name);
  if (constant == nullptr) {
    return std::nullopt;
  }
  return arch == Arch::kX86_64 ? constant->x86_64 : constant->aarch64;
}

bool IsKnownConstant(std::string_view name) { return FindConstant(name) != nullptr; }

}  // namespace bulkhead
