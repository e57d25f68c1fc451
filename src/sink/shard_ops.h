/*
 * shard_ops.h - the backends' side of shard.h: tables of operations, one at the end of each file of
 * a backend. A function keeps the terms that shard.h states for its namesake and is given the
 * address as text: a DSN, or a file's path. Not for use outside src/sink and its tests.
 */
#ifndef LEAT_SINK_SHARD_OPS_H
#define LEAT_SINK_SHARD_OPS_H

#include "sink/audit.h"
#include "sink/held.h"
#include "sink/modes.h"
#include "sink/shard.h"

typedef struct leat_shard_address_ops {
    int (*check)(const char *address, leat_error *error);
} leat_shard_address_ops;

typedef struct leat_shard_tables_ops {
    int (*read)(const char *address, const char *const *labels, uint32_t count, leat_table *ret,
                leat_error *error);
} leat_shard_tables_ops;

typedef struct leat_shard_source_ops {
    int (*read)(const char *address, const char *topic, leat_source *ret_source,
                leat_layout *ret_layout, leat_error *error);
    int (*read_placement)(const char *address, const char *topic, leat_placement *ret,
                          leat_error *error);
    int (*read_tenants)(const char *address, const char *topic, leat_tenant_map *map,
                        leat_error *error);
    int (*read_self)(const char *address, const char *topic, leat_shard_self *ret,
                     leat_error *error);
    int (*init)(const char *address, leat_source *source, const leat_layout *layout, uint32_t shard,
                const int64_t *starts, leat_error *error);
    int (*rehearse_init)(const char *address, leat_source *source, const leat_layout *layout,
                         uint32_t shard, const int64_t *starts, leat_error *error);
    /* NULL: it has no sessions of others. */
    int (*refuse_others)(const char *address, const leat_source *source, const char *group,
                         leat_error *error);
} leat_shard_source_ops;

typedef struct leat_shard_privileges_ops {
    int (*read_missing)(const char *address, const leat_table *tables, uint32_t count,
                        bool commits_async, leat_buf *ret_missing, leat_buf *ret_grants,
                        leat_error *error);
} leat_shard_privileges_ops;

typedef struct leat_shard_inspect_ops {
    int (*read_server)(const char *address, leat_shard_server *ret, leat_error *error);
    int (*read_progress)(const char *address, const char *topic, leat_shard_partition **ret,
                         uint32_t *ret_count, leat_error *error);
    int (*read_work)(const char *address, const char *topic, leat_shard_work *ret,
                     leat_error *error);
} leat_shard_inspect_ops;

/* The columns, in this order, of the query by which a backend reads dead letters. */
typedef enum leat_dead_column {
    LEAT_DEAD_COLUMN_PARTITION,
    LEAT_DEAD_COLUMN_OFFSET,
    LEAT_DEAD_COLUMN_AT_US,
    LEAT_DEAD_COLUMN_AT,
    LEAT_DEAD_COLUMN_ACCEPTED_AT,
    LEAT_DEAD_COLUMN_ROUTE,
    LEAT_DEAD_COLUMN_OP,
    LEAT_DEAD_COLUMN_HEADERS,
    LEAT_DEAD_COLUMN_SQLSTATE,
    LEAT_DEAD_COLUMN_MESSAGE,
    LEAT_DEAD_COLUMN_KEY,
    LEAT_DEAD_COLUMN_BODY,
    LEAT_DEAD_COLUMN_SOURCE,
    LEAT_DEAD_COLUMN_COUNT,
} leat_dead_column;

typedef struct leat_shard_dead_letters_ops {
    int (*read)(const char *address, const leat_dead_query *query, leat_dead_letters *ret,
                leat_error *error);
} leat_shard_dead_letters_ops;

typedef struct leat_shard_held_ops {
    int (*read)(const char *address, const leat_held_query *query, leat_held_keys *ret,
                leat_error *error);
    int (*end)(const char *address, const leat_held_work *work, leat_held_result *ret,
               leat_error *error);
} leat_shard_held_ops;

typedef struct leat_shard_controls_ops {
    int (*read)(const char *address, int32_t source_id, leat_control_set **ret, leat_error *error);
    int (*read_ended)(const char *address, int32_t source_id, leat_control_set **ret,
                      leat_error *error);
    int (*read_floods)(const char *address, int32_t source_id, leat_control_set **ret,
                       leat_error *error);
    int (*put)(const char *address, int32_t source_id, const leat_control_wish *wish,
               leat_control_put *ret, leat_error *error);
    int (*remove)(const char *address, int32_t source_id, const char *table, const char *what,
                  bool *ret_was_there, leat_error *error);
} leat_shard_controls_ops;

/* The first member of every audit. */
typedef struct leat_shard_audit_ops leat_shard_audit_ops;
struct leat_shard_audit {
    const leat_shard_audit_ops *ops;
};

struct leat_shard_audit_ops {
    leat_shard_audit *(*open)(const char *address, int32_t source_id, uint32_t subpartitions);
    int (*begin)(leat_shard_audit *audit, leat_error *error);
    void (*end)(leat_shard_audit *audit);
    int (*reached)(leat_shard_audit *audit, uint32_t partition, int64_t *ret, leat_error *error);
    int (*writes)(leat_shard_audit *audit, const leat_write_question *questions, uint32_t count,
                  leat_write_answer *ret, leat_error *error);
    int (*rows)(leat_shard_audit *audit, const leat_route *route, uint64_t columns,
                const leat_audit_row *rows, uint32_t count, leat_audit_answer *ret,
                leat_error *error);
    void (*free)(leat_shard_audit *audit);
};

/* The first member of every reporter. */
typedef struct leat_shard_reporter_ops leat_shard_reporter_ops;
struct leat_shard_reporter {
    const leat_shard_reporter_ops *ops;
};

struct leat_shard_reporter_ops {
    leat_shard_reporter *(*open)(const char *address, int32_t source_id);
    int (*send)(leat_shard_reporter *reporter, const leat_shard_report *report, leat_error *error);
    int (*remove)(leat_shard_reporter *reporter, const char *instance, leat_error *error);
    /* NULL: it does not know of waits. */
    int (*read_waits)(leat_shard_reporter *reporter, const char *name, leat_shard_waits *ret,
                      leat_error *error);
    int (*read_controls)(leat_shard_reporter *reporter, leat_control_set **ret, leat_error *error);
    int (*read_modes)(leat_shard_reporter *reporter, leat_mode_rows *ret, leat_error *error);
    int (*read_writes)(leat_shard_reporter *reporter, bool durably,
                       const leat_write_question *questions, uint32_t count, leat_write_answer *ret,
                       leat_error *error);
    void (*rest)(leat_shard_reporter *reporter);
    /* NULL: it gives back at once what was deleted. */
    int (*read_parked_size)(leat_shard_reporter *reporter, uint64_t *ret_bytes, leat_error *error);
    int (*note_key)(leat_shard_reporter *reporter, const leat_shard_key_note *note,
                    leat_error *error);
    int (*count_held)(leat_shard_reporter *reporter, const leat_placement *placement,
                      uint32_t partition_count, leat_shard_held_count *ret, leat_error *error);
    /* NULL: it does so by itself. */
    int (*rotate_keys)(leat_shard_reporter *reporter, int64_t lifetime_ms, int64_t newest_ms,
                       leat_shard_rotated *ret, leat_error *error);
    void (*free)(leat_shard_reporter *reporter);
};

extern const leat_shard_address_ops leat_pg_address;           /* sink/pg/dsn.c */
extern const leat_shard_tables_ops leat_pg_tables;             /* sink/pg/tables.c */
extern const leat_shard_source_ops leat_pg_source;             /* sink/pg/source.c */
extern const leat_shard_privileges_ops leat_pg_privileges;     /* sink/pg/privileges.c */
extern const leat_shard_inspect_ops leat_pg_inspect;           /* sink/pg/inspect.c */
extern const leat_shard_dead_letters_ops leat_pg_dead_letters; /* sink/pg/dead.c */
extern const leat_shard_held_ops leat_pg_held;                 /* sink/pg/held.c */
extern const leat_shard_controls_ops leat_pg_controls;         /* sink/pg/controls.c */
extern const leat_shard_reporter_ops leat_pg_reporter;         /* sink/pg/workers.c */
extern const leat_shard_audit_ops leat_pg_audit;               /* sink/pg/audit.c */

/* A path needs no check, and a file has no privileges to lack. */
extern const leat_shard_tables_ops leat_sqlite_tables;             /* sink/sqlite/tables.c */
extern const leat_shard_source_ops leat_sqlite_source;             /* sink/sqlite/source.c */
extern const leat_shard_inspect_ops leat_sqlite_inspect;           /* sink/sqlite/inspect.c */
extern const leat_shard_dead_letters_ops leat_sqlite_dead_letters; /* sink/sqlite/dead.c */
extern const leat_shard_held_ops leat_sqlite_held;                 /* sink/sqlite/held.c */
extern const leat_shard_controls_ops leat_sqlite_controls;         /* sink/sqlite/controls.c */
extern const leat_shard_reporter_ops leat_sqlite_reporter;         /* sink/sqlite/workers.c */
extern const leat_shard_audit_ops leat_sqlite_audit;               /* sink/sqlite/audit.c */

#endif
