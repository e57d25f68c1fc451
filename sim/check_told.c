/*
 * check_told.c - told: nobody who waits hears of a write what no database has on its disk. The
 * simulator's requests do not wait; its table of waits is here, stands in for the real one, and
 * looks at everything that a worker tells.
 */
#include "check.h"
#include "world.h"

leat_write_waits *sim_told(sim_world *world)
{
    return (leat_write_waits *)world; /* all that it has */
}

/* ---- what workers call ---- */

void leat_write_waits_own(leat_write_waits *waits, uint32_t partition, bool is_owned)
{
    (void)waits;
    (void)partition;
    (void)is_owned;
}

bool leat_write_waits_is_wanted(const leat_write_waits *waits, uint32_t partition)
{
    (void)waits;
    (void)partition;
    return true;
}

bool leat_write_waits_wants(const leat_write_waits *waits, uint32_t partition, int64_t offset)
{
    const sim_world *world = (const sim_world *)waits;
    uint64_t place = ((uint64_t)offset + 1) * UINT64_C(0x9e3779b97f4a7c15) + partition;
    return (int64_t)((place >> 32) % 1000) < world->options.values[OPT_AWAITED];
}

void leat_write_waits_begin(leat_write_waits *waits)
{
    LEAT_ASSERT(waits);
}

void leat_write_waits_end(leat_write_waits *waits)
{
    LEAT_ASSERT(waits);
}

/* One of those that were ever at this offset: of a log that was cut off there are several, and a
 * batch may be of an earlier one. */
static bool is_true_of_any(const sim_partition *partition, int64_t offset, unsigned fate)
{
    bool is = false;
    for (uint32_t i = 0; i < partition->count; i++)
        is = is || (partition->records[i]->record.offset == offset &&
                    partition->records[i]->fates_ever & 1u << fate);
    return is;
}

/* A database that has lost it since, in a failover, is not the worker's lie. */
void leat_write_waits_tell(leat_write_waits *waits, uint32_t partition, int64_t offset,
                           leat_write_state state, const char *sqlstate, const char *message)
{
    static const sim_fate fates[LEAT_WRITE_STATE_COUNT] = {[LEAT_WRITE_APPLIED] = FATE_APPLIED,
                                                           [LEAT_WRITE_DEAD_LETTER] = FATE_DEAD,
                                                           [LEAT_WRITE_HELD] = FATE_KEPT,
                                                           [LEAT_WRITE_SKIPPED] = FATE_LEFT_OUT};
    sim_world *world = (sim_world *)waits;
    const sim_record *record = sim_broker_at(&world->broker, partition, offset);
    (void)sqlstate;
    (void)message;
    const sim_partition *log = &world->broker.partitions[partition];
    bool is_true = record && record->fates_ever & 1u << fates[state];
    bool is_repeat = state == LEAT_WRITE_APPLIED && is_true_of_any(log, offset, FATE_REPEAT);
    if (!is_true && !is_repeat && !is_true_of_any(log, offset, fates[state]))
        sim_fail(world, "told", "partition %u offset %lld is told to be %s, and no database has it",
                 partition, (long long)offset, leat_write_state_name(state));
    world->sometimes->count[SOMETIMES_TOLD]++;
}

/* ---- what the edge calls, where requests wait ---- */

const char *leat_write_state_name(leat_write_state state)
{
    static const char *const names[LEAT_WRITE_STATE_COUNT] = {"pending", "applied", "a dead letter",
                                                              "held", "skipped"};
    return names[state];
}

void leat_write_waits_listen(leat_write_waits *waits, void (*on_decided)(void *context),
                             void *context)
{
    LEAT_ASSERT(!waits && !on_decided && !context);
}

void leat_write_waits_expect(leat_write_waits *waits, uint32_t partition)
{
    LEAT_ASSERT(!waits && !partition);
}

void leat_write_waits_expected(leat_write_waits *waits, uint32_t partition)
{
    LEAT_ASSERT(!waits && !partition);
}

uint64_t leat_write_waits_add(leat_write_waits *waits, const leat_write_place *place,
                              bool takes_pending, void *owner)
{
    LEAT_ASSERT(!waits && !place && !takes_pending && !owner);
    return 0;
}

void leat_write_waits_remove(leat_write_waits *waits, uint64_t id)
{
    LEAT_ASSERT(!waits && !id);
}

uint32_t leat_write_waits_take(leat_write_waits *waits, leat_write_decided *ret, uint32_t most)
{
    LEAT_ASSERT(!waits && !ret && !most);
    return 0;
}

uint64_t leat_write_waits_questions(const leat_write_waits *waits)
{
    LEAT_ASSERT(!waits);
    return 0;
}
