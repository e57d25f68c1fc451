/*
 * write_token.h - the token in a 202: where an accepted write is in the log and in its shard, as
 * text that its client brings back to ask what became of it. Nothing is stored for it.
 *
 * 27 bytes in network order, as 36 characters of base64url (RFC 4648 section 5, no padding): the
 * version of the form, 1 byte; the source, 4; partition, 4; subpartition, 2; offset, 8; key, 8.
 * Each token has one spelling. It is no secret and proves nothing: whoever may ask decides the
 * edge.
 */
#ifndef LEAT_RECORD_WRITE_TOKEN_H
#define LEAT_RECORD_WRITE_TOKEN_H

#include "record/catalog.h"

enum { LEAT_WRITE_TOKEN_SIZE = 36 };

/* Where a write is. */
typedef struct leat_write_place {
    uint32_t partition;
    uint32_t subpartition; /* below LEAT_SUBPARTITIONS_MAX */
    int64_t offset;        /* 0 or more */
    uint64_t key;          /* leat_route_held_hash */
} leat_write_place;

/* Tells sources apart: a topic that was made anew is another one. */
uint32_t leat_write_token_source(const leat_source *source);
/* Without a NUL. */
void leat_write_token_write(uint32_t source, const leat_write_place *place,
                            char ret[LEAT_WRITE_TOKEN_SIZE]);
/* -1: it is not a token of this form. */
int leat_write_token_read(leat_slice text, uint32_t *ret_source,
                          leat_write_place *ret) LEAT_MUST_CHECK;

#endif
