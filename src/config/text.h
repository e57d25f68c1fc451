/*
 * text.h - the small texts inside a configuration: sizes, durations, variables of the environment,
 * names, paths.
 */
#ifndef LEAT_CONFIG_TEXT_H
#define LEAT_CONFIG_TEXT_H

#include "base/base.h"
#include "base/limits.h"
#include "config/table.h"

/* "65536", "64KiB", "4MiB" and "500ms", "5s", "1m", "1h" and plain numbers: into ones, bytes or
 * milliseconds. */
bool leat_text_number(const char *text, leat_unit unit, int64_t *ret_value);
/* The shortest exact form: "64KiB", "1m". */
void leat_text_print_number(int64_t value, leat_unit unit, char *ret_text, size_t size);
/* "digits with ms, s, m or h": the way to write one. */
const char *leat_text_number_form(leat_unit unit);

/* "10%", "0.5%", above 0 and at most 100, into so many of `points`, at least 1. */
bool leat_text_share(const char *text, uint32_t points, uint32_t *ret);

/* The step of a column: "60s", "500ms" (milliseconds into `ret_ms`) or "0.5", "10" (0 into it, and
 * the text is the number). Greater than 0. */
bool leat_text_step(const char *text, int64_t *ret_ms);

/*
 * Puts variables of the environment in place of $NAME (capitals, digits, '_') and ${name}; $$ is a
 * dollar sign. NULL: `error` says what is wrong without showing the text, as it may be a secret.
 * The result is the caller's to free.
 */
char *leat_text_expand(const char *text, leat_error *error);

/* What leat_text_check_name allows. */
#define LEAT_TEXT_NAME_FORM                                                                        \
    "letters, digits, '_', '-' and '.', at most " LEAT_STRINGIZE(LEAT_NAME_MAX)

/* 0, or -1 with the fault in `error`; the caller adds what the setting allows. */
int leat_text_check_address(const char *text, leat_error *error);
int leat_text_check_admin(const char *text, leat_error *error); /* an address or "off" */
int leat_text_check_name(const char *text, leat_error *error);
int leat_text_check_topic(const char *text, leat_error *error);
int leat_text_check_table(const char *text, leat_error *error);
int leat_text_check_path(const char *text, leat_error *error);
int leat_text_check_url(const char *text, leat_error *error); /* http or https, without a user */
int leat_text_check_fraction(const char *text, leat_error *error);
/* The number that it has allowed, 0 to 1. */
double leat_text_fraction(const char *text);

/* The parameters of a checked path: how many, and the name of the one at `index`. */
size_t leat_text_path_parameters(const char *path);
leat_slice leat_text_path_parameter(const char *path, size_t index);
/* Do two paths match the same requests: equal but for the names of parameters? */
bool leat_text_path_same(const char *a, const char *b);

/* How many characters must be inserted, removed, replaced or swapped with their neighbour: for "did
 * you mean". */
size_t leat_text_distance(const char *a, const char *b);

#endif
