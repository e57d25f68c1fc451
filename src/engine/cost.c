/*
 * cost.c - see cost.h for the rules. All numbers are bounded, so that one absurd measurement (a
 * clock, a process that stood still) is forgotten after a few batches.
 */
#include "engine/cost.h"

#define FIXED_FIRST_US 1000.0
#define FIXED_MIN_US   20.0
#define ROW_FIRST_US   20.0
#define ROW_MIN_US     0.05
#define MOST_US        60e6

/* A stall shorter than this is the database's own, and harms nobody: it is not worth running the
 * tenants apart. */
#define SURPRISE_MIN_US 50000.0
#define SURPRISE_FACTOR 4.0
#define FIRST_FACTOR    32.0 /* of the first one: the first guess may be that far off */

#define RATE 0.125 /* of learning what a tenant costs */
/* One whose records make up next to nothing of a batch goes so far of the way back to what is
 * usual: a SMALL_PART-th of the batch's time keeps it where it is. */
#define LEAK        0.05
#define SMALL_PART  32.0
#define SHARD_RATE  0.25
#define OFF         2.0 /* times the estimate, or less than this part of it: */
#define OFF_RATE    0.0625
#define SPREAD_MIN  0.1
#define UNUSUAL     8.0
#define CALM_TIME   30e6 /* us */
#define NORMAL_TIME 600e6
#define LEVEL_ROWS  64.0
#define SEARCH_US   INT64_C(30000000)

#define ROWS_LEAST 2.0 /* times the fixed part may the records of a batch take */

/* Tried are so many times the records of the batches before, twice as many would tell little beside
 * chance; where one is thought to take no more than so many times what is usual. */
#define TRY_RECORDS 4.0
#define TRY_USUAL   4.0
#define TRY_MOST_US 10e6

/* Each class is three times the one before, and a cost leaves its class at twice or half of its
 * middle: so any two in one class lie within a factor of 4. */
#define CLASS_STEP  3.0
#define CLASS_LEAVE 2.0

enum { SHARD_SURPRISES = 4, LINE_BATCHES = 64 };

static double between(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

void leat_cost_init(leat_cost *cost)
{
    *cost = (leat_cost){.fixed_us = FIXED_FIRST_US, .usual_us = ROW_FIRST_US};
}

double leat_cost_level_us(const leat_cost *cost)
{
    return cost->fixed_us + LEVEL_ROWS * cost->usual_us;
}

double leat_cost_expected_us(double estimate_us)
{
    double most_us = SURPRISE_FACTOR * estimate_us;
    return most_us > estimate_us + SURPRISE_MIN_US ? most_us : estimate_us + SURPRISE_MIN_US;
}

bool leat_cost_surprises(double estimate_us, int64_t took_us)
{
    return (double)took_us > leat_cost_expected_us(estimate_us);
}

bool leat_cost_is_shard(const leat_cost *cost)
{
    return cost->surprises > SHARD_SURPRISES || cost->tried > 0;
}

leat_cost_lesson leat_cost_lesson_of(leat_cost *cost, double estimate_us, int64_t took_us,
                                     int64_t now_us)
{
    bool is_first = cost->batches == 0 && (double)took_us <= FIRST_FACTOR * estimate_us;
    if (is_first || !leat_cost_surprises(estimate_us, took_us)) {
        cost->surprises = 0;
        cost->as_thought_us = now_us;
        return LEAT_COST_LEARN;
    }
    if (leat_cost_is_shard(cost))
        return LEAT_COST_SHARD;
    cost->surprises++;
    return leat_cost_is_shard(cost) ? LEAT_COST_TURN : LEAT_COST_SPLIT;
}

uint32_t leat_cost_records_max(const leat_cost *cost)
{
    return cost->tried > 0 && cost->tried <= UINT32_MAX / 2 ? 2 * cost->tried : UINT32_MAX;
}

/* Towards `level_us`, of which so much is left after `time_us` as with a half-life. */
static double drift(double from_us, double level_us, int64_t since_us, double time_us)
{
    double part = between((double)since_us / time_us, 0, 1);
    return from_us + part * (level_us - from_us);
}

static void follow(leat_cost *cost, int64_t now_us)
{
    double level_us = leat_cost_level_us(cost);
    if (cost->calm_us == 0) {
        cost->calm_us = cost->normal_us = level_us;
        cost->began_us = now_us;
    }
    int64_t since_us = now_us - cost->changed_us;
    cost->changed_us = now_us;
    cost->calm_us = level_us < cost->calm_us ? drift(cost->calm_us, level_us, 1, 1 / RATE)
                                             : drift(cost->calm_us, level_us, since_us, CALM_TIME);
    /* The first batches often take long: they would be what is normal for ten minutes. */
    double age_us = between((double)(now_us - cost->began_us), 1, NORMAL_TIME);
    cost->normal_us = drift(cost->normal_us, level_us, since_us,
                            level_us < cost->normal_us ? age_us : NORMAL_TIME);
}

/* Does the line say how much a record takes? Batches of one size say nothing. */
static bool has_slope(const leat_cost *cost)
{
    double least = SPREAD_MIN * cost->mean_records;
    return cost->variance > least * least;
}

double leat_cost_rows_us(const leat_cost *cost, double most_us)
{
    double left_us = most_us - cost->fixed_us;
    double least_us = ROWS_LEAST * cost->fixed_us;
    return left_us > least_us ? left_us : least_us;
}

double leat_cost_try_us(const leat_cost *cost, double row_us)
{
    if (has_slope(cost) || row_us > TRY_USUAL * cost->usual_us)
        return 0;
    double us = TRY_RECORDS * cost->mean_records * row_us;
    return us < TRY_MOST_US ? us : TRY_MOST_US;
}

static void fit_line(leat_cost *cost)
{
    double most_us = (cost->mean_us - FIXED_MIN_US) / cost->mean_records;
    double slope_us = has_slope(cost) ? cost->covariance / cost->variance : cost->usual_us;
    cost->usual_us = between(slope_us, ROW_MIN_US, most_us > ROW_MIN_US ? most_us : ROW_MIN_US);
    cost->fixed_us =
        between(cost->mean_us - cost->usual_us * cost->mean_records, FIXED_MIN_US, MOST_US);
}

/* A new line, through this batch. */
static void begin_line(leat_cost *cost, const leat_cost_batch *batch)
{
    cost->mean_records = batch->records;
    cost->mean_us = (double)batch->took_us;
    cost->variance = cost->covariance = 0;
    cost->batches = 1;
}

static void add_to_line(leat_cost *cost, const leat_cost_batch *batch, double rate)
{
    double ratio = batch->rows_us / batch->records / cost->usual_us;
    bool is_unusual = ratio > UNUSUAL || ratio < 1 / UNUSUAL;
    cost->unusual = is_unusual ? cost->unusual + 1 : 0;
    if (is_unusual && cost->unusual < LINE_BATCHES / 2)
        return;
    if (is_unusual || cost->batches == 0) {
        /* Of which the records are as large a part as was thought. */
        double of_rows = batch->rows_us / (cost->fixed_us + batch->rows_us);
        cost->usual_us = (double)batch->took_us * of_rows / batch->records;
        begin_line(cost, batch);
    } else {
        double part = 1.0 / ++cost->batches;
        part = part > rate ? part : rate;
        double records = batch->records - cost->mean_records;
        double us = (double)batch->took_us - cost->mean_us;
        cost->mean_records += part * records;
        cost->mean_us += part * us;
        cost->variance = (1 - part) * (cost->variance + part * records * records);
        cost->covariance = (1 - part) * (cost->covariance + part * records * us);
        cost->batches = cost->batches < LINE_BATCHES ? cost->batches : LINE_BATCHES;
    }
    fit_line(cost);
}

/* The same slope, farther up. */
static void turn(leat_cost *cost, const leat_cost_batch *batch)
{
    begin_line(cost, batch);
    fit_line(cost);
    cost->unusual = 0;
    cost->tried = batch->records;
    cost->turned_us = batch->now_us;
}

static void search(leat_cost *cost, const leat_cost_batch *batch)
{
    bool is_found = cost->batches == LINE_BATCHES && has_slope(cost);
    if (batch->records > cost->tried)
        cost->tried = batch->records;
    if (is_found || batch->now_us - cost->turned_us > SEARCH_US)
        cost->tried = 0;
}

double leat_cost_learn(leat_cost *cost, const leat_cost_batch *batch, leat_cost_lesson lesson)
{
    LEAT_ASSERT(batch->records > 0 && lesson != LEAT_COST_SPLIT);
    double fixed_us = cost->fixed_us;
    double error_us = (double)batch->took_us - fixed_us - batch->rows_us;
    double ratio = (double)batch->took_us / (fixed_us + batch->rows_us);
    bool is_off = ratio > OFF || ratio < 1 / OFF;
    bool is_first = cost->batches == 0;
    if (lesson == LEAT_COST_TURN)
        turn(cost, batch);
    else
        add_to_line(cost, batch,
                    lesson == LEAT_COST_SHARD ? SHARD_RATE
                    : is_off                  ? OFF_RATE
                                              : 1.0 / LINE_BATCHES);
    if (cost->tried > 0)
        search(cost, batch);
    follow(cost, batch->now_us);
    double of_rows = batch->rows_us / (fixed_us + batch->rows_us);
    return is_first ? 0 : error_us * of_rows * of_rows;
}

double leat_cost_learn_record(const leat_cost *cost, double row_us, double share_us,
                              double error_us, const leat_cost_batch *batch)
{
    LEAT_ASSERT(batch->squares > 0 && share_us <= batch->rows_us);
    double factor = 1 + RATE * error_us * share_us / batch->squares;
    double learned_us = row_us * between(factor, 0.5, 2);
    double lost = 1 - SMALL_PART * share_us / batch->rows_us;
    double back = lost > 0 ? LEAK * lost : 0;
    return between(learned_us + back * (cost->usual_us - learned_us), ROW_MIN_US, MOST_US);
}

double leat_cost_learn_alone(const leat_cost *cost, const leat_cost_batch *batch)
{
    LEAT_ASSERT(batch->records > 0);
    double rows_us = (double)batch->took_us - cost->fixed_us;
    return between(rows_us / batch->records, ROW_MIN_US, MOST_US);
}

double leat_cost_most(double row_us, int64_t took_us, uint32_t records)
{
    LEAT_ASSERT(records > 0);
    return between(row_us, ROW_MIN_US, between((double)took_us / records, ROW_MIN_US, MOST_US));
}

static double middle_of(uint8_t class)
{
    double middle = 1;
    for (uint8_t i = 0; i < class; i++)
        middle *= CLASS_STEP;
    return middle;
}

uint8_t leat_cost_class(double row_us, uint8_t class)
{
    double middle = middle_of(class);
    bool is_lowest = class == 0 && row_us < middle;
    if (is_lowest || (row_us <= middle * CLASS_LEAVE && row_us >= middle / CLASS_LEAVE))
        return class;
    uint8_t found = 0;
    for (double border = 1.7320508; row_us > border && found + 1 < LEAT_COST_CLASSES;
         border *= CLASS_STEP)
        found++;
    return found;
}

double leat_cost_slowness(const leat_cost *cost, double estimate_us, int64_t took_us)
{
    if (cost->calm_us <= 0 || estimate_us <= 0)
        return 1;
    return (double)took_us / estimate_us * (leat_cost_level_us(cost) / cost->calm_us);
}
