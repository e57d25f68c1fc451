/*
 * troubles.h - the faults of a shard, seen from outside, by one rule: all is well only if records
 * move or there are none. Any of this is a trouble: the shard or its lag cannot be read; records
 * wait and no process applies them, or none has their partition; no process is at work, and the
 * last one did not end in order; a process at work reports that something does not move
 * (leat.workers); a session of leat waits for a lock or a standby now; the oldest record is too old
 * and no process reports that it moves.
 */
#ifndef LEAT_WATCH_TROUBLES_H
#define LEAT_WATCH_TROUBLES_H

#include "watch/lag.h"

/* A record is too old at this age, unless it moves: then a backlog is being worked off. */
enum { LEAT_STATUS_AGE_MS = 60 * 1000 };

typedef struct leat_trouble_line {
    char kind[24];
    char *text;
    char *json;     /* the same as an object */
    int64_t age_ms; /* for how long this has lasted; -1: not known */
    bool is_least;  /* so long or longer */
} leat_trouble_line;

/* shards[].commit, as a process has reported it; one of an older version says nothing. */
typedef enum leat_status_commit {
    LEAT_STATUS_COMMIT_UNSAID,
    LEAT_STATUS_COMMIT_SYNC,
    LEAT_STATUS_COMMIT_ASYNC,
} leat_status_commit;

typedef struct leat_status_process {
    char name[96];            /* host and process id */
    bool works;               /* as far as can be seen from outside */
    uint32_t sessions, busy;  /* in the shard; of a SQLite file none is known */
    uint32_t partition_count; /* that it reports to have here */
    int64_t heard_ms;         /* ago; -1: never */
    leat_status_commit commit;
} leat_status_process;

enum { LEAT_TROUBLES_MAX = 64 };

typedef struct leat_troubles {
    uint32_t count;
    uint32_t seen_count; /* of them, the first ones: those that no process reported */
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
