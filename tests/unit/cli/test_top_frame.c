/* A frame of `leat top`, from what processes have said: sums, ages, orders, and what is wrong. */
#include "top.h"

#include <stdio.h>

typedef struct world {
    leat_top_sources sources;
    leat_top_frame frame;
} world;

static yyjson_doc *read_json(const char *text)
{
    yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
    ck_assert_ptr_nonnull(doc);
    return doc;
}

static world *world_new(uint32_t width)
{
    world *ret = leat_must_calloc(1, sizeof *ret);
    ret->frame.width = width;
    return ret;
}

/* `culprits` NULL: it has said nothing of them. */
static void add_source(world *to, const char *shards, const char *culprits)
{
    char state[4096];
    leat_top_source *source = &to->sources.sources[to->sources.count++];
    snprintf(state, sizeof state,
             "{\"command\":\"run\",\"host\":\"h%u\",\"pid\":7,\"topic\":\"t\",\"is_ready\":true,"
             "\"now_ms\":70000,\"started_ms\":10000,\"process\":{\"accepted_s\":12.34,"
             "\"applied_s\":2.5,\"refused_s\":null},\"shards\":[%s]}",
             to->sources.count, shards);
    source->url = "http://h:1";
    source->state = read_json(state);
    source->culprits = culprits ? read_json(culprits) : NULL;
}

static char *draw(world *of, leat_top_sort sort)
{
    leat_top_draw(&of->frame, &of->sources, sort, "12:00:00", false);
    for (uint32_t i = 0; i < of->frame.count; i++)
        ck_assert_uint_le(characters(&of->frame.lines[i].text), of->frame.width);
    return text_of(&of->frame);
}

static void world_free(world *of)
{
    leat_top_frame_fini(&of->frame);
    leat_top_sources_fini(&of->sources);
    free(of);
}

static void expect_line(const world *of, const char *begin, const char *text)
{
    char *found = line_of(&of->frame, begin);
    ck_assert_ptr_nonnull(found);
    ck_assert_str_eq(found, text);
    free(found);
}

#define SHARD_A                                                                                     \
    "{\"name\":\"a\",\"time_lag_s\":0.25,\"message_lag\":1000,\"catch_up_s\":90,\"drained_s\":800," \
    "\"rows_s\":3.25,\"stalled\":0,\"held_keys\":0,\"parked_records\":0,\"busy\":1,"                \
    "\"connections\":4,\"batch_s\":0.002,\"limit\":4,\"breakers_open\":0,\"controls\":1,"           \
    "\"silent_s\":0}"
#define SHARD_B                                                                                    \
    "{\"name\":\"b\",\"time_lag_s\":120,\"message_lag\":5,\"catch_up_s\":31536000,"                \
    "\"drained_s\":10,\"rows_s\":9,\"stalled\":2,\"connections\":4,\"breakers_open\":1}"

START_TEST(numbers_of_several_processes_are_added_up_and_the_oldest_counts)
{
    world *of = world_new(200);
    add_source(of, SHARD_A, NULL);
    add_source(of, SHARD_A "," SHARD_B, NULL);
    char *text = draw(of, LEAT_TOP_BY_LAG);
    ck_assert_str_eq(
        text,
        "#leat top  12:00:00  topic t\n"
        " run h1 7: accepted 12/s, applied 2.5/s, refused -/s, up 60.0 s\n"
        " run h2 7: accepted 12/s, applied 2.5/s, refused -/s, up 60.0 s\n"
        " \n"
        "#SHARD  OLDEST  NOT APPLIED  CAUGHT UP  ROWS/S  DRAIN/S  STALLED  HELD  PARKED  BUSY  BATCH  "
        "AT ONCE  BREAKER  CONTROLS\n"
        "!b       2 min            5      never       9       10        2     -       -   -/4      -  "
        "      -  open            -\n"
        " a      250 ms         2000     90.0 s     6.5     1600        0     0       0   2/8   2 ms  "
        "      8  closed          1\n");
    free(text);
    world_free(of);
}
END_TEST

/* The process that has said nothing may be the last to have caught up, unless it has no partition.
 */
START_TEST(what_one_process_does_not_know_of_catching_up_is_not_known)
{
    world *of = world_new(200);
    add_source(of, SHARD_A, NULL);
    add_source(of, "{\"name\":\"a\",\"time_lag_s\":null,\"catch_up_s\":null}", NULL);
    char *text = draw(of, LEAT_TOP_BY_LAG);
    ck_assert_ptr_nonnull(strstr(text, "  90.0 s  "));
    free(text);
    add_source(of, "{\"name\":\"a\",\"time_lag_s\":0.1,\"catch_up_s\":null}", NULL);
    text = draw(of, LEAT_TOP_BY_LAG);
    ck_assert_ptr_null(strstr(text, "90.0 s"));
    free(text);
    world_free(of);
}
END_TEST

START_TEST(shards_are_sorted_as_it_was_wished)
{
    static const struct {
        leat_top_sort sort;
        const char *first;
    } cases[] = {{LEAT_TOP_BY_LAG, "b "},
                 {LEAT_TOP_BY_NAME, "a "},
                 {LEAT_TOP_BY_COUNT, "a "},
                 {LEAT_TOP_BY_ROWS, "b "}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world *of = world_new(120);
        add_source(of, SHARD_B "," SHARD_A ",{\"name\":\"c\"}", NULL);
        free(draw(of, cases[i].sort));
        const leat_buf *row = &of->frame.lines[4].text;
        ck_assert_int_eq(memcmp(row->data, cases[i].first, 2), 0);
        if (cases[i].sort != LEAT_TOP_BY_NAME) /* of which nothing is known is last */
            ck_assert_int_eq(of->frame.lines[6].text.data[0], 'c');
        world_free(of);
    }
}
END_TEST

START_TEST(a_narrow_terminal_has_the_name_and_the_oldest_write)
{
    world *of = world_new(LEAT_TOP_WIDTH_MIN);
    add_source(of, SHARD_A, NULL);
    free(draw(of, LEAT_TOP_BY_LAG));
    expect_line(of, "SHARD", "SHARD  OLDEST");
    expect_line(of, "a ", "a      250 ms");
    expect_line(of, "run", "run h1 7: accepte...");
    world_free(of);
}
END_TEST

START_TEST(who_is_to_blame_is_named_by_the_age_of_the_write)
{
    world *of = world_new(160);
    add_source(of, SHARD_A,
               "{\"alerts\":[{\"shard\":\"a\",\"text\":\"it grows\"},{\"text\":\"all of it\"}],"
               "\"partitions\":[{\"shard\":\"a\",\"partition\":1,\"offset\":5,\"age_s\":3,"
               "\"attempts\":4,\"tenant\":\"t\",\"key\":\"t/1\",\"sqlstate\":\"55P03\","
               "\"reason\":\"contention\"},{\"shard\":\"a\",\"partition\":3,\"offset\":null,"
               "\"age_s\":90}],"
               "\"tenants\":[{\"tenant\":\"t\",\"shard\":\"a\",\"records_s\":1,\"records\":60,"
               "\"database_s\":0.5}],\"keys\":[]}");
    add_source(of, SHARD_A,
               "{\"partitions\":[{\"shard\":\"a\",\"partition\":2,\"offset\":6,\"age_s\":7000}],"
               "\"tenants\":[{\"tenant\":\"u\",\"records_s\":20}]}");
    free(draw(of, LEAT_TOP_BY_LAG));
    expect_line(of, "shard a: ", "shard a: it grows");
    expect_line(of, "all of it", "all of it");
    expect_line(of, "HELD UP BY",
                "HELD UP BY  PARTITION  OFFSET  WRITTEN  TRIES  TENANT  KEY  SQLSTATE  REASON");
    char *text = text_of(&of->frame);
    const char *first = strstr(text, "a                   2       6  117 min"),
               *second = strstr(text, "a                   1       5    3.0 s      4  t       t/1  "
                                      "55P03     contention");
    ck_assert(first && second && first < second);
    const char *heavy = strstr(text, "TENANT  SHARD  RECORDS/S  RECORDS  DATABASE  WAITED");
    ck_assert(heavy && strstr(heavy, "\n u       -             20        -         -       -\n"));
    ck_assert_ptr_null(strstr(text, "KEY     "));
    free(text);
    world_free(of);
}
END_TEST

#define UUIDS "0a1b2c3d-0000-4000-8000-00000000000%d/0a1b2c3d-0000-4000-8000-0000000000ff"

START_TEST(a_key_of_two_uuids_is_seen_whole)
{
    world *of = world_new(160);
    char culprits[512], key[128];
    snprintf(key, sizeof key, UUIDS, 7);
    snprintf(culprits, sizeof culprits,
             "{\"partitions\":[{\"shard\":\"a\",\"partition\":1,\"offset\":5,\"age_s\":3,"
             "\"attempts\":4,\"tenant\":\"%.36s\",\"key\":\"%s\",\"sqlstate\":\"55P03\","
             "\"reason\":\"contention\"}],\"keys\":[{\"key\":\"%s\",\"records_s\":1}]}",
             key, key, key);
    add_source(of, SHARD_A, culprits);
    char *text = draw(of, LEAT_TOP_BY_LAG), *first = strstr(text, key);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(strstr(first, "contention"));
    ck_assert_ptr_nonnull(strstr(first + 1, key));
    free(text);
    world_free(of);
}
END_TEST

START_TEST(tenants_and_keys_of_several_processes_are_added_up)
{
    world *of = world_new(100);
    add_source(of, SHARD_A,
               "{\"tenants\":[{\"shard\":\"a\",\"tenant\":\"t\",\"records_s\":20,\"records\":100,"
               "\"database_s\":1,\"waited_s\":30},"
               "{\"shard\":\"a\",\"tenant\":\"u\",\"records_s\":30}],"
               "\"keys\":[{\"shard\":\"a\",\"key\":\"t/1\",\"records_s\":2,\"records\":7}]}");
    add_source(
        of, SHARD_A,
        "{\"tenants\":[{\"shard\":\"b\",\"tenant\":\"t\",\"records_s\":5},"
        "{\"shard\":\"a\",\"tenant\":\"t\",\"records_s\":25,\"records\":10,\"database_s\":2.5,"
        "\"waited_s\":12}],"
        "\"keys\":[{\"shard\":\"a\",\"key\":\"t/1\",\"records_s\":3,\"database_s\":4}]}");
    char *text = draw(of, LEAT_TOP_BY_LAG);
    ck_assert_ptr_nonnull(strstr(text, "#TENANT  SHARD  RECORDS/S  RECORDS  DATABASE  WAITED\n"
                                       " t       a             45      110     3.5 s  42.0 s\n"
                                       " u       a             30        -         -       -\n"
                                       " t       b              5        -         -       -\n"));
    ck_assert_ptr_nonnull(strstr(text, "#KEY  SHARD  RECORDS/S  RECORDS  DATABASE  WAITED\n"
                                       " t/1  a              5        7     4.0 s       -\n"));
    free(text);
    world_free(of);
}
END_TEST

/* Among many that write more. */
START_TEST(the_leader_of_each_measure_is_listed)
{
    world *of = world_new(100);
    leat_buf culprits = {0};
    leat_buf_text(&culprits,
                  "{\"tenants\":[{\"tenant\":\"slow\",\"records_s\":1,\"database_s\":60},"
                  "{\"tenant\":\"late\",\"records_s\":2,\"waited_s\":900}");
    for (int i = 10; i < 40; i++)
        leat_buf_printf(&culprits,
                        ",{\"tenant\":\"busy%d\",\"records_s\":%d,\"database_s\":1,\"waited_s\":1}",
                        i, i);
    leat_buf_text(&culprits, "]}");
    add_source(of, SHARD_A, leat_buf_cstr(&culprits));
    char *text = draw(of, LEAT_TOP_BY_LAG), *first = strstr(text, "\n busy39 "),
         *late = strstr(text, "\n late "), *slow = strstr(text, "\n slow ");
    ck_assert(first && late && slow && first < late && late < slow);
    leat_buf_free(&culprits);
    free(text);
    world_free(of);
}
END_TEST

START_TEST(a_process_that_does_not_answer_says_so)
{
    world *of = world_new(100);
    of->sources.sources[of->sources.count++] = (leat_top_source){.url = "http://h:2"};
    leat_fail(&of->sources.sources[0].error, "nobody is there");
    free(draw(of, LEAT_TOP_BY_LAG));
    expect_line(of, "http://h:2", "http://h:2: nobody is there");
    add_source(of, SHARD_A, NULL);
    leat_fail(&of->sources.sources[1].error, "it hangs");
    free(draw(of, LEAT_TOP_BY_LAG));
    expect_line(of, "http://h:1", "http://h:1: it hangs; what follows is what it said last");
    expect_line(of, "run h2", "run h2 7: accepted 12/s, applied 2.5/s, refused -/s, up 60.0 s");
    world_free(of);
}
END_TEST

/* Another version of leat, or another program. */
START_TEST(whatever_a_process_says_is_drawn)
{
    static const char *const shards[] = {"7", "{}", "{\"name\":5}",
                                         "{\"name\":\"a\",\"time_lag_s\":\"x\",\"busy\":[]}",
                                         "{\"name\":\"\\u001b[2J\",\"time_lag_s\":1e300}"};
    static const char *const culprits[] = {
        "{}", "{\"partitions\":7}",
        "{\"partitions\":[7,{},{\"offset\":1}],\"tenants\":[{},7,{\"tenant\":5}],\"keys\":8,\"alerts\":[{}]}"};
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++)
        for (size_t k = 0; k < sizeof culprits / sizeof *culprits; k++) {
            world *of = world_new(80);
            add_source(of, shards[i], culprits[k]);
            char *text = draw(of, LEAT_TOP_BY_LAG);
            ck_assert_ptr_null(strchr(text, '\033'));
            free(text);
            world_free(of);
        }
}
END_TEST

RUN("top_frame", numbers_of_several_processes_are_added_up_and_the_oldest_counts,
    what_one_process_does_not_know_of_catching_up_is_not_known, shards_are_sorted_as_it_was_wished,
    a_narrow_terminal_has_the_name_and_the_oldest_write, a_key_of_two_uuids_is_seen_whole,
    who_is_to_blame_is_named_by_the_age_of_the_write,
    tenants_and_keys_of_several_processes_are_added_up, the_leader_of_each_measure_is_listed,
    a_process_that_does_not_answer_says_so, whatever_a_process_says_is_drawn)
