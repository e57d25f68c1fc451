/* The watch over tables of a database that is a pair of variables: what it publishes, confirms,
 * refuses, and when it reads. */
#include "../record/fixture.h"

#include <pthread.h>

#include "watch/catalog_watch.h"

enum { SHARDS = 2, FOR_EVER_MS = 1000000 };

static const char *const names[SHARDS] = {"a", "b"};

typedef struct world {
    uv_loop_t loop;
    leat_schema_versions *schema_versions;
    leat_catalog_watch *watch;
    uint32_t published[SHARDS];
    pthread_mutex_t lock; /* of the database: */
    pthread_cond_t changed;
    uint32_t begun[SHARDS];
    bool is_down[SHARDS];
    bool hangs[SHARDS];
    void (*alter[SHARDS])(leat_table *table);
    bool refuse; /* the configuration no longer fits */
} world;

static leat_table *make_tables(void)
{
    leat_table *tables = leat_must_calloc(1, sizeof *tables);
    tables[0] = fixture_table();
    return tables;
}

static int read_tables(void *context, uint32_t shard, leat_table **ret_tables, uint32_t *ret_count,
                       leat_error *error)
{
    world *w = context;
    pthread_mutex_lock(&w->lock);
    w->begun[shard]++;
    while (w->hangs[shard])
        pthread_cond_wait(&w->changed, &w->lock);
    bool down = w->is_down[shard];
    void (*alter)(leat_table *) = w->alter[shard];
    pthread_mutex_unlock(&w->lock);
    if (down)
        return leat_fail(error, "down");
    *ret_tables = make_tables();
    *ret_count = 1;
    if (alter)
        alter(*ret_tables);
    return 0;
}

static leat_schema_version *build(void *context, leat_table *tables, uint32_t count,
                                  leat_error *error)
{
    const world *w = context;
    leat_schema_version *version = leat_schema_version_new();
    version->tables = tables;
    version->table_count = count;
    if (!w->refuse)
        return version;
    leat_schema_version_free(version);
    leat_fail(error, "it does not fit");
    return NULL;
}

static void on_published(void *context, uint32_t shard, const leat_schema_version *version)
{
    world *w = context;
    ck_assert_ptr_eq(leat_schema_versions_newest(w->schema_versions, shard), version);
    w->published[shard]++;
}

static void on_ask(void *context)
{
    leat_catalog_watch_request_read(((world *)context)->watch);
}

static world *world_new(int64_t every_ms)
{
    world *w = leat_must_calloc(1, sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    uv_loop_init(&w->loop);
    w->schema_versions = leat_schema_versions_new(SHARDS, on_ask, w);
    for (uint32_t shard = 0; shard < SHARDS; shard++)
        leat_schema_versions_publish(w->schema_versions, shard, build(w, make_tables(), 1, NULL),
                                     0);
    leat_catalog_watch_config config = {.schema_versions = w->schema_versions,
                                        .shard_count = SHARDS,
                                        .shard_names = names,
                                        .every_ms = every_ms,
                                        .context = w,
                                        .read = read_tables,
                                        .build = build,
                                        .published = on_published};
    w->watch = leat_catalog_watch_new(&w->loop, &config);
    return w;
}

static void world_free(world *w)
{
    leat_catalog_watch_free(w->watch);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&w->loop), 0);
    leat_schema_versions_free(w->schema_versions);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void set_hanging(world *w, uint32_t shard, bool hangs)
{
    pthread_mutex_lock(&w->lock);
    w->hangs[shard] = hangs;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static uint32_t begun(world *w, uint32_t shard)
{
    pthread_mutex_lock(&w->lock);
    uint32_t count = w->begun[shard];
    pthread_mutex_unlock(&w->lock);
    return count;
}

/* Until a read that began after this call has confirmed or given the shard's newest version. */
static void look_again(world *w, uint32_t shard)
{
    int64_t now_us = leat_mono_us();
    leat_schema_versions_request_read(w->schema_versions);
    while (leat_schema_versions_read_us(w->schema_versions, shard) < now_us)
        uv_run(&w->loop, UV_RUN_ONCE);
}

static void add_column(leat_table *table)
{
    fixture_add(table, "more", LEAT_TYPE_TEXT, -1);
}

static void retype_key(leat_table *table)
{
    table->columns[table->key_columns[0]].type = LEAT_TYPE_UUID;
}

START_TEST(confirms_what_is_as_it_was)
{
    world *w = world_new(FOR_EVER_MS);
    const leat_schema_version *before = leat_schema_versions_newest(w->schema_versions, 0);
    look_again(w, 0);
    ck_assert_ptr_eq(leat_schema_versions_newest(w->schema_versions, 0), before);
    ck_assert_uint_eq(w->published[0], 0);
    world_free(w);
}
END_TEST

START_TEST(publishes_what_was_altered_in_that_shard_only)
{
    world *w = world_new(FOR_EVER_MS);
    w->alter[1] = add_column; /* no look has begun: the loop has not run */
    look_again(w, 1);
    look_again(w, 0);
    ck_assert_uint_eq(w->published[0], 0);
    ck_assert_uint_eq(w->published[1], 1);
    ck_assert_int_ge(
        leat_table_column(&leat_schema_versions_newest(w->schema_versions, 1)->tables[0],
                          LEAT_SLICE("more")),
        0);
    ck_assert_int_eq(
        leat_table_column(&leat_schema_versions_newest(w->schema_versions, 0)->tables[0],
                          LEAT_SLICE("more")),
        -1);
    world_free(w);
}
END_TEST

START_TEST(looks_by_itself)
{
    world *w = world_new(1);
    while (begun(w, 0) < 3)
        uv_run(&w->loop, UV_RUN_ONCE);
    world_free(w);
}
END_TEST

/* Nothing is published, and nothing is confirmed either: whoever waits for a newer look goes on
 * waiting. */
static void expect_refused(world *w)
{
    const leat_schema_version *before = leat_schema_versions_newest(w->schema_versions, 0);
    for (uint32_t count = 2; count <= 3; count++) {
        leat_schema_versions_request_read(w->schema_versions);
        while (begun(w, 0) < count)
            uv_run(&w->loop, UV_RUN_ONCE);
    }
    ck_assert_ptr_eq(leat_schema_versions_newest(w->schema_versions, 0), before);
    ck_assert_int_eq(leat_schema_versions_read_us(w->schema_versions, 0), 0);
    ck_assert_uint_eq(w->published[0], 0);
}

START_TEST(what_does_not_fit_waits)
{
    world *w = world_new(FOR_EVER_MS);
    w->alter[0] = add_column;
    w->refuse = true;
    expect_refused(w);
    w->refuse = false;
    look_again(w, 0);
    ck_assert_uint_eq(w->published[0], 1);
    world_free(w);
}
END_TEST

START_TEST(another_key_is_refused)
{
    world *w = world_new(FOR_EVER_MS);
    w->alter[0] = retype_key;
    expect_refused(w);
    world_free(w);
}
END_TEST

START_TEST(a_database_that_is_down_is_tried_again)
{
    world *w = world_new(FOR_EVER_MS);
    w->is_down[0] = true;
    expect_refused(w);
    pthread_mutex_lock(&w->lock);
    w->is_down[0] = false;
    pthread_mutex_unlock(&w->lock);
    look_again(w, 0);
    world_free(w);
}
END_TEST

START_TEST(one_that_hangs_delays_no_other)
{
    world *w = world_new(FOR_EVER_MS);
    set_hanging(w, 0, true);
    look_again(w, 1);
    look_again(w, 1);
    ck_assert_uint_eq(begun(w, 0), 1); /* one at a time */
    set_hanging(w, 0, false);
    look_again(w, 0);
    world_free(w);
}
END_TEST

START_TEST(an_ask_during_a_look_is_another_look)
{
    world *w = world_new(FOR_EVER_MS);
    set_hanging(w, 0, true);
    while (begun(w, 0) < 1)
        uv_run(&w->loop, UV_RUN_NOWAIT);
    int64_t asked_us = leat_mono_us();
    leat_schema_versions_request_read(w->schema_versions);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    set_hanging(w, 0, false);
    while (leat_schema_versions_read_us(w->schema_versions, 0) < asked_us)
        uv_run(&w->loop, UV_RUN_ONCE);
    ck_assert_uint_eq(begun(w, 0), 2);
    world_free(w);
}
END_TEST

START_TEST(many_asks_are_few_looks)
{
    world *w = world_new(FOR_EVER_MS);
    look_again(w, 0);
    uint32_t before = begun(w, 0);
    for (int i = 0; i < 100; i++)
        leat_schema_versions_request_read(w->schema_versions);
    look_again(w, 0);
    ck_assert_uint_le(begun(w, 0), before + 2);
    world_free(w);
}
END_TEST

START_TEST(stops_while_a_look_is_under_way)
{
    world *w = world_new(FOR_EVER_MS);
    w->alter[0] = add_column;
    set_hanging(w, 0, true);
    while (begun(w, 0) < 1)
        uv_run(&w->loop, UV_RUN_NOWAIT);
    leat_catalog_watch_stop(w->watch);
    leat_catalog_watch_stop(w->watch);
    set_hanging(w, 0, false);
    leat_schema_versions_request_read(w->schema_versions); /* nothing comes of it */
    leat_catalog_watch *watch = w->watch;
    uint32_t *published = &w->published[0];
    leat_catalog_watch_free(watch);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    ck_assert_uint_eq(*published, 0);
    ck_assert_uint_eq(begun(w, 0), 1);
    w->watch = NULL;
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalog_watch");
    TCase *tests = tcase_create("catalog_watch");
    tcase_add_test(tests, confirms_what_is_as_it_was);
    tcase_add_test(tests, publishes_what_was_altered_in_that_shard_only);
    tcase_add_test(tests, looks_by_itself);
    tcase_add_test(tests, what_does_not_fit_waits);
    tcase_add_test(tests, another_key_is_refused);
    tcase_add_test(tests, a_database_that_is_down_is_tried_again);
    tcase_add_test(tests, one_that_hangs_delays_no_other);
    tcase_add_test(tests, an_ask_during_a_look_is_another_look);
    tcase_add_test(tests, many_asks_are_few_looks);
    tcase_add_test(tests, stops_while_a_look_is_under_way);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
