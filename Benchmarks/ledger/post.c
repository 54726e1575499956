// post: sends prepared submissions over kept connections, on each the next one when the one before was answered.
//   post PORT FILE    FILE is what `ledger-bench requests` wrote; prints one line of JSON
// cc -O2 -o post post.c
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct conn { int fd; uint32_t left; char *next; double sent; int have; char in[16384]; };

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void die(const char *what) { perror(what); exit(1); }
static uint32_t number(char **p) { uint32_t n; memcpy(&n, *p, 4); *p += 4; return n; }
static int ascending(const void *a, const void *b) { double x = *(double *)a, y = *(double *)b; return (x > y) - (x < y); }

static void ask(struct conn *c) {
  uint32_t n = number(&c->next);
  for (uint32_t done = 0; done < n;) {
    ssize_t w = send(c->fd, c->next + done, n - done, MSG_NOSIGNAL);
    if (w < 0) die("send");
    done += w;
  }
  c->next += n; c->left--; c->sent = now();
}

int main(int argc, char **argv) {
  if (argc != 3) { fprintf(stderr, "usage: post PORT FILE\n"); return 2; }
  FILE *f = fopen(argv[2], "rb"); if (!f) die(argv[2]);
  fseek(f, 0, SEEK_END); long size = ftell(f); rewind(f);
  char *all = malloc(size), *p = all; if (fread(all, 1, size, f) != (size_t)size) die("read");
  fclose(f);
  int ep = epoll_create1(0), open = 0, one = 1; uint64_t total = 0, counts[600] = {0};
  struct conn **conns = NULL;
  while (p < all + size) {
    struct conn *c = malloc(sizeof *c); c->have = 0; c->left = number(&p); c->next = p; total += c->left;
    for (uint32_t i = 0; i < c->left; i++) { uint32_t n = number(&p); p += n; }
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(c->fd, (void *)&a, sizeof a)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
    conns = realloc(conns, (open + 1) * sizeof *conns); conns[open++] = c;
  }
  double *waits = malloc(total * sizeof *waits), begin = now(); uint64_t answered = 0; int connections = open;
  for (int i = 0; i < open; i++) ask(conns[i]);
  struct epoll_event evs[256];
  while (open > 0) {
    int n = epoll_wait(ep, evs, 256, 60000);
    if (n <= 0) { fprintf(stderr, "post: no answer within a minute\n"); break; }
    for (int i = 0; i < n; i++) {
      struct conn *c = evs[i].data.ptr;
      ssize_t r = recv(c->fd, c->in + c->have, sizeof c->in - 1 - c->have, MSG_DONTWAIT);
      if (r < 0 && errno == EAGAIN) continue;
      if (r <= 0) { close(c->fd); open--; continue; }
      c->have += r; c->in[c->have] = 0;
      char *end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "\r\ncontent-length:");
      if (!end || !length || length > end || c->have < end + 4 - c->in + atoi(length + 17)) continue;
      int status = atoi(c->in + 9);
      if (status != 201 && counts[status] == 0) fprintf(stderr, "post: %s\n", c->in);
      counts[status]++; waits[answered++] = now() - c->sent; c->have = 0;
      if (c->left > 0) ask(c); else { close(c->fd); open--; }
    }
  }
  double took = now() - begin;
  qsort(waits, answered, sizeof *waits, ascending);
  uint64_t other = answered - counts[201];
  printf("{\"connections\":%d,\"accepted\":%lu,\"other\":%lu,\"seconds\":%.3f,\"per_second\":%.0f,\"p50_ms\":%.1f,\"p99_ms\":%.1f}\n",
         connections, counts[201], other, took, counts[201] / took, answered ? waits[answered / 2] * 1e3 : 0,
         answered ? waits[answered * 99 / 100] * 1e3 : 0);
  return other > 0 || answered < total;
}
