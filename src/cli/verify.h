/* verify.h - the parts of leat verify: the command, and what it prints. */
#ifndef LEAT_CLI_VERIFY_H
#define LEAT_CLI_VERIFY_H

#include "base/buf.h"
#include "cli/bar.h"
#include "cli/commands.h"
#include "config/config.h"
#include "verify/verify.h"

/* What is printed while it runs and at its end. */
typedef struct leat_verify_print {
    bool json;
    uint32_t limit; /* findings that are shown */
    uint32_t shown;
    leat_bar bar;
    leat_buf findings; /* with `json`: objects with commas between them; owned */
} leat_verify_print;

/* Callbacks of leat_verify_config; the context is a leat_verify_print. */
void leat_verify_print_finding(void *context, const leat_verify_finding *finding);
void leat_verify_print_progress(void *context, const leat_verify_progress *progress);
void leat_verify_print_result(leat_verify_print *print, const leat_verify_result *result,
                              bool is_sample);
void leat_verify_print_fini(leat_verify_print *print);

#endif
