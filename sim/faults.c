/*
 * faults.c - one function for each kind of fault, and one table of their rates. Each kind plans its
 * next time by itself, so any of them may coincide with any other. The end of a fault is planned
 * when it begins: the world must heal by itself, or liveness could not be checked.
 */
#include "faults.h"

#include "disk.h"
#include "world.h"

/* ---- whom it meets ---- */

static sim_process *some_process(sim_world *world)
{
    return &world->processes[sim_below(world, world->process_count)];
}

static uint32_t some_shard(sim_world *world)
{
    return sim_below(world, world->schema.catalog.layout.shard_count);
}

static uint32_t some_partition(sim_world *world)
{
    return sim_below(world, world->broker.partition_count);
}

static int64_t until_us(sim_world *world, int64_t mean_ms)
{
    return world->clock.now_us + 1000 * sim_around(world, mean_ms);
}

/* ---- processes ---- */

static void crash(sim_world *world)
{
    sim_process_crash(world, some_process(world));
}

static void drain(sim_world *world)
{
    sim_process_drain(world, some_process(world));
}

/* Often just long enough to be expelled. */
static void freeze(sim_world *world)
{
    sim_process_freeze(world, some_process(world),
                       until_us(world, world->options.values[OPT_SESSION_TIMEOUT_MS]));
}

static void cut_log(sim_world *world)
{
    sim_process *process = some_process(world);
    if (process->log_cut_until_us > world->clock.now_us)
        return;
    sim_trace(world, "process %u cannot reach the log", process->index);
    process->log_cut_until_us = until_us(world, world->options.values[OPT_SESSION_TIMEOUT_MS]);
}

static void cut_connection(sim_world *world)
{
    sim_process *process = some_process(world);
    uint32_t shard = some_shard(world);
    if (process->is_alive)
        sim_sink_cut(world, process->sinks[shard],
                     sim_chance(world, world->options.values[OPT_STUCK]));
}

/* ---- the group and the log ---- */

static void rebalance(sim_world *world)
{
    sim_trace(world, "group: rebalances");
    sim_group_rebalance(world);
}

/* No later failover takes back records that the log may forget now. */
static void keep_for_good(sim_world *world, uint32_t partition)
{
    sim_shard *shard = &world->shards[sim_world_shard_of(world, partition)];
    uint32_t count = sim_server_view_of(shard->primary).commit_count;
    uint32_t lag = (uint32_t)world->options.values[OPT_LAG_COMMITS];
    if (count > lag && count - lag > shard->kept)
        shard->kept = count - lag;
}

static void trim(sim_world *world)
{
    uint32_t p = some_partition(world);
    int64_t low = sim_world_safe_low(world, p);
    keep_for_good(world, p);
    world->sometimes->count[SOMETIMES_TRIMMED] += low >= 0;
    sim_broker_trim(world, p, low + 1);
}

static void lose_by_retention(sim_world *world)
{
    uint32_t p = some_partition(world);
    const sim_partition *partition = &world->broker.partitions[p];
    int64_t span = partition->end - partition->start;
    keep_for_good(world, p);
    if (span > 0)
        sim_broker_trim(world, p, partition->start + 1 + (int64_t)sim_below(world, (uint32_t)span));
}

static void on_transaction_over(sim_world *world, void *object, uint64_t partition)
{
    (void)object;
    sim_broker_end_transaction(world, (uint32_t)partition);
}

static void transact(sim_world *world)
{
    uint32_t p = some_partition(world);
    world->sometimes->count[SOMETIMES_TRANSACTION]++;
    sim_broker_begin_transaction(world, p);
    sim_clock_plan(&world->clock, until_us(world, 1500), on_transaction_over, NULL, p);
}

static void truncate_log(sim_world *world)
{
    uint32_t p = some_partition(world);
    world->sometimes->count[SOMETIMES_TRUNCATED]++;
    sim_broker_truncate(world, p,
                        world->broker.partitions[p].end - 1 - (int64_t)sim_below(world, 8));
}

static void recreate(sim_world *world)
{
    world->sometimes->count[SOMETIMES_RECREATED]++;
    sim_broker_recreate(world);
}

static void grow(sim_world *world)
{
    world->sometimes->count[SOMETIMES_GROWN]++;
    sim_broker_grow(world);
    sim_group_rebalance(world);
}

/* ---- databases ---- */

static void on_server_up(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    sim_server_start(world, object);
}

static void stop_server(sim_world *world)
{
    uint32_t shard = some_shard(world);
    sim_server *server = world->shards[shard].primary;
    if (!sim_server_view_of(server).is_up)
        return;
    sim_trace(world, "shard %u: the server stops", shard);
    world->sometimes->count[SOMETIMES_SERVER_STOPPED]++;
    sim_server_stop(world, server);
    sim_clock_plan(&world->clock, until_us(world, 1000), on_server_up, server, 0);
}

static void crash_server(sim_world *world)
{
    sim_server *server = world->shards[some_shard(world)].primary;
    if (sim_server_view_of(server).is_up)
        sim_server_crash(world, server, sim_chance(world, world->options.values[OPT_POOLER]));
}

static void pause_server(sim_world *world)
{
    uint32_t shard = some_shard(world);
    sim_trace(world, "shard %u: the server is paused", shard);
    world->sometimes->count[SOMETIMES_SERVER_PAUSED]++;
    sim_server_pause(world, world->shards[shard].primary, until_us(world, 1000));
}

static void on_old_ends(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    sim_shard *shard = object;
    if (!shard->old)
        return;
    sim_trace(world, "the old primary ends");
    sim_server_stop(world, shard->old);
    shard->old = NULL;
}

static void retire(sim_world *world, sim_shard *shard, sim_server *old)
{
    if (!sim_chance(world, world->options.values[OPT_SPLIT_BRAIN])) {
        sim_server_stop(world, old);
        return;
    }
    world->sometimes->count[SOMETIMES_SPLIT_BRAIN]++;
    shard->old = old;
    sim_clock_plan(&world->clock, until_us(world, 1500), on_old_ends, shard, 0);
}

/* Without its last `lag` commits, but for those that no failover takes back. */
static void fail_over_shard(sim_world *world, uint32_t at, uint32_t lag, bool is_hidden)
{
    sim_shard *shard = &world->shards[at];
    uint32_t count = sim_server_view_of(shard->primary).commit_count;
    uint32_t kept = count > lag ? count - lag : 0;
    kept = kept > shard->kept ? kept : shard->kept;
    sim_trace(world, "shard %u: fails over, %u commits of %u are lost", at, count - kept, count);
    world->sometimes->count[SOMETIMES_FAILOVER]++;
    world->sometimes->count[SOMETIMES_TAIL_LOST] += kept < count;
    sim_server *old = shard->primary;
    shard->primary = sim_server_new(world, at, old, kept);
    shard->all[shard->count++] = shard->primary;
    if (is_hidden) {
        world->sometimes->count[SOMETIMES_HANDED_OVER]++;
        sim_server_hand_over(old, shard->primary);
        sim_server_stop(world, old);
    } else {
        retire(world, shard, old);
    }
}

static bool can_fail_over(const sim_shard *shard)
{
    return !shard->old && shard->count < SIM_SERVERS_MAX;
}

static void fail_over(sim_world *world)
{
    uint32_t at = some_shard(world);
    if (!can_fail_over(&world->shards[at]))
        return;
    uint32_t lag = sim_below(world, (uint32_t)world->options.values[OPT_LAG_COMMITS] + 1);
    fail_over_shard(world, at, lag, sim_chance(world, world->options.values[OPT_POOLER]));
}

static void on_untimely(sim_world *world, void *object, uint64_t commit)
{
    sim_shard *shard = object;
    uint32_t count = sim_server_view_of(shard->primary).commit_count;
    bool is_possible = can_fail_over(shard) && commit >= shard->kept && commit < count &&
                       count - commit <= (uint64_t)world->options.values[OPT_LAG_COMMITS];
    if (is_possible && !world->is_healing)
        fail_over_shard(world, (uint32_t)(shard - world->shards), count - (uint32_t)commit, true);
}

void sim_faults_lose_soon(sim_world *world, uint32_t shard, uint32_t commit)
{
    bool may = world->options.values[OPT_FAILOVER] > 0 && world->options.values[OPT_POOLER] > 0;
    if (may && sim_below(world, 2) > 0)
        sim_clock_plan(&world->clock, world->clock.now_us + sim_latency_us(world), on_untimely,
                       &world->shards[shard], commit);
}

static void on_writable(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    sim_server_read_only(object, false);
}

static void make_read_only(sim_world *world)
{
    uint32_t shard = some_shard(world);
    sim_trace(world, "shard %u: the server is read-only", shard);
    world->sometimes->count[SOMETIMES_READ_ONLY]++;
    sim_server_read_only(world->shards[shard].primary, true);
    sim_clock_plan(&world->clock, until_us(world, 1000), on_writable, world->shards[shard].primary,
                   0);
}

static void on_fast(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    sim_server_slow(object, 1);
}

static void slow_down(sim_world *world)
{
    uint32_t shard = some_shard(world);
    sim_trace(world, "shard %u: the server is slow", shard);
    world->sometimes->count[SOMETIMES_SLOW]++;
    sim_server_slow(world->shards[shard].primary, 2 + sim_below(world, 30));
    sim_clock_plan(&world->clock, until_us(world, 1500), on_fast, world->shards[shard].primary, 0);
}

static void drift(sim_world *world)
{
    uint32_t shard = some_shard(world);
    sim_trace(world, "shard %u: a column is missing", shard);
    sim_server_fail_all(world->shards[shard].primary, "42703", until_us(world, 1500));
}

static void not_understood(sim_world *world)
{
    uint32_t shard = some_shard(world);
    sim_trace(world, "shard %u: answers XX001", shard);
    sim_server_fail_all(world->shards[shard].primary, "XX001", until_us(world, 1500));
}

static void refuse_all(sim_world *world)
{
    uint32_t shard = some_shard(world);
    const char *state = sim_below(world, 2) ? "54000" : "53100";
    sim_trace(world, "shard %u: takes no writes, %s", shard, state);
    world->sometimes->count[SOMETIMES_REFUSED_ALL]++;
    sim_server_refuse(world->shards[shard].primary, state, until_us(world, 1500));
}

/* The first row is the one that many writes are for. */
static uint32_t some_row(sim_world *world)
{
    return sim_below(world, 2) ? 0 : sim_below(world, world->schema.row_count);
}

/* One row, or a number of them, as a person's transaction may. */
static void lock_rows(sim_world *world)
{
    uint32_t shard = some_shard(world);
    uint32_t count = sim_below(world, 3) == 0 ? 10 : 1;
    for (uint32_t i = 0; i < count; i++)
        sim_server_lock_row(world->shards[shard].primary, some_row(world),
                            until_us(world, world->options.values[OPT_LOCKED_MS]));
}

/* ---- when ---- */

static const struct {
    sim_option rate;
    void (*strike)(sim_world *world);
} faults[] = {
    {OPT_CRASH, crash},
    {OPT_DRAIN, drain},
    {OPT_FREEZE, freeze},
    {OPT_KAFKA_CUT, cut_log},
    {OPT_CONNECTION_CUT, cut_connection},
    {OPT_REBALANCE, rebalance},
    {OPT_TRANSACTION, transact},
    {OPT_TRIM, trim},
    {OPT_RETENTION, lose_by_retention},
    {OPT_TRUNCATE, truncate_log},
    {OPT_RECREATE, recreate},
    {OPT_GROW, grow},
    {OPT_STOP, stop_server},
    {OPT_PAUSE, pause_server},
    {OPT_FAILOVER, fail_over},
    {OPT_READ_ONLY, make_read_only},
    {OPT_SLOW, slow_down},
    {OPT_DRIFT, drift},
    {OPT_NOT_UNDERSTOOD, not_understood},
    {OPT_FOREIGN_LOCK, lock_rows},
    {OPT_REFUSE_ALL, refuse_all},
    {OPT_BLOCK, sim_controls_block},
    {OPT_PERSON, sim_persons_act},
    {OPT_SWOLLEN, sim_disk_swell},
    {OPT_SERVER_CRASH, crash_server},
    {OPT_MODE, sim_modes_change},
    {OPT_EDGE_CRASH, sim_edges_crash},
};

static void on_fault(sim_world *world, void *object, uint64_t at);

static void plan_fault(sim_world *world, uint64_t at)
{
    int64_t rate_ms = world->options.values[faults[at].rate];
    if (rate_ms > 0)
        sim_clock_plan(&world->clock, world->clock.now_us + sim_around(world, 1000 * rate_ms),
                       on_fault, NULL, at);
}

static void on_fault(sim_world *world, void *object, uint64_t at)
{
    (void)object;
    if (world->is_healing)
        return;
    faults[at].strike(world);
    plan_fault(world, at);
}

void sim_faults_begin(sim_world *world)
{
    for (uint32_t i = 0; i < sizeof faults / sizeof *faults; i++)
        plan_fault(world, i);
}

static void heal_server(sim_world *world, sim_server *server)
{
    sim_server_start(world, server);
    sim_server_read_only(server, false);
    sim_server_slow(server, 1);
    sim_server_pause(world, server, 0);
    sim_server_fail_all(server, "", 0);
    sim_server_refuse(server, "", 0);
}

void sim_faults_heal(sim_world *world)
{
    sim_trace(world, "nothing goes wrong from now on");
    world->is_healing = true;
    sim_persons_begin(world);
    for (uint32_t p = 0; p < world->broker.partition_count; p++)
        sim_broker_end_transaction(world, p);
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++) {
        on_old_ends(world, &world->shards[shard], 0);
        heal_server(world, world->shards[shard].primary);
        world->shards[shard].parked_size = 0;
        for (int64_t i = 0; i < world->options.values[OPT_STAYS_LOCKED]; i++)
            sim_server_lock_row(world->shards[shard].primary, some_row(world), INT64_MAX);
    }
}

void sim_faults_mend(sim_world *world)
{
    sim_trace(world, "nothing is stuck from now on");
    world->is_mended = true;
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++)
        sim_server_unlock_rows(world->shards[shard].primary);
}
