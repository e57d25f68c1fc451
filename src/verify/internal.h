/*
 * internal.h - what the files of src/verify share.
 *
 *   verify.c   the walks: which keys each is for, and how far it goes
 *   records.c  a record's way: read, asked about, and handed to its key
 *   keys.c     the keys that a walk has met
 *   judge.c    the moment at the end of a walk: rows against writes
 */
#ifndef LEAT_VERIFY_INTERNAL_H
#define LEAT_VERIFY_INTERNAL_H

#include "sink/audit.h"
#include "verify/verify.h"

enum {
    VERIFY_BATCH_RECORDS = 1000,
    VERIFY_BATCH_BYTES = 8 * 1024 * 1024,
    VERIFY_STACK_MAX = 64,
    VERIFY_SILENCE_MS = 30000, /* the log says nothing for so long: it does not answer */
};

/* A record of the log, in one piece of memory. */
typedef struct verify_record {
    struct verify_record *next;
    const leat_route *route; /* NULL: it makes no sense */
    leat_route_op op;
    uint32_t partition;
    uint32_t subpartition;
    int64_t offset;
    uint64_t held_hash;
    uint64_t spread; /* of its key: sample and walks go by it */
    uint64_t once;   /* a hash of its idempotency key; 0: it has none */
    int64_t accepted_ms;
    leat_fate fate; /* as it was asked last */
    bool is_in_range;
    bool is_counted;
    leat_slice key; /* canonical, in `bytes` */
    leat_slice value;
    char bytes[];
} verify_record;

typedef enum verify_doubt {
    VERIFY_SURE,
    VERIFY_CONTROLLED, /* a control has left out writes of it */
    VERIFY_UNREADABLE, /* a write that was applied does not fit the table as it is now */
    VERIFY_TOO_MUCH,   /* more of its writes wait than there is memory */
    VERIFY_GONE,       /* a write of it may be gone behind some that wait */
} verify_doubt;

/* An idempotency key, and when its first write was accepted. */
typedef struct verify_once {
    uint64_t hash;       /* 0: none */
    int64_t accepted_ms; /* 0: that write may have been skipped, and then a later one was the first;
                            or it may be a repeat, and then that one may be forgotten sooner */
} verify_once;

/* A key that was met. */
typedef struct verify_key {
    struct verify_key *next; /* in its bucket */
    struct verify_key *next_of_shard;
    uint64_t spread;
    uint32_t shard;
    uint32_t partition;
    uint32_t subpartition;
    const leat_route *route; /* of its last write */
    int64_t last;            /* offset of the last write that was followed; -1: none */
    leat_key_state state;
    verify_doubt doubt;
    int64_t skipped_until_ms; /* a control that has ended may have skipped what was accepted up to
                                 then; 0: none */
    verify_record *waiting;   /* from the first on that was not decided when it was read */
    verify_record **waiting_end;
    size_t waiting_bytes;
    verify_once *once;  /* of the writes that were followed: a hash set */
    uint32_t once_room; /* a power of two, or 0 */
    uint32_t once_count;
    uint32_t size;
    char key[];
} verify_key;

typedef struct verify_keys {
    verify_key **buckets;
    uint32_t bucket_count; /* a power of two */
    uint64_t count;
    uint64_t bytes; /* of all keys, with what waits */
} verify_keys;

/* The keys of a walk: those whose spread ends with these bits. */
typedef struct verify_share {
    uint64_t mask;
    uint64_t bits;
} verify_share;

/* Of one shard, records that are to be asked about. */
typedef struct verify_batch {
    verify_record *first;
    verify_record **end;
    uint32_t count;
    size_t bytes;
} verify_batch;

typedef struct leat_verify {
    const leat_verify_config *config;
    leat_verify_result *result;
    leat_error *error;
    leat_key_follower *follower;
    verify_keys keys;
    verify_share share;
    verify_share stack[VERIFY_STACK_MAX]; /* of the walks to come */
    uint32_t stack_count;
    /* By partition, as in the configuration; what the log has lost since is cut. */
    leat_log_span *spans;
    int64_t *starts;   /* where the log begins: at the walk's begin, or where it went on since */
    bool is_first;     /* walk: records are counted */
    bool is_late;      /* the walk is past the range: only keys that were met count */
    int64_t *begun_ms; /* by partition: when the first record was accepted that was read, or the
                          first behind a gap; below 0: none was yet; 0: the log was read from its
                          very first on */
    int64_t *walked;   /* by partition: read up to there, in this walk */
    bool *was_late; /* by partition: a write was too late for the range, in this walk; of a key that
                       is met only now it may have been the first */
    leat_verify_progress progress;
    bool is_paced;    /* the walk is over the range: what came since is caught up with at once */
    int64_t paced_us; /* when the pace was last kept */
    int64_t told_us;  /* when progress was last told */
    struct {
        leat_shard_audit *audit;
        leat_control_set *controls, *ended; /* in effect at the begin, or over by then */
        verify_batch batch;
    } shards[LEAT_SHARDS_MAX];
    int64_t *reached; /* of one partition's subpartitions */
} leat_verify;

/* Functions that return an int return 0, or -1 with a message in v->error. */

/* ---- keys.c ---- */

void verify_keys_init(verify_keys *keys);
void verify_keys_fini(verify_keys *keys);
/* NULL: it is not there, and with `add` memory is out. */
verify_key *verify_keys_find(leat_verify *v, const verify_record *record, bool add);
/* Keeps the record, which it takes, behind what waits of the key. */
void verify_key_wait(leat_verify *v, verify_key *key, verify_record *record);
/* The next write of the key that is applied; the record stays the caller's. */
int verify_key_follow(leat_verify *v, verify_key *key, const verify_record *record);
/* The next write of the key was skipped by a control. */
void verify_key_skip(verify_key *key);
void verify_key_drop_waiting(leat_verify *v, verify_key *key);
/* Writes of the partition are gone that come after those which were met: nothing is known of its
 * keys any more, until a write says it again. */
void verify_keys_forget(leat_verify *v, uint32_t partition);
/* Lets go the keys that are not of the walk's share any more. */
void verify_keys_narrow(leat_verify *v);
bool verify_is_in_share(const leat_verify *v, uint64_t spread);

/* ---- records.c ---- */

/* Walks from v->walked on up to these offsets, which are by partition. */
int verify_walk(leat_verify *v, const int64_t *to);
/* Asks about `count` records of a shard, in the moment that is open there. */
int verify_ask(leat_verify *v, uint32_t shard, verify_record *const *records, uint32_t count);
void verify_count(leat_verify *v, verify_record *record);
void verify_records_free(verify_record *first);

/* ---- judge.c ---- */

/* The rows of all keys of the walk. */
int verify_judge(leat_verify *v);
void verify_find(leat_verify *v, leat_verify_finding *finding, uint32_t shard);

#endif
