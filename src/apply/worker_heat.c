/*
 * worker_heat.c - how full each subpartition is, for a picture: one that is much fuller than the
 * others has a hot key or waits for something. Looking at every subpartition takes longer than all
 * other numbers together, so it is done only while somebody looks at the picture.
 */
#include "apply/worker_state.h"

enum { WANTED_FOR_US = 10 * 1000 * 1000 };

static void put_cells(const leat_engine_cell *cells, uint32_t count, leat_buf *out)
{
    bool is_first = true;
    leat_buf_text(out, ",\"records\":[");
    for (uint32_t i = 0; i < count; i++) {
        leat_buf_text(out, i == 0 ? "" : ",");
        leat_buf_uint(out, cells[i].records);
    }
    leat_buf_text(out, "],\"stalled\":[");
    for (uint32_t i = 0; i < count; i++) {
        if (!cells[i].stalled)
            continue;
        leat_buf_text(out, is_first ? "" : ",");
        leat_buf_uint(out, i);
        is_first = false;
    }
    leat_buf_byte(out, ']');
}

static void put_partition(const leat_worker *worker, uint32_t partition, leat_buf *out)
{
    leat_engine_cell cells[LEAT_HEAT_CELLS];
    uint32_t all = worker->config.catalog->source.placement.subpartitions,
             count = all < LEAT_HEAT_CELLS ? all : LEAT_HEAT_CELLS;
    leat_engine_occupancy(worker->engine, partition, cells, count);
    leat_buf_text(out, out->size > 0 ? ",{\"shard\":" : "{\"shard\":");
    leat_buf_json_string(out,
                         leat_slice_of(worker->config.shards[worker->shard_of[partition]].name));
    leat_buf_printf(out, ",\"partition\":%u,\"subpartitions\":%u", partition, all);
    put_cells(cells, count, out);
    leat_buf_byte(out, '}');
}

void leat_worker_update_heat(leat_worker *worker)
{
    leat_buf text = {0};
    int64_t wanted_us = atomic_load_explicit(&worker->heat_wanted_us, memory_order_relaxed);
    bool is_wanted = wanted_us > 0 && leat_mono_us() - wanted_us < WANTED_FOR_US;
    uint32_t count = 0;
    for (uint32_t i = 0; is_wanted && i < worker->partition_count; i++) {
        if (!worker->is_mine[i] || count == LEAT_HEAT_PARTITIONS)
            continue;
        put_partition(worker, i, &text);
        count++;
    }
    pthread_mutex_lock(&worker->report_lock);
    leat_buf old = worker->heat;
    worker->heat = text;
    pthread_mutex_unlock(&worker->report_lock);
    leat_buf_free(&old);
}

void leat_worker_append_heat(leat_worker *worker, leat_buf *out)
{
    atomic_store_explicit(&worker->heat_wanted_us, leat_mono_us(), memory_order_relaxed);
    pthread_mutex_lock(&worker->report_lock);
    if (worker->heat.size > 0 && !worker->heat.failed) {
        leat_buf_text(out, out->size > 0 ? "," : "");
        leat_buf_append(out, worker->heat.data, worker->heat.size);
    }
    pthread_mutex_unlock(&worker->report_lock);
}
