/*
 * Random records to one row: folded as far as the fold goes, they leave what they leave one by one.
 * And a key state that follows them knows of the row only what is so.
 * LEAT_TEST_SEED=n repeats a run, LEAT_TEST_ROUNDS=n makes it longer.
 */
#include "../../lib/setting.h"
#include "../../unit/record/fixture.h"
#include "record/fold.h"
#include "record/key_state.h"
#include "row_model.h"

#include <inttypes.h>
#include <yyjson.h>

enum { ROUNDS = 4000, RECORDS_MAX = 12, NUMERIC_6_2 = ((6 << 16) | 2) + 4 };

typedef struct column_kind {
    leat_type type;
    int32_t type_modifier;
    const char *default_text; /* as row_model.h has values */
} column_kind;

static const column_kind kinds[] = {
    {LEAT_TYPE_INT2, -1, "3"},        {LEAT_TYPE_INT4, -1, "5"},
    {LEAT_TYPE_INT8, -1, "-7"},       {LEAT_TYPE_NUMERIC, NUMERIC_6_2, "1.50"},
    {LEAT_TYPE_NUMERIC, -1, "2.500"}, {LEAT_TYPE_TEXT, -1, "b"},
    {LEAT_TYPE_FLOAT8, -1, "0.5"},    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02 03:04:30+00"},
    {LEAT_TYPE_JSONB, -1, "[1]"},     {LEAT_TYPE_JSONB, -1, "{\"a\":1,\"b\":{\"a\":2}}"},
};

/* One random table and route, and counts of the cases on the way. */
typedef struct fold_world {
    leat_prng prng;
    leat_table table;
    leat_route route;
    const char *defaults[LEAT_COLUMNS_MAX];
    leat_body_parser *parser;
    leat_fold *fold;
    leat_key_follower *follower;
    leat_buf json; /* of the last record */
    uint64_t folded;
    uint64_t apart;
    uint64_t known; /* columns, of states that followed */
    uint64_t unknown;
} fold_world;

typedef struct one_record {
    leat_route_op op;
    leat_body body;
} one_record;

static bool chance(fold_world *world, uint64_t of)
{
    return leat_prng_below(&world->prng, of) == 0;
}

static int below(fold_world *world, int bound)
{
    return (int)leat_prng_below(&world->prng, (uint64_t)bound);
}

/* ---- A route ---- */

static leat_column_op random_op(fold_world *world, const leat_column *column)
{
    leat_column_op op;
    do
        op = (leat_column_op)below(world, LEAT_OP_COUNT);
    while (!leat_op_fits(op, column));
    return op;
}

static void add_column(fold_world *world, const column_kind *kind)
{
    char name[16];
    snprintf(name, sizeof name, "c%u", world->table.column_count);
    leat_column *column = fixture_add(&world->table, name, kind->type, kind->type_modifier);
    column->by_bytes = true;
    bool has_default = chance(world, 2);
    column->not_null = has_default && chance(world, 3);
    column->default_expression = has_default ? leat_must_strdup(kind->default_text) : NULL;
    world->defaults[world->table.column_count - 1] = has_default ? kind->default_text : NULL;
}

/* Of integers every other `max` has one, small beside their values or larger than most of them. */
static leat_step random_step(fold_world *world, uint32_t column)
{
    static const int64_t steps[] = {2, 5, 1000, 32767};
    if (world->route.ops[column] != LEAT_OP_MAX || chance(world, 2) ||
        !leat_type_is_integer(world->table.columns[column].type))
        return (leat_step){0};
    return (leat_step){.is_set = true, .integer = steps[below(world, 4)]};
}

static void make_route(fold_world *world)
{
    memset(world->defaults, 0, sizeof world->defaults);
    world->table = fixture_empty_table("t");
    fixture_add_key(&world->table, "id", LEAT_TYPE_INT4, -1);
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        add_column(world, &kinds[i]);
    for (int extra = 6; extra > 0; extra--)
        add_column(world, &kinds[below(world, (int)COUNT_OF(kinds))]);
    world->table.deletes_matter = chance(world, 4);
    world->route = fixture_route(&world->table, "/t/{id}");
    world->route.patch_existing = chance(world, 3);
    world->route.put_merge = !world->route.patch_existing && chance(world, 2);
    for (uint32_t i = 1; i < world->table.column_count; i++) {
        world->route.ops[i] = random_op(world, &world->table.columns[i]);
        world->route.steps[i] = random_step(world, i);
    }
}

/* ---- Bodies ---- */

static void put_json(fold_world *world, leat_buf *out, int depth);

/* Few names, so that they meet, and twice now and then. */
static void put_object(fold_world *world, leat_buf *out, int depth)
{
    leat_buf_byte(out, '{');
    for (int i = 0, count = below(world, 4); i < count; i++) {
        leat_buf_printf(out, "%s\"%s\":", i ? "," : "",
                        (const char *[]){"a", "b", "ab", "\\u00e9"}[below(world, 4)]);
        put_json(world, out, depth - 1);
    }
    leat_buf_byte(out, '}');
}

static void put_array(fold_world *world, leat_buf *out, int depth)
{
    leat_buf_byte(out, '[');
    for (int i = 0, count = below(world, 3); i < count; i++) {
        leat_buf_text(out, i ? "," : "");
        put_json(world, out, depth - 1);
    }
    leat_buf_byte(out, ']');
}

static void put_json(fold_world *world, leat_buf *out, int depth)
{
    static const char *const scalars[] = {"null",
                                          "null",
                                          "1",
                                          "-2.50",
                                          "123456789012345678901234567890",
                                          "\"x\"",
                                          "true",
                                          "\"\\\"\\\\ \\u00e9\""};
    int shape = below(world, 10);
    if (depth > 0 && shape < 4)
        put_object(world, out, depth);
    else if (depth > 0 && shape < 5)
        put_array(world, out, depth);
    else
        leat_buf_text(out, scalars[below(world, (int)COUNT_OF(scalars))]);
}

static void put_long_json(leat_buf *out)
{
    leat_buf_printf(out, "{\"long\":\"%03000d\"}", 7);
}

static void put_number(fold_world *world, const leat_column *column, leat_buf *out)
{
    const char *sign = chance(world, 2) ? "-" : "";
    /* near the end of some type's range */
    if (column->type != LEAT_TYPE_NUMERIC && chance(world, 10))
        leat_buf_printf(out, "%s%" PRId64, sign,
                        ((int64_t[]){INT16_MAX, INT32_MAX, INT64_MAX})[below(world, 3)]);
    else if (column->type != LEAT_TYPE_NUMERIC)
        leat_buf_printf(out, "%s%d", sign, below(world, 100));
    else if (chance(world, 6))
        leat_buf_printf(out, "%s%d.%de%d", sign, below(world, 100), below(world, 100),
                        below(world, 6) - 3);
    else
        leat_buf_printf(out, "%s%d.%0*d", sign, below(world, chance(world, 5) ? 10000 : 10),
                        1 + below(world, 4), below(world, 10));
}

static void put_value(fold_world *world, const leat_column *column, leat_buf *out)
{
    if (chance(world, 8))
        leat_buf_text(out, "null");
    else if (column->type == LEAT_TYPE_TEXT)
        leat_buf_printf(out, "\"%.*s\"", below(world, 3),
                        (const char *[]){"aa", "ab", "ba", "c"}[below(world, 4)]);
    else if (column->type == LEAT_TYPE_TIMESTAMPTZ)
        leat_buf_printf(out, "\"2026-01-02T03:04:%02d.%dZ\"", below(world, 60), below(world, 200));
    else if (column->type == LEAT_TYPE_FLOAT8)
        leat_buf_printf(out, "%d.%d", below(world, 9) - 4, below(world, 200));
    else if (column->type != LEAT_TYPE_JSONB)
        put_number(world, column, out);
    else if (chance(world, 40))
        put_long_json(out);
    else if (chance(world, 4))
        put_json(world, out, 3);
    else
        put_object(world, out, 3);
}

/* Until there is one that the route takes. */
static one_record random_record(fold_world *world)
{
    one_record made = {.op = (leat_route_op[]){LEAT_PATCH, LEAT_PATCH, LEAT_PATCH, LEAT_PATCH,
                                               LEAT_PUT, LEAT_DELETE}[below(world, 6)]};
    leat_value key = {.presence = LEAT_PRESENT, .integer = 1};
    leat_body_error error;
    leat_body_fault fault;
    do {
        leat_buf_clear(&world->json);
        leat_buf_text(&world->json, "{\"id\":1");
        for (uint32_t i = 1; i < world->table.column_count; i++) {
            if (!chance(world, 2))
                continue;
            leat_buf_printf(&world->json, ",\"%s\":", world->table.columns[i].name);
            put_value(world, &world->table.columns[i], &world->json);
        }
        leat_buf_byte(&world->json, '}');
        fault = leat_body_parse(world->parser, &world->route, made.op,
                                (leat_slice){world->json.data, world->json.size}, &key, &made.body,
                                &error);
        ck_assert_msg(fault == LEAT_BODY_OK || fault == LEAT_BODY_REFUSED, "%s", error.message);
    } while (fault != LEAT_BODY_OK);
    return made;
}

/* ---- What a write promises ---- */

static leat_merge asked_by(leat_slice patch)
{
    leat_merge asked = LEAT_MERGE_CONCAT;
    char *copy = strndup(patch.data, patch.size);
    char *once = row_model_json(copy);
    yyjson_doc *doc = yyjson_read(once, strlen(once), YYJSON_READ_NUMBER_AS_RAW);
    ck_assert(yyjson_is_obj(yyjson_doc_get_root(doc)));
    size_t index, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(yyjson_doc_get_root(doc), index, count, name, value)
    {
        leat_merge member = yyjson_is_obj(value)    ? LEAT_MERGE_DEEP
                            : yyjson_is_null(value) ? LEAT_MERGE_STRIP
                                                    : 0;
        asked = member > asked ? member : asked;
    }
    yyjson_doc_free(doc);
    free(once);
    free(copy);
    return asked;
}

static void check_write(const fold_world *world, const leat_row_write *write)
{
    ck_assert_uint_eq(write->operated & ~write->present, 0);
    ck_assert(write->op != LEAT_DELETE || write->present == 0);
    bool patched = false;
    for (uint32_t i = 0; i < world->table.column_count; i++) {
        if (!(write->operated >> i & 1))
            continue;
        const leat_value *value = &write->values[i];
        leat_column_op op = world->route.ops[i];
        ck_assert_int_ne(op, LEAT_OP_SET);
        ck_assert_int_eq(value->presence, LEAT_PRESENT);
        ck_assert(op != LEAT_OP_APPEND || value->text.data[0] == '[');
        if (op != LEAT_OP_MERGE)
            continue;
        patched = true;
        ck_assert_int_le(asked_by(value->text), write->merge);
    }
    ck_assert(patched || write->merge == LEAT_MERGE_CONCAT);
}

/* ---- One sequence ---- */

static leat_row_write write_of(fold_world *world, const one_record *record, leat_value *values)
{
    leat_row_write write = {.values = values};
    ck_assert_int_eq(leat_fold_start(world->fold, &world->route, record->op, &record->body, &write),
                     0);
    check_write(world, &write);
    return write;
}

static bool folds(fold_world *world, leat_row_write *write, const leat_row_write *next)
{
    static leat_value values_before[LEAT_COLUMNS_MAX];
    leat_row_write before = *write;
    memcpy(values_before, write->values, sizeof values_before);
    leat_fold_outcome outcome = leat_fold_next(world->fold, &world->route, write, next);
    ck_assert_int_ne(outcome, LEAT_FOLD_MEMORY);
    check_write(world, write);
    if (outcome == LEAT_FOLD_DONE) {
        world->folded++;
        return true;
    }
    world->apart++;
    ck_assert_mem_eq(&before, write, sizeof before);
    ck_assert_mem_eq(values_before, write->values, sizeof values_before);
    return false;
}

static void apply_write(fold_world *world, model_row *row, const leat_row_write *write)
{
    ck_assert_msg(row_model_apply_write(row, &world->route, world->defaults, write),
                  "the folded write fails where its records did not");
}

static void apply_folded(fold_world *world, model_row *row, const one_record *records, int count)
{
    static leat_value values[LEAT_COLUMNS_MAX], next_values[LEAT_COLUMNS_MAX];
    leat_row_write write = write_of(world, &records[0], values);
    for (int i = 1; i < count; i++) {
        leat_row_write next = write_of(world, &records[i], next_values);
        if (folds(world, &write, &next))
            continue;
        apply_write(world, row, &write);
        write = write_of(world, &records[i], values);
    }
    apply_write(world, row, &write);
}

/* One by one is the true maximum; a folded column with a step may be behind it by less. */
static void check_equal(const fold_world *world, const model_row *folded, model_row *single)
{
    for (uint32_t i = 0; i < world->table.column_count; i++)
        if (world->route.steps[i].is_set && folded->values[i] && single->values[i] &&
            row_model_within_step(&world->route, i, single->values[i], folded->values[i])) {
            free(single->values[i]);
            single->values[i] = strdup(folded->values[i]);
        }
    int at = model_row_difference(folded, single);
    if (at < 0)
        return;
    ck_assert_msg(at < LEAT_COLUMNS_MAX, "the row exists: folded %d, one by one %d", folded->exists,
                  single->exists);
    const char *one = folded->values[at];
    const char *other = single->values[at];
    ck_abort_msg("column %d (%s, %s): folded %s, one by one %s", at,
                 leat_type_name(world->table.columns[at].type), leat_op_name(world->route.ops[at]),
                 one ? one : "NULL", other ? other : "NULL");
}

/* Records that would fail on their own are left out, as they are in life: they become dead
 * letters. */
static void run_sequence(fold_world *world)
{
    static one_record records[RECORDS_MAX];
    model_row folded = {0};
    one_record first = random_record(world);
    first.op = chance(world, 2) ? LEAT_PATCH : LEAT_DELETE;
    row_model_apply(&folded, &world->route, world->defaults, first.op, &first.body);
    model_row single = model_row_copy(&folded);
    int count = 0;
    for (int i = 1 + below(world, RECORDS_MAX); i > 0; i--) {
        records[count] = random_record(world);
        if (row_model_apply(&single, &world->route, world->defaults, records[count].op,
                            &records[count].body))
            count++;
    }
    if (count > 0)
        apply_folded(world, &folded, records, count);
    check_equal(world, &folded, &single);
    model_row_clear(&folded);
    model_row_clear(&single);
}

/* ---- A state that follows ---- */

/* What is known must be so; the columns of which nothing is known are taken from the row. */
static void check_state(fold_world *world, const leat_key_state *state, const model_row *single)
{
    model_row known = {0};
    leat_row_write write = {.op = LEAT_PUT,
                            .merge = state->merge,
                            .present = state->known,
                            .operated = state->operated,
                            .values = state->values};
    ck_assert_uint_eq(state->known & state->unknown, 0);
    ck_assert(state->row == LEAT_ROW_UNKNOWN || (state->row == LEAT_ROW_PRESENT) == single->exists);
    for (uint32_t i = 1; i < world->table.column_count; i++) {
        world->known += state->known >> i & 1;
        world->unknown += state->unknown >> i & 1;
    }
    if (!single->exists || !state->known)
        return;
    ck_assert(row_model_apply_write(&known, &world->route, world->defaults, &write));
    for (uint32_t i = 0; i < world->table.column_count; i++)
        if (!(state->known >> i & 1)) {
            free(known.values[i]);
            known.values[i] = single->values[i] ? strdup(single->values[i]) : NULL;
        }
    int at = model_row_difference(&known, single);
    ck_assert_msg(at < 0, "column %d (%s, %s): followed %s, one by one %s", at,
                  leat_type_name(world->table.columns[at].type), leat_op_name(world->route.ops[at]),
                  known.values[at] ? known.values[at] : "NULL",
                  single->values[at] ? single->values[at] : "NULL");
    model_row_clear(&known);
}

static void follow_sequence(fold_world *world)
{
    model_row single = {0};
    leat_key_state state;
    leat_value key = {.presence = LEAT_PRESENT, .integer = 1};
    bool is_new = chance(world, 2);
    if (!is_new) { /* a life before it, of which the state is told nothing */
        one_record first = random_record(world);
        row_model_apply(&single, &world->route, world->defaults, LEAT_PATCH, &first.body);
    }
    leat_key_state_init(&state, is_new);
    for (int i = 1 + below(world, RECORDS_MAX); i > 0; i--) {
        one_record record = random_record(world);
        if (!row_model_apply(&single, &world->route, world->defaults, record.op, &record.body))
            continue;
        ck_assert_int_eq(leat_key_state_follow(world->follower, &state, &world->route, record.op,
                                               (leat_slice){world->json.data, world->json.size},
                                               &key),
                         LEAT_FOLLOWED);
        check_state(world, &state, &single);
    }
    leat_key_state_fini(&state);
    model_row_clear(&single);
}

START_TEST(a_state_that_follows_knows_what_the_records_leave_one_by_one)
{
    static fold_world world;
    uint64_t seed = setting("LEAT_TEST_SEED", (uint64_t)leat_wall_ms() / 1000);
    world.parser = leat_body_parser_new();
    world.follower = leat_key_follower_new();
    for (uint64_t i = 0, rounds = setting("LEAT_TEST_ROUNDS", ROUNDS / 4); i < rounds; i++) {
        world.prng = (leat_prng){seed + i};
        printf("# LEAT_TEST_SEED=%" PRIu64 " LEAT_TEST_ROUNDS=1\r", seed + i);
        make_route(&world);
        follow_sequence(&world);
        leat_body_parser_reset(world.parser);
        leat_table_fini(&world.table);
    }
    printf("\n# %" PRIu64 " known, %" PRIu64 " unknown\n", world.known, world.unknown);
    ck_assert_uint_gt(world.known, world.unknown);
    ck_assert_uint_gt(world.unknown, 0);
    leat_buf_free(&world.json);
    leat_key_follower_free(world.follower);
    leat_body_parser_free(world.parser);
}
END_TEST

START_TEST(folded_records_leave_what_they_leave_one_by_one)
{
    static fold_world world;
    uint64_t seed = setting("LEAT_TEST_SEED", (uint64_t)leat_wall_ms() / 1000);
    world.parser = leat_body_parser_new();
    world.fold = leat_fold_new();
    for (uint64_t i = 0, rounds = setting("LEAT_TEST_ROUNDS", ROUNDS); i < rounds; i++) {
        world.prng = (leat_prng){seed + i};
        printf("# LEAT_TEST_SEED=%" PRIu64 " LEAT_TEST_ROUNDS=1\r", seed + i);
        make_route(&world);
        run_sequence(&world);
        leat_body_parser_reset(world.parser);
        leat_fold_reset(world.fold);
        leat_table_fini(&world.table);
    }
    printf("\n# %" PRIu64 " folded, %" PRIu64 " apart\n", world.folded, world.apart);
    ck_assert_uint_gt(world.folded, world.apart);
    ck_assert_uint_gt(world.apart, 0);
    leat_buf_free(&world.json);
    leat_fold_free(world.fold);
    leat_body_parser_free(world.parser);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/fold");
    TCase *tests = tcase_create("fold");
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, folded_records_leave_what_they_leave_one_by_one);
    tcase_add_test(tests, a_state_that_follows_knows_what_the_records_leave_one_by_one);
    return fixture_run(suite);
}
