/* Whose records are parked in a partition: against a naive list of what is. */
#include "../record/fixture.h"

#include "apply/parked_shares.h"

enum { SUBPARTITIONS = 8, TENANTS = 6, RECORDS_MAX = 400, STEPS = 3000 };

typedef struct parked_record {
    uint32_t tenant; /* 0: none */
    uint64_t bytes;
    int64_t offset;
    bool was_found;
} parked_record;

/* Of one subpartition, in order. */
typedef struct queue {
    uint32_t count;
    parked_record records[RECORDS_MAX];
} queue;

typedef struct scene {
    leat_parked_shares *shares;
    queue queues[SUBPARTITIONS];
    int64_t next_offset;
    leat_prng prng;
} scene;

static leat_slice text_of(uint32_t tenant)
{
    static const char *const texts[TENANTS] = {"", "1", "2", "3", "4", "5"};
    return leat_slice_of(texts[tenant]);
}

static uint32_t below(scene *s, uint32_t bound)
{
    return (uint32_t)leat_prng_below(&s->prng, bound);
}

static void park(scene *s)
{
    queue *to = &s->queues[below(s, SUBPARTITIONS)];
    if (to->count == RECORDS_MAX)
        return;
    parked_record *record = &to->records[to->count++];
    *record = (parked_record){
        .tenant = below(s, TENANTS), .bytes = below(s, 100), .offset = s->next_offset++};
    leat_parked_shares_add(s->shares, text_of(record->tenant), record->bytes);
}

static void unpark(scene *s)
{
    uint32_t subpartition = below(s, SUBPARTITIONS);
    queue *of = &s->queues[subpartition];
    if (of->count == 0)
        return;
    parked_record first = of->records[0];
    memmove(of->records, of->records + 1, --of->count * sizeof *of->records);
    leat_parked_shares_take(s->shares, subpartition, first.offset, text_of(first.tenant),
                            first.bytes);
}

/* Each record of those that are found is 10 bytes as stored. */
static void claim(scene *s)
{
    leat_engine_parked found[SUBPARTITIONS];
    uint32_t count = 0;
    for (uint16_t i = 0; i < SUBPARTITIONS; i++) {
        queue *of = &s->queues[i];
        for (uint32_t k = 0; k < of->count; k++)
            of->records[k].was_found = true;
        if (of->count > 0)
            found[count++] = (leat_engine_parked){.subpartition = i,
                                                  .first_offset = of->records[0].offset,
                                                  .last_offset = of->records[of->count - 1].offset,
                                                  .records = of->count,
                                                  .bytes = 10 * (uint64_t)of->count};
    }
    leat_parked_shares_claimed(s->shares, found, count);
}

static void compare(const scene *s, double ratio)
{
    double of[TENANTS] = {0}, total = 0;
    leat_flood sum = {0};
    for (uint32_t i = 0; i < SUBPARTITIONS; i++)
        for (uint32_t k = 0; k < s->queues[i].count; k++) {
            const parked_record *record = &s->queues[i].records[k];
            double bytes = record->was_found ? 10 * ratio : (double)record->bytes;
            of[record->tenant] += record->was_found ? 0 : bytes;
            total += bytes;
        }
    leat_parked_shares_sum(s->shares, ratio, &sum);
    ck_assert_double_eq(sum.bytes.total, total);
    for (uint32_t tenant = 1; tenant < TENANTS; tenant++) {
        uint32_t place = leat_heavy_find(&sum.bytes, leat_hash(text_of(tenant)));
        double own = place < LEAT_HEAVY_MAX ? leat_heavy_certain(&sum.bytes, place) : 0;
        ck_assert_double_eq(own, of[tenant]);
    }
}

START_TEST(what_is_parked_now_counts)
{
    scene *s = leat_must_calloc(1, sizeof *s);
    s->prng.state = (uint64_t)_i;
    s->shares = leat_parked_shares_new(SUBPARTITIONS);
    for (int step = 0; step < STEPS; step++) {
        uint32_t what = below(s, 100);
        if (what == 0)
            claim(s);
        else if (what < 55)
            park(s);
        else
            unpark(s);
        compare(s, 1 << _i);
    }
    free(s->shares);
    free(s);
}
END_TEST

/* However long what others have parked has been there, and what came and went since. */
START_TEST(who_has_parked_most_is_loud_for_as_long_as_it_is_parked)
{
    leat_parked_shares *shares = leat_parked_shares_new(SUBPARTITIONS);
    leat_flood_tenant found[LEAT_FLOOD_LOUD_MAX];
    leat_flood sum = {0}, later = {0};
    leat_parked_shares_add(shares, LEAT_SLICE("loud"), 5000);
    for (int64_t i = 0; i < 100000; i++) {
        leat_parked_shares_add(shares, LEAT_SLICE("quiet"), 50);
        leat_parked_shares_take(shares, 1, i, LEAT_SLICE("quiet"), 50);
    }
    leat_parked_shares_sum(shares, 1, &sum);
    ck_assert_uint_eq(leat_flood_loud(&sum, found), 1);
    ck_assert_str_eq(found[0].name, "loud");
    leat_parked_shares_take(shares, 0, 7, LEAT_SLICE("loud"), 5000);
    leat_parked_shares_sum(shares, 1, &later);
    ck_assert_uint_eq(leat_flood_loud(&later, found), 0);
    free(shares);
}
END_TEST

START_TEST(the_first_tenant_after_a_claim_has_not_all)
{
    leat_parked_shares *shares = leat_parked_shares_new(SUBPARTITIONS);
    leat_flood_tenant loud[LEAT_FLOOD_LOUD_MAX];
    leat_flood sum = {0}, later = {0};
    const leat_engine_parked found = {
        .subpartition = 3, .first_offset = 10, .last_offset = 109, .records = 100, .bytes = 1000};
    leat_parked_shares_claimed(shares, &found, 1);
    leat_parked_shares_add(shares, LEAT_SLICE("quiet"), 100);
    leat_parked_shares_sum(shares, 4, &sum); /* 100 of 4100 */
    ck_assert_uint_eq(leat_flood_loud(&sum, loud), 0);
    for (int64_t offset = 10; offset < 109; offset++)
        leat_parked_shares_take(shares, 3, offset, LEAT_SLICE("quiet"), 100);
    leat_parked_shares_sum(shares, 4, &later); /* 100 of 140 */
    ck_assert_uint_eq(leat_flood_loud(&later, loud), 1);
    free(shares);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parked_shares");
    TCase *tests = tcase_create("parked_shares");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, what_is_parked_now_counts, 0, 4);
    tcase_add_test(tests, who_has_parked_most_is_loud_for_as_long_as_it_is_parked);
    tcase_add_test(tests, the_first_tenant_after_a_claim_has_not_all);
    return fixture_run(suite);
}
