/* The functions that need no provider: OpenSSL calls them deprecated, but a provider takes 2 MiB and a millisecond. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
