/*
 * engine.h - the key-ordered parallel consumer as a pure state machine: events in, effects out.
 *
 * It keeps, for every assigned partition of the log, a FIFO queue for each subpartition, which
 * offsets are applied, and the progress protocol's worker side; it decides what runs when. It does
 * no I/O, reads no clock, starts no thread and allocates nothing after leat_engine_new: time comes
 * with each event, so the same code runs in production and, seeded, in a simulator. (Shape after
 * cowsql/raft's raft_step and TigerBeetle.)
 *
 * Terms: a *claim* takes a partition over in its shard. It leaves a random *token* there, which
 * every batch must present. A batch with an older token is refused (SQLSTATE LT001): its worker is
 * *fenced*, because another one has claimed the partition since. *Slots* are the jobs that a shard
 * can run at once: its usable connections. The protocol: docs/design/progress.md.
 *
 * Promises, each asserted inside and tested against a sequential oracle:
 *   - a subpartition has at most one batch in flight, and its records run in offset order;
 *   - a commit never passes a record that is not applied (`low` is contiguous, whatever holes the
 *     log has). A record that is kept as a dead letter counts as applied, and is never both;
 *   - nothing is sent again under one claim after an unknown outcome, and nothing at all for a
 *     partition that is revoked;
 *   - records and bytes held stay below the configured bounds, as long as the caller honours PAUSE
 *     at its next read.
 *
 * Dead letters. A record that is refused for good while it is alone in its batch (retry.h) becomes
 * a *dead letter*: the next batch of its subpartition is this one record, with
 * leat_engine_batch.dead set. If that batch fails, or the shard has been in trouble meanwhile, the
 * record is tried again first as it is, because the verdict may no longer hold.
 *
 * Held keys. Where its `on_refused` says so, a refused record is kept in the shard instead, its key
 * is *held*, and each later record of the key is kept behind it. So the order of the key stays, and
 * the rest of its subpartition goes on. Which keys are held is read with each claim. As long as
 * there is patience the engine tries what is kept again, and lets the key go when nothing is left
 * of it; after that people do (LEAT_ENGINE_KEY_TURNED).
 *
 * A table may give up a fixed number of records a minute in each shard, and more only while they
 * are a small share of its records. Beyond that the table *stops*: a refused record is held instead
 * of given up. The table goes on once one of the held records is applied, or none is left
 * (guard.c).
 *
 * An error that leat does not understand *halts* its shard. Claims still run, but of all batches
 * only those of one subpartition that met the error, the *probe*: alone, unchanged, with back-off.
 * The shard goes on when a batch of the probe is applied, or fails with an error that leat
 * understands, or the probe's partition is given up. A partition that is given back meanwhile is
 * not compacted.
 *
 * Use: after each event, leat_engine_*(), call leat_engine_next() until it returns false and carry
 * out each effect; then leat_engine_released() until it returns 0. All from one thread.
 */
#ifndef LEAT_ENGINE_H
#define LEAT_ENGINE_H

#include "engine/batch.h"
#include "engine/config.h"
#include "engine/counters.h"

typedef struct leat_engine leat_engine;

/* A record that nothing holds up is applied much sooner. */
#define LEAT_ENGINE_LONG_WAIT_US (100 * INT64_C(1000))

/* All memory is allocated here. NULL and a message: a limit is absurd, or out of memory. */
leat_engine *leat_engine_new(const leat_engine_config *config, leat_error *error);
void leat_engine_free(leat_engine *engine);

/* ---- events. `now_us` is monotonic and never goes back. ---- */

/* The group gave us the partition: it will be claimed when its shard has a connection. */
void leat_engine_assigned(leat_engine *engine, int64_t now_us, uint32_t partition);
/* The group wants it back: no new batch; effect LEAT_ENGINE_REVOKED follows when batches in flight
 * are done (then compacted and committed) or `drain_us` is over. At once for a partition that
 * is not ours. */
void leat_engine_revoked(leat_engine *engine, int64_t now_us, uint32_t partition);
/* The partition is no longer ours: all of it is dropped at once, and only releases follow. */
void leat_engine_lost(leat_engine *engine, int64_t now_us, uint32_t partition);

/* What becomes of a record that is refused, for good or for longer than the patience. */
typedef enum leat_engine_on_refused {
    LEAT_ENGINE_REFUSED_SKIP, /* a dead letter; later records of its key go on */
    LEAT_ENGINE_REFUSED_HOLD, /* its key is held at once: it and later ones are kept in the shard,
                                 in order, until a retry lets them go */
    LEAT_ENGINE_REFUSED_STOP, /* it is tried again for as long as it is refused; its subpartition
                                 waits, and parks */
    LEAT_ENGINE_ON_REFUSED_COUNT
} leat_engine_on_refused;

typedef struct leat_engine_record {
    uint32_t partition;
    int64_t offset;        /* ascending within a read; holes are normal */
    int64_t accepted_ms;   /* the record's timestamp */
    int32_t epoch;         /* its leader epoch, which never falls along a log; -1: not known */
    uint32_t subpartition; /* below config.subpartitions (base/placement.h) */
    uint64_t tenant;       /* a hash of its tenant's text; 0: it has none */
    uint32_t table;        /* below table_count: dead letters are counted by it */
    uint64_t key;          /* a hash of its table and key; 0: it has none, and is never held */
    leat_engine_on_refused on_refused;
    uint32_t bytes; /* counted against the budgets; at least config.overhead_bytes */
    void *payload;
} leat_engine_record;

typedef enum leat_engine_taken {
    LEAT_ENGINE_TAKEN,   /* the engine owns the payload until it is released */
    LEAT_ENGINE_SKIPPED, /* applied already, or not wanted now: the caller keeps the payload and
                            drops it */
    LEAT_ENGINE_FULL, /* no room: the caller keeps the record and offers it again after the RESUME
                         that follows */
    LEAT_ENGINE_REFUSED, /* the log is not the one the progress was written for: the partition has
                            stopped */
} leat_engine_taken;
leat_engine_taken leat_engine_record_read(leat_engine *engine, int64_t now_us,
                                          const leat_engine_record *record);

/* Is a record of this subpartition parked, or has its first one been held for longer than
 * LEAT_ENGINE_LONG_WAIT_US, or has its partition or the engine a backlog? Records after it may wait
 * for as long.
 */
bool leat_engine_waits(const leat_engine *engine, uint32_t partition, uint32_t subpartition);

/* Every record below `position` was offered and not refused: the offsets between the last one and
 * `position` have no record (transaction markers, aborted or compacted records). */
void leat_engine_read_to(leat_engine *engine, int64_t now_us, uint32_t partition, int64_t position);

/* A seek failed, or the log has lost a range that is not applied: the partition stops until it is
 * assigned again. */
void leat_engine_stopped(leat_engine *engine, int64_t now_us, uint32_t partition,
                         const char *reason);

/* How many jobs the shard can run at once now (usable connections). When it rises from 0 the
 * shard's partitions are claimed again. */
void leat_engine_slots(leat_engine *engine, int64_t now_us, uint32_t shard, uint32_t slots);

/* What the shard has acknowledged last may be gone, though it has slots: each of its partitions is
 * looked at, by a compaction, before it runs anything else; where one runs already, after that one.
 * (When the slots fall to 0 this is not needed: it is claimed again.) */
void leat_engine_doubted(leat_engine *engine, int64_t now_us, uint32_t shard);
/* The shard's connections come from a pooler, or no longer do; until it is said, they do not. A
 * pooler keeps them when a crash ends its own, and nothing tells. So where `commits_async`, each of
 * the shard's partitions is looked at every `look_every_us`: by the compaction that is due then, or
 * by one that writes nothing. Either takes its turn with batches until it is as late again. */
void leat_engine_pooled(leat_engine *engine, int64_t now_us, uint32_t shard, bool is_pooled);

/* What parked records take up on the disk of the shard, with what was deleted and cannot be given
 * back yet, as it was measured. Room for them is bounded by `parked_max_bytes`, and that by nothing
 * while an old snapshot keeps what was deleted. */
void leat_engine_parked_size(leat_engine *engine, int64_t now_us, uint32_t shard, uint64_t bytes);
/* What is parked for that: the less, the more times `parked_max_bytes` it is. */
typedef enum leat_engine_parking {
    LEAT_ENGINE_PARKS,
    LEAT_ENGINE_PARKS_STALLED, /* from 4 times on: only what stalls */
    LEAT_ENGINE_PARKS_NOTHING, /* from 8 times on */
} leat_engine_parking;
/* A small table may be so many bytes, and for nothing twice as many: so much is dead between two
 * vacuums in any case. */
#define LEAT_ENGINE_PARKED_SIZE_LEAST (UINT64_C(64) * 1024 * 1024)

/* Returns how many of `result->loaded` the engine has taken, the first ones: it owns their payloads
 * until they are released. The others stay the caller's, who drops them: there was no room, or the
 * answer came too late. */
uint32_t leat_engine_job_done(leat_engine *engine, int64_t now_us, uint32_t job_id,
                              const leat_engine_job_result *result);

/* Record `index` of the batch is not to be written: what the batch does about it is to move the
 * progress past it. Between the effect LEAT_ENGINE_RUN of the job and giving it to the sink; not
 * for a dead letter or a `hold`. It counts as neither applied nor refused: nothing is learned from
 * it about its table. Has no effects. */
void leat_engine_skip(leat_engine *engine, uint32_t job_id, uint32_t index);
/* The same for a record that repeats a write which is applied (or is before it in the batch): with
 * `is_conflict` the sink keeps it as a dead letter, because it says something else. It is not left
 * out for a control. */
void leat_engine_repeat(leat_engine *engine, uint32_t job_id, uint32_t index, bool is_conflict);
/* The batch must not be taken back once it is applied, because somebody will be told; under the
 * same terms as leat_engine_skip, but for any batch. */
void leat_engine_make_durable(leat_engine *engine, uint32_t job_id);
/* Is what the part's batch was made of still as it was then? Else an answer to it is about another
 * claim. */
bool leat_engine_part_is_current(const leat_engine *engine, const leat_engine_batch_part *part);
/* The caller's mind about records has changed: those that wait in the shard, and that `is_wanted`
 * is true of, are tried at once. It is called for the first record of each subpartition that waits,
 * and may not call the engine. A record that is parked and not loaded is tried without a
 * question, and so is what is in flight, when that has failed. */
void leat_engine_recheck(leat_engine *engine, int64_t now_us, uint32_t shard,
                         bool (*is_wanted)(void *context, void *payload), void *context);

/* The caller may want records of this shard left out now, or no longer does. Then each key that is
 * held, or becomes so, is *looked at*: what is kept of it is loaded, and as much of that as
 * leat_engine_job_result.left_out says goes into a batch with `is_look`. The key is let go when
 * nothing else is kept of it; otherwise the rest stays, and is not tried for that. */
void leat_engine_look(leat_engine *engine, int64_t now_us, uint32_t shard, bool is_wanted);

/* The group confirmed our membership: a commit that was *begun* at `since_us` has succeeded. */
void leat_engine_confirmed(leat_engine *engine, int64_t now_us, int64_t since_us);
/* A commit has failed: offsets are committed again after `commit_every_us`, or an idle partition
 * would be shown as behind indefinitely. */
void leat_engine_commit_failed(leat_engine *engine, int64_t now_us);

/* Time has passed. To be called no later than leat_engine_deadline. */
void leat_engine_tick(leat_engine *engine, int64_t now_us);
/* Runs nothing new and revokes every partition; effect LEAT_ENGINE_DRAINED when all are done. */
void leat_engine_drain(leat_engine *engine, int64_t now_us);

/* When a tick is next wanted; INT64_MAX: never. */
int64_t leat_engine_deadline(const leat_engine *engine);

/* ---- effects ---- */

typedef enum leat_engine_effect_kind {
    /* give `job` to the shard's sink; exactly one leat_engine_job_done answers it */
    LEAT_ENGINE_RUN,
    LEAT_ENGINE_SEEK, /* read `partition` from `offset` on; records of earlier reads must no longer
                         be offered */
    LEAT_ENGINE_COMMIT, /* all up to and including `offset` is applied (Kafka: commit offset + 1),
                           and no crash takes it back: the log may forget it */
    LEAT_ENGINE_PAUSE,  /* offer no more records of `partition` */
    LEAT_ENGINE_RESUME,
    LEAT_ENGINE_CONFIRM, /* ask the group whether we are still a member: commit again what was
                            committed last */
    LEAT_ENGINE_REVOKED, /* `partition` is quiet: give it back to the group */
    LEAT_ENGINE_STALLED, /* `partition` / `subpartition` is held by the record at `offset`; see
                            `result`. At once, then once a minute. A process with many of them
                            reports leat_engine_troubles instead, one line a cause */
    LEAT_ENGINE_DEAD_LETTERED, /* the record at `offset` was refused for good and is kept as a dead
                                  letter, committed; `result` has the reason: outcome, sqlstate,
                                  message */
    LEAT_ENGINE_KEY_HELD, /* the record at `offset` was refused and is kept, committed; from now on
                             so is what follows of its key. `result` as for a dead letter */
    LEAT_ENGINE_KEY_LEFT, /* a held key is not tried any more by its owner, but left to people: what
                             is kept of `key` was refused, or cannot be read. `result` says why;
                             `offset` is of its first record (-1: not known), whose payload is NULL
                             where it cannot be read */
    LEAT_ENGINE_TABLE_STOPPED, /* an error for people: too many of `table`'s records in the shard of
                                  `partition` are refused, `refused` of the last `decided`; from now
                                  on they wait, first the one at `offset`, for which a STALLED
                                  follows */
    LEAT_ENGINE_SHARD_HALTED,  /* an error for people, repeated each minute: the shard of
                                  `partition` answers with an error that leat does not understand.
                                  Only `subpartition` is tried there until that passes; see
                                  `result` */
    LEAT_ENGINE_PARK_FAILED,   /* records of `partition` cannot be parked, or chunks of it not be
                                  read: `result`. At once, then once a minute; `subpartition` is
                                  one of them, `offset` of its first record. Or what is kept of the
                                  held `key` cannot be read: then `offset` is -1 where it is not
                                  known, and `subpartition` means nothing */
    LEAT_ENGINE_DRAINED,
} leat_engine_effect_kind;

typedef struct leat_engine_effect {
    leat_engine_effect_kind kind;
    uint32_t partition;
    uint32_t subpartition;
    uint32_t table; /* STALLED, DEAD_LETTERED, TABLE_STOPPED, SHARD_HALTED: of the record at
                       `offset` */
    int64_t offset;
    void *payload;   /* likewise; borrowed until leat_engine_released or the next event */
    uint64_t key;    /* KEY_LEFT, and PARK_FAILED about a held key; else 0 */
    int64_t low;     /* SEEK: everything up to here is applied; -1: nothing */
    int64_t high;    /* SEEK: the highest offset any subpartition has applied
                        (leat_engine_progress_high) */
    int64_t high_ms; /* SEEK: the timestamp of the record there; 0: not known */
    int32_t epoch;   /* SEEK: the log has records of this leader epoch up to there; -1: not known */
    const leat_engine_job *job;           /* RUN; valid until its job_done */
    const leat_engine_job_result *result; /* STALLED, DEAD_LETTERED, TABLE_STOPPED, SHARD_HALTED;
                                             valid until the next call */
    bool guarded; /* STALLED: refused for good, and held because its table is stopped */
    uint32_t refused, decided; /* TABLE_STOPPED */
} leat_engine_effect;

bool leat_engine_next(leat_engine *engine, leat_engine_effect *ret_effect);
/* Payloads the engine no longer needs; returns how many were put into `ret` (0: none left). */
size_t leat_engine_released(leat_engine *engine, void **ret, size_t max);
/* The same before a RUN is carried out: then all effects that refer to finished jobs' payloads have
 * been. So a caller may give them back while they are still in its processor's cache, which a batch
 * that is being built sweeps. leat_engine_released follows as ever: only then loads have the room.
 */
size_t leat_engine_released_early(leat_engine *engine, void **ret, size_t max);

/* ---- views ---- */

typedef enum leat_engine_partition_state {
    LEAT_ENGINE_UNASSIGNED,
    LEAT_ENGINE_WAITING,  /* assigned; its shard has no connection */
    LEAT_ENGINE_CLAIMING, /* claim wanted or in flight */
    LEAT_ENGINE_READING,
    LEAT_ENGINE_FENCED_OFF, /* LT001; waits until the group confirms our membership */
    LEAT_ENGINE_REVOKING,
    LEAT_ENGINE_STOPPED, /* the log or its own error: needs a person */
} leat_engine_partition_state;

typedef struct leat_engine_partition_view {
    leat_engine_partition_state state;
    bool paused;
    uint32_t records; /* held */
    uint64_t bytes;
    uint32_t in_flight; /* records in batches now */
    uint32_t stalled;   /* subpartitions whose head failed, whether they wait or are being tried
                           again */
    uint64_t stalled_records; /* that these subpartitions hold, parked ones among them */
    int64_t stalled_us;       /* begin of the earliest of those first attempts; INT64_MAX: none */
    bool full;                /* paused for want of room */
    int64_t low; /* everything up to this offset is applied; -1: nothing yet; only after a claim */
    int64_t oldest_ms;  /* accept time of the oldest record held and not applied; 0: none */
    int64_t position;   /* everything below was read; -1 before the first */
    const char *reason; /* STOPPED: why; else "" */
    uint32_t held_keys; /* as far as is known */
    /* What is parked in its shard; all 0 while it is not claimed. */
    int64_t applied; /* everything up to this offset is in the tables: `low`, or less by what is
                        parked */
    uint32_t parked_subpartitions;
    uint64_t parked_chunks;
    uint64_t parked_records;
    uint64_t parked_below;          /* at most so many of them are below `low`: the others are among
                                       those above it */
    uint64_t parked_bytes;          /* as stored */
    uint64_t parked_max_bytes;      /* its share */
    uint64_t parked_most_bytes;     /* of the subpartition with the most */
    uint64_t parked_most_max_bytes; /* beyond this nothing more of a subpartition is parked */
    int64_t parked_oldest_ms;       /* no parked record has a smaller timestamp; 0: none */
    int64_t parked_us; /* since when something has been parked, as far as this process knows;
                          INT64_MAX: nothing is */
    bool parked_full;  /* paused because its share is used up */
    uint32_t loaded;   /* records held that came from chunks; not among `records` */
} leat_engine_partition_view;
void leat_engine_partition(const leat_engine *engine, uint32_t partition,
                           leat_engine_partition_view *ret);

/* What the subpartitions of a partition hold, in memory and parked; subpartitions that are
 * neighbours share a cell where there are more of them than cells. */
typedef struct leat_engine_cell {
    uint64_t records;
    bool stalled; /* the head of one of them has failed */
} leat_engine_cell;
void leat_engine_occupancy(const leat_engine *engine, uint32_t partition, leat_engine_cell *ret,
                           uint32_t count);

/* The subpartitions of one shard whose heads fail, grouped by cause (outcome, SQLSTATE, table). The
 * one that has failed for longest stands for its group. */
typedef struct leat_engine_trouble {
    leat_engine_outcome outcome; /* of its last attempt */
    const char *sqlstate; /* "": none. As are the message and the payload, borrowed until the next
                             event */
    const char *message;
    uint32_t partition;
    uint32_t subpartition;
    int64_t offset;      /* of its head */
    uint32_t table;      /* likewise */
    void *payload;       /* likewise; NULL: it is parked and not loaded now */
    int64_t accepted_ms; /* likewise; while it is parked and not loaded: nothing that its
                            subpartition has parked is older */
    int64_t since_us; /* begin of its first attempt that failed, under this claim or an earlier one
                         of this engine */
    int64_t claimed_us; /* when its partition was claimed last: before that another one may have
                           tried it in vain */
    uint32_t attempts;  /* of its subpartition, in vain */
    uint32_t count;     /* subpartitions in all */
    uint64_t parked;    /* records of theirs that are parked */
    bool halts;         /* one of them is the probe of a halted shard */
    bool is_guarded;    /* one of them waits because its table has had too many dead letters */
    bool no_room;       /* each of them waits because no more keys can be held, or no more be kept
                           of them */
    uint32_t held_keys; /* of its subpartition */
} leat_engine_trouble;
/* Returns how many were put into `ret`: the first `max` causes by partition and subpartition. */
uint32_t leat_engine_troubles(const leat_engine *engine, uint32_t shard, leat_engine_trouble *ret,
                              uint32_t max);

/* The record that holds a partition's low water: the first one that is held and not applied. */
typedef struct leat_engine_holder_view {
    int64_t offset;
    uint32_t subpartition;
    int64_t accepted_ms;
    void *payload;         /* borrowed until the next event, as are the texts below */
    int64_t since_us;      /* when it was read; or, once its subpartition was tried in vain, the
                              begin of the first attempt */
    bool is_in_flight;     /* in a batch that is not answered */
    bool is_behind_parked; /* earlier records of its subpartition are parked and go first: what was
                              tried in vain is theirs (leat_engine_troubles), not its */
    uint32_t attempts;     /* of its subpartition, in vain; while there are any the next three are
                              those of the last */
    leat_engine_outcome outcome;
    const char *sqlstate; /* "": none */
    const char *message;
} leat_engine_holder_view;
/* False: the partition holds no record. */
bool leat_engine_holder(const leat_engine *engine, uint32_t partition,
                        leat_engine_holder_view *ret);

/* Are the payloads of a batch that was given to a sink still held? A partition of it may have been
 * given back since: then some are released. */
bool leat_engine_is_current(const leat_engine *engine, const leat_engine_batch *batch);

/* The jobs of a shard that are in flight. */
typedef struct leat_engine_flight_view {
    uint32_t jobs;
    leat_engine_job_kind kind; /* of the oldest; NONE: there are none */
    int64_t since_us;
    uint32_t partition; /* of its first record, or it is of the partition as a whole: then `payload`
                           is NULL */
    int64_t offset;     /* of its first record; -1: it has none */
    void *payload;      /* likewise; borrowed until the next event */
} leat_engine_flight_view;
void leat_engine_flight(const leat_engine *engine, uint32_t shard, leat_engine_flight_view *ret);

/* How a shard is served. */
typedef struct leat_engine_shard_view {
    uint32_t slots;
    uint32_t limit;    /* most shared batches at once (concurrency.h); at most `slots` */
    double batch_us;   /* of the last batches that were applied, the median; 0: there are none */
    double level_us;   /* what a batch of 64 usual records takes now */
    double normal_us;  /* the same over the last ten minutes; 0: not known yet */
    double slowness;   /* level_us in terms of normal_us; 1: as usual, or not known */
    bool is_open;      /* its breaker (breaker.h): one job is tried at a time, the rest waits */
    int64_t open_us;   /* since when; meaningful while it is */
    uint32_t tenants;  /* with something that could run */
    uint64_t done;     /* records, ever, that wait no longer: applied, dead letters, kept or left
                          out */
    uint64_t unparked; /* records, ever, as records_unparked */
    leat_engine_parking parking;
    uint64_t split_by_locks; /* batches, ever, that met a locked row and went on in parts */
} leat_engine_shard_view;
void leat_engine_shard(const leat_engine *engine, uint32_t shard, leat_engine_shard_view *ret);

/* A table in a shard, as the guard of its dead letters sees it. */
typedef struct leat_engine_table_view {
    bool stopped;     /* refused records wait */
    uint32_t held;    /* subpartitions that wait for that reason */
    uint32_t refused; /* given up lately */
    uint32_t decided; /* applied or given up lately */
} leat_engine_table_view;
void leat_engine_table(const leat_engine *engine, uint32_t shard, uint32_t table,
                       leat_engine_table_view *ret);

const leat_engine_counters *leat_engine_count(const leat_engine *engine);
/* Conservation: the records taken, but for those in memory, dropped, or done in a way that is
 * counted: applied, left out, parked, kept or a dead letter. 0, or the engine has lost or doubled
 * some. */
int64_t leat_engine_unaccounted(const leat_engine *engine);

/* Walks everything and asserts every invariant: after each step in tests. */
void leat_engine_validate(const leat_engine *engine);

#endif
