// Linux calls that Swift's Glibc module hides. No feature macros here: one would break the import of other C modules.
#ifndef WEBGW_CLINUX_SHIM_H
#define WEBGW_CLINUX_SHIM_H
#include <pthread.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

extern int webgw_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) __asm__("accept4");
extern int webgw_pipe2(int fds[2], int flags) __asm__("pipe2");
extern ssize_t webgw_splice(int in, long long *in_offset, int out, long long *out_offset, size_t length,
                            unsigned int flags) __asm__("splice");
extern int webgw_thread_name(pthread_t thread, const char *name) __asm__("pthread_setname_np");

enum {
    WEBGW_SPLICE_F_MOVE = 1,
    WEBGW_SPLICE_F_NONBLOCK = 2,
    WEBGW_SOCK_NONBLOCK = 04000,
    WEBGW_SOCK_CLOEXEC = 02000000,
    WEBGW_TCP_USER_TIMEOUT = 18,
};

/// Smoothed round-trip time of a TCP socket in microseconds, as the kernel measured it; 0 when unknown.
static inline unsigned int webgw_round_trip_microseconds(int fd) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return 0;
    return info.tcpi_rtt;
}
#endif
