/* check_acknowledged.c - acknowledged: the edge tells the truth. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "world.h"

static int64_t number_after(leat_slice body, const char *word)
{
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)body.size, body.data);
    const char *at = strstr(text, word);
    return at ? strtoll(at + strlen(word), NULL, 10) : -1;
}

/* Records that a log without its leader cuts off after acknowledging them are not the edge's
 * lie. */
static bool was_cut_off(const sim_world *world, uint32_t request)
{
    for (uint32_t p = 0; p < world->broker.partition_count; p++)
        for (uint32_t i = 0; i < world->broker.partitions[p].count; i++) {
            const sim_record *record = world->broker.partitions[p].records[i];
            if (record->is_cut_off && record->request == request)
                return true;
        }
    return false;
}

void sim_check_answer(sim_world *world, const sim_request *request, leat_slice body)
{
    if (request->status != 202)
        return;
    int64_t partition = number_after(body, "\"partition\":"),
            offset = number_after(body, "\"offset\":");
    const sim_record *record =
        partition < 0 ? NULL : sim_broker_at(&world->broker, (uint32_t)partition, offset);
    if ((!record || record->request != request->index) && !was_cut_off(world, request->index))
        sim_fail(world, "acknowledged",
                 "request %u is answered 202, and is not in the log at partition %lld offset %lld",
                 request->index, (long long)partition, (long long)offset);
    if (record && record->row >= 0)
        sim_check_told_logged(world, (uint32_t)record->row);
}

static void check_refused(sim_world *world, const sim_record *record)
{
    if (record->request == SIM_FOREIGN)
        return;
    int status = world->clients.requests[record->request]->status;
    if (status != 202 && status != 504)
        sim_fail(world, "acknowledged", "request %u is answered %d, and is in the log",
                 record->request, status);
}

void sim_check_acknowledged(sim_world *world)
{
    for (uint32_t p = 0; p < world->broker.partition_count; p++)
        for (uint32_t i = 0; i < world->broker.partitions[p].count; i++)
            check_refused(world, world->broker.partitions[p].records[i]);
}
