/*
 * plan.c - the formulae. A shard works off full batches as soon as it is behind, so its capacity is
 * that of full batches; the connections are the fewest with which that is enough. Everything else
 * follows from the two.
 */
#include "plan/plan.h"

#include <math.h>
#include <string.h>

/* A shard that is busier than this when steady has too little left to catch up. */
#define BUSY_MOST 0.8
/* A partition's rate cannot grow later, because their number never changes. */
#define PARTITION_SPARE     2.0
#define PARTITIONS_OF_SHARD 2.0 /* the default of leat init */
/* One row alone fills batches of this many times the usual size (apply.batch_records). */
#define DEEP             10.0
#define DEEP_RECORDS_MAX 10000.0
/* Subpartitions of a partition, the default of log.subpartitions. */
#define SUBPARTITIONS 256.0
/* What one of several shards may have of a worker's room. */
#define SHARD_PART 0.5
/* A backlog that goes is looked at so many times. */
#define BACKLOG_STEPS 8
/* A locked row is parked for so long, at least, without holding up others. */
#define STUCK_S 600.0
/* Terms of a sum that are added one by one. */
#define EXACT 65536.0

double leat_plan_speed_up(double connections, double serial)
{
    return connections / (1 + serial * (connections - 1));
}

/* speed_up = n / (1 + serial (n - 1)), solved for it. */
double leat_plan_serial(double connections, double speed_up)
{
    if (connections <= 1)
        return 1;
    return fmin(1, fmax(0, (connections / speed_up - 1) / (connections - 1)));
}

/* Least squares, each batch weighted by 1 / time^2. */
void leat_plan_fit(const uint32_t *sizes, const double *batch_us, uint32_t count,
                   double *ret_fixed_us, double *ret_row_us)
{
    double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0;
    for (uint32_t i = 0; i < count; i++) {
        double x = sizes[i], y = batch_us[i], weight = 1 / (y * y);
        w += weight;
        wx += weight * x;
        wy += weight * y;
        wxx += weight * x * x;
        wxy += weight * x * y;
    }
    double spread = w * wxx - wx * wx;
    double row = spread > 0 ? (w * wxy - wx * wy) / spread : 0;
    *ret_row_us = fmax(row, batch_us[count - 1] / sizes[count - 1] / 100);
    *ret_fixed_us = fmax((wy - *ret_row_us * wx) / w, batch_us[0] / 100);
}

/* ---- Zipf ---- */

/* Calls `term` for the ranks: the first ones alone, the rest in blocks of ranks that are alike. */
static double sum_of_ranks(double from, double count, double (*term)(double rank, const double *of),
                           const double *of)
{
    double sum = 0, rank = from;
    for (; rank <= count && rank <= EXACT; rank++)
        sum += term(rank, of);
    while (rank <= count) {
        double width = fmin(floor(rank / 64), count - rank + 1);
        sum += width * term(rank + (width - 1) / 2, of);
        rank += width;
    }
    return sum;
}

static double weight(double rank, const double *of)
{
    return pow(rank, -of[0]);
}

static double square(double rank, const double *of)
{
    double share = pow(rank, -of[0]) * of[1];
    return share * share;
}

/* The chance that this rank is among of[2] draws. */
static double seen(double rank, const double *of)
{
    double share = pow(rank, -of[0]) * of[1];
    return share >= 1 ? 1 : -expm1(of[2] * log1p(-share));
}

double leat_plan_top_share(double count, double skew)
{
    return 1 / sum_of_ranks(1, count, weight, &skew);
}

double leat_plan_distinct(double records, double keys, double skew)
{
    if (keys < 1)
        return records;
    if (skew <= 0)
        return fmin(records, -keys * expm1(records * log1p(-1 / keys)));
    const double of[] = {skew, leat_plan_top_share(keys, skew), records};
    return fmin(records, sum_of_ranks(1, keys, seen, of));
}

/* The heaviest tenant, an even part of the others, and what chance adds to the fullest of so many
 * shards: that many standard deviations. */
double leat_plan_shard_share(double tenants, double skew, uint32_t shards)
{
    double even = 1.0 / shards;
    if (tenants < 1 || shards == 1)
        return even;
    double top = leat_plan_top_share(tenants, skew);
    const double of[] = {skew, top};
    double squares = sum_of_ranks(2, tenants, square, of);
    double chance = sqrt(2 * log((double)shards) * squares * even);
    return fmin(1, top + (1 - top) * even + chance);
}

/* ---- a shard ---- */

static double rows_of(const leat_plan_input *input, double batch)
{
    double keys = input->keys > 0 ? fmax(1, floor(input->keys / input->shards)) : 0;
    return leat_plan_distinct(batch, keys, input->key_skew);
}

/* Records, each of which has so many row writes. */
static double full_batch(const leat_plan_input *input, double row_writes)
{
    double fits = floor((LEAT_PLAN_BATCH_US - input->fixed_us) / (input->row_us * row_writes));
    return fmax(1, fmin(input->batch_records, fits));
}

static double batch_time(const leat_plan_input *input, double rows)
{
    return input->fixed_us + rows * input->row_us;
}

double leat_plan_capacity(const leat_plan_input *input, double connections)
{
    double batch = full_batch(input, 1);
    return leat_plan_speed_up(connections, input->serial) * batch * 1e6 /
           batch_time(input, rows_of(input, batch));
}

double leat_plan_held(const leat_plan_input *input)
{
    double fit = input->memory_max / (input->record_bytes + input->overhead_bytes);
    double part = input->shards > 1 ? SHARD_PART : 1;
    double partitions = input->partitions_max
                            ? fmax(1, floor((double)input->partitions_max / input->shards))
                            : PARTITIONS_OF_SHARD;
    /* Each holds at most as much as it leaves free. */
    part *= partitions / (partitions + 1);
    return fmax(1, floor(part * fmin(input->records_max, fit)));
}

/* Batches are of the deepest subpartitions, and all writes to a row are in one of these: so as many
 * are folded in a batch as among all records that are in memory. That is the mean over a backlog
 * that goes. */
double leat_plan_row_writes(const leat_plan_input *input, double backlog)
{
    double batch = full_batch(input, 1), sum = 0;
    for (int i = 0; i < BACKLOG_STEPS; i++) {
        double left = backlog * (i + 0.5) / BACKLOG_STEPS;
        double held = fmax(batch, fmin(left, leat_plan_held(input)));
        sum += rows_of(input, held) / held;
    }
    return sum / BACKLOG_STEPS;
}

double leat_plan_behind(const leat_plan_input *input, double connections, double backlog)
{
    double row_writes = leat_plan_row_writes(input, backlog);
    double batch = full_batch(input, row_writes);
    return leat_plan_speed_up(connections, input->serial) * batch * 1e6 /
           batch_time(input, batch * row_writes);
}

double leat_plan_reading(const leat_plan_input *input, double partitions, double workers,
                         double shard_writes_s)
{
    double others_s = fmax(0, input->writes_s - shard_writes_s) / workers;
    return fmin(workers, partitions) * fmax(1, 1e6 / input->reader_us - others_s);
}

double leat_plan_catch_up(double backlog, double capacity_s, double writes_s)
{
    if (backlog <= 0)
        return 0;
    return capacity_s > writes_s ? backlog / (capacity_s - writes_s) : INFINITY;
}

/* What the shard that gets most must be able to apply: the steady rate with something to spare; and
 * so much of the spike that the rest waits no longer than is allowed. */
static double needed_s(const leat_plan_input *input, uint32_t shards)
{
    double writes = input->writes_s *
                    leat_plan_shard_share(input->tenants, input->tenant_skew, shards);
    double spike = writes * input->spike;
    double steady = writes / BUSY_MOST;
    if (input->spike_s <= 0 || input->spike <= 1)
        return steady;
    return fmax(steady, spike * input->spike_s / (input->spike_s + input->lag_s));
}

static uint32_t least_connections(const leat_plan_input *input, double one_s, double needed)
{
    if (input->connections > 0)
        return input->connections;
    for (uint32_t n = 1; n < LEAT_PLAN_CONNECTIONS_MAX; n++)
        if (one_s * leat_plan_speed_up(n, input->serial) >= needed)
            return n;
    return LEAT_PLAN_CONNECTIONS_MAX;
}

/* With so many the shard that gets most is not too slow any longer. More shards never need more
 * each, so it is found by halving. */
static uint32_t shards_needed(const leat_plan_input *input, double most_s)
{
    uint32_t low = input->shards, high = LEAT_PLAN_SHARDS_MAX;
    if (high <= low || needed_s(input, high) > most_s)
        return 0;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (needed_s(input, middle) > most_s)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* ---- lag ---- */

/* While a batch runs the records of the next one come, and fill it: its time is the fixed part and
 * theirs. A record waits for half of one and is in the next. */
static double steady_lag(const leat_plan_input *input, const leat_plan *plan)
{
    double rows = plan->shard_writes_s * input->row_us / 1e6 /
                  leat_plan_speed_up(plan->connections, input->serial);
    double batch_us = rows < 1 ? input->fixed_us / (1 - rows) : INFINITY;
    return 1.5 * fmin(batch_us + input->row_us, plan->batch_us) / 1e6;
}

static void make_lags(const leat_plan_input *input, leat_plan *ret)
{
    double writes = ret->shard_writes_s, capacity = fmin(ret->capacity_s, ret->reading_s);
    ret->lag_s = steady_lag(input, ret);
    ret->busy = writes / ret->capacity_s;
    ret->spike_backlog = fmax(0, writes * input->spike - capacity) * input->spike_s;
    ret->spike_lag_s = ret->lag_s + ret->spike_backlog / capacity;
    ret->spike_catch_up_s = leat_plan_catch_up(ret->spike_backlog, capacity, writes);
    ret->outage_backlog = writes * input->outage_s;
    ret->held = leat_plan_held(input);
    ret->row_writes = leat_plan_row_writes(input, ret->outage_backlog);
    ret->behind_s =
        fmin(leat_plan_behind(input, ret->connections, ret->outage_backlog), ret->reading_s);
    /* Tenants are served in turn, so the first record of a heavy one may be the last of those that
     * were read first. */
    ret->outage_lag_s = ret->lag_s + input->outage_s +
                        fmin(ret->outage_backlog, ret->held) / ret->behind_s;
    ret->outage_catch_up_s = leat_plan_catch_up(ret->outage_backlog, ret->behind_s, writes);
}

/* ---- the log and its readers ---- */

static double threads_for(const leat_plan_input *input, double records_s)
{
    return records_s * input->reader_us / 1e6;
}

static void make_readers(const leat_plan_input *input, leat_plan *ret)
{
    double of_shard =
        fmax(PARTITIONS_OF_SHARD, ceil(PARTITION_SPARE * threads_for(input, ret->needed_s)));
    double wanted = of_shard * input->shards;
    double limit = input->partitions_max ? input->partitions_max : LEAT_PLAN_PARTITIONS_MAX;
    double least = input->shards * fmax(1, ceil(threads_for(input, ret->needed_s)));
    if (least > limit && ret->shortage == LEAT_PLAN_ENOUGH)
        ret->shortage = LEAT_PLAN_PARTITIONS;
    ret->partitions = (uint32_t)fmin(fmax(wanted, input->shards), limit);
    double peak_s = input->writes_s * ret->needed_s / ret->shard_writes_s;
    ret->workers = (uint32_t)fmin(ret->partitions, fmax(1, ceil(threads_for(input, peak_s))));
    ret->reading_s = leat_plan_reading(input,
                                       fmax(1, floor((double)ret->partitions / input->shards)),
                                       ret->workers, ret->shard_writes_s);
}

/* A row's records are applied one batch after another, each folded into one write. */
static void make_hot_row(const leat_plan_input *input, leat_plan *ret)
{
    double deep = fmax(ret->batch, fmin(DEEP * input->batch_records, DEEP_RECORDS_MAX));
    double share = input->keys >= 1 ? leat_plan_top_share(input->keys, input->key_skew) : 0;
    ret->hot_row_s = input->writes_s * input->spike * share;
    ret->hot_row_most_s = deep * 1e6 / (batch_time(input, 1) + deep * input->reader_us);
    if (ret->hot_row_s > ret->hot_row_most_s && ret->shortage == LEAT_PLAN_ENOUGH)
        ret->shortage = LEAT_PLAN_HOT_ROW;
}

/* What is stuck behind one row is its subpartition, and no less than what the row itself gets. */
static void make_room(const leat_plan_input *input, leat_plan *ret)
{
    double partitions = fmax(1, floor((double)ret->partitions / input->shards));
    double row = ret->hot_row_s / input->spike;
    double stuck = fmax(row, ret->shard_writes_s / (partitions * SUBPARTITIONS));
    double for_s = fmax(STUCK_S, input->outage_s);
    /* A subpartition has at most half of its partition's share. */
    ret->parked_bytes = stuck * for_s * input->record_bytes * 2 * partitions;
    double longest =
        fmax(ret->outage_lag_s + ret->outage_catch_up_s, input->spike_s + ret->spike_catch_up_s);
    ret->log_bytes =
        isfinite(longest) ? input->writes_s * input->spike * longest * input->record_bytes : 0;
}

void leat_plan_make(const leat_plan_input *input, leat_plan *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->share = leat_plan_shard_share(input->tenants, input->tenant_skew, input->shards);
    ret->shard_writes_s = input->writes_s * ret->share;
    ret->needed_s = needed_s(input, input->shards);
    ret->batch = full_batch(input, 1);
    ret->rows = rows_of(input, ret->batch);
    ret->batch_us = batch_time(input, ret->rows);
    double one_s = leat_plan_capacity(input, 1);
    ret->most_s = one_s * leat_plan_speed_up(LEAT_PLAN_CONNECTIONS_MAX, input->serial);
    ret->connections = least_connections(input, one_s, ret->needed_s);
    ret->capacity_s = one_s * leat_plan_speed_up(ret->connections, input->serial);
    if (ret->most_s < ret->needed_s) {
        ret->shortage = LEAT_PLAN_ROWS;
        ret->shards_needed = shards_needed(input, ret->most_s);
    } else if (ret->capacity_s < ret->needed_s) {
        ret->shortage = LEAT_PLAN_CONNECTIONS;
    }
    make_readers(input, ret);
    make_lags(input, ret);
    make_hot_row(input, ret);
    make_room(input, ret);
}

/* ---- what makes no sense ---- */

int leat_plan_check(const leat_plan_input *input, leat_error *error)
{
    const struct {
        const char *name;
        double value, min, max;
    } numbers[] = {
        {"the fixed time of a batch, in microseconds,", input->fixed_us, 1, 1e7},
        {"the time of a row, in microseconds,", input->row_us, 0.001, 1e7},
        {"the serial part", input->serial, 0, 1},
        {"the time of a record in a worker, in microseconds,", input->reader_us, 0.001, 1e6},
        {"writes a second", input->writes_s, 1, 1e9},
        {"the spike's factor", input->spike, 1, 1e4},
        {"the spike's length, in seconds,", input->spike_s, 0, 1e6},
        {"the lag allowed, in seconds,", input->lag_s, 0.001, 1e6},
        {"the outage, in seconds,", input->outage_s, 0, 1e6},
        {"the number of tenants", input->tenants, 0, 1e10},
        {"the number of keys", input->keys, 0, 1e12},
        {"the skew of tenants", input->tenant_skew, 0, 4},
        {"the skew of keys", input->key_skew, 0, 4},
        {"the bytes of a record", input->record_bytes, 1, 1e8},
        {"the number of shards", input->shards, 1, LEAT_PLAN_SHARDS_MAX},
        {"the number of connections", input->connections, 0, LEAT_PLAN_CONNECTIONS_MAX},
        {"apply.records", input->records_max, 1, 1e9},
        {"apply.memory, in bytes,", input->memory_max, 1, 1e12},
        {"what a record takes besides, in bytes,", input->overhead_bytes, 0, 1e6},
        {"the records of a batch", input->batch_records, 1, 65536},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(numbers[i].value >= numbers[i].min && numbers[i].value <= numbers[i].max))
            return leat_fail(error, "%s must be from %g to %g, not %g", numbers[i].name,
                             numbers[i].min, numbers[i].max, numbers[i].value);
    return 0;
}
