/* Files that are read again: when they have changed and stand still, and when somebody asks. */
#include "../record/fixture.h"

#include <unistd.h>

#include "daemon/reload.h"

enum { LOOKS = 8 };

typedef struct reload_world {
    uv_loop_t loop;
    leat_reload *reload;
    char directory[32];
    char files[2][64];
    int reads;
    char last[64]; /* what the last read has found */
    bool refuses;
} reload_world;

static void put(const reload_world *world, int file, const char *text)
{
    FILE *out = fopen(world->files[file], "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    ck_assert_int_eq(fclose(out), 0);
}

static int on_read(void *context, leat_error *error)
{
    reload_world *world = context;
    world->reads++;
    FILE *in = fopen(world->files[0], "r");
    size_t size = in ? fread(world->last, 1, sizeof world->last - 1, in) : 0;
    world->last[size] = '\0';
    if (in)
        fclose(in);
    return world->refuses ? leat_fail(error, "%s:1: no good", world->files[0]) : 0;
}

static reload_world *world_new(void)
{
    reload_world *world = leat_must_calloc(1, sizeof *world);
    ck_assert_int_eq(uv_loop_init(&world->loop), 0);
    strcpy(world->directory, "/tmp/leat-reload-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world->directory));
    for (int i = 0; i < 2; i++) {
        snprintf(world->files[i], sizeof world->files[i], "%s/%d", world->directory, i);
        put(world, i, "first");
    }
    world->reload = leat_reload_new(&world->loop, 1);
    leat_reload_add(world->reload, (const char *const[]){world->files[0], world->files[1]}, 2,
                    on_read, world);
    return world;
}

static void world_free(reload_world *world)
{
    leat_reload_free(world->reload);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&world->loop), 0);
    for (int i = 0; i < 2; i++)
        unlink(world->files[i]);
    rmdir(world->directory);
    free(world);
}

/* Some looks: the timer is the only thing that turns the loop. */
static void look(reload_world *world)
{
    for (int i = 0; i < LOOKS; i++)
        uv_run(&world->loop, UV_RUN_ONCE);
}

START_TEST(what_has_not_changed_is_not_read)
{
    reload_world *world = world_new();
    look(world);
    ck_assert_int_eq(world->reads, 0);
    world_free(world);
}
END_TEST

START_TEST(each_of_its_files_counts_and_a_change_is_read_once)
{
    reload_world *world = world_new();
    put(world, 0, "another");
    look(world);
    ck_assert_int_eq(world->reads, 1);
    ck_assert_str_eq(world->last, "another");
    put(world, 1, "another");
    look(world);
    ck_assert_int_eq(world->reads, 2);
    world_free(world);
}
END_TEST

START_TEST(a_file_that_still_changes_is_not_read)
{
    reload_world *world = world_new();
    char text[64];
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "%*d", 20 + i, i); /* times may be the same, sizes are not */
        put(world, i % 2, text);
        uv_sleep(2); /* a look is due, and one turn without waiting is at most one look */
        uv_run(&world->loop, UV_RUN_NOWAIT);
        ck_assert_int_eq(world->reads, 0);
    }
    put(world, 0, "whole");
    look(world);
    ck_assert_int_eq(world->reads, 1);
    ck_assert_str_eq(world->last, "whole");
    world_free(world);
}
END_TEST

START_TEST(one_that_is_no_good_is_read_again_when_it_changes)
{
    reload_world *world = world_new();
    world->refuses = true;
    unlink(world->files[0]);
    look(world);
    ck_assert_int_eq(world->reads, 1);
    look(world);
    ck_assert_int_eq(world->reads, 1);
    put(world, 0, "back");
    look(world);
    ck_assert_int_eq(world->reads, 2);
    ck_assert_str_eq(world->last, "back");
    world_free(world);
}
END_TEST

START_TEST(a_request_reads_all_at_once)
{
    reload_world *world = world_new();
    uv_async_send(leat_reload_request(world->reload));
    look(world);
    ck_assert_int_eq(world->reads, 1);
    world_free(world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reload");
    TCase *tests = tcase_create("reload");
    tcase_add_test(tests, what_has_not_changed_is_not_read);
    tcase_add_test(tests, each_of_its_files_counts_and_a_change_is_read_once);
    tcase_add_test(tests, a_file_that_still_changes_is_not_read);
    tcase_add_test(tests, one_that_is_no_good_is_read_again_when_it_changes);
    tcase_add_test(tests, a_request_reads_all_at_once);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
