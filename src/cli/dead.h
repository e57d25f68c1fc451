/* dead.h - dead letters as people and programs read them. */
#ifndef LEAT_CLI_DEAD_H
#define LEAT_CLI_DEAD_H

#include <stdio.h>

#include "sink/shard.h"

typedef struct leat_dead_entry {
    const char *shard;
    const leat_dead_letter *letter;
} leat_dead_entry;

/* A table for a terminal: long texts other than keys are cut, characters that a terminal interprets
 * are escaped. */
void leat_dead_print_table(FILE *out, const leat_dead_entry *entries, uint32_t count);
/* Everything of one, for people. */
void leat_dead_print_whole(FILE *out, const leat_dead_entry *entry);
/* Everything of one as a JSON object on one line. A key or body that is not text is in base64,
 * under "key_base64" and "body_base64". */
void leat_dead_print_json(FILE *out, const leat_dead_entry *entry);

#endif
