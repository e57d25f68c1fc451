/*
 * exemplar.c - a version is counted up before and after a change, so a reader that finds an odd
 * one, or another one afterwards, knows that it has read parts of two.
 */
#include "ops/exemplar.h"

#include <stdio.h>
#include <string.h>

void leat_exemplar_write(leat_exemplar *exemplar, int64_t value, const uint8_t trace_id[16])
{
    uint64_t trace[2];
    memcpy(trace, trace_id, sizeof trace);
    atomic_fetch_add(&exemplar->version, 1);
    atomic_store(&exemplar->trace[0], trace[0]);
    atomic_store(&exemplar->trace[1], trace[1]);
    atomic_store(&exemplar->value, value > 0 ? value : 0);
    atomic_fetch_add(&exemplar->version, 1);
}

bool leat_exemplar_read(const leat_exemplar *exemplar, int64_t *ret_value, char ret_trace[33])
{
    uint8_t id[16];
    uint32_t version = atomic_load(&exemplar->version);
    uint64_t trace[2] = {atomic_load(&exemplar->trace[0]), atomic_load(&exemplar->trace[1])};
    *ret_value = atomic_load(&exemplar->value);
    if (version == 0 || version % 2 == 1 || atomic_load(&exemplar->version) != version)
        return false;
    memcpy(id, trace, sizeof id);
    for (size_t i = 0; i < sizeof id; i++)
        snprintf(ret_trace + 2 * i, 3, "%02x", id[i]);
    return true;
}
