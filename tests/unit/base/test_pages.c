/* Memory for large tables: zeroed, and resident only where it was written. */
#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/pages.h"

enum { BYTES = 16 * 1024 * 1024, PAGES_MAX = BYTES / 4096 };

/* Pages of it that the kernel has given; -1: AddressSanitizer has made it. */
static int resident(char *memory)
{
    static unsigned char is_there[PAGES_MAX];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int count = 0;
    if ((uintptr_t)memory % page != 0)
        return -1;
    ck_assert_int_eq(mincore(memory, BYTES, is_there), 0);
    for (size_t i = 0; i < BYTES / page; i++)
        count += is_there[i] & 1;
    return count;
}

START_TEST(a_table_takes_memory_where_it_is_used)
{
    char *memory = leat_must_pages(BYTES / 64, 64);
    ck_assert_int_le(resident(memory), 0);
    memory[0] = memory[BYTES - 1] = 'x';
    ck_assert_int_le(resident(memory), 2);
    ck_assert_int_eq(memory[BYTES / 2], 0);
    leat_pages_free(memory, BYTES);
    leat_pages_free(NULL, BYTES);
}
END_TEST

START_TEST(what_a_start_cannot_get_ends_the_process)
{
    leat_must_pages(SIZE_MAX / 2, 4); /* more than a size can say */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pages");
    TCase *tests = tcase_create("pages");
    tcase_add_test(tests, a_table_takes_memory_where_it_is_used);
    tcase_add_exit_test(tests, what_a_start_cannot_get_ends_the_process, 1);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
