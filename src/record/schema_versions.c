#include "record/schema_versions.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A version that was published, newest first. */
typedef struct published {
    leat_board_version *version;
    struct published *older;
} published;

typedef struct board_shard {
    _Atomic(const leat_board_version *) newest;
    _Atomic int64_t looked_us;
    published *all; /* the publishing thread's */
} board_shard;

struct leat_board {
    uint32_t shard_count;
    board_shard *shards;
    void (*ask)(void *context);
    void *context;
};

/* ---- versions ---- */

void leat_board_version_free(leat_board_version *version)
{
    if (!version)
        return;
    for (uint32_t i = 0; i < version->table_count; i++)
        leat_table_fini(&version->tables[i]);
    free(version->tables);
    free(version);
}

static bool is_integer(leat_type type)
{
    return type == LEAT_TYPE_INT2 || type == LEAT_TYPE_INT4 || type == LEAT_TYPE_INT8;
}

static int key_follows(const leat_table *from, const leat_table *to, leat_error *error)
{
    if (from->key_count != to->key_count)
        return leat_fail(error, "table %s: its primary key has another number of columns; restart leat", to->label);
    for (uint32_t i = 0; i < to->key_count; i++) {
        const leat_column *old = &from->columns[from->key_columns[i]], *new = &to->columns[to->key_columns[i]];
        if (strcmp(old->name, new->name) != 0)
            return leat_fail(error, "table %s: its primary key has column %s where %s was; restart leat", to->label,
                             new->name, old->name);
        if (old->type != new->type && !(is_integer(old->type) && is_integer(new->type)))
            return leat_fail(error, "table %s: column %s of its primary key is %s now and was %s; restart leat",
                             to->label, new->name, new->type_name, old->type_name);
    }
    return 0;
}

int leat_board_version_follows(const leat_board_version *from, const leat_board_version *to, leat_error *error)
{
    LEAT_ASSERT(from->table_count == to->table_count);
    for (uint32_t i = 0; i < to->table_count; i++)
        if (key_follows(&from->tables[i], &to->tables[i], error) != 0)
            return -1;
    return 0;
}

/* ---- the board ---- */

leat_board *leat_board_new(uint32_t shard_count, void (*ask)(void *context), void *context)
{
    leat_board *board = leat_must_calloc(1, sizeof *board);
    *board = (leat_board){shard_count, leat_must_calloc(shard_count, sizeof *board->shards), ask, context};
    return board;
}

void leat_board_free(leat_board *board)
{
    if (!board)
        return;
    for (uint32_t i = 0; i < board->shard_count; i++) {
        for (published *at = board->shards[i].all, *older; at; at = older) {
            older = at->older;
            leat_board_version_free(at->version);
            free(at);
        }
    }
    free(board->shards);
    free(board);
}

const leat_board_version *leat_board_at(const leat_board *board, uint32_t shard)
{
    LEAT_ASSERT(shard < board->shard_count);
    const leat_board_version *newest = atomic_load_explicit(&board->shards[shard].newest, memory_order_acquire);
    LEAT_ASSERT(newest);
    return newest;
}

int64_t leat_board_looked_us(const leat_board *board, uint32_t shard)
{
    LEAT_ASSERT(shard < board->shard_count);
    return atomic_load_explicit(&board->shards[shard].looked_us, memory_order_acquire);
}

void leat_board_ask(leat_board *board)
{
    board->ask(board->context);
}

void leat_board_publish(leat_board *board, uint32_t shard, leat_board_version *version, int64_t looked_us)
{
    LEAT_ASSERT(shard < board->shard_count);
    board_shard *at = &board->shards[shard];
    published *entry = leat_must_calloc(1, sizeof *entry);
    *entry = (published){version, at->all};
    at->all = entry;
    atomic_store_explicit(&at->newest, version, memory_order_release);
    leat_board_confirm(board, shard, looked_us);
}

void leat_board_confirm(leat_board *board, uint32_t shard, int64_t looked_us)
{
    LEAT_ASSERT(shard < board->shard_count);
    atomic_store_explicit(&board->shards[shard].looked_us, looked_us, memory_order_release);
}
