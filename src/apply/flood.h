/*
 * flood.h - whose records most of what waits for a shard are: of what is parked there, or of what
 * was read for it. Pure, of fixed size: a record is counted for its tenant when it is parked, or
 * read (the space-saving algorithm of Metwally, Agrawal and El
 * Abbadi: a tenant that is not known takes the place of the smallest, and its count). A tenant with
 * more than a sixteenth of the bytes is always among those that are known, and none is counted too
 * low, or too high by more than a sixteenth of all.
 */
#ifndef LEAT_APPLY_FLOOD_H
#define LEAT_APPLY_FLOOD_H

#include "base/base.h"

enum {
    LEAT_FLOOD_TENANTS = 16,
    LEAT_FLOOD_TEXT_MAX = 128,
    LEAT_FLOOD_LOUD_MAX = 3, /* more cannot have above a quarter */
    LEAT_FLOOD_LATE_MAX = 7, /* more cannot have above an eighth */
};

typedef struct leat_flood_tenant {
    uint64_t name; /* hash of the text */
    uint64_t bytes;
    bool is_late;                       /* among those of leat_flood_late the last time */
    char text[LEAT_FLOOD_TEXT_MAX + 1]; /* percent-encoded; a longer one is not counted */
} leat_flood_tenant;

typedef struct leat_flood {
    uint64_t bytes; /* of all tenants, and of records without one */
    bool has_grown; /* since it was faded last */
    leat_flood_tenant tenants[LEAT_FLOOD_TENANTS];
} leat_flood;

/* A record was parked, or read; `tenant` may be empty. */
void leat_flood_add(leat_flood *flood, leat_slice tenant, uint64_t bytes);
/* Halves all counts, if any has grown since the last time: what was parked long ago, and may have
 * been applied since, weighs less than what is parked now. While nothing is parked the shares stay.
 */
void leat_flood_fade(leat_flood *flood);
/* The tenants with more than a quarter of all bytes, at most LEAT_FLOOD_LOUD_MAX; how many. */
uint32_t leat_flood_loud(const leat_flood *flood, const leat_flood_tenant **ret);
/* The tenants with more than one of `parts` (4 to 8) of all bytes. One that was among them the last
 * time stays with half of that: refused, it has ever less, and would come and go. At most
 * LEAT_FLOOD_LATE_MAX, the largest; how many. */
uint32_t leat_flood_late(leat_flood *flood, uint32_t parts, const leat_flood_tenant **ret);
/* Nobody was among them. */
void leat_flood_not_late(leat_flood *flood);

/* How long whoever is refused should wait, in seconds: until so many records are drained at this
 * rate, from 1 to 600; 60 when nothing is drained. */
int64_t leat_flood_wait_s(uint64_t records, double drained_per_s);

#endif
