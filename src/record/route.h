/*
 * route.h - a path of the API, the table that it writes, and the form of a record's key: the path
 * parameters in primary-key order, canonical, percent-encoded, joined by '/'. docs/record-format.md
 * is the contract for others.
 *
 * A tenant that the path does not name (it is in the body or in a header) is part of the key all
 * the same, because a record's place follows from its key's bytes alone. Either it is one of the
 * primary key's columns, and then it only comes from elsewhere; or it is none of them, and then it
 * *leads*: the key begins with it, and the columns of the primary key come after it.
 */
#ifndef LEAT_RECORD_ROUTE_H
#define LEAT_RECORD_ROUTE_H

#include "base/buf.h"
#include "base/limits.h"
#include "base/placement.h"
#include "record/step.h"
#include "record/table.h"
#include "record/tenant_map.h"
#include "record/value.h"

enum {
    LEAT_SEGMENTS_MAX = 24,
    LEAT_KEY_BYTES_MAX = 2048, /* canonical, percent-encoded */
    LEAT_TENANT_SLOTS = 4096,  /* tenants are hashed onto these; slots are assigned to shards */
    LEAT_KEY_VALUES_MAX = LEAT_KEY_COLUMNS_MAX + 1, /* the primary key's, and a tenant that leads */
};

/* Where a request has the tenant. */
typedef enum leat_tenant_from {
    LEAT_TENANT_IN_PATH, /* or the route has none */
    LEAT_TENANT_IN_BODY, /* a member; of a DELETE, a parameter of the query */
    LEAT_TENANT_IN_HEADER,
    LEAT_TENANT_IN_TOKEN, /* the one that the request's token is for */
} leat_tenant_from;

/* What becomes of the members of a body that are no column. */
typedef enum leat_other { LEAT_OTHER_REFUSE, LEAT_OTHER_DROP, LEAT_OTHER_COLLECT } leat_other;

/* What becomes of a record that its table refuses. */
typedef enum leat_on_refused {
    LEAT_ON_REFUSED_SKIP, /* a dead letter; later records of its key are applied */
    LEAT_ON_REFUSED_HOLD, /* its key is held: it and later ones are kept in the shard, in order */
    LEAT_ON_REFUSED_STOP, /* it is tried for as long as it is refused, and what follows waits */
    LEAT_ON_REFUSED_COUNT
} leat_on_refused;

/* Which way a write goes. */
typedef enum leat_mode {
    LEAT_MODE_ASYNC,  /* into the log; it is applied from there */
    LEAT_MODE_SYNC,   /* into the database, while its client waits */
    LEAT_MODE_SHADOW, /* the same, and then into the log for the route's shadow table */
    LEAT_MODE_LIVE,   /* as the shards say: mode.h */
    LEAT_MODE_COUNT
} leat_mode;

typedef enum leat_route_op { LEAT_PUT, LEAT_PATCH, LEAT_DELETE, LEAT_ROUTE_OP_COUNT } leat_route_op;

typedef struct leat_segment {
    char text[LEAT_NAME_MAX + 1]; /* the literal, or the parameter's name */
    int8_t key_position;          /* -1: a literal; else which key value this parameter is */
} leat_segment;

typedef struct leat_route {
    char name[LEAT_NAME_MAX + 1];
    uint32_t index; /* in the routes array */
    uint32_t segment_count;
    leat_segment segments[LEAT_SEGMENTS_MAX];
    const leat_table *table;    /* borrowed */
    uint32_t table_index;       /* tables are numbered; two routes may share one */
    uint64_t table_hash;        /* of "schema.table": the same in each process and version */
    int8_t tenant_key_position; /* its part of the key, from 0; -1: no tenant, one shard */
    leat_tenant_from tenant_from;
    char tenant_name[LEAT_NAME_MAX + 1]; /* of the member; of the header, in lower case; "token" */
    bool tenant_leads;                   /* it is no column of the primary key, and part 0 */
    int8_t tenant_column;                /* of one that leads: the column that has it; -1: none */
    bool patch_existing; /* a PATCH of a missing row is dropped and counted, not inserted */
    bool put_merge;      /* PUT leaves columns that it does not name as they are */
    leat_other other;
    int8_t other_column; /* LEAT_OTHER_COLLECT: the column that has them as one object; else -1 */
    bool fold;           /* several writes to one row become one row write */
    bool accept_row_security; /* row security may hide rows from leat: they are not touched */
    bool accept_untouched;    /* a BEFORE trigger may drop a write */
    leat_on_refused on_refused;
    leat_mode mode;
    bool is_shadow; /* of another route: no request leads to it, its records come from that one's
                       writes */
    int8_t shadow;  /* the index of its shadow; -1: it has none */
    leat_column_op ops[LEAT_COLUMNS_MAX]; /* by column index: what PATCH does */
    leat_step steps[LEAT_COLUMNS_MAX];    /* likewise; of columns with the operation max only */
} leat_route;

typedef struct leat_routes {
    uint32_t count;        /* with shadows, which come last */
    uint32_t shadow_count; /* of them */
    leat_route routes[LEAT_ROUTES_MAX];
} leat_routes;

/* One route as the configuration has it; it is not checked against the table yet. */
typedef struct leat_route_spec {
    const char *name;   /* NULL: the table's */
    const char *path;   /* "/apps/{app_id}/subscriptions/{subscription_id}" */
    const char *tenant; /* "app_id" of the path, "body.app_id", "header.x-app-id", "token"; NULL:
                           none */
    bool patch_existing;
    bool put_merge;    /* not with patch_existing: such a PUT is written as a PATCH, and inserts */
    const char *other; /* NULL or "refuse", "drop", or the column that collects them */
    bool no_fold;
    bool accept_row_security;
    bool accept_untouched;
    leat_on_refused on_refused;
    leat_mode mode;
    uint32_t column_count;
    const char *const *column_names;
    const leat_column_op *column_ops;
    const leat_step_spec *column_steps; /* NULL: none has one */
} leat_route_spec;

/* Fills a route from its spec and table, or reports which part does not fit: parameters must be
 * exactly the primary key, but for a tenant that is elsewhere; that of a token must be of the
 * primary key; key types only; operations and steps must fit the types; the tenant must be a
 * parameter, or of a type that a key can have. Literals of the path are unreserved characters and
 * "!$&'()*+,;=:@". Columns of LEAT_TYPE_OTHER cannot be in the key. Row security that applies to
 * leat's role must be accepted. `index` of `ret` stays as the caller set it. */
int leat_route_build(const leat_route_spec *spec, const leat_table *table, uint32_t table_index,
                     leat_route *ret, leat_error *error) LEAT_MUST_CHECK;

/* Refuses two routes of one name, two that the same paths would match, and two to one table whose
 * writes would have no order: with other tenants or modes. For the whole array, once. */
int leat_routes_check(const leat_routes *routes, leat_error *error) LEAT_MUST_CHECK;

typedef enum leat_match {
    LEAT_MATCH_OK,
    LEAT_MATCH_NO_ROUTE,
    LEAT_MATCH_BAD_KEY,
    LEAT_MATCH_NEEDS_TENANT, /* the path alone does not make a key: see leat_key_from_path */
} leat_match;

/* A key: typed values in primary-key order, after them a tenant that leads, and their canonical
 * form. */
typedef struct leat_key {
    leat_value values[LEAT_KEY_VALUES_MAX];
    char canonical[LEAT_KEY_BYTES_MAX]; /* percent-encoded path form; unreserved characters (RFC
                                           3986) stay */
    uint32_t canonical_size;
    char decoded[LEAT_KEY_BYTES_MAX]; /* percent-decoded texts that `values` borrow. They go on
                                         pointing here from a copy of this struct, so keep the key
                                         where it was decoded */
    uint32_t decoded_size;
    uint64_t hash; /* leat_hash(canonical): partition by its upper 32 bits; the subpartition by
                      leat_placement_subpartition */
} leat_key;

/* Finds the route of a request target (path without query) and decodes its key. On
 * LEAT_MATCH_BAD_KEY `ret_route` is set too, `ret_field` (at least LEAT_NAME_MAX + 1 bytes) names
 * the parameter, "" where the whole key is too long, and `error` has the reason. Literal segments
 * win over parameters, earlier segments first. A part of a key is never empty, so "/apps//x" and
 * "/apps/" are mistakes: bad keys. */
leat_match leat_routes_match(const leat_routes *routes, leat_slice path,
                             const leat_route **ret_route, leat_key *ret_key, char *ret_field,
                             leat_error *error) LEAT_MUST_CHECK;

/* The key of a path that leat_routes_match has found to need a tenant, with that tenant: its text
 * as it is in the body or header, not percent-encoded. LEAT_MATCH_OK or LEAT_MATCH_BAD_KEY, as
 * there; where the tenant is at fault, `ret_field` is its name in the request. */
leat_match leat_key_from_path(const leat_route *route, leat_slice path, leat_slice tenant,
                              leat_key *ret_key, char *ret_field,
                              leat_error *error) LEAT_MUST_CHECK;

/* Appends the path of a request whose key is this canonical one. A tenant that is elsewhere is not
 * in it. */
void leat_route_path(const leat_route *route, leat_slice canonical, leat_buf *out);

/* How many values a key of the route has, and the column of one of them; that of a tenant without a
 * column is a text. */
uint32_t leat_route_value_count(const leat_route *route);
const leat_column *leat_route_value_column(const leat_route *route, uint32_t index);
/* The part of a canonical key that says which row it is: without a tenant that leads. Borrowed. */
leat_slice leat_route_row(const leat_route *route, leat_slice canonical);

/* Decodes a key from the log (canonical or not: a foreign producer may write 007) into the same
 * typed key. The message names the parameter. Decoding of a key without '%' leaves `decoded` byte
 * by byte the key. */
int leat_key_decode(const leat_route *route, leat_slice key, leat_key *ret,
                    leat_error *error) LEAT_MUST_CHECK;

/* The same values of a key that is canonical and has no '%', which most keys are, without a copy:
 * texts are in `key`. False: it is another one, or no key at all, which leat_key_decode tells
 * apart; `ret` means nothing then. */
bool leat_key_read_plain(const leat_route *route, leat_slice key,
                         leat_value ret[LEAT_KEY_VALUES_MAX]) LEAT_MUST_CHECK;

/* The same for the tenant of such a key alone; the route has one. `ret->canonical` is its canonical
 * form, `ret->hash` that one's. */
int leat_key_decode_tenant(const leat_route *route, leat_slice tenant, leat_key *ret,
                           leat_error *error) LEAT_MUST_CHECK;

/* Adds the shadow of the route at `index`: the same path and columns, and another table, which must
 * have the same columns and key. Its name is the route's and ".shadow". */
int leat_routes_add_shadow(leat_routes *routes, uint32_t index, const leat_table *table,
                           uint32_t table_index, leat_error *error) LEAT_MUST_CHECK;

const leat_route *leat_routes_by_name(const leat_routes *routes, leat_slice name);

bool leat_on_refused_by_name(const char *name, leat_on_refused *ret); /* "skip", "hold", "stop" */
bool leat_mode_by_name(const char *name, leat_mode *ret); /* "async", "sync", "shadow", "live" */

/* A hash of table and key, by which a key is held: it is stored, so it never changes. The text is
 * the key's, canonical, with the hash of "schema.table" as the seed. Never 0. */
uint64_t leat_route_held_hash(const leat_route *route, leat_slice canonical);

const char *leat_route_op_name(leat_route_op op); /* "put", "patch", "delete" */
bool leat_route_op_by_name(leat_slice name, leat_route_op *ret_op);

/* The placement of records: stored by `leat init` in every shard, kept in the catalog file, never
 * derived twice. */
typedef struct leat_layout {
    uint32_t partition_count;
    uint32_t shard_count;
    struct {
        char name[LEAT_NAME_MAX + 1];
        uint32_t first; /* partition */
        uint32_t count;
    } shards[LEAT_SHARDS_MAX];
    uint8_t tenant_slots[LEAT_TENANT_SLOTS]; /* slot -> shard index */
    /* Tenants that have their shard by an entry of their own, and not by their slot: */
    int64_t tenant_count;           /* 0: there are none; -1: not known, in comparisons only */
    uint64_t tenant_digest;         /* of all of them */
    const leat_tenant_map *tenants; /* borrowed; needed for placing where there are some */
} leat_layout;

/* Even split: shard i gets partitions [i*P/S, (i+1)*P/S) and an even share of the slots. 1 <= S <=
 * LEAT_SHARDS_MAX, S <= P. */
void leat_layout_even(leat_layout *layout, uint32_t partition_count, uint32_t shard_count,
                      const char *const *names);
uint32_t leat_layout_shard_of_partition(const leat_layout *layout, uint32_t partition);
/* The shard of a tenant, as it stands in a canonical key: that of its entry, else that of slot
 * leat_hash(tenant) % LEAT_TENANT_SLOTS. */
uint32_t leat_layout_shard_of_tenant(const leat_layout *layout, leat_slice tenant);
/* The map becomes the layout's; NULL: it has none. Borrowed. */
void leat_layout_take_tenants(leat_layout *layout, const leat_tenant_map *tenants);
/* The shard of a key: its tenant's; 0 without a tenant. */
uint32_t leat_layout_shard_of_key(const leat_layout *layout, const leat_route *route,
                                  const leat_key *key);
uint32_t leat_layout_shard_of_canonical(const leat_layout *layout, const leat_route *route,
                                        leat_slice canonical);
/* The tenant in a canonical key of the route, still percent-encoded; borrowed. Empty: the route has
 * none. */
leat_slice leat_route_tenant(const leat_route *route, leat_slice canonical);
/* The upper 32 bits of the key's hash, modulo the shard's partitions. */
uint32_t leat_layout_partition_of_key(const leat_layout *layout, const leat_route *route,
                                      const leat_key *key);

#endif
