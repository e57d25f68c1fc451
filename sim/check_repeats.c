/* check_repeats.c - repeats: of the writes with one idempotency key one has an effect, whichever
 * way each of them goes, and nothing counts as its repeat without it. By the texts that clients
 * have sent, and not by hashes. */
#include <stdio.h>

#include "check.h"
#include "notes.h"
#include "world.h"

/* A write to a row. */
typedef struct keyed {
    const leat_record *record; /* NULL: there is none */
    const sim_record *logged;  /* NULL: it is in no log */
    uint32_t row;
    leat_route_op op;
    leat_slice key; /* empty: it has none */
} keyed;

/* A commit up to, and without, one of its fates. */
typedef struct moment {
    const sim_world *world;
    const sim_state *state;
    const sim_commit *commit; /* NULL: after all that is committed */
    uint32_t fates;
} moment;

static keyed of_log(const sim_world *world, const sim_record *record)
{
    keyed ret = {&record->record, record, (uint32_t)record->row, record->op, {"", 0}};
    if (record->row >= 0 && record->request != SIM_FOREIGN)
        ret.key = leat_slice_of(world->clients.requests[record->request]->key);
    return ret;
}

static keyed of_none(const sim_direct_write *write)
{
    return (keyed){write->record, NULL, write->row, write->op, write->record->idempotency};
}

static bool is_of_key(const keyed *a, const keyed *b)
{
    return a->record != b->record && a->row == b->row && b->key.size > 0 &&
           leat_slice_equal(a->key, b->key);
}

static bool says_the_same(const keyed *a, const keyed *b)
{
    return a->op == b->op && leat_slice_equal(a->record->value, b->record->value) &&
           leat_slice_equal(a->record->route, b->record->route);
}

static bool is_applied(const moment *at, const sim_record *record)
{
    for (uint32_t i = 0; i < at->fates; i++)
        if (at->commit->fates[i].record == record && at->commit->fates[i].fate == FATE_APPLIED)
            return true;
    return sim_state_fate(at->state, record) == FATE_APPLIED;
}

/* The write with the key of this one that is applied; without `record`: none is. */
static keyed find_applied(const moment *at, const keyed *write)
{
    const sim_partition *log = &at->world->broker.partitions[write->record->partition];
    for (uint32_t i = 0; write->key.size > 0 && i < log->count; i++) {
        keyed other = of_log(at->world, log->records[i]);
        if (log->records[i]->row >= 0 && is_of_key(write, &other) &&
            is_applied(at, log->records[i]))
            return other;
    }
    for (uint32_t i = 0; write->key.size > 0 && i < at->state->direct_count; i++) {
        keyed other = of_none(&at->state->direct[i]);
        if (is_of_key(write, &other))
            return other;
    }
    return (keyed){.record = NULL};
}

static void name(const keyed *write, char *ret, size_t size)
{
    if (write->logged)
        snprintf(ret, size, "partition %u offset %lld", write->record->partition,
                 (long long)write->record->offset);
    else
        snprintf(ret, size, "a write into the database");
}

static void check_applied(sim_world *world, const moment *at, const keyed *write)
{
    char second[64], before[64];
    keyed first = find_applied(at, write);
    if (!first.record)
        return;
    name(write, second, sizeof second);
    name(&first, before, sizeof before);
    sim_fail(world, "repeats", "%s is applied, and so was %s, with its key %.*s", second, before,
             (int)write->key.size, write->key.data);
}

static void check_repeat(sim_world *world, const moment *at, const keyed *write)
{
    keyed first = find_applied(at, write);
    if (!first.record || !says_the_same(write, &first))
        sim_fail(world, "repeats", "partition %u offset %lld counts as a repeat, and %s",
                 write->record->partition, (long long)write->record->offset,
                 first.record ? "says something else" : "nothing with its key is applied");
    world->sometimes->count[SOMETIMES_REPEATED]++;
    world->sometimes->count[SOMETIMES_REPEATS_OTHER_WAY] += !first.logged;
}

void sim_check_repeats(sim_world *world, const sim_state *state, const sim_commit *commit)
{
    moment at = {world, state, commit, 0};
    for (; at.fates < commit->fate_count; at.fates++) {
        keyed write = of_log(world, commit->fates[at.fates].record);
        if (commit->fates[at.fates].fate == FATE_APPLIED)
            check_applied(world, &at, &write);
        else if (commit->fates[at.fates].fate == FATE_REPEAT)
            check_repeat(world, &at, &write);
    }
    if (commit->kind == COMMIT_DIRECT) {
        keyed write = of_none(&commit->direct);
        check_applied(world, &at, &write);
    }
}

bool sim_check_is_conflict(const sim_world *world, const sim_state *state, const sim_commit *commit,
                           uint32_t at)
{
    keyed write = of_log(world, commit->fates[at].record);
    keyed first = find_applied(&(moment){world, state, commit, at}, &write);
    return first.record && !says_the_same(&write, &first);
}

void sim_check_known(sim_world *world, const sim_server *server, const sim_direct_write *direct,
                     leat_direct_outcome outcome)
{
    moment at = {world, sim_server_view_of(server).state, NULL, 0};
    keyed write = of_none(direct);
    keyed first = find_applied(&at, &write);
    if (!first.record)
        sim_fail(world, "repeats",
                 "a request hears that a write with its key is applied, and none "
                 "is");
    if (says_the_same(&write, &first) != (outcome == LEAT_DIRECT_REPEATED))
        sim_fail(world, "repeats", "a request hears that it says %s as the write with its key",
                 outcome == LEAT_DIRECT_REPEATED ? "the same" : "not the same");
    bool is_on_disk = !first.logged || (first.logged->fates_ever & 1u << FATE_APPLIED);
    if (outcome == LEAT_DIRECT_REPEATED && !is_on_disk)
        sim_fail(world, "repeats",
                 "a request hears that partition %u offset %lld is applied, and a crash may take "
                 "that back",
                 first.record->partition, (long long)first.record->offset);
    world->sometimes->count[SOMETIMES_REPEATS_OTHER_WAY] += first.logged != NULL;
}
