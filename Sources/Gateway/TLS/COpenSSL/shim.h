// OpenSSL's headers, and its function-like macros as inlines, since Swift does not import macros with arguments.
#ifndef WEBGW_COPENSSL_SHIM_H
#define WEBGW_COPENSSL_SHIM_H
#include <openssl/bio.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline void webgw_bio_want_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void webgw_bio_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline long webgw_ctx_min_version(SSL_CTX *ctx, int version) { return SSL_CTX_set_min_proto_version(ctx, version); }
static inline long webgw_ctx_max_version(SSL_CTX *ctx, int version) { return SSL_CTX_set_max_proto_version(ctx, version); }
static inline long webgw_ctx_mode(SSL_CTX *ctx, long mode) { return SSL_CTX_set_mode(ctx, mode); }
static inline long webgw_ctx_sessions_off(SSL_CTX *ctx) { return SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); }
static inline long webgw_ctx_signature_algorithms(SSL_CTX *ctx, const char *list) { return SSL_CTX_set1_sigalgs_list(ctx, list); }
static inline long webgw_ctx_groups(SSL_CTX *ctx, const char *list) { return SSL_CTX_set1_groups_list(ctx, list); }
static inline long webgw_server_name(SSL *ssl, const char *name) { return SSL_set_tlsext_host_name(ssl, name); }
static inline int webgw_certificates(const STACK_OF(X509) *chain) { return chain ? sk_X509_num(chain) : 0; }
static inline EVP_PKEY *webgw_p256_key(void) { return EVP_EC_gen("P-256"); }
static inline uint64_t webgw_option_flags(void) {
    return SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION;
}
#endif
