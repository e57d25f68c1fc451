/*
 * troubles.h - what is not well with a shard, judged from outside by one rule: all is well only if
 * records move or there are none. Its evidence, each of which alone is enough: the shard or its lag
 * cannot be read; records wait and nobody applies them, or no process has their partition; a
 * process at work says that something stands still (leat.workers); a session of leat's waits for a
 * lock or a standby now; the oldest record is too old and nobody says that it moves.
 */
#ifndef LEAT_WATCH_TROUBLES_H
#define LEAT_WATCH_TROUBLES_H

#include "watch/lag.h"

/* Records that move are not too old: a backlog is being worked off. Unless the caller asks for an
 * age. */
enum { LEAT_STATUS_AGE_MS = 60 * 1000 };

typedef struct leat_trouble_line {
    char kind[24];
    char *words;
    char *json;     /* the same as an object */
    int64_t age_ms; /* for how long it has been so; -1: not known */
} leat_trouble_line;

typedef struct leat_status_process {
    char name[96];            /* host and process id */
    bool works;               /* as far as can be seen from outside */
    uint32_t sessions, busy;  /* in the shard; of a SQLite file none is known */
    uint32_t partition_count; /* that it says it has here */
    int64_t heard_ms;         /* ago; -1: never */
} leat_status_process;

enum { LEAT_TROUBLES_MAX = 64 };

typedef struct leat_troubles {
    uint32_t count;
    uint32_t seen_count; /* of them, first, those that no process has said */
    uint32_t left_out;
    leat_trouble_line lines[LEAT_TROUBLES_MAX];
    uint32_t process_count;
    leat_status_process *processes;
    bool is_pooled;
    bool is_held; /* one of the lines is about an open transaction */
} leat_troubles;

/* `at`: where the shard is; `lag` was read with the shards' work. `max_seconds`: no record may be
 * older, whether it moves or not; 0: the rule above. */
void leat_troubles_find(leat_shard_address at, const leat_lag *lag, uint32_t shard,
                        uint32_t max_seconds, leat_troubles *ret);
void leat_troubles_fini(leat_troubles *troubles);

#endif
