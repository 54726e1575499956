// load: the origin server and the load generator of the benchmark (loopback only).
//   load serve PORT [CERTIFICATE KEY]        HTTP backend: GET / small, GET /bulk endless, POST = sink; with files in PEM over TLS
//   load bulk  PORT N down|up WARM SECS [tls]  N blocking streams, prints S / E marks and one JSON line
//   load idle  PORT N [tls]                  N kept connections, one request on each; waits for stdin EOF
//   load ping  PORT N [tls]                  N sequential requests on one connection, prints latency
//   load delay PORT TARGET MS                passes connections on to TARGET, every byte MS milliseconds late, both ways
//   load http  PORT N SECS                   requests one after the other on each of N kept connections, prints one JSON line
// With `hello` in place of `tls` a connection begins with a TLS ClientHello for raw.gw.bench.example and goes on in plain text: what
// reads the server name passes it on, and the backend throws it away.
// cc -O2 -pthread -o load load.c -lssl -lcrypto
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#define BUF (256 * 1024)
#define HUGE_LEN "1099511627776"
static char big[BUF];
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void die(const char *m) { perror(m); exit(1); }

/* ---------------- backend ---------------- */
struct conn { int fd, n, mode; SSL *ssl; char head[8192]; }; // mode 0 head, 1 sink, 2 bulk
static const char OK_KA[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n"
  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char OK_CL[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\nConnection: close\r\n\r\n"
  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char BULK[] = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " HUGE_LEN "\r\n\r\n";
static int ep; static SSL_CTX *server;
static void drop(struct conn *c) { if (c->ssl) SSL_free(c->ssl); close(c->fd); free(c); }
// As recv and send do it, whether over TLS or not.
static ssize_t told(struct conn *c, int n) {
  if (n > 0) return n;
  int e = SSL_get_error(c->ssl, n);
  if (e == SSL_ERROR_ZERO_RETURN) return 0;
  ERR_clear_error(); // it is of the thread: the next connection's answer would be taken for an error
  errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
  return -1;
}
static ssize_t take_in(struct conn *c, void *b, size_t n) { return c->ssl ? told(c, SSL_read(c->ssl, b, n)) : recv(c->fd, b, n, 0); }
static ssize_t put_out(struct conn *c, const void *b, size_t n) {
  return c->ssl ? told(c, SSL_write(c->ssl, b, n)) : send(c->fd, b, n, MSG_NOSIGNAL);
}
static void serve_head(struct conn *c) {
  for (;;) {
    ssize_t r = take_in(c, c->head + c->n, sizeof c->head - 1 - c->n);
    if (r == 0) { drop(c); return; }
    if (r < 0) { if (errno != EAGAIN) drop(c); return; }
    c->n += r; c->head[c->n] = 0;
    if (c->head[0] == 0x16) {
      int hello = c->n < 5 ? 5 : 5 + ((unsigned char)c->head[3] << 8 | (unsigned char)c->head[4]);
      if (c->n < hello) continue;
      memmove(c->head, c->head + hello, c->n - hello + 1); c->n -= hello;
    }
    char *e;
    while ((e = strstr(c->head, "\r\n\r\n"))) {
      e[2] = 0;
      int cl = strcasestr(c->head, "\r\nconnection: close") || strstr(c->head, " HTTP/1.0\r\n");
      int used = e + 4 - c->head;
      if (!strncmp(c->head, "POST", 4)) { c->mode = 1; c->n = 0; return; }
      if (!strncmp(c->head, "GET /bulk", 9)) {
        if (put_out(c, BULK, sizeof BULK - 1) < 0) { drop(c); return; }
        c->mode = 2; c->n = 0;
        struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = c}; epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev); return;
      }
      const char *m = cl ? OK_CL : OK_KA; size_t ml = cl ? sizeof OK_CL - 1 : sizeof OK_KA - 1;
      if (put_out(c, m, ml) != (ssize_t)ml) { drop(c); return; }
      if (cl) { drop(c); return; }
      memmove(c->head, c->head + used, c->n - used + 1); c->n -= used;
    }
    if (c->n >= (int)sizeof c->head - 1) { drop(c); return; }
    if (r < 4096 && !c->ssl) return;
  }
}
static int serve(int port) {
  int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(l, (void *)&a, sizeof a) || listen(l, 8192)) die("listen");
  ep = epoll_create1(0);
  struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, evs[256];
  epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev);
  for (;;) {
    int n = epoll_wait(ep, evs, 256, -1);
    for (int i = 0; i < n; i++) {
      struct conn *c = evs[i].data.ptr;
      if (!c) {
        int f;
        while ((f = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          setsockopt(f, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          c = malloc(sizeof *c); c->fd = f; c->n = 0; c->mode = 0; c->ssl = NULL;
          if (server) { c->ssl = SSL_new(server); SSL_set_fd(c->ssl, f); SSL_set_accept_state(c->ssl); }
          ev.events = EPOLLIN; ev.data.ptr = c; epoll_ctl(ep, EPOLL_CTL_ADD, f, &ev);
        }
      } else if (c->mode == 0) serve_head(c);
      else if (c->mode == 1) {
        // What TLS has read and not given out yet makes no event: records up to a plain connection's buffer are taken in one go.
        ssize_t r, all = 0;
        do { r = take_in(c, big, BUF); all += r; } while (c->ssl && r > 0 && (all < BUF || SSL_has_pending(c->ssl)));
        if (r == 0 || (r < 0 && errno != EAGAIN)) drop(c);
      } else {
        ssize_t r, all = 0;
        do { r = put_out(c, big, BUF); all += r; } while (c->ssl && r > 0 && all < BUF);
        if (r < 0 && errno != EAGAIN) drop(c);
      }
    }
  }
}

/* ---------------- clients ---------------- */
static int PORT, TLS, HELLO, UP; static SSL_CTX *ctx; static atomic_ullong bytes; static atomic_int fails;
static unsigned char hello[128]; static int hello_len;
static void make_hello(void) {
  static const char name[] = "raw.gw.bench.example";
  int n = sizeof name - 1, i = 0;
  unsigned char body[] = {0x16, 3, 1, 0, 47 + 9 + n, 1, 0, 0, 43 + 9 + n, 3, 3};
  memcpy(hello, body, sizeof body); i = sizeof body + 32; // a random of zeros
  unsigned char rest[] = {0, 0, 2, 0x13, 1, 1, 0, 0, 9 + n, 0, 0, 0, 5 + n, 0, 3 + n, 0, 0, n};
  memcpy(hello + i, rest, sizeof rest); i += sizeof rest;
  memcpy(hello + i, name, n); hello_len = i + n;
}
static int dial(void) {
  int f = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(f, (void *)&a, sizeof a)) { close(f); return -1; }
  setsockopt(f, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (HELLO && send(f, hello, hello_len, MSG_NOSIGNAL) != hello_len) { close(f); return -1; }
  return f;
}
static SSL *tls(int f) { SSL *s = SSL_new(ctx); SSL_set_fd(s, f); SSL_set_tlsext_host_name(s, "localhost"); if (SSL_connect(s) != 1) return NULL; return s; }
static ssize_t rd(int f, SSL *s, void *b, size_t n) { return s ? SSL_read(s, b, n) : recv(f, b, n, 0); }
static ssize_t wr(int f, SSL *s, const void *b, size_t n) { return s ? SSL_write(s, b, n) : send(f, b, n, MSG_NOSIGNAL); }
static void *stream(void *_) {
  int f = dial(); if (f < 0) { fails++; return 0; }
  SSL *s = TLS ? tls(f) : NULL; if (TLS && !s) { fails++; return 0; }
  char *b = malloc(BUF), q[256]; memset(b, 'x', BUF);
  int n = UP ? sprintf(q, "POST /sink HTTP/1.1\r\nHost: localhost\r\nContent-Length: " HUGE_LEN "\r\n\r\n")
             : sprintf(q, "GET /bulk HTTP/1.1\r\nHost: localhost\r\n\r\n");
  if (wr(f, s, q, n) != n) { fails++; return 0; }
  for (;;) { ssize_t r = UP ? wr(f, s, b, s ? 64 * 1024 : BUF) : rd(f, s, b, BUF); if (r <= 0) break; bytes += r; }
  fails++; return 0;
}
static int bulk(int n, double warm, double secs) {
  pthread_t t;
  for (int i = 0; i < n; i++) pthread_create(&t, 0, stream, 0);
  usleep(warm * 1e6);
  uint64_t b0 = bytes; double t0 = now(); puts("S"); fflush(stdout);
  usleep(secs * 1e6);
  uint64_t b1 = bytes; double t1 = now(); puts("E"); fflush(stdout);
  printf("{\"bytes\":%llu,\"secs\":%.4f,\"gbps\":%.4f,\"fails\":%d}\n", (unsigned long long)(b1 - b0), t1 - t0, (b1 - b0) / (t1 - t0) / 1e9, fails);
  fflush(stdout); _exit(0);
}
static int one_req(int f, SSL *s) {
  static const char q[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"; char b[4096]; int got = 0;
  if (wr(f, s, q, sizeof q - 1) != sizeof q - 1) return -1;
  for (;;) { // header + 128 byte body
    ssize_t r = rd(f, s, b + got, sizeof b - 1 - got); if (r <= 0) return -1; got += r; b[got] = 0;
    char *e = strstr(b, "\r\n\r\n"); if (e && got - (e + 4 - b) >= 128) return strncmp(b, "HTTP/1.1 200", 12) ? -1 : 0;
  }
}
static int idle(int n) {
  int ok = 0, bad = 0; double t0 = now();
  struct timeval tv = {3, 0};
  for (int i = 0; i < n && bad < 5; i++) {
    int f = dial(); if (f < 0) { bad++; continue; }
    setsockopt(f, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    SSL *s = TLS ? tls(f) : NULL; if ((TLS && !s) || one_req(f, s)) { bad++; close(f); continue; }
    ok++;
  }
  printf("{\"open\":%d,\"bad\":%d,\"secs\":%.2f}\n", ok, bad, now() - t0); fflush(stdout);
  char c; while (read(0, &c, 1) > 0) ; _exit(0);
}
static int cmpd(const void *a, const void *b) { double x = *(double *)a, y = *(double *)b; return x < y ? -1 : x > y; }
static int ping(int n) {
  int f = dial(); SSL *s = f >= 0 && TLS ? tls(f) : NULL; double *d = malloc(n * sizeof *d), t0;
  if (f < 0 || (TLS && !s)) return 1;
  for (int i = 0; i < 200; i++) if (one_req(f, s)) return 1;
  for (int i = 0; i < n; i++) { t0 = now(); if (one_req(f, s)) return 1; d[i] = (now() - t0) * 1e6; }
  qsort(d, n, sizeof *d, cmpd);
  printf("{\"p50_us\":%.1f,\"p99_us\":%.1f}\n", d[n / 2], d[n * 99 / 100]); return 0;
}
/* ---------------- delay ---------------- */
#define RING (64u << 20)
#define MARKS 65536
struct hop { int from, to; char *ring; uint64_t head, tail, first, last; struct { double due; uint64_t end; } marks[MARKS];
  int over; pthread_mutex_t lock; pthread_cond_t change; };
static double lateness;
static void *take(void *p) {
  struct hop *h = p;
  for (;;) {
    pthread_mutex_lock(&h->lock);
    while (h->head - h->tail > RING - BUF || h->last - h->first == MARKS) pthread_cond_wait(&h->change, &h->lock);
    pthread_mutex_unlock(&h->lock);
    size_t at = h->head % RING, room = RING - at < BUF ? RING - at : BUF;
    ssize_t n = recv(h->from, h->ring + at, room, 0);
    pthread_mutex_lock(&h->lock);
    if (n > 0) {
      h->head += n;
      h->marks[h->last % MARKS].due = now() + lateness; h->marks[h->last % MARKS].end = h->head; h->last++;
    } else h->over = 1;
    pthread_cond_signal(&h->change);
    pthread_mutex_unlock(&h->lock);
    if (n <= 0) return NULL;
  }
}
static void *give(void *p) {
  struct hop *h = p;
  for (;;) {
    pthread_mutex_lock(&h->lock);
    while (h->first == h->last && !h->over) pthread_cond_wait(&h->change, &h->lock);
    if (h->first == h->last) { pthread_mutex_unlock(&h->lock); shutdown(h->to, SHUT_WR); return NULL; }
    double due = h->marks[h->first % MARKS].due; uint64_t end = h->marks[h->first % MARKS].end;
    pthread_mutex_unlock(&h->lock);
    double wait = due - now();
    if (wait > 0) usleep(wait * 1e6);
    while (h->tail < end) {
      size_t at = h->tail % RING, size = end - h->tail < RING - at ? end - h->tail : RING - at;
      ssize_t n = send(h->to, h->ring + at, size, MSG_NOSIGNAL);
      if (n <= 0) { shutdown(h->from, SHUT_RDWR); n = size; }
      pthread_mutex_lock(&h->lock); h->tail += n; pthread_cond_signal(&h->change); pthread_mutex_unlock(&h->lock);
    }
    pthread_mutex_lock(&h->lock); h->first++; pthread_cond_signal(&h->change); pthread_mutex_unlock(&h->lock);
  }
}
static void hop(int from, int to) {
  struct hop *h = calloc(1, sizeof *h);
  h->from = from; h->to = to; h->ring = malloc(RING);
  pthread_mutex_init(&h->lock, NULL); pthread_cond_init(&h->change, NULL);
  pthread_t a, b;
  if (!h->ring || pthread_create(&a, NULL, take, h) || pthread_create(&b, NULL, give, h)) die("delay");
}
static int delay(int port, int target, double milliseconds) {
  lateness = milliseconds / 1000;
  int ls = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(ls, (void *)&a, sizeof a) || listen(ls, 64)) die("delay");
  for (;;) {
    int in = accept(ls, NULL, NULL), out = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_port = htons(target);
    if (in < 0 || connect(out, (void *)&a, sizeof a)) { close(in); close(out); continue; }
    setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    hop(in, out); hop(out, in);
  }
}

struct client { int fd, got; double sent; char b[1024]; };
static void ask(struct client *k) {
  static const char q[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  k->got = 0; k->sent = now();
  if (send(k->fd, q, sizeof q - 1, MSG_NOSIGNAL) != sizeof q - 1) fails++;
}
static int http(int n, double secs) {
  static double d[1 << 22]; int done = 0, e = epoll_create1(0);
  struct client *all = calloc(n, sizeof *all); struct epoll_event evs[256];
  for (int i = 0; i < n; i++) {
    all[i].fd = dial(); if (all[i].fd < 0) { fails++; continue; }
    fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = all + i}; epoll_ctl(e, EPOLL_CTL_ADD, all[i].fd, &ev);
    ask(all + i);
  }
  double t0 = now(), t = t0;
  while (t - t0 < secs) {
    int m = epoll_wait(e, evs, 256, 100); t = now();
    for (int i = 0; i < m; i++) {
      struct client *k = evs[i].data.ptr;
      ssize_t r = recv(k->fd, k->b + k->got, sizeof k->b - 1 - k->got, 0);
      if (r < 0 && errno == EAGAIN) continue;
      if (r <= 0) { fails++; epoll_ctl(e, EPOLL_CTL_DEL, k->fd, NULL); close(k->fd); continue; }
      k->got += r; k->b[k->got] = 0;
      char *end = strstr(k->b, "\r\n\r\n");
      if (!end || k->got - (end + 4 - k->b) < 128) continue;
      if (done < 1 << 22) d[done++] = (t - k->sent) * 1e6;
      ask(k);
    }
  }
  qsort(d, done, sizeof *d, cmpd);
  printf("{\"count\":%d,\"secs\":%.4f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"fails\":%d}\n", done, t - t0, done ? d[done / 2] : 0, done ? d[done * 99 / 100] : 0, fails);
  return 0;
}
int main(int c, char **v) {
  signal(SIGPIPE, SIG_IGN);
  struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
  if (c < 3) return 2;
  PORT = atoi(v[2]); TLS = !strcmp(v[c - 1], "tls"); HELLO = !strcmp(v[c - 1], "hello");
  if (HELLO) make_hello();
  if (TLS) { ctx = SSL_CTX_new(TLS_client_method()); SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); }
  if (!strcmp(v[1], "serve")) {
    if (c > 4) {
      server = SSL_CTX_new(TLS_server_method());
      SSL_CTX_set_mode(server, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
      SSL_CTX_set_read_ahead(server, 1);
      if (SSL_CTX_use_certificate_file(server, v[3], SSL_FILETYPE_PEM) != 1 || SSL_CTX_use_PrivateKey_file(server, v[4], SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "load: cannot use %s and %s\n", v[3], v[4]); return 1;
      }
    }
    return serve(PORT);
  }
  if (!strcmp(v[1], "bulk")) { UP = !strcmp(v[4], "up"); return bulk(atoi(v[3]), atof(v[5]), atof(v[6])); }
  if (!strcmp(v[1], "idle")) return idle(atoi(v[3]));
  if (!strcmp(v[1], "ping")) return ping(atoi(v[3]));
  if (!strcmp(v[1], "delay")) return delay(PORT, atoi(v[3]), atof(v[4]));
  if (!strcmp(v[1], "http")) return http(atoi(v[3]), atof(v[4]));
  return 2;
}
