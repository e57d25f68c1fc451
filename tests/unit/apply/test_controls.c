/* test_controls.c - one moment decides about all of a batch, whatever the clock says meanwhile. */
#include "../../lib/test_placement.h"
#include "../engine/story.h"
#include "../record/fixture.h"
#include "apply/worker_state.h"

enum { UNTIL_US = 100 }; /* of leat_mono_us, long ago */

typedef struct setting {
    leat_table table;
    leat_routes routes;
    leat_item item;
    story story;
    leat_worker_held_back held_back[1];
    leat_worker_shard config;
    leat_worker_shard_state shard;
    leat_worker worker;
} setting;

static void begin(setting *at)
{
    const leat_control control = {.id = 1, .what = "7", .until_us = UNTIL_US, .reason = ""};
    at->table = fixture_table();
    at->routes.count = 1;
    at->routes.routes[0] = fixture_route(&at->table, "/{app_id}/{device}");
    at->routes.routes[0].tenant_key_position = 0;
    at->item.record = (leat_record){.key = leat_slice_of("7/x"), .value = LEAT_SLICE("{}")};
    ck_assert_int_eq(leat_item_decode(&at->routes, &test_placement, &at->item), 0);
    story_begin(&at->story, 1);
    story_reading(&at->story, 1);
    at->shard.controls = leat_control_set_new();
    ck_assert_int_eq(leat_control_set_add(at->shard.controls, &control), 0);
    at->worker.shards = &at->shard;
    at->worker.config.shards = &at->config;
    at->worker.held_back = at->held_back;
    at->worker.jobs_max = 1;
    at->worker.engine = at->story.engine;
}

static void end(setting *at)
{
    story_done(&at->story, 0, LEAT_ENGINE_APPLIED);
    story_end(&at->story);
    leat_control_set_drop(at->shard.controls);
    leat_item_clear(&at->item);
    leat_table_fini(&at->table);
    free(at);
}

/* The item in a batch of the engine. */
static const leat_engine_job *run(setting *at)
{
    const leat_engine_record record = {
        .epoch = -1, .accepted_ms = 1, .subpartition = 3, .bytes = 10, .payload = &at->item};
    ck_assert_int_eq(leat_engine_record_read(at->story.engine, 0, &record), LEAT_ENGINE_TAKEN);
    story_settle(&at->story);
    return story_job(&at->story, 0);
}

/* Were the second question asked a moment later, the look would write what is kept. */
START_TEST(a_look_that_is_not_held_back_is_left_out)
{
    setting *at = calloc(1, sizeof *at);
    begin(at);
    const leat_engine_job *job = run(at);
    leat_engine_job look = *job;
    look.batch.is_look = true;
    ck_assert(!leat_worker_holds_back(&at->worker, &look, UNTIL_US - 1));
    leat_worker_leave_out(&at->worker, job, UNTIL_US - 1);
    ck_assert_uint_eq(job->batch.skipped, 1);
    end(at);
}
END_TEST

START_TEST(a_look_whose_control_has_ended_is_held_back)
{
    setting *at = calloc(1, sizeof *at);
    begin(at);
    const leat_engine_job *job = run(at);
    leat_engine_job look = *job;
    look.batch.is_look = true;
    ck_assert(leat_worker_holds_back(&at->worker, &look, UNTIL_US));
    ck_assert(at->worker.held_back_count == 1 &&
              at->held_back[0].outcome == LEAT_ENGINE_CONTENTION);
    leat_worker_leave_out(&at->worker, job, UNTIL_US);
    ck_assert_uint_eq(job->batch.skipped, 0);
    end(at);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("controls");
    TCase *tests = tcase_create("controls");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, a_look_that_is_not_held_back_is_left_out);
    tcase_add_test(tests, a_look_whose_control_has_ended_is_held_back);
    return fixture_run(suite);
}
