/* Who is to blame: what batches are counted for, rows that are kept and added up, and their JSON.
 */
#include "../../lib/test_placement.h"
#include "../record/fixture.h"
#include "apply/culprits.h"
#include "record/item.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

enum { ITEMS = 100, NOW_MS = 100000 };

typedef struct world {
    leat_table table;
    leat_routes routes;
    leat_item items[ITEMS];
    char keys[ITEMS][32];
    leat_engine_batch_record records[ITEMS];
    leat_engine_batch batch;
    leat_blame blame;
    leat_culprits culprits;
} world;

static void set_record(world *w, uint32_t at, uint32_t tenant, int64_t waited_ms)
{
    leat_item *item = &w->items[at];
    leat_item_clear(item);
    *item = (leat_item){0};
    snprintf(w->keys[at], sizeof w->keys[at], "%u/%u", tenant, at);
    item->record = (leat_record){.key = leat_slice_of(w->keys[at]),
                                 .value = LEAT_SLICE("{}"),
                                 .accepted_ms = NOW_MS - waited_ms};
    ck_assert_int_eq(leat_item_decode(&w->routes, &test_placement, item), 0);
    ck_assert_ptr_nonnull(item->route);
    w->records[at] = (leat_engine_batch_record){.payload = item, .offset = at};
}

/* A batch of `count` records, of which every `each`th is tenant 7's and the others each their own;
 * all were accepted a second ago. */
static void fill(world *w, uint32_t count, uint32_t each)
{
    for (uint32_t i = 0; i < count; i++)
        set_record(w, i, i % each == 0 ? 7 : 1000 + i, 1000);
    w->batch = (leat_engine_batch){.record_count = count, .records = w->records};
}

static world *world_new(void)
{
    world *w = leat_must_calloc(1, sizeof *w);
    w->table = fixture_table();
    w->routes.count = 1;
    w->routes.routes[0] = fixture_route(&w->table, "/{app_id}/{device}");
    w->routes.routes[0].tenant_key_position = 0;
    leat_blame_pass(&w->blame, 1);
    return w;
}

static void world_free(world *w)
{
    for (uint32_t i = 0; i < ITEMS; i++)
        leat_item_clear(&w->items[i]);
    leat_table_fini(&w->table);
    free(w);
}

static const leat_culprit_share *find(const leat_culprit_shares *of, const char *text)
{
    for (uint32_t i = 0; i < of->count; i++)
        if (strcmp(of->rows[i].text, text) == 0)
            return &of->rows[i];
    return NULL;
}

/* Half of the records, half of the time, whichever records are looked at. */
START_TEST(test_a_loud_tenant)
{
    world *w = world_new();
    fill(w, ITEMS, 2);
    for (int i = 0; i < 200; i++)
        leat_blame_batch(&w->blame, &w->batch, true, 5000, NOW_MS);
    leat_blame_pass(&w->blame, 1 + 9000000);
    leat_culprits_add_blame(&w->culprits, &w->blame);
    const leat_culprit_share *loud = find(&w->culprits.tenants, "7");
    ck_assert_ptr_nonnull(loud);
    ck_assert_ptr_eq(loud, &w->culprits.tenants.rows[0]);
    ck_assert(loud->records > 8000 && loud->records < 12000);
    ck_assert(loud->per_s > loud->records / 9.01 && loud->per_s < loud->records / 8.99);
    ck_assert(loud->database_s > 0.4 && loud->database_s < 0.6);
    ck_assert(loud->waited_s > 8000 && loud->waited_s < 12000);
    world_free(w);
}
END_TEST

/* A batch of one record is always seen; one that fails costs time, and applies nothing. */
START_TEST(test_a_slow_record)
{
    world *w = world_new();
    fill(w, ITEMS, 1000);
    for (int i = 0; i < 100; i++)
        leat_blame_batch(&w->blame, &w->batch, true, 1000, NOW_MS);
    fill(w, 1, 1);
    leat_blame_batch(&w->blame, &w->batch, false, 5000000, NOW_MS);
    leat_culprits_add_blame(&w->culprits, &w->blame);
    ck_assert_str_eq(w->culprits.keys.rows[0].text, "7/0");
    ck_assert_str_eq(w->culprits.tenants.rows[0].text, "7");
    ck_assert(w->culprits.tenants.rows[0].database_s > 4.9 && w->culprits.tenants.database_s < 5.2);
    world_free(w);
}
END_TEST

/* So a few small batches already tell who is in them, and nobody is shown with what others took. */
START_TEST(test_a_small_batch_is_counted_whole)
{
    world *w = world_new();
    fill(w, LEAT_BLAME_WHOLE, 1000);
    leat_blame_batch(&w->blame, &w->batch, true, 8000000, NOW_MS);
    leat_culprits_add_blame(&w->culprits, &w->blame);
    ck_assert_uint_ge(w->culprits.tenants.count, 3);
    for (uint32_t i = 0; i < w->culprits.tenants.count; i++) {
        const leat_culprit_share *one = &w->culprits.tenants.rows[i];
        ck_assert(one->records == 1 && one->database_s == 1 && one->waited_s == 1);
    }
    world_free(w);
}
END_TEST

START_TEST(test_it_fades)
{
    world *w = world_new();
    fill(w, 1, 1);
    leat_blame_batch(&w->blame, &w->batch, true, 1000000, NOW_MS);
    for (int second = 1; second <= 60; second++)
        leat_blame_pass(&w->blame, 1 + second * INT64_C(1000000));
    leat_culprits_add_blame(&w->culprits, &w->blame);
    ck_assert(w->culprits.tenants.rows[0].database_s > 0.4 &&
              w->culprits.tenants.rows[0].database_s < 0.5);
    ck_assert(w->culprits.tenants.rows[0].per_s > 0.005 &&
              w->culprits.tenants.rows[0].per_s < 0.03);
    world_free(w);
}
END_TEST

static leat_culprit_record record_since(uint32_t partition, int64_t since_ms)
{
    return (leat_culprit_record){.partition = partition, .since_ms = since_ms, .reason = "why"};
}

/* However long the others wait for it. */
START_TEST(test_what_fails_comes_first)
{
    leat_culprits *culprits = leat_must_calloc(1, sizeof *culprits);
    for (uint32_t i = 0; i <= LEAT_CULPRITS_PARTITIONS; i++) {
        leat_culprit_record record = record_since(i, 1000 + i);
        leat_culprits_add_record(culprits, &record);
    }
    leat_culprit_record fails = record_since(99, 5000);
    fails.attempts = 1;
    leat_culprits_add_record(culprits, &fails);
    ck_assert_uint_eq(culprits->partition_count, LEAT_CULPRITS_PARTITIONS);
    ck_assert_uint_eq(culprits->partitions[0].partition, 99);
    for (uint32_t i = 1; i < LEAT_CULPRITS_PARTITIONS; i++)
        ck_assert_uint_eq(culprits->partitions[i].partition, i - 1);
    free(culprits);
}
END_TEST

/* The oldest stay, in order; the same tenant of two workers is one. */
START_TEST(test_rows_of_workers_are_added)
{
    leat_culprits *one = leat_must_calloc(1, sizeof *one), *two = leat_must_calloc(1, sizeof *two);
    for (uint32_t i = 0; i < 2 * LEAT_CULPRITS_PARTITIONS; i++) {
        leat_culprit_record record = record_since(i, 1000 + (i * 7) % 32);
        leat_culprits_add_record(i % 2 ? one : two, &record);
    }
    leat_culprits_add_holder(one, LEAT_SLICE("t"), 500);
    leat_culprits_add_holder(two, LEAT_SLICE("t"), 400);
    leat_culprits_add_holder(two, LEAT_SLICE("u"), 600);
    leat_culprits_add_holder(two, LEAT_SLICE(""), 600);
    one->tenants.rows[0].database_s = 1;
    two->tenants.rows[0].database_s = 2;
    two->is_alert = true;
    two->alert_since_ms = 5;
    snprintf(two->alert, sizeof two->alert, "it is so");
    leat_culprits_add(one, two);
    ck_assert_uint_eq(one->partition_count, LEAT_CULPRITS_PARTITIONS);
    for (uint32_t i = 0; i < LEAT_CULPRITS_PARTITIONS; i++)
        ck_assert_int_eq(one->partitions[i].since_ms, 1000 + i);
    ck_assert_uint_eq(one->tenants.count, 2);
    const leat_culprit_share *t = find(&one->tenants, "t");
    ck_assert(t && t->oldest_ms == 400 && t->database_s == 3);
    ck_assert(one->is_alert && strcmp(one->alert, "it is so") == 0);
    free(one);
    free(two);
}
END_TEST

/* So many batches of one record, of this tenant. */
static void add_batches(world *w, uint32_t tenant, int times, int64_t took_us, int64_t waited_ms)
{
    set_record(w, 0, tenant, waited_ms);
    w->batch = (leat_engine_batch){.record_count = 1, .records = w->records};
    for (int i = 0; i < times; i++)
        leat_blame_batch(&w->blame, &w->batch, true, took_us, NOW_MS);
}

static void add_holders(world *w, int count)
{
    for (int i = 0; i < count; i++) {
        char tenant[16];
        int size = snprintf(tenant, sizeof tenant, "quiet%d", i);
        leat_culprits_add_holder(&w->culprits, (leat_slice){tenant, (size_t)size}, 1000 + i);
    }
}

static void expect_order(const leat_culprit_shares *found, const char *const *texts, uint32_t count)
{
    ck_assert_uint_eq(found->count, count);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_str_eq(found->rows[i].text, texts[i]);
}

/* Whether the holders are known before it or after it. */
START_TEST(test_holders_push_out_no_loud_tenant)
{
    static const char *const order[] = {"7", "quiet0", "quiet1", "quiet2", "quiet3"};
    for (int holders_first = 0; holders_first < 2; holders_first++) {
        world *w = world_new();
        char text[LEAT_CULPRIT_ALERT_SIZE];
        add_batches(w, 7, 9, 1000000, 1000);
        if (holders_first)
            add_holders(w, LEAT_CULPRITS_SHARES);
        leat_culprits_add_blame(&w->culprits, &w->blame);
        if (!holders_first)
            add_holders(w, LEAT_CULPRITS_SHARES);
        expect_order(&w->culprits.tenants, order, 1 + LEAT_CULPRITS_HOLDERS);
        leat_culprits_describe(&w->culprits, NOW_MS, text, sizeof text);
        ck_assert_str_eq(text, "tenant '7' has 100 % of the database's time");
        world_free(w);
    }
}
END_TEST

/* One by each measure, of which a report has the first ones; the others by the database's time. */
START_TEST(test_leaders_have_their_place_among_holders)
{
    static const char *const order[] = {"1", "2", "3", "quiet0", "quiet1", "quiet2", "quiet3", "4"};
    world *w = world_new();
    for (uint32_t tenant = 4; tenant < 7; tenant++)
        add_batches(w, tenant, 10, 100000 - tenant, 100);
    add_batches(w, 1, 10, 900000, 0);
    add_batches(w, 2, 500, 100, 0);
    add_batches(w, 3, 10, 100, 60000);
    leat_culprits_add_blame(&w->culprits, &w->blame);
    add_holders(w, 2 * LEAT_CULPRITS_SHARES);
    expect_order(&w->culprits.tenants, order, LEAT_CULPRITS_SHARES);
    world_free(w);
}
END_TEST

/* Who holds a low water and leads is named once, and knows since when. */
START_TEST(test_a_leader_may_hold)
{
    world *w = world_new();
    add_batches(w, 7, 9, 1000000, 1000);
    leat_culprits_add_blame(&w->culprits, &w->blame);
    add_holders(w, 1);
    leat_culprits_add_holder(&w->culprits, LEAT_SLICE("7"), 500);
    ck_assert_uint_eq(w->culprits.tenants.count, 2);
    ck_assert_str_eq(w->culprits.tenants.rows[0].text, "7");
    ck_assert_int_eq(w->culprits.tenants.rows[0].oldest_ms, 500);
    ck_assert(w->culprits.tenants.rows[0].records == 9);
    world_free(w);
}
END_TEST

static yyjson_doc *written(const leat_culprits *culprits)
{
    leat_culprits_text text = {0};
    leat_buf out = {0};
    leat_culprits_write(culprits, "eu", NOW_MS, LEAT_CULPRITS_SHARES, &text);
    leat_culprits_join(&text, &out);
    yyjson_doc *doc = yyjson_read(out.data, out.size, 0);
    ck_assert_ptr_nonnull(doc);
    leat_culprits_text_free(&text);
    leat_buf_free(&out);
    return doc;
}

/* All that one worker did is a quarter of what both did. */
START_TEST(test_a_ratio_is_of_all_workers)
{
    static const struct {
        const char *list, *name;
    } lists[] = {{"/tenants", "tenant"}, {"/keys", "key"}};
    world *one = world_new(), *two = world_new();
    char text[LEAT_CULPRIT_ALERT_SIZE];
    add_batches(one, 7, 1, 1000000, 0);
    add_batches(two, 8, 3, 1000000, 0);
    leat_culprits_add_blame(&one->culprits, &one->blame);
    leat_culprits_add_blame(&two->culprits, &two->blame);
    leat_culprits_add(&one->culprits, &two->culprits);
    yyjson_doc *doc = written(&one->culprits);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        yyjson_val *list = yyjson_ptr_get(yyjson_doc_get_root(doc), lists[i].list);
        ck_assert_uint_eq(yyjson_arr_size(list), 2);
        for (size_t row = 0; row < 2; row++) {
            yyjson_val *share = yyjson_arr_get(list, row);
            ck_assert_int_eq(yyjson_get_str(yyjson_obj_get(share, lists[i].name))[0],
                             row == 0 ? '8' : '7');
            ck_assert_double_eq(yyjson_get_num(yyjson_obj_get(share, "database_ratio")),
                                row == 0 ? 0.75 : 0.25);
        }
    }
    leat_culprits_describe(&one->culprits, NOW_MS, text, sizeof text);
    ck_assert_str_eq(text, "tenant '8' has 75 % of the database's time");
    yyjson_doc_free(doc);
    world_free(one);
    world_free(two);
}
END_TEST

START_TEST(test_json)
{
    leat_culprits *culprits = leat_must_calloc(1, sizeof *culprits);
    leat_culprits_text text = {0};
    leat_buf out = {0};
    leat_culprit_record record = record_since(3, NOW_MS - 2500);
    snprintf(record.reason, sizeof record.reason, "why \xe9"); /* a server's LATIN1 */
    record.low = 6;
    record.offset = 7;
    record.attempts = 4;
    memcpy(record.sqlstate, "55P03", 6);
    leat_culprit_text(record.key, LEAT_SLICE("a\"\n\xff\xc3\xa9"));
    leat_culprits_add_record(culprits, &record);
    leat_culprits_write(culprits, "eu", NOW_MS, LEAT_CULPRITS_PARTITIONS, &text);
    leat_culprits_write(culprits, "us", NOW_MS, 0, &text);
    leat_culprits_join(&text, &out);
    ck_assert_str_eq(
        leat_buf_cstr(&out),
        "{\"partitions\":[{\"shard\":\"eu\",\"partition\":3,\"low\":6,\"offset\":7,"
        "\"tenant\":null,\"key\":\"a\\\"\\n\\uFFFD\\u00E9\",\"age_s\":null,"
        "\"since_s\":2.5,\"reason\":\"why \\uFFFD\",\"sqlstate\":\"55P03\",\"attempts\":4}],"
        "\"tenants\":[],\"keys\":[],\"alerts\":[]}");
    leat_buf_free(&out);
    culprits->is_alert = true;
    culprits->alert_since_ms = NOW_MS - 1000;
    leat_culprits_describe(culprits, NOW_MS, culprits->alert, sizeof culprits->alert);
    leat_culprits_add_holder(culprits, LEAT_SLICE("t"), NOW_MS - 3000);
    leat_culprits_write(culprits, "eu", NOW_MS, 1, &text);
    leat_culprits_join(&text, &out);
    yyjson_doc *doc = yyjson_read(out.data, out.size, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *alert = yyjson_arr_get_first(yyjson_obj_get(root, "alerts")),
               *tenant = yyjson_arr_get_first(yyjson_obj_get(root, "tenants"));
    ck_assert_uint_eq(yyjson_arr_size(yyjson_obj_get(root, "partitions")), 2);
    ck_assert_str_eq(yyjson_get_str(yyjson_obj_get(alert, "name")), "incident_signature");
    ck_assert_ptr_nonnull(
        strstr(yyjson_get_str(yyjson_obj_get(alert, "text")), "offset 7 of partition 3"));
    ck_assert_str_eq(yyjson_get_str(yyjson_obj_get(tenant, "tenant")), "t");
    ck_assert_double_eq(yyjson_get_num(yyjson_obj_get(tenant, "oldest_s")), 3);
    yyjson_doc_free(doc);
    leat_culprits_text_free(&text);
    leat_buf_free(&out);
    free(culprits);
}
END_TEST

START_TEST(test_text_is_cut_between_characters)
{
    char ret[LEAT_CULPRIT_TEXT_SIZE], text[2 * LEAT_CULPRIT_TEXT_SIZE];
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(&text[i], "\xc3\xa9", 2);
    leat_culprit_text(ret, (leat_slice){text, sizeof text});
    ck_assert_uint_eq(strlen(ret), (LEAT_CULPRIT_TEXT_SIZE - 1) / 2 * 2);
    leat_culprit_text(ret, (leat_slice){NULL, 0});
    ck_assert_str_eq(ret, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("culprits");
    TCase *tests = tcase_create("culprits");
    tcase_add_test(tests, test_a_loud_tenant);
    tcase_add_test(tests, test_a_slow_record);
    tcase_add_test(tests, test_a_small_batch_is_counted_whole);
    tcase_add_test(tests, test_it_fades);
    tcase_add_test(tests, test_what_fails_comes_first);
    tcase_add_test(tests, test_rows_of_workers_are_added);
    tcase_add_test(tests, test_holders_push_out_no_loud_tenant);
    tcase_add_test(tests, test_leaders_have_their_place_among_holders);
    tcase_add_test(tests, test_a_leader_may_hold);
    tcase_add_test(tests, test_a_ratio_is_of_all_workers);
    tcase_add_test(tests, test_json);
    tcase_add_test(tests, test_text_is_cut_between_characters);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
