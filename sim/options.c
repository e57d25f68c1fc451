/*
 * options.c - one table of all options: range, how each is drawn, and whether it is a fault. The
 * draws must not depend on the machine, so scales are drawn as powers of two and not by logarithms.
 * An option that is given by name is set after all were drawn, so the others of its seed stay as
 * they were.
 */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/placement.h"
#include "edges.h"

enum { MUCH_POISON = 64 };

/* How an option is drawn. */
typedef enum drawing {
    UNIFORM, /* from min to max */
    SCALE,   /* from min to max, small ones as likely as large ones */
    FAULT,   /* 0 in half of the worlds, else as SCALE */
    RARE,    /* 0 in all but one of sixteen, else as SCALE */
} drawing;

typedef struct option_rule {
    const char *name;
    drawing drawing;
    int64_t min, max;
    int64_t least; /* the smallest value for shrinking */
} option_rule;

static const option_rule rules[OPTION_COUNT] = {
    [OPT_PROCESSES] = {"processes", UNIFORM, 1, 4, 1},
    [OPT_SHARDS] = {"shards", UNIFORM, 1, 3, 1},
    [OPT_PARTITIONS] = {"partitions", UNIFORM, 1, 6, 1},
    [OPT_APPS] = {"apps", UNIFORM, 1, 6, 1},
    [OPT_IDS] = {"ids", SCALE, 1, 24, 1},
    [OPT_RECORDS] = {"records", SCALE, 40, 600, 1},
    [OPT_DURATION_MS] = {"duration_ms", SCALE, 4000, 40000, 1000},
    [OPT_HEAL_MS] = {"heal_ms", UNIFORM, 450000, 450000, 450000},
    [OPT_CONNECTIONS] = {"connections", UNIFORM, 1, 4, 1},
    [OPT_RECORDS_MAX] = {"records_max", SCALE, 16, 2048, 16},
    [OPT_BYTES_MAX] = {"bytes_max", SCALE, 16384, 1 << 22, 16384},
    [OPT_BATCH_RECORDS_MAX] = {"batch_records_max", SCALE, 1, 256, 1},
    [OPT_BATCH_BYTES_MAX] = {"batch_bytes_max", SCALE, 2048, 1 << 20, 2048},
    [OPT_AGE_BOUND_MS] = {"age_bound_ms", SCALE, 5, 500, 5},
    [OPT_COMPACT_EVERY_MS] = {"compact_every_ms", SCALE, 50, 5000, 50},
    [OPT_VERIFY_EVERY_MS] = {"verify_every_ms", SCALE, 4000, 60000, 4000},
    [OPT_COMMIT_EVERY_MS] = {"commit_every_ms", SCALE, 50, 5000, 50},
    [OPT_DRAIN_MS] = {"drain_ms", SCALE, 50, 10000, 50},
    [OPT_RETRY_MIN_MS] = {"retry_min_ms", SCALE, 5, 100, 5},
    [OPT_RETRY_MAX_MS] = {"retry_max_ms", SCALE, 200, 4000, 200},
    [OPT_PATIENCE_MS] = {"patience_ms", SCALE, 10, 8000, 10},
    [OPT_RECLAIM_MIN_MS] = {"reclaim_min_ms", SCALE, 10, 1000, 10},
    [OPT_DEAD_LETTERS_PER_MINUTE] = {"dead_letters_per_minute", SCALE, 1, 10000, 1},
    [OPT_LATENCY_US] = {"latency_us", SCALE, 50, 20000, 50},
    [OPT_STATEMENT_US] = {"statement_us", SCALE, 20, 20000, 20},
    [OPT_LOCK_TIMEOUT_MS] = {"lock_timeout_ms", SCALE, 50, 3000, 50},
    [OPT_SESSION_TIMEOUT_MS] = {"session_timeout_ms", SCALE, 300, 6000, 300},
    [OPT_HEARTBEAT_MS] = {"heartbeat_ms", SCALE, 50, 300, 50},
    [OPT_NOTICE_MS] = {"notice_ms", SCALE, 1, 4000, 1},
    [OPT_HOT] = {"hot", UNIFORM, 0, 800, 0},
    [OPT_PUT] = {"put", UNIFORM, 0, 400, 0},
    [OPT_DELETE] = {"delete", UNIFORM, 0, 200, 0},
    [OPT_POISON] = {"poison", FAULT, 2, 100, 0},
    [OPT_KILLER] = {"killer", FAULT, 1, 20, 0},
    [OPT_CRASHER] = {"crasher", FAULT, 100, 1000, 0},
    [OPT_POISON_HEALS] = {"poison_heals", UNIFORM, 0, 1, 0},
    [OPT_FOREIGN] = {"foreign", FAULT, 5, 300, 0},
    [OPT_BAD_REQUESTS] = {"bad_requests", FAULT, 5, 200, 0},
    [OPT_GAPS] = {"gaps", FAULT, 5, 500, 0},
    [OPT_ACK_LOST] = {"ack_lost", FAULT, 2, 100, 0},
    [OPT_NOT_APPENDED] = {"not_appended", FAULT, 2, 100, 0},
    [OPT_COMMIT_LOST] = {"commit_lost", FAULT, 5, 500, 0},
    [OPT_EAGER] = {"eager", UNIFORM, 0, 1, 0},
    [OPT_REBALANCE] = {"rebalance", FAULT, 500, 20000, 0},
    [OPT_TRANSACTION] = {"transaction", FAULT, 200, 20000, 0},
    [OPT_TRIM] = {"trim", FAULT, 500, 20000, 0},
    [OPT_RETENTION] = {"retention", RARE, 2000, 40000, 0},
    [OPT_TRUNCATE] = {"truncate", RARE, 2000, 40000, 0},
    [OPT_RECREATE] = {"recreate", RARE, 10000, 80000, 0},
    [OPT_GROW] = {"grow", RARE, 2000, 40000, 0},
    [OPT_KAFKA_CUT] = {"kafka_cut", FAULT, 1000, 30000, 0},
    [OPT_CRASH] = {"crash", FAULT, 1000, 30000, 0},
    [OPT_DRAIN] = {"drain", FAULT, 1000, 30000, 0},
    [OPT_FREEZE] = {"freeze", FAULT, 500, 30000, 0},
    [OPT_CONNECTION_CUT] = {"connection_cut", FAULT, 100, 10000, 0},
    [OPT_STUCK] = {"stuck", FAULT, 20, 600, 0},
    [OPT_STOP] = {"stop", FAULT, 1000, 30000, 0},
    [OPT_PAUSE] = {"pause", FAULT, 1000, 30000, 0},
    [OPT_FAILOVER] = {"failover", FAULT, 1000, 30000, 0},
    [OPT_SPLIT_BRAIN] = {"split_brain", FAULT, 100, 1000, 0},
    [OPT_POOLER] = {"pooler", FAULT, 100, 1000, 0},
    [OPT_LAG_COMMITS] = {"lag_commits", FAULT, 1, 40, 0},
    [OPT_READ_ONLY] = {"read_only", FAULT, 1000, 30000, 0},
    [OPT_SLOW] = {"slow", FAULT, 1000, 30000, 0},
    [OPT_ERRORS] = {"errors", FAULT, 2, 200, 0},
    [OPT_FATAL] = {"fatal", FAULT, 2, 100, 0},
    [OPT_DEFERRED] = {"deferred", FAULT, 2, 100, 0},
    [OPT_DRIFT] = {"drift", FAULT, 2000, 30000, 0},
    [OPT_NOT_UNDERSTOOD] = {"not_understood", FAULT, 2000, 30000, 0},
    [OPT_FOREIGN_LOCK] = {"foreign_lock", FAULT, 200, 20000, 0},
    [OPT_REFUSE_ALL] = {"refuse_all", FAULT, 1000, 30000, 0},
    [OPT_LOCKED_MS] = {"locked_ms", SCALE, 50, 10000, 50},
    [OPT_PARKED_MAX_KB] = {"parked_max_kb", SCALE, 1, 4096, 1},
    [OPT_PARK_AFTER_MS] = {"park_after_ms", SCALE, 5, 2000, 5},
    [OPT_PARK_TAIL_MS] = {"park_tail_ms", SCALE, 5, 5000, 5},
    [OPT_CHUNK_RECORDS_MAX] = {"chunk_records_max", SCALE, 1, 256, 1},
    [OPT_BLOCK] = {"block", FAULT, 500, 30000, 0},
    [OPT_SUBPARTITIONS] = {"subpartitions", SCALE, 8, LEAT_SUBPARTITIONS_MAX, 8},
    [OPT_WINDOW] = {"window", UNIFORM, 0, LEAT_TENANT_WINDOW_MAX, 0},
    [OPT_ON_REFUSED] = {"on_refused", FAULT, 1, 26, 0},
    [OPT_HELD_KEYS_MAX] = {"held_keys_max", SCALE, 2, 256, 1},
    [OPT_PERSON] = {"person", FAULT, 50, 5000, 0},
    [OPT_STAYS_LOCKED] = {"stays_locked", FAULT, 1, 8, 0},
    [OPT_DEAR] = {"dear", RARE, 2, 40, 0},
    [OPT_LAG_LIMIT_MS] = {"lag_limit_ms", FAULT, 20, 10000, 0},
    [OPT_SWOLLEN] = {"swollen", FAULT, 500, 20000, 0},
    [OPT_KEYS] = {"keys", FAULT, 50, 1000, 0},
    [OPT_REPEATS] = {"repeats", SCALE, 20, 600, 20},
    [OPT_ASYNC] = {"async", FAULT, 1, 7, 0},
    [OPT_SERVER_CRASH] = {"server_crash", FAULT, 500, 20000, 0},
    [OPT_FLUSH_MS] = {"flush_ms", SCALE, 1, 600, 1},
    [OPT_AWAITED] = {"awaited", SCALE, 10, 1000, 0},
    [OPT_MODE] = {"mode", RARE, 1500, 20000, 0},
    [OPT_EDGES] = {"edges", UNIFORM, 1, SIM_EDGES_MAX, 1},
    [OPT_EDGE_CRASH] = {"edge_crash", FAULT, 2000, 30000, 0},
    [OPT_LOOK_EVERY_MS] = {"look_every_ms", SCALE, 500, 5000, 500},
    [OPT_CONNECTIONS_TOTAL] = {"connections_total", FAULT, 1, 12, 0},
};

/* A power of two below the span is drawn first, so that no logarithm's rounding depends on the
 * machine. */
static int64_t draw_scale(const option_rule *rule, leat_prng *prng)
{
    uint32_t doublings = 0;
    while ((rule->min << (doublings + 1)) <= rule->max)
        doublings++;
    int64_t low = rule->min << leat_prng_below(prng, doublings + 1);
    int64_t high = 2 * low < rule->max ? 2 * low : rule->max;
    return low + (int64_t)leat_prng_below(prng, (uint64_t)(high - low + 1));
}

static int64_t draw(const option_rule *rule, leat_prng *prng)
{
    if (rule->drawing == UNIFORM)
        return rule->min + (int64_t)leat_prng_below(prng, (uint64_t)(rule->max - rule->min + 1));
    uint64_t on = leat_prng_below(prng, 16);
    int64_t value = draw_scale(rule, prng);
    if ((rule->drawing == FAULT && on >= 8) || (rule->drawing == RARE && on > 0))
        return 0;
    return value;
}

void sim_options_draw(sim_options *options, leat_prng *prng)
{
    for (sim_option i = 0; i < OPTION_COUNT; i++)
        options->values[i] = draw(&rules[i], prng);
    if (options->values[OPT_PARTITIONS] < options->values[OPT_SHARDS])
        options->values[OPT_PARTITIONS] = options->values[OPT_SHARDS];
    /* Else a table stops in one world of thousands. */
    if (options->values[OPT_POISON] >= MUCH_POISON)
        options->values[OPT_DEAD_LETTERS_PER_MINUTE] = 1;
}

int sim_options_set(sim_options *options, const char *setting, leat_error *error)
{
    const char *equals = strchr(setting, '=');
    if (!equals)
        return leat_fail(error, "%s: name=value is wanted", setting);
    for (sim_option i = 0; i < OPTION_COUNT; i++) {
        if (strlen(rules[i].name) != (size_t)(equals - setting) ||
            memcmp(rules[i].name, setting, (size_t)(equals - setting)) != 0)
            continue;
        char *end;
        errno = 0;
        options->values[i] = strtoll(equals + 1, &end, 10);
        if (errno || end == equals + 1 || *end || options->values[i] < 0)
            return leat_fail(error, "%s: a whole number is wanted, 0 or more", setting);
        return 0;
    }
    return leat_fail(error, "%s: there is no option of this name", setting);
}

const char *sim_option_name(sim_option option)
{
    return rules[option].name;
}

void sim_options_write(const sim_options *options, leat_buf *out)
{
    for (sim_option i = 0; i < OPTION_COUNT; i++)
        leat_buf_printf(out, "%s%s=%lld", i ? " " : "", rules[i].name,
                        (long long)options->values[i]);
}

bool sim_option_is_fault(sim_option option)
{
    return rules[option].drawing == FAULT || rules[option].drawing == RARE;
}

int64_t sim_option_smaller(const sim_options *options, sim_option option)
{
    int64_t value = options->values[option];
    int64_t least = option == OPT_PARTITIONS ? options->values[OPT_SHARDS] : rules[option].least;
    if (value <= least)
        return value;
    /* A rate is a distance: a fault that is not needed is left out, one that is needed stays. */
    if (sim_option_is_fault(option))
        return 0;
    int64_t half = value / 2;
    return half > least ? half : least;
}
