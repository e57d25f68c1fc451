#include "cli/check.h"

#include <inttypes.h>

#include "base/buf.h"

static const char *const verdict_names[] = {"ok", "warning", "FAILED", "skipped"};
static const char *const verdict_words[] = {"ok", "warning", "failed", "skipped"};

bool leat_finding_is_fault(const leat_finding *finding)
{
    return finding->verdict == LEAT_CHECK_WARNING || finding->verdict == LEAT_CHECK_FAILED;
}

static const char *remedy_of(const leat_finding *finding)
{
    return finding->exact ? finding->exact : finding->remedy;
}

uint32_t leat_findings_count(const leat_finding *findings, uint32_t count,
                             leat_check_verdict verdict)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        found += findings[i].verdict == verdict;
    return found;
}

/* ---- text ---- */

static void print_finding(FILE *out, const leat_finding *finding)
{
    fprintf(out, "%-8s ", verdict_names[finding->verdict]);
    if (finding->shard)
        fprintf(out, "shard %s: ", finding->shard);
    fprintf(out, "%s: %s\n", finding->check, finding->what);
    if (!leat_finding_is_fault(finding))
        return;
    fprintf(out, "         why: %s\n         do:  ", finding->why);
    for (const char *c = remedy_of(finding); *c; c++)
        *c == '\n' ? fputs("\n              ", out) : fputc(*c, out);
    fputc('\n', out);
}

void leat_findings_print_text(FILE *out, const leat_finding *findings, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        print_finding(out, &findings[i]);
    fprintf(out,
            "\n%" PRIu32 " failed, %" PRIu32 " warnings, %" PRIu32 " skipped, %" PRIu32 " ok\n",
            leat_findings_count(findings, count, LEAT_CHECK_FAILED),
            leat_findings_count(findings, count, LEAT_CHECK_WARNING),
            leat_findings_count(findings, count, LEAT_CHECK_SKIPPED),
            leat_findings_count(findings, count, LEAT_CHECK_OK));
}

/* ---- JSON ---- */

static void put_member(leat_buf *out, const char *name, const char *value)
{
    leat_buf_printf(out, ",\"%s\":", name);
    if (value)
        leat_buf_json_string(out, leat_slice_of(value));
    else
        leat_buf_text(out, "null");
}

static void put_finding(leat_buf *out, const leat_finding *finding)
{
    leat_buf_printf(out, "{\"result\":\"%s\"", verdict_words[finding->verdict]);
    put_member(out, "check", finding->check);
    put_member(out, "shard", finding->shard);
    put_member(out, "what", finding->what);
    put_member(out, "why", leat_finding_is_fault(finding) ? finding->why : NULL);
    put_member(out, "do", leat_finding_is_fault(finding) ? remedy_of(finding) : NULL);
    leat_buf_byte(out, '}');
}

void leat_findings_print_json(FILE *out, const leat_finding *findings, uint32_t count)
{
    leat_buf text = {0};
    leat_buf_printf(&text, "{\"failed\":%" PRIu32 ",\"warnings\":%" PRIu32 ",\"checks\":[",
                    leat_findings_count(findings, count, LEAT_CHECK_FAILED),
                    leat_findings_count(findings, count, LEAT_CHECK_WARNING));
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            leat_buf_byte(&text, ',');
        put_finding(&text, &findings[i]);
    }
    leat_buf_text(&text, "]}");
    const char *line = leat_buf_cstr(&text);
    fprintf(out, "%s\n", line ? line : "{}");
    leat_buf_free(&text);
}
