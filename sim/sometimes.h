/*
 * sometimes.h - events that must happen sometimes over a campaign: without them the campaign has
 * not tested what it claims to test, and is invalid.
 */
#ifndef SIM_SOMETIMES_H
#define SIM_SOMETIMES_H

#include "base/buf.h"

typedef enum sim_sometimes_kind {
    SOMETIMES_ZOMBIE_FENCED,
    SOMETIMES_COMMIT_UNHEARD, /* an ambiguous commit that did commit */
    SOMETIMES_COMMIT_LOST,    /* an ambiguous commit that never came */
    SOMETIMES_COMMIT_FAILED,  /* every statement succeeded, its commit did not */
    SOMETIMES_WENT_BACK,      /* LT002 */
    SOMETIMES_REWOUND,        /* a claim that found less than had been acknowledged */
    SOMETIMES_BISECTED,
    SOMETIMES_FOLDED,
    SOMETIMES_ROUNDS, /* writes to one key that did not fold, in one batch */
    SOMETIMES_BUDGET_FULL,
    SOMETIMES_DEAD_LETTER,
    SOMETIMES_LETTER_FAILED, /* a dead letter could not be written */
    SOMETIMES_TABLE_STOPPED,
    SOMETIMES_SHARD_HALTED,
    SOMETIMES_STALE_BATCH,
    SOMETIMES_SKIPPED,
    SOMETIMES_COMPACTED,
    SOMETIMES_LOCK_TIMEOUT,
    SOMETIMES_ROW_LOCK_TIMEOUT,
    SOMETIMES_BLOCKED_BESIDE,
    SOMETIMES_BREAKER_ASKED, /* a shard that answers everything with an outage */
    SOMETIMES_LIMITED,       /* fewer batches at once than connections */
    SOMETIMES_SLOW_BATCH,    /* by its estimate */
    SOMETIMES_TENANT_ALONE,  /* because what it costs is in doubt */
    SOMETIMES_CLAIM_WAITED,
    SOMETIMES_BATCH_WAITED,
    SOMETIMES_HOLDER_TERMINATED,
    SOMETIMES_FATAL,
    SOMETIMES_KILLED_BY_RECORD,
    SOMETIMES_CRASHED_BY_RECORD,
    SOMETIMES_OTHERS_WENT_ON, /* all was applied except records after such a record, or
                                 a locked row */
    SOMETIMES_SERVER_STOPPED,
    SOMETIMES_SERVER_PAUSED,
    SOMETIMES_FAILOVER,
    SOMETIMES_TAIL_LOST,
    SOMETIMES_SPLIT_BRAIN,
    SOMETIMES_HANDED_OVER, /* a pooler has hidden a failover */
    SOMETIMES_JOB_TOLD,    /* a job reports that it ran on another server */
    SOMETIMES_SERVER_TOLD, /* an idle connection reports that, when asked */
    SOMETIMES_READ_ONLY,
    SOMETIMES_SLOW,
    SOMETIMES_REFUSED_ALL, /* a server took no writes at all */
    SOMETIMES_DRIFT,
    SOMETIMES_CRASH,
    SOMETIMES_DRAINED,
    SOMETIMES_FROZEN,
    SOMETIMES_EXPELLED, /* by the group, after a silence */
    SOMETIMES_REVOKED,
    SOMETIMES_LOST,
    SOMETIMES_STOPPED, /* a partition that needs a person */
    SOMETIMES_TRANSACTION,
    SOMETIMES_CUT_OFF_NOTICED,
    SOMETIMES_TRIMMED,
    SOMETIMES_TRUNCATED,
    SOMETIMES_RECREATED,
    SOMETIMES_WRITTEN_ELSEWHERE, /* acknowledged by a topic recreated */
    SOMETIMES_GROWN,
    SOMETIMES_COMMIT_REFUSED, /* the group's answer to a commit */
    SOMETIMES_ACK_LOST,
    SOMETIMES_NOT_APPENDED,
    SOMETIMES_REFUSED_REQUEST,
    SOMETIMES_MISPLACED,
    SOMETIMES_PARKED,
    SOMETIMES_UNPARKED,
    SOMETIMES_LOADED,
    SOMETIMES_PARKED_DEEP, /* records that are not stalled */
    SOMETIMES_CLAIMED_PARKED,
    SOMETIMES_PARKED_FULL,    /* a partition may park no more */
    SOMETIMES_PARKED_SWOLLEN, /* while only what stalls may be */
    SOMETIMES_SWOLLEN,        /* nothing may be parked */
    SOMETIMES_REFUSED_LATE,   /* a tenant, because its shard is late */
    SOMETIMES_REFUSED_PARKED, /* because it is full of what is parked */
    SOMETIMES_LEFT_OUT,
    SOMETIMES_KEPT_LEFT_OUT, /* one that was kept */
    SOMETIMES_HELD_BY_CONTROL,
    SOMETIMES_SHARED_OUT, /* a process has fewer connections, as others have some */
    SOMETIMES_KEY_HELD,
    SOMETIMES_KEPT, /* behind the first one of its key */
    SOMETIMES_CLAIMED_HELD,
    SOMETIMES_KEPT_FULL, /* nothing more of held keys is kept in a partition, or subpartition */
    SOMETIMES_KEYS_FULL, /* a partition may hold no more keys */
    SOMETIMES_KEYS_FULL_OF_ONE, /* a subpartition may, while others go on */
    SOMETIMES_KEY_TURNED,
    SOMETIMES_OWNER_RETRIED,
    SOMETIMES_OWNER_LET_GO, /* a key */
    SOMETIMES_PERSON_RETRIED,
    SOMETIMES_PERSON_DISCARDED,
    SOMETIMES_PERSON_LET_GO, /* a key */
    SOMETIMES_REPEATED,      /* a record counts as a repeat */
    SOMETIMES_CONFLICTING,   /* a record has the key of one that says something else */
    SOMETIMES_TOLD_REPEATS,  /* a batch is answered with those of it that a shard knows */
    SOMETIMES_PERSON_REPEATED,
    SOMETIMES_TOLD,             /* what became of a write */
    SOMETIMES_UNFLUSHED_LOST,   /* commits, and the server is the same one */
    SOMETIMES_DOUBTED,          /* after the loss of a connection, or for a pooler */
    SOMETIMES_MADE_DURABLE,     /* a batch of a shard whose batches do not wait for the disk */
    SOMETIMES_WRITTEN_DIRECTLY, /* a write that is in no log */
    SOMETIMES_MODE_MOVED,       /* keys have gone from the log into the database */
    SOMETIMES_EDGE_CRASHED,
    SOMETIMES_DIRECT_REPEATED,    /* a write that is in no log counts as a repeat */
    SOMETIMES_DIRECT_CONFLICTING, /* it has the key of one that says something else */
    SOMETIMES_REPEATS_OTHER_WAY,  /* of the two one is in the log and one is not */
    SOMETIMES_KEY_WAITED,         /* such a write waits for another one with its key */
    SOMETIMES_COUNT,
} sim_sometimes_kind;

typedef struct sim_sometimes {
    uint64_t count[SOMETIMES_COUNT];
} sim_sometimes;

const char *sim_sometimes_name(sim_sometimes_kind kind);
void sim_sometimes_add(sim_sometimes *to, const sim_sometimes *more);
/* Appends name=count of each. */
void sim_sometimes_write(const sim_sometimes *sometimes, leat_buf *out);
/* The first that never happened, SOMETIMES_COUNT: none. */
sim_sometimes_kind sim_sometimes_never(const sim_sometimes *sometimes);

#endif
