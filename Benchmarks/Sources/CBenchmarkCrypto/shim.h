// RSA_public_decrypt and what belongs to it are deprecated in OpenSSL 3, and the leanest way to recover a block.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bn.h>
#include <openssl/rsa.h>
