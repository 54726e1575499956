// sessions: many agents with one session each, to see what a gateway pays for a session (loopback only).
//   sessions PORT N CONTRACTS-FILE   line i: "SEED-HEX CONTRACT-HEX"; prints one JSON line when all stand, waits for stdin EOF
// cc -O2 -o sessions sessions.c -lssl -lcrypto
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct session { int fd; SSL *ssl; int stands; unsigned have; unsigned char in[20000]; };
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void die(const char *what) { perror(what); exit(1); }
static int accept_any(X509_STORE_CTX *store, void *unused) { (void)store; (void)unused; return 1; }

static void identify(SSL *ssl, const unsigned char *seed) {
  EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
  X509 *cert = X509_new();
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
  X509_set_pubkey(cert, key);
  if (!X509_sign(cert, key, NULL)) die("sign");
  SSL_use_certificate(ssl, cert);
  SSL_use_PrivateKey(ssl, key);
  X509_free(cert);
  EVP_PKEY_free(key);
}

static void frame(SSL *ssl, unsigned char type, const void *payload, unsigned length) {
  unsigned char bytes[1024] = {0, 0, 0, 0, type, length >> 16, length >> 8, length};
  memcpy(bytes + 8, payload, length);
  if (SSL_write(ssl, bytes, 8 + length) <= 0) { fprintf(stderr, "sessions: a write failed\n"); exit(1); }
}

static struct session *dial(int port, const unsigned char *seed, const char *contract, long number, SSL_CTX *ctx) {
  struct session *s = calloc(1, sizeof *s);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s->fd < 0 || connect(s->fd, (void *)&to, sizeof to)) die("connect");
  s->ssl = SSL_new(ctx);
  identify(s->ssl, seed);
  SSL_set_fd(s->ssl, s->fd);
  if (SSL_connect(s->ssl) != 1) { fprintf(stderr, "sessions: handshake %ld failed\n", number); exit(1); }
  char hello[512];
  int length = snprintf(hello, sizeof hello,
    "{\"agent\":\"bench\",\"contracts\":[\"%s\"],\"instance\":\"%032lx\",\"slot\":0,\"slots\":1,\"version\":1}", contract, number + 1);
  frame(s->ssl, 11, hello, length);
  fcntl(s->fd, F_SETFL, O_NONBLOCK);
  return s;
}

// Answers pings, notices WELCOME. Returns 0 when the connection is over.
static int serve(struct session *s) {
  for (;;) {
    int n = SSL_read(s->ssl, s->in + s->have, sizeof s->in - s->have);
    if (n <= 0) return SSL_get_error(s->ssl, n) == SSL_ERROR_WANT_READ;
    s->have += n;
    unsigned at = 0;
    while (s->have - at >= 8) {
      unsigned length = s->in[at + 5] << 16 | s->in[at + 6] << 8 | s->in[at + 7];
      if (s->have - at < 8 + length) break;
      if (s->in[at + 4] == 5) frame(s->ssl, 6, s->in + at + 8, length);
      if (s->in[at + 4] == 12) s->stands = memmem(s->in + at + 8, length, "\"accepted\":[\"", 13) != NULL;
      at += 8 + length;
    }
    memmove(s->in, s->in + at, s->have - at);
    s->have -= at;
  }
}

int main(int argc, char **argv) {
  if (argc != 4) { fprintf(stderr, "usage: sessions PORT N CONTRACTS-FILE\n"); return 64; }
  long count = atol(argv[2]);
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set1_sigalgs_list(ctx, "ed25519");
  SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
  SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x0ewebgw-tunnel/1", 15);
  int ep = epoll_create1(0);
  FILE *file = fopen(argv[3], "r");
  if (!file) die(argv[3]);
  long dialed = 0, stands = 0, lost = 0, told = 0;
  double start = now();
  struct epoll_event events[256];
  struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(ep, EPOLL_CTL_ADD, 0, &input);
  for (;;) {
    char seed_hex[65], contract[65];
    if (dialed < count && fscanf(file, "%64s %64s", seed_hex, contract) == 2) {
      unsigned char seed[32];
      for (int i = 0; i < 32; i++) sscanf(seed_hex + 2 * i, "%2hhx", &seed[i]);
      struct session *s = dial(atoi(argv[1]), seed, contract, dialed, ctx);
      struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
      if (epoll_ctl(ep, EPOLL_CTL_ADD, s->fd, &event)) die("epoll_ctl");
      dialed++;
    } else if (!told && stands + lost >= dialed) {
      printf("{\"sessions\":%ld,\"lost\":%ld,\"seconds\":%.2f}\n", stands, lost, now() - start);
      fflush(stdout);
      told = 1;
    }
    int n = epoll_wait(ep, events, 256, dialed < count ? 0 : 1000);
    for (int i = 0; i < n; i++) {
      struct session *s = events[i].data.ptr;
      if (!s) { if (read(0, contract, 1) <= 0) return lost > 0; continue; }
      int before = s->stands;
      if (!serve(s)) { close(s->fd); lost++; stands -= before; continue; }
      stands += s->stands - before;
    }
  }
}
