/*
 * options.h - everything a world is drawn from: how large, how fast, and how often each fault
 * comes. All of them follow from the seed (swarm testing: each fault is on in about half of the
 * worlds, with a rate of its own), all can be printed, and each can be set by name, which is how a
 * failing world is made smaller.
 *
 * Rates are mean distances in virtual milliseconds; 0: never. Shares are in thousandths.
 */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "base/buf.h"

typedef enum sim_option {
    /* The world */
    OPT_PROCESSES,
    OPT_SHARDS,
    OPT_PARTITIONS,
    OPT_APPS,        /* tenants */
    OPT_IDS,         /* rows of each tenant and table */
    OPT_RECORDS,     /* requests of the clients in all */
    OPT_DURATION_MS, /* in which they come, and in which things go wrong */
    OPT_HEAL_MS,     /* in which all must be applied afterwards */
    /* The engine */
    OPT_CONNECTIONS, /* of one process to one shard */
    OPT_RECORDS_MAX,
    OPT_BYTES_MAX,
    OPT_BATCH_RECORDS_MAX,
    OPT_BATCH_BYTES_MAX,
    OPT_AGE_BOUND_MS,
    OPT_COMPACT_EVERY_MS,
    OPT_VERIFY_EVERY_MS,
    OPT_COMMIT_EVERY_MS,
    OPT_DRAIN_MS,
    OPT_RETRY_MIN_MS,
    OPT_RETRY_MAX_MS,
    OPT_PATIENCE_MS,
    OPT_RECLAIM_MIN_MS,
    OPT_DEAD_LETTERS_PER_MINUTE,
    /* Time */
    OPT_LATENCY_US,   /* of a message, on average */
    OPT_STATEMENT_US, /* of a statement in the database, on average */
    OPT_LOCK_TIMEOUT_MS,
    OPT_SESSION_TIMEOUT_MS,
    OPT_HEARTBEAT_MS,
    OPT_NOTICE_MS, /* until a database sees that a client has gone, on average */
    /* The clients */
    OPT_HOT, /* share of requests for one row */
    OPT_PUT, /* shares of operations; the rest is PATCH */
    OPT_DELETE,
    OPT_POISON,       /* share of records that the database refuses */
    OPT_KILLER,       /* share of records that end their session each time they are written, until
                         repaired */
    OPT_CRASHER,      /* share of those that take all sessions of the server along */
    OPT_POISON_HEALS, /* 1: records refused for good are accepted in the end, 0: never */
    OPT_FOREIGN,      /* share of records that come from another producer, some of them malformed or
                         misplaced */
    OPT_BAD_REQUESTS, /* share of malformed requests */
    OPT_GAPS,         /* share of records before which the log skips offsets */
    /* The log */
    OPT_ACK_LOST,     /* share of appends */
    OPT_NOT_APPENDED, /* share of appends */
    OPT_COMMIT_LOST,  /* share of commits */
    OPT_EAGER,        /* 1: the group takes everything back at each rebalance */
    OPT_REBALANCE,
    OPT_TRANSACTION, /* of another producer: holds back the records after it for a while, and leaves
                        a marker */
    OPT_TRIM,        /* retention where it does no harm */
    OPT_RETENTION,   /* retention beyond the applied records */
    OPT_TRUNCATE,
    OPT_RECREATE,
    OPT_GROW,
    OPT_KAFKA_CUT, /* a process and the log cannot reach each other for a while */
    /* Processes */
    OPT_CRASH,
    OPT_DRAIN,
    OPT_FREEZE,
    /* Databases */
    OPT_CONNECTION_CUT,
    OPT_STUCK, /* share of cuts that the database does not see: the transaction stays open */
    OPT_STOP,
    OPT_PAUSE,
    OPT_FAILOVER,
    OPT_SPLIT_BRAIN, /* share of failovers that leave the old primary alive for a while */
    OPT_POOLER, /* share of failovers that a pooler hides: connections that are idle are led to the
                   new primary */
    OPT_LAG_COMMITS, /* most commits that a replica lacks */
    OPT_READ_ONLY,
    OPT_SLOW,
    OPT_ERRORS,   /* share of transactions with an error out of nowhere, of any class that passes */
    OPT_FATAL,    /* share of transactions ended with FATAL */
    OPT_DEFERRED, /* share of transactions that fail at their commit */
    OPT_DRIFT,    /* all of a shard fails with 42703 for a while */
    OPT_NOT_UNDERSTOOD, /* all of a shard fails with XX001 for a while */
    OPT_FOREIGN_LOCK,   /* another program holds rows */
    OPT_REFUSE_ALL,     /* a shard takes no writes at all for a while, not even dead letters */
    OPT_LOCKED_MS,      /* how long it holds it, on average */
    /* Parking */
    OPT_PARKED_MAX_KB, /* of a shard */
    OPT_PARK_AFTER_MS,
    OPT_PARK_TAIL_MS,
    OPT_CHUNK_RECORDS_MAX,
    OPT_BLOCK, /* an operator has the records of a tenant or a row left out, or held, for a while */
    /* Where records are worked on. Drawn last, so that a seed's other options do not depend on it.
     */
    OPT_SUBPARTITIONS, /* of each partition */
    OPT_WINDOW, /* subpartitions of a tenant, at most; 0: placement by the key's hash alone */
    /* Held keys. Drawn last, for the same reason */
    OPT_ON_REFUSED,    /* of each route, as digits of base 3 */
    OPT_HELD_KEYS_MAX, /* of a partition */
    OPT_PERSON,        /* somebody retries or discards what is kept of a key */
    OPT_STAYS_LOCKED,  /* rows of a shard that another program holds until all other records are
                          applied */
    OPT_DEAR,          /* each row of the first tenant takes as long as so many statements */
    OPT_LAG_LIMIT_MS,  /* of what waits for a shard; beyond it, its loudest tenants are refused */
    OPT_SWOLLEN,       /* what was parked and deleted takes up the disk for a while */
    OPT_KEYS,          /* of requests with an idempotency key, in 1,000 */
    OPT_REPEATS,       /* of these that are sent again although they were answered, likewise */
    OPT_ASYNC,         /* shards whose batches do not wait for the disk, as bits */
    OPT_SERVER_CRASH,  /* a server loses commits that did not wait, and stays the same one */
    OPT_FLUSH_MS,      /* how long it takes until they are on the disk, on average */
    OPT_AWAITED,       /* of writes that somebody waits for, in 1,000 */
    OPT_MODE,  /* keys of a route go another way, into the log or into the database; 0: all go into
                  the log */
    OPT_EDGES, /* that clients write through */
    OPT_EDGE_CRASH, /* one ends at once */
    OPT_LOOK_EVERY_MS,
    OPT_CONNECTIONS_TOTAL, /* of all processes, to each shard; 0: no limit */
    OPTION_COUNT,
} sim_option;

typedef struct sim_options {
    int64_t values[OPTION_COUNT];
} sim_options;

/* Draws all of them. */
void sim_options_draw(sim_options *options, leat_prng *prng);
/* Sets one by "name=value". Returns -1 and a message when there is none of that name or the value
 * is not a number. */
int sim_options_set(sim_options *options, const char *setting, leat_error *error) LEAT_MUST_CHECK;
const char *sim_option_name(sim_option option);
/* Is it a fault, so that 0 leaves it out? */
bool sim_option_is_fault(sim_option option);
/* Appends name=value of each, separated by spaces. */
void sim_options_write(const sim_options *options, leat_buf *out);
/* The next smaller value worth trying when a failing world is made smaller; the value itself: there
 * is none. */
int64_t sim_option_smaller(const sim_options *options, sim_option option);

#endif
