/*
 * broker.h - the simulated log: partitions of records with offsets, holes and markers, transactions
 * of others that hold back the records after them, a start that moves (retention), an end that can
 * be cut back (truncation, with a new leader epoch) and grow again, and a topic that can be
 * recreated. A record, once written, stays in memory until the world ends, so that any holder can
 * still read it.
 */
#ifndef SIM_BROKER_H
#define SIM_BROKER_H

#include <string.h>

#include "clock.h"
#include "record/item.h"
#include "schema.h"

/* The reason why the database refuses a record. */
typedef struct sim_poison {
    char sqlstate[6];    /* "": nothing; SIM_KILLS, SIM_CRASHES */
    int64_t heals_at_us; /* from then on it is accepted; INT64_MAX: never */
} sim_poison;

/* It is not refused: the session that writes it ends, or all of the server's, until the world is
 * repaired. */
#define SIM_KILLS   "kill"
#define SIM_CRASHES "crash"

static inline bool sim_poison_kills(const sim_poison *poison)
{
    return strcmp(poison->sqlstate, SIM_KILLS) == 0 || strcmp(poison->sqlstate, SIM_CRASHES) == 0;
}

enum { SIM_FOREIGN = UINT32_MAX };
enum { SIM_PROCESSES_MAX = 4 };

enum { SIM_EPOCHS_MAX = 64 };

typedef struct sim_record {
    leat_record record; /* slices into `bytes` */
    char *bytes;
    uint32_t index;   /* in its partition, by when it was appended */
    uint32_t request; /* of the client, SIM_FOREIGN: from another producer */
    int32_t row;      /* that it writes; -1: it is malformed, or misplaced */
    uint32_t subpartition;
    leat_route_op op;
    sim_poison poison;
    bool is_gone;       /* retention or truncation took it */
    bool is_cut_off;    /* truncation did: nobody need apply it */
    bool is_reused;     /* somebody has seen another record at its offset */
    uint8_t fates_ever; /* bits 1 << sim_fate: what a database has ever committed of it, so that no
                           crash takes it back */
    bool ever_applied;  /* a database has committed it so, or that it is parked, even if that
                           database  was lost */
    struct {
        uint64_t life; /* of the process that read it */
        /* when it did first in this life, less the time in which it had stood still */
        int64_t at_us;
        uint64_t refused;   /* world.serial when its worker last got bad data for it, alone; 0: not
                               in this life, or since then its letter failed */
        uint64_t held_back; /* the same, when that was the worker's own: a control holds its key */
    } read[SIM_PROCESSES_MAX];
} sim_record;

typedef struct sim_partition {
    sim_record **records; /* by index */
    uint32_t count;
    sim_record **live; /* those that were not cut off, by offset */
    uint32_t live_count;
    uint32_t capacity; /* of both */
    int64_t start;     /* the log's first offset */
    int64_t end;       /* the next offset */
    int64_t other_end; /* the next offset in the topic that was recreated in place of this one */
    int64_t seen; /* the highest offset that anybody has read since the last truncation; -1: none */
    int64_t reused; /* offsets below it were seen, and cut off */
    int64_t open;   /* the first offset of an open transaction: nothing from there on can be read;
                       INT64_MAX: none */
    int32_t epoch;  /* of its leader: each truncation is an election */
    int64_t epoch_starts[SIM_EPOCHS_MAX];
    uint32_t first;  /* the first of `live` that is still there */
    bool is_damaged; /* records were lost that were not applied: a person is needed */
    bool is_closed;  /* takes no writes */
} sim_partition;

typedef struct sim_broker {
    uint32_t partition_count; /* that leat knows of */
    uint32_t grown;           /* further ones, that it does not */
    sim_partition partitions[SIM_PARTITIONS_MAX];
    uint32_t topic; /* recreated: another number */
    uint32_t record_count;
} sim_broker;

/* Need nobody apply it? It was cut off; or it took the offset of one that was, and retention took
 * it before anybody read it, which nobody can tell from what had been applied. */
static inline bool sim_record_is_lost(const sim_record *record)
{
    return record->is_cut_off || (record->is_gone && record->is_reused);
}

/* `from` with what it refers to copied to `bytes`, which has room for it. */
leat_record sim_record_copy(const leat_record *from, char *bytes, size_t size);

void sim_broker_begin(sim_world *world);
void sim_broker_end(sim_broker *broker);
/* Appends a copy and returns it with its offset; wakes readers. `request` and `poison` are the
 * client's. */
sim_record *sim_broker_append(sim_world *world, const leat_record *record, uint32_t request,
                              const sim_poison *poison);
/* The first record with an offset of at least `offset` that is still there and can be read, NULL:
 * none. */
sim_record *sim_broker_find(const sim_broker *broker, uint32_t partition, int64_t offset);
/* The record at the offset, or the one there before retention took it; NULL: none. */
sim_record *sim_broker_at(const sim_broker *broker, uint32_t partition, int64_t offset);
/* The record that the item was read from; if it was cut off since, its offset may now have another
 * one, in a higher epoch. */
sim_record *sim_broker_read(const sim_broker *broker, const leat_item *item);
/* A reader has read all up to the offset, whether or not it has a record. */
void sim_broker_saw(sim_broker *broker, uint32_t partition, int64_t offset);

/* The offset after the last record of that leader epoch or an earlier one. */
int64_t sim_broker_epoch_end(const sim_partition *partition, int32_t epoch);
/* The end of the readable part. */
int64_t sim_broker_stable(const sim_partition *partition);

/* Another producer's transaction: it begins, unless one is open, and ends with a marker. */
void sim_broker_begin_transaction(sim_world *world, uint32_t partition);
void sim_broker_end_transaction(sim_world *world, uint32_t partition);

/* The effects of retention, a lost leader and an operator. */
void sim_broker_trim(sim_world *world, uint32_t partition, int64_t start);
void sim_broker_truncate(sim_world *world, uint32_t partition, int64_t end);
void sim_broker_recreate(sim_world *world);
/* A write to a topic that was recreated: its offset there. It is in no log that counts. */
int64_t sim_broker_append_elsewhere(sim_world *world, uint32_t partition);
void sim_broker_grow(sim_world *world);

#endif
