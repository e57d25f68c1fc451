#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "record/catalog.h"

static char folder[64];
static char path[96];

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/leat-catalog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/catalog.json", folder);
}

static void teardown(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* no temporary file remains */
}

static leat_catalog make_catalog(void)
{
    static const char *const names[] = {"a", "b", "\xc3\xbc \"quoted\""};
    leat_catalog catalog = {.source = {.id = 3, .placement = {2, 256, 8, 1}}, .table_count = 2};
    strcpy(catalog.source.log_identity, "cluster");
    strcpy(catalog.source.topic, "subscriptions");
    strcpy(catalog.source.topic_id, "AAAA");
    strcpy(catalog.source.hash, "xxh3-64");
    leat_layout_even(&catalog.layout, 7, 3, names);
    catalog.layout.tenant_slots[5] = 2; /* a tenant that was moved */
    leat_error error;
    catalog.tenants = leat_tenant_map_new();
    ck_assert_int_eq(leat_tenant_map_add(catalog.tenants, LEAT_SLICE("a%2Cb"), 2, &error), 0);
    ck_assert_int_eq(leat_tenant_map_add(catalog.tenants, LEAT_SLICE("7"), 0, &error), 0);
    leat_layout_take_tenants(&catalog.layout, catalog.tenants);
    catalog.tables = leat_must_calloc(2, sizeof *catalog.tables);
    catalog.tables[0] = fixture_table();
    catalog.tables[1] = fixture_empty_table("other");
    fixture_add_key(&catalog.tables[1], "id", LEAT_TYPE_UUID, -1);
    leat_column *place = fixture_add(&catalog.tables[1], "place", LEAT_TYPE_OTHER, -1);
    place->type_oid = 600;
    place->is_array = true;
    place->by_bytes = true;
    catalog.tables[1].is_ordered = true;
    catalog.tables[1].deletes_matter = true;
    return catalog;
}

static void expect_same_table(const leat_table *a, const leat_table *b)
{
    ck_assert(leat_table_equal(a, b));
    ck_assert_str_eq(a->label, b->label);
    ck_assert_mem_eq(a->key_columns, b->key_columns, a->key_count * sizeof *a->key_columns);
    for (uint32_t i = 0; i < a->column_count; i++) {
        ck_assert_uint_eq(a->columns[i].type_oid, b->columns[i].type_oid);
        ck_assert_int_eq(a->columns[i].type_modifier, b->columns[i].type_modifier);
        ck_assert_int_eq(a->columns[i].key_position, b->columns[i].key_position);
    }
}

START_TEST(what_is_saved_is_loaded)
{
    leat_catalog saved = make_catalog();
    leat_catalog loaded;
    leat_error error = {""};
    for (int i = 0; i < 2; i++) /* also over the file that is there */
        ck_assert_msg(leat_catalog_save(&saved, path, &error) == 0, "%s", error.text);
    ck_assert_msg(leat_catalog_load(&loaded, path, &error) == 0, "%s", error.text);
    ck_assert_mem_eq(&saved.source, &loaded.source, sizeof saved.source);
    ck_assert_int_eq(leat_tenant_map_find(loaded.tenants, LEAT_SLICE("a%2Cb")), 2);
    ck_assert_int_eq(leat_tenant_map_find(loaded.tenants, LEAT_SLICE("7")), 0);
    ck_assert_ptr_eq(loaded.layout.tenants, loaded.tenants);
    saved.layout.tenants = loaded.layout.tenants = NULL;
    ck_assert_mem_eq(&saved.layout, &loaded.layout, sizeof saved.layout);
    ck_assert_uint_eq(loaded.table_count, 2);
    for (uint32_t i = 0; i < 2; i++)
        expect_same_table(&saved.tables[i], &loaded.tables[i]);
    ck_assert_int_eq(leat_catalog_table(&loaded, "other"), 1);
    ck_assert_int_eq(leat_catalog_table(&loaded, "nothing"), -1);
    strcpy(loaded.tables[1].schema, loaded.tables[0].schema);
    strcpy(loaded.tables[1].name, loaded.tables[0].name);
    ck_assert_int_eq(leat_catalog_table(&loaded, "other"), 0); /* two labels of one table */
    leat_catalog_fini(&saved);
    leat_catalog_fini(&loaded);
    leat_catalog_fini(&loaded);
}
END_TEST

START_TEST(others_may_read_the_file)
{
    leat_catalog catalog = make_catalog();
    leat_error error;
    struct stat facts;
    ck_assert_int_eq(leat_catalog_save(&catalog, path, &error), 0);
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777, 0644);
    leat_catalog_fini(&catalog);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_named)
{
    leat_catalog catalog = make_catalog();
    leat_error error = {""};
    ck_assert_int_eq(leat_catalog_save(&catalog, "/nonexistent/catalog.json", &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "/nonexistent/catalog.json"));
    ck_assert_int_eq(leat_catalog_load(&catalog, "/nonexistent/catalog.json", &error), 1);
    ck_assert_ptr_nonnull(strstr(error.text, "/nonexistent/catalog.json"));
    ck_assert_ptr_nonnull(strstr(error.text, "No such file"));
    ck_assert_uint_eq(catalog.table_count, 2);
    leat_catalog_fini(&catalog);
}
END_TEST

static void write_file(const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

/* A good file with one thing changed. */
static char *saved_text(void)
{
    leat_catalog catalog = make_catalog();
    leat_error error;
    ck_assert_int_eq(leat_catalog_save(&catalog, path, &error), 0);
    leat_catalog_fini(&catalog);
    FILE *file = fopen(path, "r");
    char *text = leat_must_calloc(1, 1 << 20);
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_lt(fread(text, 1, (1 << 20) - 1, file), (1 << 20) - 1);
    fclose(file);
    return text;
}

static void expect_refused(const char *says)
{
    leat_catalog loaded = {.table_count = 77};
    leat_error error = {""};
    ck_assert_int_eq(leat_catalog_load(&loaded, path, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_msg(strstr(error.text, says), "\"%s\" does not say \"%s\"", error.text, says);
    ck_assert_uint_eq(loaded.table_count, 77);
}

static const struct {
    const char *from, *to, *says;
} damages[] = {
    {"\"version\": 4", "\"version\": 5", "newer leat"},
    {"\"version\": 4", "\"version\": \"4\"", "no version"},
    {"\"version\": 4", "\"version\": -1", "no version"},
    {"\"is_ordered\": false", "\"is_ordered\": 0", "tables[0].is_ordered"},
    {"\"deletes_matter\"", "\"deletes\"", "tables[0].deletes_matter is missing"},
    {"\"cast_name\"", "\"cast\"", "tables[0].columns[0].cast_name is missing"},
    {"\"is_array\": false", "\"is_array\": null", "tables[0].columns[0].is_array"},
    {"\"by_bytes\": false", "\"by_bytes\": null", "tables[0].columns[0].by_bytes"},
    {"\"id\": 3", "\"id\": 3000000000", "source.id"},
    {"\"id\": 3", "\"id\": null", "source.id"},
    {"\"topic\": \"subscriptions\"", "\"topik\": \"subscriptions\"", "source.topic is missing"},
    {"\"subpartitions\": 256", "\"subpartitions\": 0", "source.subpartitions"},
    {"\"subpartitions\": 256", "\"subpartitions\": 1025", "source.subpartitions"},
    {"\"subpartitions\": 256", "\"subpartitions\": 255", "source.tenant_window does not go"},
    {"\"placement\": 2", "\"placement\": 1", "source.tenant_window does not go"},
    {"\"placement\": 2", "\"placement\": 3", "source.placement"},
    {"\"tenant_window\": 8", "\"tenant_window\": 0", "source.tenant_window does not go"},
    {"\"tenant_position\": 1", "\"tenant_position\": -1", "source.tenant_window does not go"},
    {"\"partitions\": 7", "\"partitions\": 8", "layout.shards do not have each partition"},
    {"\"first_partition\": 2", "\"first_partition\": 1",
     "layout.shards do not have each partition"},
    {"\"first_partition\": 2", "\"first_partition\": 6", "layout.shards[1].partitions"},
    {"\"tenant_slots\": [", "\"tenant_slots\": [[1, 0],", "tenant_slots"},
    {"\"tenant_slots\": [", "\"tenant_slots\": [[0, 3],", "tenant_slots has a run"},
    {"\"tenant_slots\": [", "\"tenant_slots\": [0,", "tenant_slots has a run"},
    {"\"a%2Cb\"", "\"7\"", "layout.tenants is there twice"},
    {"\"a%2Cb\"", "1", "layout.tenants has one that is not a text"},
    {"\"a%2Cb\"", "\"\"", "layout.tenants has one that is not a text"},
    {"\"tenants\": [", "\"tenants\": [[],", "layout.tenants is not an array"},
    {"\"tables\": [", "\"tables\": {}, \"x\": [", "tables is not an array"},
    {"\"tables\": [", "\"tables\": [1,", "tables[0].schema is missing"},
    {"\"type\": \"int4\"", "\"type\": \"int5\"", "tables[0].columns[1].type is not known"},
    {"\"not_null\": true", "\"not_null\": 1", "tables[0].columns[1].not_null"},
    {"\"default\": \"5\"", "\"default\": 5", "tables[0].columns[20].default"},
    {"\"name\": \"app_id\"", "\"name\": \"app\"", "primary_key names something"},
    {"\"name\": \"note\"", "\"name\": \"a\\u0000b\"", "tables[0].columns[0].name"},
    {"\"name\": \"note\"",
     "\"name\": \"0123456789012345678901234567890123456789012345678901234567890123\"",
     "tables[0].columns[0].name"},
    {"}", "", "not JSON"},
    {"{", "[", "not JSON"},
};

static void write_changed_file(const char *from, const char *to)
{
    char *text = saved_text();
    char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "no %s", from);
    leat_buf changed = {0};
    leat_buf_append(&changed, text, (size_t)(at - text));
    leat_buf_text(&changed, to);
    leat_buf_text(&changed, at + strlen(from));
    write_file(changed.data, changed.size);
    leat_buf_free(&changed);
    free(text);
}

START_TEST(a_damaged_file_is_refused_with_its_name)
{
    write_changed_file(damages[_i].from, damages[_i].to);
    expect_refused(damages[_i].says);
}
END_TEST

START_TEST(a_file_of_an_older_leat_is_as_good_as_none)
{
    leat_catalog loaded = {.table_count = 77};
    leat_error error = {""};
    write_changed_file("\"version\": 4", "\"version\": 3");
    ck_assert_int_eq(leat_catalog_load(&loaded, path, &error), 1);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_ptr_nonnull(strstr(error.text, "leat init"));
    ck_assert_uint_eq(loaded.table_count, 77);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    char *text = saved_text();
    size_t size = strlen(text);
    for (size_t cut = 0; cut < size - 2; cut += 37) { /* the last two bytes are "}\n" */
        write_file(text, cut);
        expect_refused("not JSON");
    }
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/catalog");
    TCase *tests = tcase_create("catalog");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_is_saved_is_loaded);
    tcase_add_test(tests, others_may_read_the_file);
    tcase_add_test(tests, a_folder_that_is_not_there_is_named);
    tcase_add_loop_test(tests, a_damaged_file_is_refused_with_its_name, 0, (int)COUNT_OF(damages));
    tcase_add_test(tests, a_file_of_an_older_leat_is_as_good_as_none);
    tcase_add_test(tests, a_file_cut_anywhere_is_refused);
    return fixture_run(suite);
}
