/*
 * digest.c - SHA-256 by OpenSSL. Its default look-up of the algorithm at each use costs more than
 * a short token's digest, so it is done once.
 */
#include "auth/digest.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256; /* for as long as the process lives */

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

leat_digest leat_digest_of(leat_slice bytes)
{
    leat_digest digest;
    unsigned size = 0;
    pthread_once(&once, fetch);
    int done = EVP_Digest(bytes.data, bytes.size, digest.bytes, &size, sha256, NULL);
    LEAT_ASSERT(done == 1 && size == LEAT_DIGEST_SIZE); /* fails only without memory */
    return digest;
}

bool leat_digest_equal(const leat_digest *a, const leat_digest *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, LEAT_DIGEST_SIZE) == 0;
}

uint64_t leat_digest_number(const leat_digest *digest)
{
    uint64_t number;
    memcpy(&number, digest->bytes, sizeof number);
    return number;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool leat_digest_from_hex(leat_slice hex, leat_digest *ret)
{
    if (hex.size != LEAT_DIGEST_HEX_SIZE - 1)
        return false;
    for (size_t i = 0; i < LEAT_DIGEST_SIZE; i++) {
        int high = hex_digit(hex.data[2 * i]), low = hex_digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void leat_digest_to_hex(const leat_digest *digest, char ret_hex[LEAT_DIGEST_HEX_SIZE])
{
    for (size_t i = 0; i < LEAT_DIGEST_SIZE; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest->bytes[i]);
}
