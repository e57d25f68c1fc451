/* check_repeats.c - repeats: of the writes with one idempotency key one has an effect, and nothing
 * counts as its repeat without it. By the texts in the log, and not by hashes. */
#include "check.h"
#include "notes.h"
#include "world.h"

static bool has_key(const sim_record *record)
{
    return record->record.idempotency.size > 0 && record->row >= 0;
}

static bool is_of_key(const sim_record *a, const sim_record *b)
{
    return a != b && a->row == b->row && has_key(b) &&
           leat_slice_equal(a->record.idempotency, b->record.idempotency);
}

static bool says_the_same(const sim_record *a, const sim_record *b)
{
    return a->op == b->op && leat_slice_equal(a->record.value, b->record.value) &&
           leat_slice_equal(a->record.route, b->record.route);
}

static bool is_applied_before(const sim_state *state, const sim_commit *commit, uint32_t before,
                              const sim_record *record)
{
    for (uint32_t i = 0; i < before; i++)
        if (commit->fates[i].record == record && commit->fates[i].fate == FATE_APPLIED)
            return true;
    return sim_state_fate(state, record) == FATE_APPLIED;
}

/* The write with the record's key that is applied; NULL: none is. */
static const sim_record *find_applied(const sim_world *world, const sim_state *state,
                                      const sim_commit *commit, uint32_t at)
{
    const sim_record *record = commit->fates[at].record;
    const sim_partition *partition = &world->broker.partitions[record->record.partition];
    for (uint32_t i = 0; has_key(record) && i < partition->count; i++)
        if (is_of_key(record, partition->records[i]) &&
            is_applied_before(state, commit, at, partition->records[i]))
            return partition->records[i];
    return NULL;
}

void sim_check_repeats(sim_world *world, const sim_state *state, const sim_commit *commit)
{
    for (uint32_t i = 0; i < commit->fate_count; i++) {
        const sim_record *record = commit->fates[i].record;
        sim_fate fate = commit->fates[i].fate;
        if (fate != FATE_APPLIED && fate != FATE_REPEAT)
            continue;
        const sim_record *first = find_applied(world, state, commit, i);
        if (fate == FATE_APPLIED && first)
            sim_fail(world, "repeats",
                     "partition %u offset %lld is applied, and so was offset %lld, with its key",
                     record->record.partition, (long long)record->record.offset,
                     (long long)first->record.offset);
        if (fate == FATE_REPEAT && (!first || !says_the_same(record, first)))
            sim_fail(world, "repeats", "partition %u offset %lld counts as a repeat, and %s",
                     record->record.partition, (long long)record->record.offset,
                     first ? "says something else" : "nothing with its key is applied");
        world->sometimes->count[SOMETIMES_REPEATED] += fate == FATE_REPEAT;
    }
}

bool sim_check_is_conflict(const sim_world *world, const sim_state *state, const sim_commit *commit,
                           uint32_t at)
{
    const sim_record *first = find_applied(world, state, commit, at);
    return first && !says_the_same(commit->fates[at].record, first);
}
