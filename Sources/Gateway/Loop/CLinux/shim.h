// Linux calls that Swift's Glibc module hides. No feature macros here: one would break the import of other C modules.
#ifndef WEBGW_CLINUX_SHIM_H
#define WEBGW_CLINUX_SHIM_H
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

extern int webgw_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) __asm__("accept4");
extern int webgw_pipe2(int fds[2], int flags) __asm__("pipe2");
extern ssize_t webgw_splice(int in, long long *in_offset, int out, long long *out_offset, size_t length,
                            unsigned int flags) __asm__("splice");

enum {
    WEBGW_SPLICE_F_MOVE = 1,
    WEBGW_SPLICE_F_NONBLOCK = 2,
};
#endif
