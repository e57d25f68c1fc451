/*
 * flood.h - whose records most of what waits for a shard are: of what is parked there, or of what
 * was read for it. Pure, of fixed size (ops/heavy.h): bytes by tenant, of which only those count
 * for one that are its own for certain. A tenant with more than a thirty-second of them is always
 * among those that are known while none is taken out, and up to a thirty-second of all bytes may be
 * missing from what it has. So nobody is told to be loud for what others did.
 */
#ifndef LEAT_APPLY_FLOOD_H
#define LEAT_APPLY_FLOOD_H

#include "ops/heavy.h"

enum {
    LEAT_FLOOD_LOUD_MAX = 3, /* more cannot have above a quarter */
    LEAT_FLOOD_LATE_MAX = 7, /* more cannot have above an eighth */
};

typedef struct leat_flood {
    leat_heavy bytes;             /* of all tenants, and of records without one */
    bool is_late[LEAT_HEAVY_MAX]; /* who was among those of leat_flood_late the last time */
    bool has_grown;               /* since it was faded last */
} leat_flood;

typedef struct leat_flood_tenant {
    const char *name; /* leat_flood_name; the flood's, until it changes */
    double bytes;
} leat_flood_tenant;

/* Bytes of this tenant (percent-encoded, of any length; empty: of none) have come; are there no
 * longer. */
void leat_flood_add(leat_flood *flood, leat_slice tenant, uint64_t bytes);
void leat_flood_take(leat_flood *flood, leat_slice tenant, uint64_t bytes);
/* All that is in `more` has come, and `other` bytes beside it of which nobody knows whose they
 * are. */
void leat_flood_join(leat_flood *flood, const leat_flood *more, double other);
/* Halves all bytes, if any have come since the last time: what was read long ago, and may have been
 * applied since, weighs less than what is read now. While nothing is read the shares stay. */
void leat_flood_fade(leat_flood *flood);
/* The tenants with more than a quarter of all bytes, the largest first, at most
 * LEAT_FLOOD_LOUD_MAX; how many. */
uint32_t leat_flood_loud(const leat_flood *flood, leat_flood_tenant *ret);
/* The tenants with more than one of `parts` (4 to 8) of all bytes. One that was among them the last
 * time stays with half of that: refused, it has ever less, and would come and go. At most
 * LEAT_FLOOD_LATE_MAX, the largest first; how many. */
uint32_t leat_flood_late(leat_flood *flood, uint32_t parts, leat_flood_tenant *ret);
/* Nobody was among them. */
void leat_flood_not_late(leat_flood *flood);

/* How long whoever is refused should wait, in seconds: until so many records are drained at this
 * rate, from 1 to 600; 60 when nothing is drained. */
int64_t leat_flood_wait_s(uint64_t records, double drained_per_s);

#endif
