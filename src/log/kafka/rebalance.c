/*
 * rebalance.c - partitions come and go. A partition is taken over at once, but parked: its start
 * offset is known only once its progress was claimed. It is given up only when the caller has given
 * it back, unless the group has already taken it away.
 */
#include "log/kafka/reader.h"

#include <string.h>

static bool is_cooperative(const leat_kafka_reader *reader)
{
    const char *protocol = rd_kafka_rebalance_protocol(reader->rk);
    return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

void leat_reader_log_growth(leat_kafka_reader *reader)
{
    if (!reader->growth_logged)
        leat_warn("topic has more partitions than it was set up with: the others are not read "
                  "client=reader topic=%s wanted=%u",
                  reader->topic, reader->identity.partition_count);
    reader->growth_logged = true;
}

/* The topic may have grown: partitions beyond those of the identity stay unread. */
static bool is_known(leat_kafka_reader *reader, int32_t partition)
{
    if (partition >= 0 && (uint32_t)partition < reader->identity.partition_count)
        return true;
    leat_reader_log_growth(reader);
    return false;
}

static void log_fault(rd_kafka_error_t *fault, const char *doing)
{
    if (!fault)
        return;
    leat_err("%s has failed client=reader reason=\"%s\"", doing, rd_kafka_error_string(fault));
    rd_kafka_error_destroy(fault);
}

static void assign_list(leat_kafka_reader *reader, const rd_kafka_topic_partition_list_t *list)
{
    if (is_cooperative(reader)) {
        log_fault(rd_kafka_incremental_assign(reader->rk, list), "taking partitions");
        return;
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(reader->rk, list);
    if (code)
        leat_err("taking partitions has failed client=reader reason=\"%s\"",
                 rd_kafka_err2str(code));
}

static void unassign_list(leat_kafka_reader *reader, const rd_kafka_topic_partition_list_t *list)
{
    if (is_cooperative(reader))
        log_fault(rd_kafka_incremental_unassign(reader->rk, list), "giving partitions back");
    else
        rd_kafka_assign(reader->rk, NULL);
}

/* ---- assigned ---- */

static void set_fetching(leat_kafka_reader *reader, int32_t partition, bool fetching)
{
    LEAT_ASSERT(partition >= 0);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, reader->topic, partition);
    if (fetching)
        rd_kafka_resume_partitions(reader->rk, list);
    else
        rd_kafka_pause_partitions(reader->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void leat_reader_park(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(!reader->parts[partition].parked);
    set_fetching(reader, (int32_t)partition, false);
    reader->parts[partition].parked = true;
}

void leat_reader_unpark(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(partition < reader->identity.partition_count);
    if (reader->parts[partition].parked)
        set_fetching(reader, (int32_t)partition, true);
    reader->parts[partition].parked = false;
}

static void on_assigned(leat_kafka_reader *reader, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *given = &list->elems[i];
        given->offset = 0; /* any absolute one: it is parked */
        if (!is_known(reader, given->partition)) {
            set_fetching(reader, given->partition, false);
        } else if (!leat_part_is_mine(&reader->parts[given->partition])) {
            leat_part_open(reader, (uint32_t)given->partition);
            leat_reader_park(reader, (uint32_t)given->partition);
        }
    }
    assign_list(reader, list);
    for (int i = 0; i < list->cnt; i++)
        if (is_known(reader, list->elems[i].partition))
            reader->events.assigned(reader->events.context, (uint32_t)list->elems[i].partition);
}

/* ---- revoked, lost ---- */

/* First the partitions end here, then their owners are called. */
static void on_lost(leat_kafka_reader *reader, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        uint32_t partition = (uint32_t)list->elems[i].partition;
        if (!is_known(reader, list->elems[i].partition) ||
            !leat_part_is_mine(&reader->parts[partition]))
            continue;
        leat_part_close(reader, partition);
        reader->events.lost(reader->events.context, partition);
    }
    unassign_list(reader, list);
}

static void revoke_done(leat_kafka_reader *reader)
{
    LEAT_ASSERT(reader->revoking && reader->revoking_left == 0);
    unassign_list(reader, reader->revoking);
    rd_kafka_topic_partition_list_destroy(reader->revoking);
    reader->revoking = NULL;
}

static void on_revoked(leat_kafka_reader *reader, const rd_kafka_topic_partition_list_t *list)
{
    LEAT_ASSERT(!reader->revoking);
    reader->revoking = rd_kafka_topic_partition_list_copy(list);
    reader->revoking_left = 1; /* this call's own, so that nothing ends before all were requested */
    for (int i = 0; i < list->cnt; i++) {
        if (!is_known(reader, list->elems[i].partition))
            continue;
        uint32_t partition = (uint32_t)list->elems[i].partition;
        leat_part *part = &reader->parts[partition];
        if (!leat_part_is_mine(part))
            continue;
        leat_part_enter(part, LEAT_PART_REVOKING);
        part->generation++;
        leat_part_drop_kept(part);
        reader->revoking_left++;
        reader->events.revoked(reader->events.context, partition);
    }
    if (--reader->revoking_left == 0)
        revoke_done(reader);
}

void leat_kafka_reader_give_back(leat_log_reader *base, uint32_t partition)
{
    leat_kafka_reader *reader = (leat_kafka_reader *)base;
    LEAT_ASSERT(partition < reader->identity.partition_count);
    if (!reader->revoking || reader->parts[partition].state != LEAT_PART_REVOKING)
        return; /* lost meanwhile */
    LEAT_ASSERT(reader->revoking_left > 0);
    leat_part_close(reader, partition);
    if (--reader->revoking_left == 0)
        revoke_done(reader);
}

void leat_reader_check_lost(leat_kafka_reader *reader)
{
    if (!reader->revoking || !rd_kafka_assignment_lost(reader->rk))
        return;
    rd_kafka_topic_partition_list_t *list = reader->revoking;
    reader->revoking = NULL;
    on_lost(reader, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void leat_reader_on_rebalance(leat_kafka_reader *reader, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    switch (rd_kafka_event_error(event)) {
    case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
        on_assigned(reader, list);
        break;
    case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
        if (rd_kafka_assignment_lost(reader->rk))
            on_lost(reader, list);
        else
            on_revoked(reader, list);
        break;
    default:
        leat_err("rebalance has failed client=reader reason=\"%s\"",
                 rd_kafka_event_error_string(event));
        rd_kafka_assign(reader->rk, NULL);
    }
}

void leat_reader_unassign_all(leat_kafka_reader *reader)
{
    for (uint32_t p = 0; p < reader->identity.partition_count; p++)
        leat_part_close(reader, p);
    if (reader->revoking) {
        unassign_list(reader, reader->revoking);
        rd_kafka_topic_partition_list_destroy(reader->revoking);
        reader->revoking = NULL;
    }
}

/* ---- restart ---- */

static int restart_one(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(reader->parts[partition].next >= 0);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, reader->topic, (int32_t)partition)->offset =
        reader->parts[partition].next;
    rd_kafka_error_t *fault = rd_kafka_incremental_unassign(reader->rk, list);
    if (!fault)
        fault = rd_kafka_incremental_assign(reader->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    int result = fault ? -1 : 0;
    log_fault(fault, "restart of a partition");
    return result;
}

/* Where librdkafka's fetcher of a partition starts again. One that is read is sought there once
 * more: only a seek has the leader epoch checked. A partition that was not sought yet is parked:
 * any absolute one. */
static int64_t restart_offset(leat_kafka_reader *reader, int32_t partition)
{
    if (!is_known(reader, partition))
        return 0;
    leat_part *part = &reader->parts[partition];
    leat_part_drop_kept(part); /* is fetched again */
    if (part->state == LEAT_PART_READING)
        leat_reader_seek_again(part);
    return part->next >= 0 ? part->next : 0;
}

/* The eager protocol knows whole assignments only: all start again, each where it was. None is
 * parked for it: the fetchers start after this returns, on librdkafka's thread, and a resume that
 * comes just then is lost (2.12.1 takes it for outdated). */
static int restart_all(leat_kafka_reader *reader)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (rd_kafka_assignment(reader->rk, &list))
        return -1;
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = restart_offset(reader, list->elems[i].partition);
    rd_kafka_resp_err_t code = rd_kafka_assign(reader->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? -1 : 0;
}

int leat_reader_restart(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(leat_part_is_mine(&reader->parts[partition]));
    /* Between a rebalance event and our answer to it librdkafka takes any (un)assign for that
     * answer. */
    if (reader->revoking || rd_kafka_queue_length(reader->group) > 0)
        return -1;
    return is_cooperative(reader) ? restart_one(reader, partition) : restart_all(reader);
}
