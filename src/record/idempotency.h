/*
 * idempotency.h - a write that is sent again with the same idempotency key has one effect. The key
 * comes as HTTP's header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) and travels
 * with the record. Where it is applied, the key is noted in the transaction of the write, under a
 * hash of source, table, row and key: it counts for one row, whose writes are all in one place.
 * With it goes a *fingerprint* of what the write says, which tells a repeat from another write that
 * has the key of this one by mistake. Pure.
 */
#ifndef LEAT_RECORD_IDEMPOTENCY_H
#define LEAT_RECORD_IDEMPOTENCY_H

#include "base/buf.h"
#include "record/item.h"

enum { LEAT_IDEMPOTENCY_KEY_MAX = 255 };

/* What the header or member says, in quotes (a structured field's string) or bare: 1 to 255 visible
 * ASCII characters and none of them a quote or backslash. Borrowed, without the quotes. NULL, or
 * what is wrong. */
const char *leat_idempotency_key_read(leat_slice text, leat_slice *ret);

/* Why a record's key is none, as in leat_idempotency_key_read: of a foreign producer. Such a record
 * is written as if it had none. */
bool leat_idempotency_has_key(const leat_item *item);
/* Of a decoded item that has a key. `scratch` is overwritten. The numbers are stored, so they never
 * change. False: out of memory. */
bool leat_idempotency_identify(int32_t source_id, const leat_item *item, leat_buf *scratch,
                               leat_write_id *ret) LEAT_MUST_CHECK;

/* What a conflict is kept as a dead letter for, and what is told of a repeat. */
extern const char leat_idempotency_conflict[];
extern const char leat_idempotency_repeat[];

#endif
