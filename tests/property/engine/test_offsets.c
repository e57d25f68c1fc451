/*
 * leat_offsets against a naive set: random holes, random completions, records that were done before.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/offsets.h"

enum { RECORDS = 400, SEEDS = 3000, CAPACITY = 37 };

typedef struct naive {
    int64_t offset, at_ms;
    bool done;
    uint32_t position;
} naive;

static bool agrees(const leat_offsets *offsets, const naive *records, uint32_t count, int64_t first_low)
{
    int64_t low = first_low;
    int64_t low_at_ms = 0;
    uint32_t i = 0;
    for (; i < count && records[i].done; i++) {
        low = records[i].offset;
        low_at_ms = records[i].at_ms;
    }
    leat_offsets_validate(offsets);
    return offsets->low == low && offsets->low_at_ms == low_at_ms &&
           leat_offsets_oldest_ms(offsets) == (i < count ? records[i].at_ms : 0) &&
           leat_offsets_last(offsets) == (count > 0 ? records[count - 1].offset : first_low);
}

static void run(uint64_t seed)
{
    leat_prng prng = {seed};
    leat_offsets_entry entries[CAPACITY];
    naive records[RECORDS];
    leat_offsets offsets;
    leat_offsets_init(&offsets, entries, 1 + (uint32_t)leat_prng_below(&prng, CAPACITY));
    int64_t first_low = (int64_t)leat_prng_below(&prng, 5) - 1;
    leat_offsets_begin(&offsets, first_low, 0);
    int64_t offset = first_low;
    uint32_t count = 0;
    for (uint32_t step = 0; step < 100; step++) {
        bool done = leat_prng_below(&prng, 3) == 0;
        bool room = done ? leat_offsets_room_done(&offsets) : leat_offsets_room(&offsets);
        if (leat_prng_below(&prng, 2) && room && count < RECORDS) {
            offset += 1 + (int64_t)(leat_prng_below(&prng, 3) ? 0 : leat_prng_below(&prng, 1000));
            records[count] = (naive){.offset = offset, .at_ms = 5 + offset, .done = done};
            if (done)
                leat_offsets_push_done(&offsets, offset, 5 + offset);
            else
                records[count].position = leat_offsets_push(&offsets, offset, 5 + offset);
            count++;
        } else if (count > 0) {
            naive *record = &records[leat_prng_below(&prng, count)];
            if (!record->done)
                leat_offsets_complete(&offsets, record->position);
            record->done = true;
        }
        ck_assert_msg(agrees(&offsets, records, count, first_low), "again with TEST_SEED=%llu",
                      (unsigned long long)seed);
    }
}

START_TEST(low_agrees_with_a_naive_set)
{
    const char *one = getenv("TEST_SEED");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    uint64_t last = one ? first : SEEDS;
    for (uint64_t seed = first; seed <= last; seed++)
        run(seed);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("offsets");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, low_agrees_with_a_naive_set);
    Suite *suite = suite_create("offsets property");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 0;
}
