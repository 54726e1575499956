// Linux calls that Swift's Glibc module hides. No feature macros here: one would break the import of other C modules.
#ifndef WEBGW_CLINUX_SHIM_H
#define WEBGW_CLINUX_SHIM_H
#include <pthread.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/filter.h>

extern int webgw_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) __asm__("accept4");
extern int webgw_pipe2(int fds[2], int flags) __asm__("pipe2");
extern ssize_t webgw_splice(int in, long long *in_offset, int out, long long *out_offset, size_t length,
                            unsigned int flags) __asm__("splice");
extern int webgw_thread_name(pthread_t thread, const char *name) __asm__("pthread_setname_np");

/// recv(2) and send(2) without glibc's care for the cancellation of threads, which costs two locked instructions a call.
extern long webgw_syscall(long number, ...) __asm__("syscall");
static inline ssize_t webgw_recv(int fd, void *bytes, size_t count) {
    return webgw_syscall(SYS_recvfrom, fd, bytes, count, 0, (void *)0, (void *)0);
}
static inline ssize_t webgw_send(int fd, const void *bytes, size_t count) {
    return webgw_syscall(SYS_sendto, fd, bytes, count, MSG_NOSIGNAL, (void *)0, 0);
}

/// The scheduling policy of the calling thread, and another for it; 0, or -1 with errno.
extern int webgw_sched_getscheduler(pid_t thread) __asm__("sched_getscheduler");
extern int webgw_sched_setscheduler(pid_t thread, int policy, const int *priority) __asm__("sched_setscheduler");
enum { WEBGW_SCHED_OTHER = 0, WEBGW_SCHED_BATCH = 3 };
static inline int webgw_policy(void) { return webgw_sched_getscheduler(0); }
static inline int webgw_set_policy(int policy) {
    const int priority = 0;
    return webgw_sched_setscheduler(0, policy, &priority);
}
/// Processor time of the calling thread, in nanoseconds. A `struct timespec` here would hide that of Glibc from Swift.
static inline unsigned long long webgw_thread_time(void) {
    const long clock_of_thread = 3;
    long used[2] = {0, 0};
    webgw_syscall(SYS_clock_gettime, clock_of_thread, used);
    return (unsigned long long)used[0] * 1000000000 + (unsigned long long)used[1];
}

struct webgw_message {
    struct msghdr header;
    unsigned int length;
};
extern int webgw_recvmmsg(int fd, struct webgw_message *messages, unsigned int count, int flags,
                          void *timeout) __asm__("recvmmsg");
extern int webgw_sendmmsg(int fd, struct webgw_message *messages, unsigned int count, int flags) __asm__("sendmmsg");

enum {
    WEBGW_DATAGRAM_BATCH = 64,
    WEBGW_SPLICE_F_MOVE = 1,
    WEBGW_SPLICE_F_NONBLOCK = 2,
    WEBGW_SOCK_NONBLOCK = 04000,
    WEBGW_SOCK_CLOEXEC = 02000000,
    WEBGW_TCP_USER_TIMEOUT = 18,
    WEBGW_SO_REUSEPORT = 15,
};

/// Smoothed round-trip time of a TCP socket in microseconds, as the kernel measured it; 0 when unknown.
static inline unsigned int webgw_round_trip_microseconds(int fd) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return 0;
    return info.tcpi_rtt;
}

/// How many questions of the kernel, whether the peer of a TCP socket is still there, were not answered; 0 when unknown.
static inline unsigned int webgw_unanswered_probes(int fd) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return 0;
    return info.tcpi_probes;
}

/// Lets a TCP listener drop every SYN; handshakes that began go on. Gives 0, or -1 with errno set.
static inline int webgw_drop_new_handshakes(int fd) {
    enum { flags_of_tcp_header = 13, syn = 2 };
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, flags_of_tcp_header),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, syn, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/// Receives up to `count` (at most WEBGW_DATAGRAM_BATCH) datagrams, each into a slot of `slot` bytes of its own. Gives the
/// number received, or -1 with errno set.
static inline int webgw_receive_datagrams(int fd, unsigned char *bytes, unsigned int slot, unsigned int count,
                                          struct sockaddr_storage *names, unsigned int *name_lengths,
                                          unsigned int *lengths) {
    struct webgw_message messages[WEBGW_DATAGRAM_BATCH] = {0};
    struct iovec parts[WEBGW_DATAGRAM_BATCH];
    if (count > WEBGW_DATAGRAM_BATCH) count = WEBGW_DATAGRAM_BATCH;
    for (unsigned int i = 0; i < count; i++) {
        parts[i].iov_base = bytes + (size_t)i * slot;
        parts[i].iov_len = slot;
        messages[i].header.msg_iov = &parts[i];
        messages[i].header.msg_iovlen = 1;
        messages[i].header.msg_name = &names[i];
        messages[i].header.msg_namelen = sizeof names[i];
    }
    int received = webgw_recvmmsg(fd, messages, count, 0, 0);
    for (int i = 0; i < received; i++) {
        lengths[i] = messages[i].length;
        name_lengths[i] = messages[i].header.msg_namelen;
    }
    return received;
}

/// Sends `count` (at most WEBGW_DATAGRAM_BATCH) datagrams that lie one behind the other; a name of length 0 stands for the
/// peer of a connected socket. Gives the number sent, or -1 with errno set.
static inline int webgw_send_datagrams(int fd, unsigned char *bytes, const unsigned int *lengths, unsigned int count,
                                       struct sockaddr_storage *names, const unsigned int *name_lengths) {
    struct webgw_message messages[WEBGW_DATAGRAM_BATCH] = {0};
    struct iovec parts[WEBGW_DATAGRAM_BATCH];
    if (count > WEBGW_DATAGRAM_BATCH) count = WEBGW_DATAGRAM_BATCH;
    for (unsigned int i = 0; i < count; i++) {
        parts[i].iov_base = bytes;
        parts[i].iov_len = lengths[i];
        bytes += lengths[i];
        messages[i].header.msg_iov = &parts[i];
        messages[i].header.msg_iovlen = 1;
        if (name_lengths[i] > 0) {
            messages[i].header.msg_name = &names[i];
            messages[i].header.msg_namelen = name_lengths[i];
        }
    }
    return webgw_sendmmsg(fd, messages, count, 0);
}
#endif
