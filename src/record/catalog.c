/*
 * A catalog in memory. A label is what the configuration calls a table, and two labels may name the
 * same one: its rows are then one key space, so both have to give the same index. Linear search is
 * enough: labels are resolved when routes are built, never for a record.
 */
#include "record/catalog.h"

#include <string.h>

static int find_label(const leat_catalog *catalog, const char *label)
{
    for (uint32_t i = 0; i < catalog->table_count; i++)
        if (strcmp(catalog->tables[i].label, label) == 0)
            return (int)i;
    return -1;
}

int leat_catalog_table(const leat_catalog *catalog, const char *label)
{
    int at = find_label(catalog, label);
    for (int i = 0; i < at; i++)
        if (strcmp(catalog->tables[i].schema, catalog->tables[at].schema) == 0 &&
            strcmp(catalog->tables[i].name, catalog->tables[at].name) == 0)
            return i;
    return at;
}

void leat_catalog_fini(leat_catalog *catalog)
{
    leat_tables_free(catalog->tables, catalog->table_count);
    catalog->tables = NULL;
    catalog->table_count = 0;
    leat_tenant_map_free(catalog->tenants);
    catalog->tenants = NULL;
    leat_layout_take_tenants(&catalog->layout, NULL);
}
