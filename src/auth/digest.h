/*
 * digest.h - the SHA-256 of a secret. A token is kept and compared as its digest: what is stored is
 * of no use to a thief, and equal sizes make a comparison possible whose time says nothing (a
 * comparison over no bytes at all would call every token equal). Any thread.
 */
#ifndef LEAT_AUTH_DIGEST_H
#define LEAT_AUTH_DIGEST_H

#include "base/base.h"

enum { LEAT_DIGEST_SIZE = 32, LEAT_DIGEST_HEX_SIZE = 2 * LEAT_DIGEST_SIZE + 1 };

typedef struct leat_digest {
    uint8_t bytes[LEAT_DIGEST_SIZE];
} leat_digest;

leat_digest leat_digest_of(leat_slice bytes);
/* Takes the same time wherever they differ. */
bool leat_digest_equal(const leat_digest *a, const leat_digest *b);
/* The first eight bytes, as a number: they are as good as random. */
uint64_t leat_digest_number(const leat_digest *digest);
/* 64 hexadecimal digits of either case. */
bool leat_digest_from_hex(leat_slice hex, leat_digest *ret);
void leat_digest_to_hex(const leat_digest *digest, char ret_hex[LEAT_DIGEST_HEX_SIZE]);

#endif
