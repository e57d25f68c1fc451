/*
 * table.h - all settings: the one place for paths, types, defaults, ranges and help. The loader,
 * the messages and the printed reference read it. Order in the table is order in the reference.
 */
#ifndef LEAT_CONFIG_TABLE_H
#define LEAT_CONFIG_TABLE_H

#include "config/config.h"

typedef enum leat_setting_kind {
    LEAT_SETTING_GROUP,    /* a mapping of settings */
    LEAT_SETTING_LIST,     /* a list of such mappings: an array in leat_config */
    LEAT_SETTING_PAIRS,    /* a mapping with free keys: an array of leat_config_pair */
    LEAT_SETTING_TEXT,     /* char *; `check` may refuse it */
    LEAT_SETTING_EXPANDED, /* char *; environment variables are put in, no message of the loader
                              shows the text or its value */
    LEAT_SETTING_CHOICE,   /* char *; one of `choices` */
    LEAT_SETTING_NUMBER,   /* int64_t in [min, max], written in `unit` */
    LEAT_SETTING_KIND_COUNT,
} leat_setting_kind;

typedef enum leat_unit { LEAT_UNIT_ONE, LEAT_UNIT_BYTES, LEAT_UNIT_MS } leat_unit;

enum {
    LEAT_CHOICES_MAX = 8,
    LEAT_NO_FIELD = -1, /* recognised, not kept */
};

/* Where the entries of a list or of pairs go: pointer at `field`, number of entries (uint32_t) at
 * `count_field`. */
typedef struct leat_array_shape {
    size_t element_size;
    size_t line_field; /* in the element: int */
    size_t count_field;
} leat_array_shape;

typedef struct leat_setting {
    const char *path; /* "limits.body_max"; in a list "shards[].dsn"; the list itself "shards" */
    leat_setting_kind kind;
    leat_unit unit;
    bool required;
    int field;                  /* offset in leat_config, in a list in its element */
    const char *fallback;       /* default as the file would give it; NULL: none */
    const char *fallback_words; /* the default for people, if no value can express it */
    int64_t min, max;           /* of a number; of the entries of a list or of pairs */
    const char *allowed;        /* of a text, for people */
    int (*check)(const char *text, leat_error *error);
    const char *choices[LEAT_CHOICES_MAX]; /* of a choice, and of every value of pairs (none: any
                                              text) */
    /* of pairs: an entry may be a mapping instead, with the value under the one name and, where it
     * is given, a detail of it under the other; NULL: it may not */
    const char *value_name, *detail_name;
    const leat_array_shape *shape;
    const char *help;
} leat_setting;

const leat_setting *leat_settings(size_t *ret_count);
/* The setting `prefix` + `key` ("limits." + "body_max"), NULL when there is none. */
const leat_setting *leat_setting_find(const char *prefix, const char *key);
/* The name within its group when the setting is directly under `prefix`, else NULL. */
const char *leat_setting_under(const leat_setting *setting, const char *prefix);
/* The prefix of the paths inside it: "log.kafka." of the group, "shards[]." of the list. */
void leat_setting_prefix(const leat_setting *setting, char *ret_prefix, size_t size);

/* "size", "duration", "list", ...: for people. */
const char *leat_setting_type(const leat_setting *setting);
/* "4KiB to 16MiB", "one of debug, info, warn, error", ... */
void leat_setting_allowed(const leat_setting *setting, char *ret_text, size_t size);

#endif
