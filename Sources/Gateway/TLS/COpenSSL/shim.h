// OpenSSL's headers, and its function-like macros as inlines, since Swift does not import macros with arguments.
#ifndef WEBGW_COPENSSL_SHIM_H
#define WEBGW_COPENSSL_SHIM_H
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#endif
