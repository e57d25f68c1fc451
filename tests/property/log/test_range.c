/*
 * Random logs under a reader that remembers everything, against the few numbers that leat keeps:
 * the verdict of log/range.h is what counting the offsets one by one gives. LEAT_TEST_SEED=n
 * repeats a run, LEAT_TEST_ROUNDS=n makes it longer.
 */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>

#include "../../lib/setting.h"
#include "base/base.h"
#include "base/leader_epoch.h"
#include "log/range.h"

enum { ROUNDS = 20000, STEPS_MAX = 30, OFFSETS_MAX = 200 };

typedef struct cell {
    uint32_t record; /* 0: there is none, as of a marker; unique, so that another one is seen */
    int32_t epoch;
    int64_t at_ms;
} cell;

/* Everything that happened, offset by offset. */
typedef struct model {
    leat_prng prng;
    cell log[OFFSETS_MAX];  /* the record there now; below `start` the last one there */
    cell seen[OFFSETS_MAX]; /* the record there when it was offered */
    bool is_offered[OFFSETS_MAX];
    bool is_applied[OFFSETS_MAX];
    int64_t start, end;
    int64_t next;
    uint32_t records;
    int32_t epoch;
    bool is_recreated;
    bool has_epochs; /* else the log tells times only */
} model;

static int64_t below(model *m, int64_t bound)
{
    return (int64_t)leat_prng_below(&m->prng, (uint64_t)bound);
}

/* ---- the faults, offset by offset ---- */

static bool is_short(const model *m)
{
    for (int64_t offset = m->end; offset < OFFSETS_MAX; offset++)
        if (m->is_offered[offset])
            return true;
    return false;
}

static bool has_lost(const model *m)
{
    for (int64_t offset = 0; offset < m->start; offset++)
        if (!m->is_offered[offset])
            return true;
    return false;
}

/* Is another record where one was offered, as far as the log still exists? */
static bool is_rewritten(const model *m)
{
    for (int64_t offset = m->start; offset < m->end; offset++)
        if (m->is_offered[offset] && (m->seen[offset].record != m->log[offset].record ||
                                      m->seen[offset].epoch != m->log[offset].epoch))
            return true;
    return false;
}

/* ---- what happens ---- */

static void append(model *m)
{
    if (m->end == OFFSETS_MAX)
        return;
    bool is_marker = below(m, 4) == 0;
    m->log[m->end++] = (cell){is_marker ? 0 : ++m->records, m->epoch, 1000 + m->records};
}

/* A reader asks before it reads on after an election, so it never reads past a fault. */
static void offer(model *m)
{
    if (m->next < m->start || m->next >= m->end || is_rewritten(m))
        return;
    m->seen[m->next] = m->log[m->next];
    m->is_offered[m->next++] = true;
}

/* In any order, except below the mark from which a restarted reader goes on. */
static void apply(model *m)
{
    int64_t offset = below(m, OFFSETS_MAX);
    if (m->is_offered[offset])
        m->is_applied[offset] = true;
}

static void trim(model *m)
{
    int64_t start = m->start + below(m, 6);
    m->start = start < m->end ? start : m->end;
}

static void cut_off(model *m)
{
    int64_t end = m->end - below(m, 6);
    m->end = end > m->start ? end : m->start;
    m->epoch++;
}

static void step(model *m)
{
    switch (below(m, 40)) {
    case 0:
        trim(m);
        break;
    case 1:
        cut_off(m);
        break;
    case 2:
        m->is_recreated = below(m, 10) == 0 || m->is_recreated;
        break;
    default:
        switch (below(m, 3)) {
        case 0:
            append(m);
            break;
        case 1:
            offer(m);
            break;
        default:
            apply(m);
        }
    }
}

/* ---- what leat keeps of it ---- */

static int64_t low_of(const model *m)
{
    int64_t low = -1;
    while (low + 1 < OFFSETS_MAX && m->is_applied[low + 1])
        low++;
    return low;
}

static int64_t high_of(const model *m)
{
    int64_t high = OFFSETS_MAX - 1;
    while (high >= 0 && !m->is_applied[high])
        high--;
    return high;
}

/* The first offset whose record is of a later epoch than that; the end where there is none. */
static int64_t epoch_end(const model *m, int32_t epoch)
{
    for (int64_t offset = m->start; offset < m->end; offset++)
        if (m->log[offset].epoch > epoch)
            return offset;
    return m->end;
}

static leat_log_range range_of(const model *m)
{
    int64_t high = high_of(m);
    bool is_there = high >= m->start && high < m->end;
    leat_log_range range = {.low = low_of(m),
                            .high = high,
                            .next = m->next,
                            .read_to = -1,
                            .is_recreated = m->is_recreated,
                            .start = m->start,
                            .end = m->end,
                            .epoch_end = -1};
    if (m->has_epochs && m->next > 0)
        range.epoch_end = epoch_end(m, m->seen[m->next - 1].epoch);
    if (!m->has_epochs && high >= 0) {
        range.high_ms = m->seen[high].at_ms;
        range.found_ms = is_there ? m->log[high].at_ms : 0;
    }
    return range;
}

/* ---- what it should say of it ---- */

/* Of a log without epochs only the newest applied record counts. */
static bool is_newest_other(const model *m)
{
    int64_t high = high_of(m);
    return high >= m->start && high < m->end && m->seen[high].at_ms != m->log[high].at_ms;
}

static leat_range_verdict expected(const model *m)
{
    if (m->is_recreated)
        return LEAT_RANGE_OTHER;
    if (is_short(m))
        return LEAT_RANGE_SHORT;
    if (has_lost(m))
        return LEAT_RANGE_LOST;
    bool is_other = m->has_epochs ? is_rewritten(m) : is_newest_other(m);
    return is_other ? LEAT_RANGE_REWRITTEN : LEAT_RANGE_FITS;
}

static void check_now(const model *m, uint64_t seed, uint32_t counts[])
{
    leat_log_range range = range_of(m);
    leat_range_verdict found = leat_range_check(&range);
    counts[found]++;
    if (found != expected(m))
        ck_abort_msg("seed %" PRIu64 ": verdict %d, expected %d: low %lld high %lld next %lld, "
                     "start %lld end %lld epoch_end %lld",
                     seed, found, expected(m), (long long)range.low, (long long)range.high,
                     (long long)range.next, (long long)range.start, (long long)range.end,
                     (long long)range.epoch_end);
}

START_TEST(says_what_counting_the_offsets_says)
{
    uint64_t seed = setting("LEAT_TEST_SEED", 1);
    uint64_t rounds = setting("LEAT_TEST_ROUNDS", ROUNDS);
    uint32_t counts[LEAT_RANGE_REWRITTEN + 1] = {0};
    for (uint64_t round = 0; round < rounds; round++) {
        model m = {.prng = {seed + round}, .has_epochs = round % 2 == 0};
        for (int64_t left = 1 + below(&m, STEPS_MAX); left > 0; left--)
            step(&m);
        check_now(&m, seed + round, counts);
    }
    for (int verdict = 0; verdict <= LEAT_RANGE_REWRITTEN; verdict++)
        ck_assert_msg(rounds < ROUNDS || counts[verdict] > 10, "verdict %d: only %u times", verdict,
                      counts[verdict]);
}
END_TEST

/* An epoch check lets pass what a log can have, and the first record of another log does not pass
 * where an older epoch is read behind a newer one. */
START_TEST(never_refuses_a_record_of_a_log_that_was_not_cut_off)
{
    leat_prng prng = {setting("LEAT_TEST_SEED", 1)};
    for (int round = 0; round < 1000; round++) {
        int32_t epochs[50];
        int32_t epoch = 0;
        for (int offset = 0; offset < 50; offset++)
            epochs[offset] = epoch += leat_prng_below(&prng, 8) == 0;
        int seen = (int)leat_prng_below(&prng, 50);
        for (int offset = 0; offset < 50; offset++)
            if (!leat_leader_epoch_fits(seen, epochs[seen], offset, epochs[offset]))
                ck_abort_msg("round %d: offset %d, seen %d", round, offset, seen);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("range");
    tcase_add_test(tests, says_what_counting_the_offsets_says);
    tcase_add_test(tests, never_refuses_a_record_of_a_log_that_was_not_cut_off);
    Suite *suite = suite_create("property log range");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
