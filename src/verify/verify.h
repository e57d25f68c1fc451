/*
 * verify.h - proof that what was accepted is in the shards: a range of the log is walked, each of
 * its records is looked for by the shard's progress, dead letters, held keys and parked records,
 * and the rows are held against what their writes say (record/key_state.h). It only reads, may run
 * beside edges and workers, and never keeps more than its memory: where there are too many keys it
 * walks the range again for the rest: of it, what the log still has then. Where retention deletes
 * what it is about to read, it goes on with what is left, counts what is gone, and knows nothing of
 * the rows of that partition until a write says all of one again.
 *
 * What it says of rows is as of one moment in each shard, at the end of a walk. So the walk goes on
 * past the range, for the keys that it has met, as far as that shard has come.
 *
 * Blocking; one thread.
 */
#ifndef LEAT_VERIFY_VERIFY_H
#define LEAT_VERIFY_VERIFY_H

#include "log/log.h"
#include "record/catalog.h"
#include "sink/shard.h"

/* What became of a record. */
typedef enum leat_fate {
    LEAT_FATE_APPLIED, /* by progress, and nothing says otherwise: alone or folded with others */
    LEAT_FATE_WAITING, /* no batch has reached it yet */
    LEAT_FATE_PARKED,
    LEAT_FATE_HELD,
    LEAT_FATE_DEAD_LETTER,
    LEAT_FATE_SKIPPED,    /* a control left it out, and its dead letter says so */
    LEAT_FATE_REMOVED,    /* it was a dead letter, and a person has deleted that */
    LEAT_FATE_UNREADABLE, /* applied by progress; but the routes and tables as they are now do not
                             understand it */
    LEAT_FATE_COUNT
} leat_fate;
const char *leat_fate_name(leat_fate fate); /* "applied", "dead_letter", ... */

typedef enum leat_finding_kind {
    LEAT_FINDING_NO_PROGRESS, /* the shard has no progress of a partition of its own */
    LEAT_FINDING_BEYOND_END,  /* progress is beyond the end of the log: it is another log's */
    LEAT_FINDING_REMOVED,     /* a record: LEAT_FATE_REMOVED */
    LEAT_FINDING_ROW_MISSING,
    LEAT_FINDING_ROW_THERE, /* its writes have deleted it */
    LEAT_FINDING_ROW_DIFFERS,
    LEAT_FINDING_ROW_AHEAD, /* it has writes that progress does not count: progress was lost, and a
                               worker will apply them again */
    LEAT_FINDING_COUNT
} leat_finding_kind;
const char *leat_finding_name(leat_finding_kind kind); /* "row_differs", ... */

typedef struct leat_verify_finding {
    leat_finding_kind kind;
    const char *shard;
    uint32_t partition;
    int64_t offset;      /* of the record, or of the key's last write; -1: none */
    const char *table;   /* label; NULL: it is about no row */
    leat_slice key;      /* canonical */
    const char *columns; /* that differ, "a, b"; "": none */
    const char *detail;  /* for people; "": none */
} leat_verify_finding;

typedef struct leat_verify_shard {
    const char *name;
    leat_shard_address at;
    const leat_routes *routes; /* over its tables as they are now */
    leat_source source;        /* its own number of the source is in it */
} leat_verify_shard;

typedef struct leat_verify_progress {
    uint64_t read;    /* records of the log, in all walks */
    uint64_t planned; /* offsets of the walks that are known to come, those done included */
    uint32_t walk;    /* from 1 */
    uint32_t walks;   /* known so far */
    uint64_t keys;    /* held at the moment */
} leat_verify_progress;

typedef struct leat_verify_config {
    const leat_log_config *log;
    const leat_layout *layout;
    uint32_t shard_count;
    const leat_verify_shard *shards; /* by the layout's index */
    /* By partition: what is verified. Its `to` below 0: it is not looked at at all. */
    const leat_log_span *spans;
    leat_slice tenant;      /* percent-encoded; without data: all */
    uint32_t sample_ppm;    /* of a million keys: 1000000 is all */
    int64_t since_ms;       /* accepted then or later: their keys only; 0: any */
    int64_t until_ms;       /* accepted before; INT64_MAX: any */
    int64_t idempotency_ms; /* the lifetime of idempotency keys */
    bool adopted;           /* tables may have had rows before the log began */
    uint64_t memory;        /* bytes, for keys */
    uint32_t records_per_s; /* of the range, at most; 0: as fast as it goes */
    /* Columns that are left out: "column" or "table.column". */
    const char *const *ignored;
    uint32_t ignored_count;
    void *context;
    void (*on_finding)(void *context, const leat_verify_finding *finding);
    void (*on_progress)(void *context, const leat_verify_progress *progress);
} leat_verify_config;

typedef struct leat_verify_result {
    uint64_t records[LEAT_FATE_COUNT]; /* of the range */
    uint64_t findings[LEAT_FINDING_COUNT];
    uint64_t keys;
    uint64_t keys_proved;    /* their row is as the writes say, in every column that was written */
    uint64_t keys_in_part;   /* likewise; but of some columns the range does not say enough */
    uint64_t keys_waiting;   /* no write of theirs is applied yet */
    uint64_t keys_undecided; /* nothing can be said: the range says too little, a control has left
                                out writes, or one could not be read */
    uint64_t columns;        /* compared */
    uint32_t walks;
    uint32_t partitions_cut; /* of those looked at: the log has lost its first records, if only
                                since the first walk */
    uint64_t offsets_gone;   /* of the range, from which a walk came too late: retention had deleted
                                them. Nothing is said of them, nor of what they did to a row */
} leat_verify_result;

/* 0: all was looked at, whatever was found; -1: it could not be. */
int leat_verify_run(const leat_verify_config *config, leat_verify_result *ret,
                    leat_error *error) LEAT_MUST_CHECK;
/* How many findings there are. */
uint64_t leat_verify_found(const leat_verify_result *result);

#endif
