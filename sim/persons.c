/*
 * persons.c - people who look at held keys: they retry what is kept, some records at a time, or
 * give up the first one. They have no claim. Each step is a transaction that waits for nobody: the
 * order of its locks against a batch's is tested on real databases.
 */
#include <string.h>

#include "check.h"
#include "direct.h"
#include "server_state.h"

enum { AGAIN_MS = 300, STEP_MAX = 5 };

/* A malformed record: nothing can ever be made of it. */
static bool is_senseless(const sim_record *record)
{
    return record->row < 0 || strcmp(record->poison.sqlstate, "none") == 0;
}

/* A write that is in no log has its row, or its key. */
static bool is_taken(const sim_world *world, const sim_server *server, const sim_record *record)
{
    leat_write_id id;
    return sim_directs_have_row(server, (uint32_t)record->row) ||
           (sim_notes_identify(world, record, &id) && sim_directs_have_noted(server, &id));
}

static bool is_refused(const sim_world *world, const sim_server *server, const sim_record *record)
{
    return is_senseless(record) || sim_poison_now(world, &record->poison) ||
           server->row_locked_until_us[record->row] > world->clock.now_us ||
           is_taken(world, server, record);
}

static void write_row(sim_world *world, const sim_server *server, const sim_record *record,
                      sim_commit *tx)
{
    leat_item item = {.record = record->record};
    leat_body_parser *parser = leat_body_parser_new();
    leat_body body;
    leat_body_error error;
    LEAT_ASSERT(leat_item_decode(sim_schema_routes(&world->schema),
                                 &world->schema.catalog.source.placement, &item) == 0 &&
                item.route);
    bool parses = item.op == LEAT_DELETE ||
                  leat_body_parse(parser, item.route, item.op, record->record.value, item.key,
                                  &body, &error) == LEAT_BODY_OK;
    LEAT_ASSERT(parses);
    model_row row = model_row_copy(sim_commit_row(tx, &server->state, (uint32_t)record->row));
    bool good = row_model_apply(&row, item.route, world->schema.defaults, item.op, &body);
    LEAT_ASSERT(good);
    sim_commit_put_row(tx, (uint32_t)record->row, row);
    leat_item_clear(&item);
    leat_body_parser_free(parser);
}

static bool is_hopeless(const sim_world *world, const sim_record *record)
{
    return is_senseless(record) || (record->poison.heals_at_us == INT64_MAX && world->is_healing);
}

/* A repeat of a write that is applied is taken away without its row. */
static sim_fate write_once(sim_world *world, const sim_server *server, const sim_record *record,
                           sim_commit *tx)
{
    leat_write_id id;
    if (sim_notes_identify(world, record, &id)) {
        const leat_write_id *known = sim_notes_find(&server->state.notes, &id);
        known = known ? known : sim_notes_find(&tx->notes, &id);
        world->sometimes->count[SOMETIMES_PERSON_REPEATED] += known != NULL;
        if (known)
            return known->fingerprint == id.fingerprint ? FATE_REPEAT : FATE_DEAD;
        sim_notes_add(&tx->notes, &id);
    }
    write_row(world, server, record, tx);
    return FATE_APPLIED;
}

/* Writes the first records, or gives up the first one. */
static void retry(sim_world *world, sim_server *server, uint32_t at, uint64_t key)
{
    bool is_retried, is_locked = sim_held_is_locked(server, NULL, at, key, &is_retried);
    sim_kept kept[STEP_MAX + 1];
    if (is_retried)
        return;
    uint32_t count = sim_held_records(&server->state.partitions[at], key, kept, STEP_MAX + 1);
    sim_commit *tx = sim_commit_new(COMMIT_BATCH);
    tx->partition = at;
    tx->retry_key = key;
    uint32_t most = 1 + sim_below(world, STEP_MAX), done = 0;
    for (; done < count && done < most && !is_refused(world, server, kept[done].record); done++) {
        sim_fate fate = write_once(world, server, kept[done].record, tx);
        sim_commit_put_fate(tx, kept[done].record, fate);
    }
    world->sometimes->count[SOMETIMES_PERSON_RETRIED] += done > 0;
    if (done == 0 && count > 0 && kept[0].record->poison.sqlstate[0] &&
        is_hopeless(world, kept[0].record)) {
        world->sometimes->count[SOMETIMES_PERSON_DISCARDED]++;
        bool kills = sim_poison_kills(&kept[0].record->poison);
        sim_commit_put_fate(tx, kept[0].record, kills ? FATE_LEFT_OUT : FATE_DEAD);
        done = 1;
    }
    tx->lets_go = done == count && !is_locked;
    world->sometimes->count[SOMETIMES_PERSON_LET_GO] += tx->lets_go;
    if (done == 0 && !tx->lets_go) {
        sim_commit_free(tx);
        return;
    }
    sim_trace(world, "a person takes %u records of a held key of partition %u%s", done, at,
              tx->lets_go ? ", and lets it go" : "");
    for (uint32_t i = 0; i < done; i++)
        sim_trace(world, "  partition %u offset %lld", at,
                  (long long)kept[i].record->record.offset);
    sim_server_commit(server, tx);
}

static void act_in(sim_world *world, sim_server *server)
{
    uint32_t total = 0;
    if (!server->is_up || server->is_read_only || server->paused_until_us > world->clock.now_us)
        return;
    for (uint32_t p = 0; p < server->state.partition_count; p++)
        total += server->state.partitions[p].held_count;
    uint32_t chosen = sim_below(world, total);
    for (uint32_t p = 0; p < server->state.partition_count && total > 0; p++) {
        const sim_partition_state *partition = &server->state.partitions[p];
        if (chosen < partition->held_count) {
            retry(world, server, p, partition->held[chosen].key);
            return;
        }
        chosen -= partition->held_count;
    }
}

void sim_persons_act(sim_world *world)
{
    for (uint32_t i = 0; i < world->schema.catalog.layout.shard_count; i++) {
        sim_shard *shard = &world->shards[i];
        act_in(world, shard->old && sim_below(world, 2) ? shard->old : shard->primary);
    }
}

static void on_again(sim_world *world, void *object, uint64_t argument)
{
    (void)object;
    (void)argument;
    if (world->is_ending)
        return;
    for (int i = 0; i < STEP_MAX; i++)
        sim_persons_act(world);
    sim_persons_begin(world);
}

void sim_persons_begin(sim_world *world)
{
    sim_clock_plan(&world->clock, world->clock.now_us + 1000 * sim_around(world, AGAIN_MS),
                   on_again, NULL, 0);
}
