#pragma once
// The block ciphers and digests below EVP are called directly: a payment sets up about ten DES keys,
// and EVP's context per key costs several times the cipher itself.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/aes.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/cmac.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/des.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/// Overwrites what functions that have returned left on the stack.
static __attribute__((noinline, unused)) void tapbridge_wipe_stack(void) {
    unsigned char area[16384];
    OPENSSL_cleanse(area, sizeof area);
}
