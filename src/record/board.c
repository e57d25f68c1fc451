#include "record/board.h"

#include <stdatomic.h>
#include <stdlib.h>

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

leat_board *leat_board_new(uint32_t shard_count, void (*ask)(void *context), void *context)
{
    leat_board *board = leat_must_calloc(1, sizeof *board);
    *board = (leat_board){shard_count, leat_must_calloc(shard_count, sizeof *board->shards), ask, context};
    return board;
}

static void free_version(leat_board_version *version)
{
    for (uint32_t i = 0; i < version->table_count; i++)
        leat_table_fini(&version->tables[i]);
    free(version->tables);
    free(version);
}

void leat_board_free(leat_board *board)
{
    if (!board)
        return;
    for (uint32_t i = 0; i < board->shard_count; i++) {
        for (published *at = board->shards[i].all, *older; at; at = older) {
            older = at->older;
            free_version(at->version);
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
