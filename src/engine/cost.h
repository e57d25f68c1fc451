/*
 * cost.h - what the work of a shard takes, in database time: a fixed part for each batch (round
 * trip, commit) and a part for each record, which every tenant has of its own (tenants.h).
 *
 * Both are learned from the batches that were applied. A line through their sizes and times has the
 * fixed part where it begins (decayed linear regression over the batches whose records are neither
 * cheap nor expensive). The rest is the records': what a batch took beyond its estimate is shared
 * out by what each tenant contributed to it, the larger ones more than their share; since batches
 * differ, the tenants separate. (Normalized least mean squares, relative to the size of each
 * part.) A batch says nothing of a tenant that has a fiftieth of it, so its cost goes a little of
 * the way back to what is usual: else chance would drive some of many tenants far away from it.
 *
 * A batch that took much longer than estimated teaches nothing: an average would charge all for
 * one. Its tenants run in smaller groups once, those of a group that takes too long in still
 * smaller ones, and what a tenant takes alone is its own. (Each alone at once would be hundreds of
 * tiny batches whenever the disk stands still.) When several in a row took too long it is the shard
 * that has become slow, not a tenant. The first one of all hardly can.
 *
 * What takes longer in a slow shard is not known at first: a round trip and a commit, or each
 * record. The line begins anew, as if it were the former, and is *searched*: until it has sizes
 * enough to tell, a batch has at most twice the records of the largest since. So batches grow
 * quickly if only the fixed part has grown, and none is far too long if that was wrong. Meanwhile
 * no tenant is suspected.
 */
#ifndef LEAT_ENGINE_COST_H
#define LEAT_ENGINE_COST_H

#include "base/base.h"

enum { LEAT_COST_CLASSES = 16 };

typedef struct leat_cost {
    double fixed_us;
    double usual_us; /* of a record: the line's slope, and what a new tenant is thought to cost */
    double mean_records, mean_us, variance, covariance; /* of the line's batches, decayed */
    uint32_t batches;   /* of the line, up to a number that is enough */
    uint32_t unusual;   /* batches in a row that are none of the line's */
    double calm_us;     /* level_us, as it was lately: follows a lower one at once, a higher one in
                           half a minute */
    double normal_us;   /* the same: the mean of ten minutes, or since the first batch */
    int64_t began_us;   /* when that was */
    int64_t changed_us; /* when these two were last brought up to date; 0: never */
    int64_t as_thought_us; /* when a batch last took no longer than that */
    int64_t turned_us;     /* when the shard turned slow */
    uint32_t tried;    /* while the line is searched: the most records of a batch since; else 0 */
    uint8_t surprises; /* batches in a row that took much longer than estimated */
} leat_cost;

void leat_cost_init(leat_cost *cost);
/* What a batch of 64 usual records takes: how fast the shard is, whoever is served. */
double leat_cost_level_us(const leat_cost *cost);

typedef enum leat_cost_lesson {
    LEAT_COST_LEARN, /* leat_cost_learn, then leat_cost_learn_record for each tenant */
    LEAT_COST_SHARD, /* the same, but quickly */
    LEAT_COST_TURN,  /* a new line; what surprised lately was not the tenants' */
    LEAT_COST_SPLIT, /* nothing: its tenants run in smaller groups */
} leat_cost_lesson;

/* The longest that a batch takes by chance, */
double leat_cost_expected_us(double estimate_us);
/* and did one take longer? */
bool leat_cost_surprises(double estimate_us, int64_t took_us);
/* If one does, is it the shard's doing? */
bool leat_cost_is_shard(const leat_cost *cost);
/* What a batch teaches that took `took_us`. */
leat_cost_lesson leat_cost_lesson_of(leat_cost *cost, double estimate_us, int64_t took_us,
                                     int64_t now_us);
/* At most so many records may a batch have. */
uint32_t leat_cost_records_max(const leat_cost *cost);
/* How long the records of a batch may take that is to take `most_us`. Twice as long as its fixed
 * part at least: where that alone takes longer, batches of one record would take hardly less. */
double leat_cost_rows_us(const leat_cost *cost, double most_us);
/* How long they may take, if each takes `row_us`, to find out whether they do; 0 where it is known.
 * Batches of one size do not tell, and would stay that small: the next may have four times as many.
 */
double leat_cost_try_us(const leat_cost *cost, double row_us);

/* A batch as estimated: `rows_us` is the sum of what each tenant contributed, without the fixed
 * part, and `squares` the sum of the squares of that. */
typedef struct leat_cost_batch {
    double rows_us;
    double squares;
    uint32_t records;
    int64_t took_us;
    int64_t now_us;
} leat_cost_batch;

/* Returns how much the batch says about its records: its difference from the estimate, in us, but
 * the less the more it consists of the fixed part. Nothing if it is the first: that made the line.
 */
double leat_cost_learn(leat_cost *cost, const leat_cost_batch *batch, leat_cost_lesson lesson);
/* The record cost of a tenant that contributed `share_us` to the batch, after it. */
double leat_cost_learn_record(const leat_cost *cost, double row_us, double share_us,
                              double error_us, const leat_cost_batch *batch);
/* The record cost of the only tenant of a batch that surprised, from that batch alone. */
double leat_cost_learn_alone(const leat_cost *cost, const leat_cost_batch *batch);

/* `row_us`, but so many records took no longer than `took_us`. */
double leat_cost_most(double row_us, int64_t took_us, uint32_t records);

/* Costs of one class lie within a factor of 4. `class` is the one it is in: a cost near a border
 * stays where it is. */
uint8_t leat_cost_class(double row_us, uint8_t class);
/* How many times longer than lately (calm) a batch took. */
double leat_cost_slowness(const leat_cost *cost, double estimate_us, int64_t took_us);

#endif
