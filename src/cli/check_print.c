/*
 * check_print.c - the findings of leat check as text and as JSON. A person reads the list from the
 * top and stops at the first word in capitals, so only failures have one; a program gets the same
 * members for each finding, null where there is nothing to do.
 */
#include "cli/check.h"

#include <inttypes.h>

#include "daemon/json.h"

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

static void add_finding(yyjson_mut_doc *doc, yyjson_mut_val *list, const leat_finding *finding)
{
    bool is_fault = leat_finding_is_fault(finding);
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list);
    leat_json_add_text(doc, object, "result", verdict_words[finding->verdict]);
    leat_json_add_text(doc, object, "check", finding->check);
    leat_json_add_text(doc, object, "shard", finding->shard);
    leat_json_add_text(doc, object, "what", finding->what);
    leat_json_add_text(doc, object, "why", is_fault ? finding->why : NULL);
    leat_json_add_text(doc, object, "do", is_fault ? remedy_of(finding) : NULL);
}

void leat_findings_print_json(FILE *out, const leat_finding *findings, uint32_t count)
{
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = leat_json_new(&root);
    yyjson_mut_obj_add_uint(doc, root, "failed",
                            leat_findings_count(findings, count, LEAT_CHECK_FAILED));
    yyjson_mut_obj_add_uint(doc, root, "warnings",
                            leat_findings_count(findings, count, LEAT_CHECK_WARNING));
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "checks");
    for (uint32_t i = 0; i < count; i++)
        add_finding(doc, list, &findings[i]);
    leat_json_print(out, doc);
}
