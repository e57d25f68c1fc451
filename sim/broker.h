/*
 * broker.h - the simulated log: partitions of records with offsets, holes, a start that moves (retention), an end that can be
 * cut back (truncation), and a topic that can be made anew. A record, once written, stays in memory until the world ends,
 * so that whoever holds it may look at it.
 */
#ifndef SIM_BROKER_H
#define SIM_BROKER_H

#include "clock.h"
#include "record/item.h"
#include "schema.h"

/* What the database has against a record. */
typedef struct sim_poison {
    char sqlstate[6];     /* "": nothing */
    int64_t heals_at_us;  /* from then on it is accepted; INT64_MAX: never */
} sim_poison;

enum { SIM_FOREIGN = UINT32_MAX };

typedef struct sim_record {
    leat_record record; /* slices into `bytes` */
    char *bytes;
    uint32_t index;     /* in its partition */
    uint32_t request;   /* of the client, SIM_FOREIGN: from another producer */
    int32_t row;        /* that it writes; -1: it makes no sense, or it is misplaced */
    uint32_t subpartition;
    leat_route_op op;
    sim_poison poison;
    bool is_gone;       /* retention or truncation took it */
    bool is_cut_off;    /* truncation did: nobody need apply it */
    bool ever_applied;  /* a database has committed it, whatever became of that database */
    uint64_t refused;   /* world.serial when a worker was last told that it is bad data, alone; 0: since then its letter failed */
} sim_record;

typedef struct sim_partition {
    sim_record **records; /* by index */
    uint32_t count;
    uint32_t capacity;
    int64_t start;        /* the log's first offset */
    int64_t end;          /* the next offset */
    int64_t other_end;    /* the next offset in the topic that was made anew in place of this one */
    int64_t seen;         /* the highest offset that anybody has read; -1: none */
    uint32_t first;       /* index of the first record that is still there */
    bool is_damaged;      /* records are gone that were not applied: a person is needed */
    bool is_closed;       /* takes no writes */
} sim_partition;

typedef struct sim_broker {
    uint32_t partition_count; /* that leat knows of */
    uint32_t grown;           /* further ones, that it does not */
    sim_partition partitions[SIM_PARTITIONS_MAX];
    uint32_t topic;           /* made anew: another number */
    uint32_t record_count;
    sim_record **buried;  /* cut off before anybody saw them */
    uint32_t buried_count;
} sim_broker;

void sim_broker_begin(sim_world *world);
void sim_broker_end(sim_broker *broker);
/* Appends a copy and returns it with its offset; tells readers. `request` and `poison` are the client's. */
sim_record *sim_broker_append(sim_world *world, const leat_record *record, uint32_t request, const sim_poison *poison);
/* The first record with an offset of at least `offset` that is still there, NULL: none. */
sim_record *sim_broker_find(const sim_broker *broker, uint32_t partition, int64_t offset);
/* The record that stands at the offset, gone or not; NULL: none does. */
sim_record *sim_broker_at(const sim_broker *broker, uint32_t partition, int64_t offset);
/* A reader has read it. */
void sim_broker_saw(sim_broker *broker, const sim_record *record);

/* What retention, a lost leader and an operator do. */
void sim_broker_trim(sim_world *world, uint32_t partition, int64_t start);
void sim_broker_truncate(sim_world *world, uint32_t partition, int64_t end);
void sim_broker_recreate(sim_world *world);
/* A write to a topic that was made anew: its offset there. It is in no log that counts. */
int64_t sim_broker_append_elsewhere(sim_world *world, uint32_t partition);
void sim_broker_grow(sim_world *world);

#endif
