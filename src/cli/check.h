/* check.h - the findings of `leat check`, as people and programs read them. */
#ifndef LEAT_CLI_CHECK_H
#define LEAT_CLI_CHECK_H

#include <stdio.h>

#include "base/base.h"

typedef enum leat_check_verdict {
    LEAT_CHECK_OK,
    LEAT_CHECK_WARNING,
    LEAT_CHECK_FAILED,
    LEAT_CHECK_SKIPPED
} leat_check_verdict;

typedef struct leat_finding {
    const char *check; /* its name */
    const char *shard; /* NULL: of no shard */
    leat_check_verdict verdict;
    char what[1024];
    const char *why;    /* it matters, and ... */
    const char *remedy; /* ... what to do: of a warning or failure */
    char *exact;        /* what to do about just this, in lines; NULL: `remedy`. Owned: malloc */
} leat_finding;

/* What to do about just this `what` of the check, for `role` of the shard ("" where it is not
 * known): malloc. NULL: nothing more exact than the check's own remedy. */
char *leat_remedy_of(const char *check, const char *what, const char *role);

/* A warning or a failure: what has a remedy. */
bool leat_finding_is_fault(const leat_finding *finding);
uint32_t leat_findings_count(const leat_finding *findings, uint32_t count,
                             leat_check_verdict verdict);
/* A line each, two more under a warning or failure, and a last one with the counts. */
void leat_findings_print_text(FILE *out, const leat_finding *findings, uint32_t count);
/* One object on one line. */
void leat_findings_print_json(FILE *out, const leat_finding *findings, uint32_t count);

#endif
