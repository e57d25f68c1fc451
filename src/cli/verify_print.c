/*
 * verify_print.c - what leat verify prints: a line of progress on standard error, each finding as
 * it comes, and a summary that says what was proved and what was not. Keys and columns are other
 * people's bytes, so they are made printable.
 */
#include "cli/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/printable.h"
#include "base/utf8.h"

enum { KEY_WIDTH = 200 };

/* ---- progress ---- */

void leat_verify_print_progress(void *context, const leat_verify_progress *progress)
{
    leat_verify_print *print = context;
    char walk[64] = "";
    if (!leat_bar_is_due(&print->bar))
        return;
    if (progress->walks > 1)
        snprintf(walk, sizeof walk, "  walk %" PRIu32 " of %" PRIu32, progress->walk,
                 progress->walks);
    uint64_t all = progress->planned > progress->read ? progress->planned : progress->read;
    leat_bar_show(&print->bar,
                  &(leat_bar_state){.share = all > 0 ? (double)progress->read / (double)all : -1,
                                    .done = progress->read,
                                    .unit = "records",
                                    .more = walk});
}

/* ---- findings ---- */

static const char *const words[LEAT_FINDING_COUNT] = {
    [LEAT_FINDING_NO_PROGRESS] = "its progress is gone",
    [LEAT_FINDING_BEYOND_END] = "its progress is beyond the end of the log",
    [LEAT_FINDING_REMOVED] = "a dead letter is gone, and its record is nowhere",
    [LEAT_FINDING_ROW_MISSING] = "the row is missing",
    [LEAT_FINDING_ROW_THERE] = "the row is there, and its writes have deleted it",
    [LEAT_FINDING_ROW_DIFFERS] = "the row is not as its writes say",
    [LEAT_FINDING_ROW_AHEAD] = "progress was lost",
};

static void print_safe(leat_slice text)
{
    leat_buf safe = {0};
    leat_buf_printable(&safe, text, KEY_WIDTH, false);
    fputs(safe.size > 0 ? leat_buf_cstr(&safe) : "", stdout);
    leat_buf_free(&safe);
}

static void print_text(const leat_verify_finding *finding)
{
    printf("shard %s, partition %" PRIu32, finding->shard, finding->partition);
    if (finding->offset >= 0)
        printf(", offset %" PRId64, finding->offset);
    if (finding->table) {
        fputs(", key ", stdout);
        print_safe(finding->key);
        printf(" of %s", finding->table);
    }
    printf(": %s", words[finding->kind]);
    if (finding->columns[0]) {
        fputs(": ", stdout);
        print_safe(leat_slice_of(finding->columns));
    }
    if (finding->detail[0])
        printf(": %s", finding->detail);
    putchar('\n');
}

static void put_member(leat_buf *out, const char *name, leat_slice text)
{
    leat_buf_printf(out, ",\"%s\":", name);
    if (text.data && leat_utf8_is_text(text))
        leat_buf_json_string(out, text);
    else
        leat_buf_text(out, "null");
}

static void keep_json(leat_verify_print *print, const leat_verify_finding *finding)
{
    leat_buf *out = &print->findings;
    leat_buf_printf(out, "%s{\"finding\":\"%s\"", out->size > 0 ? "," : "",
                    leat_finding_name(finding->kind));
    put_member(out, "shard", leat_slice_of(finding->shard));
    leat_buf_printf(out, ",\"partition\":%" PRIu32, finding->partition);
    if (finding->offset >= 0)
        leat_buf_printf(out, ",\"offset\":%" PRId64, finding->offset);
    if (finding->table) {
        put_member(out, "table", leat_slice_of(finding->table));
        put_member(out, "key", finding->key);
    }
    if (finding->columns[0])
        put_member(out, "columns", leat_slice_of(finding->columns));
    if (finding->detail[0])
        put_member(out, "detail", leat_slice_of(finding->detail));
    leat_buf_byte(out, '}');
    LEAT_ASSERT(!out->failed); /* memory */
}

void leat_verify_print_finding(void *context, const leat_verify_finding *finding)
{
    leat_verify_print *print = context;
    if (print->shown == print->limit)
        return;
    print->shown++;
    if (print->json) {
        keep_json(print, finding);
        return;
    }
    leat_bar_clear(&print->bar);
    print_text(finding);
}

/* ---- the end ---- */

static void print_records(const leat_verify_result *result)
{
    uint64_t sum = 0;
    for (int i = 0; i < LEAT_FATE_COUNT; i++)
        sum += result->records[i];
    printf("%" PRIu64 " record%s", sum, sum == 1 ? "" : "s");
    const char *before = ": ";
    for (leat_fate fate = 0; fate < LEAT_FATE_COUNT; fate++) {
        char name[32];
        if (result->records[fate] == 0)
            continue;
        snprintf(name, sizeof name, "%s", leat_fate_name(fate));
        for (char *at = name; *at; at++)
            *at = *at == '_' ? ' ' : *at;
        printf("%s%" PRIu64 " %s", before, result->records[fate], name);
        before = ", ";
    }
    putchar('\n');
}

static void print_keys(const leat_verify_result *result)
{
    printf("%" PRIu64 " key%s: %" PRIu64 " proved, %" PRIu64 " in part, %" PRIu64
           " waiting, %" PRIu64 " undecided; %" PRIu64 " columns compared\n",
           result->keys, result->keys == 1 ? "" : "s", result->keys_proved, result->keys_in_part,
           result->keys_waiting, result->keys_undecided, result->columns);
}

static void print_summary(const leat_verify_print *print, const leat_verify_result *result,
                          bool is_sample)
{
    uint32_t cut = result->partitions_cut;
    uint64_t found = leat_verify_found(result);
    if (found > print->shown)
        printf("%" PRIu64 " more findings: --limit N\n", found - print->shown);
    print_records(result);
    print_keys(result);
    if (cut > 0)
        printf("in %" PRIu32 " partition%s the log begins after its first record: what was before "
               "is not verified\n",
               cut, cut == 1 ? "" : "s");
    if (result->offsets_gone > 0)
        printf("retention deleted up to %" PRIu64
               " records of the range before they were read: they are not verified\n",
               result->offsets_gone);
    if (found == 0)
        printf("nothing is lost or doubled%s%s\n", is_sample ? " in the sample" : "",
               result->offsets_gone > 0 ? ", of what was read" : "");
    else
        printf("%" PRIu64 " finding%s\n", found, found == 1 ? "" : "s");
}

static void put_json(const leat_verify_print *print, const leat_verify_result *result)
{
    printf("{\"findings\":[");
    if (print->findings.size > 0)
        fwrite(print->findings.data, 1, print->findings.size, stdout);
    printf("],\"found\":{");
    for (int i = 0; i < LEAT_FINDING_COUNT; i++)
        printf("%s\"%s\":%" PRIu64, i > 0 ? "," : "", leat_finding_name((leat_finding_kind)i),
               result->findings[i]);
    printf("},\"records\":{");
    for (int i = 0; i < LEAT_FATE_COUNT; i++)
        printf("%s\"%s\":%" PRIu64, i > 0 ? "," : "", leat_fate_name((leat_fate)i),
               result->records[i]);
    printf("},\"keys\":{\"all\":%" PRIu64 ",\"proved\":%" PRIu64 ",\"in_part\":%" PRIu64
           ",\"waiting\":%" PRIu64 ",\"undecided\":%" PRIu64 "},\"columns\":%" PRIu64
           ",\"partitions_cut\":%" PRIu32 ",\"offsets_gone\":%" PRIu64 ",\"walks\":%" PRIu32 "}\n",
           result->keys, result->keys_proved, result->keys_in_part, result->keys_waiting,
           result->keys_undecided, result->columns, result->partitions_cut, result->offsets_gone,
           result->walks);
}

void leat_verify_print_result(leat_verify_print *print, const leat_verify_result *result,
                              bool is_sample)
{
    leat_bar_clear(&print->bar);
    if (print->json)
        put_json(print, result);
    else
        print_summary(print, result, is_sample);
}

void leat_verify_print_fini(leat_verify_print *print)
{
    leat_bar_clear(&print->bar);
    leat_buf_free(&print->findings);
}
