/*
 * catalog.h - everything that the edge needs to check and place a write, as one file: tables,
 * layout, source. Each process that reads it from a database (init, apply, an edge) writes it; an
 * edge that starts while a database is down reads it. JSON, written to a temporary file and
 * renamed, so a reader never sees half of it.
 */
#ifndef LEAT_RECORD_CATALOG_H
#define LEAT_RECORD_CATALOG_H

#include "record/route.h"
#include "record/table.h"

typedef struct leat_source {
    int32_t id;             /* leat.sources.id */
    char log_identity[128]; /* Kafka: the cluster id */
    char topic[256];
    char topic_id[64];
    char hash[32]; /* "xxh3-64" */
    leat_placement placement;
} leat_source;

typedef struct leat_catalog {
    leat_source source;
    leat_layout layout;
    leat_tenant_map *tenants; /* owned; the layout borrows it. NULL: none */
    uint32_t table_count;
    leat_table *tables; /* owned */
} leat_catalog;

int leat_catalog_save(const leat_catalog *catalog, const char *path,
                      leat_error *error) LEAT_MUST_CHECK;
/* 1: there is none, or it has an older version, which counts as none; `error` has the reason. */
int leat_catalog_load(leat_catalog *ret, const char *path, leat_error *error) LEAT_MUST_CHECK;
/* Index of the table the configuration calls `label` ("name" or "schema.name"), -1 when unknown.
 * Two labels of one table both give the first one's index: its rows are one key space. */
int leat_catalog_table(const leat_catalog *catalog, const char *label);
void leat_catalog_fini(leat_catalog *catalog);

#endif
