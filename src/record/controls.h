/*
 * controls.h - what operators have told leat to do with the records of a tenant or of one key, for
 * a time: to skip them, or to hold their keys. Each shard keeps its own (leat.controls); a set is
 * what one read has found there, and the sets of all shards are published here for the workers.
 *
 * A set never changes. Whoever uses one holds it; the last one frees it. A control ends by itself:
 * its end is a time of leat_mono_us, counted from the read by the database's clock, so that this
 * machine's wall clock does not matter.
 */
#ifndef LEAT_RECORD_CONTROLS_H
#define LEAT_RECORD_CONTROLS_H

#include "record/item.h"

enum {
    LEAT_CONTROLS_MAX = 1000, /* of one shard at a time */
    LEAT_CONTROL_REASON_MAX = 200,
    LEAT_CONTROL_TIME_SIZE = 32,
    LEAT_CONTROL_KEEP_MAX = 10000,
    LEAT_CONTROL_NAME_SIZE = 240,
    /* of a text that has a whole key and all that is said of it */
    LEAT_CONTROL_TEXT_SIZE = LEAT_KEY_BYTES_MAX + LEAT_CONTROL_REASON_MAX +
                             2 * LEAT_CONTROL_NAME_SIZE,
};

/* One control. `table` NULL: of a tenant, else of the row with this key. */
typedef struct leat_control {
    int64_t id;                         /* leat.controls.id: unique in its shard */
    const char *table;                  /* its label, as the configuration has it */
    const char *what;                   /* tenant or key, canonical and percent-encoded */
    int64_t until_us;                   /* leat_mono_us: it ends then */
    char until[LEAT_CONTROL_TIME_SIZE]; /* the same: RFC 3339, UTC */
    char since[LEAT_CONTROL_TIME_SIZE];
    bool holds;    /* the keys of its records become held (sink/held.h); else they are skipped */
    uint32_t keep; /* dead letters kept of what it skips in a partition: the newest; 0: none */
    const char *reason; /* the operator's; "": none */
} leat_control;

/* Tenants that edges refuse for now make a set, too. Workers report them, as facts of these kinds:
 * a tenant ("tenant") that fills the shard with parked records, or to which much of what waits for
 * it belongs; and how long its writes are to be refused ("wait_s"). In the set, `keep` is that time
 * and `reason` the kind. */
#define LEAT_FLOOD_KIND "flood"
#define LEAT_LATE_KIND  "late"

/* The name of a tenant in these facts and in that set, by which worker and edge mean the same one:
 * its text, percent-encoded; of one that is too long its begin, `#` and a hash of all of it, put
 * into `room`. No text has a `#`. */
enum { LEAT_FLOOD_NAME_SIZE = 128 };
leat_slice leat_flood_name(leat_slice tenant, char room[LEAT_FLOOD_NAME_SIZE]);

typedef struct leat_control_set leat_control_set;

/* "skipped by control 5 of tenant 7 until 2026-01-01T00:00:00.000Z: reason", or "held by ...".
 * Where `size` is too small, a long tenant or key is cut. In LEAT_CONTROL_TEXT_SIZE it is whole. */
void leat_control_describe(const leat_control *control, char *ret, size_t size);

/* "tenant 7", "key subs 7/1", cut likewise. */
void leat_control_name(const char *table, const char *what, char *ret, size_t size);

/* Empty. */
leat_control_set *leat_control_set_new(void);
/* Adds a copy, its texts too; before the set is published or searched. -1: it has
 * LEAT_CONTROLS_MAX. */
int leat_control_set_add(leat_control_set *set, const leat_control *control) LEAT_MUST_CHECK;
uint32_t leat_control_set_count(const leat_control_set *set);
/* In the order in which they were added. Borrowed. */
const leat_control *leat_control_set_at(const leat_control_set *set, uint32_t index);
/* The control that a record comes under now: that of its key before that of its tenant; NULL: none.
 * A record that could not be decoded comes under none. Borrowed. */
const leat_control *leat_control_set_find(const leat_control_set *set, const leat_item *item,
                                          int64_t now_us);
/* The same by a record's route and canonical key. */
const leat_control *leat_control_set_find_key(const leat_control_set *set, const leat_route *route,
                                              leat_slice key, int64_t now_us);
/* The control of a tenant, percent-encoded, now; NULL: none. Borrowed. */
const leat_control *leat_control_set_find_tenant(const leat_control_set *set, leat_slice tenant,
                                                 int64_t now_us);
/* How many of them hold keys, ended or not. */
uint32_t leat_control_set_holds(const leat_control_set *set);
/* How many have not ended. */
uint32_t leat_control_set_active(const leat_control_set *set, int64_t now_us);
void leat_control_set_drop(leat_control_set *set); /* NULL: none */

/* The newest set of each shard. Any thread. */
typedef struct leat_controls leat_controls;

/* Each begins with an empty set. */
leat_controls *leat_controls_new(uint32_t shard_count);
void leat_controls_free(leat_controls *controls);
/* What a read that began at `read_us` (leat_mono_us) found; takes the set. Of two reads the one
 * that began later counts, whichever ends first. */
void leat_controls_publish(leat_controls *controls, uint32_t shard, leat_control_set *set,
                           int64_t read_us);
/* Changes with each set whose controls are others than before. Cheap: one load. */
uint32_t leat_controls_version(const leat_controls *controls, uint32_t shard);
/* To be dropped. */
leat_control_set *leat_controls_hold(leat_controls *controls, uint32_t shard);

#endif
