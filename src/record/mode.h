/*
 * mode.h - which way a write of a route goes, where that can change while the route is served
 * (routes[].mode: live). A shard keeps a setting for each such route (leat.modes, changed by `leat
 * mode set`); edges read it again and again. The decision for a key is a pure function of the
 * setting and of the key's *point*, so that it is the same everywhere.
 *
 * A key goes into the log or into the database, never both ways at a time. So a change has two
 * steps: first the keys that it moves are closed, then, once nothing of them is under way on the
 * side that they leave, they are opened on the other one. docs/design/modes.md has the argument.
 */
#ifndef LEAT_RECORD_MODE_H
#define LEAT_RECORD_MODE_H

#include "base/base.h"
#include "base/limits.h"

enum {
    LEAT_MODE_POINTS = 10000,   /* a share is so many of them */
    LEAT_MODE_LEASE_MS = 3000,  /* how long an edge goes by what it has read */
    LEAT_MODE_EVERY_MS = 1000,  /* how often it reads */
    LEAT_MODE_SETTLE_MS = 4000, /* after a change is committed: no edge goes by what was before it
                                 */
};

/* Shares are in points. */
typedef struct leat_mode_setting {
    uint32_t version;      /* another with each change of `async`; 0: nobody has said
                              anything yet */
    uint32_t async;        /* keys whose point is below go into the log, the others into the
                              database */
    uint32_t async_before; /* the same before the change that is under way; equal: none is */
    uint32_t shadow;       /* of the others, those whose point is below are written to the shadow
                              table too */
} leat_mode_setting;

typedef enum leat_way {
    LEAT_WAY_LOG,
    LEAT_WAY_DATABASE,
    LEAT_WAY_SHADOW, /* the database, and then the log for the shadow table */
    LEAT_WAY_CLOSED, /* the key moves, or nobody has said which way */
} leat_way;

/* Of the hash of a canonical key; below LEAT_MODE_POINTS. */
uint32_t leat_mode_point(uint64_t key_hash);
leat_way leat_mode_way(const leat_mode_setting *setting, uint32_t point);
/* Do keys move from the log into the database? */
bool leat_mode_leaves_log(const leat_mode_setting *setting);

typedef struct leat_mode_answer {
    leat_way way;
    uint32_t version; /* of the setting */
    int64_t until_us; /* by leat_mode_now_us: the end of the lease */
    const char *why;  /* it is CLOSED, a literal; else NULL */
} leat_mode_answer;

/* The clock of leases, in microseconds: monotonic, and it goes on while the machine sleeps. */
int64_t leat_mode_now_us(void);

/* The settings of all shards and routes as an edge has read them. Any thread. */
typedef struct leat_modes leat_modes;

leat_modes *leat_modes_new(uint32_t shard_count, uint32_t route_count);
void leat_modes_free(leat_modes *modes);
/* What a read that began at `read_us` (leat_mode_now_us) has found for the routes of a shard:
 * `settings` has one for each; zeroed where there is none. */
void leat_modes_publish(leat_modes *modes, uint32_t shard, const leat_mode_setting *settings,
                        int64_t read_us);
/* Do keys of the route go into the log in some shard, or will they once they have moved? By what
 * was read last. */
bool leat_modes_uses_log(leat_modes *modes, uint32_t route);
/* CLOSED too when the last read is older than the lease. */
leat_mode_answer leat_modes_way(leat_modes *modes, uint32_t shard, uint32_t route, uint32_t point,
                                int64_t now_us);

#endif
