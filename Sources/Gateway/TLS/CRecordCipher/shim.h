// The authenticated encryption of the library that swift-crypto brings (BoringSSL's aead.h), by the names under which it is linked. Its headers
// cannot be used here: they define types of OpenSSL's headers in another way, and one compiler reads both.
#ifndef WEBGW_CRECORDCIPHER_SHIM_H
#define WEBGW_CRECORDCIPHER_SHIM_H
#include <stddef.h>
#include <stdint.h>

typedef struct webgw_aead webgw_aead;
typedef struct webgw_aead_key webgw_aead_key;

const webgw_aead *webgw_aes_128_gcm(void) __asm__("CCryptoBoringSSL_EVP_aead_aes_128_gcm");
webgw_aead_key *webgw_aead_key_new(const webgw_aead *aead, const uint8_t *key, size_t key_len, size_t tag_len)
    __asm__("CCryptoBoringSSL_EVP_AEAD_CTX_new");
void webgw_aead_key_free(webgw_aead_key *key) __asm__("CCryptoBoringSSL_EVP_AEAD_CTX_free");
int webgw_aead_seal(const webgw_aead_key *key, uint8_t *out, uint8_t *out_tag, size_t *out_tag_len, size_t max_out_tag_len,
    const uint8_t *nonce, size_t nonce_len, const uint8_t *in, size_t in_len, const uint8_t *extra_in, size_t extra_in_len,
    const uint8_t *ad, size_t ad_len) __asm__("CCryptoBoringSSL_EVP_AEAD_CTX_seal_scatter");
int webgw_aead_open(const webgw_aead_key *key, uint8_t *out, const uint8_t *nonce, size_t nonce_len, const uint8_t *in, size_t in_len,
    const uint8_t *in_tag, size_t in_tag_len, const uint8_t *ad, size_t ad_len)
    __asm__("CCryptoBoringSSL_EVP_AEAD_CTX_open_gather");
#endif
