/*
 * setting.c - what is asked of a row of the table of settings: its name within its group, and its
 * type and range as people read them. Messages, `leat config` and the manual say the same words.
 */
#include "config/table.h"

#include <stdio.h>
#include <string.h>

#include "config/text.h"

const char *leat_setting_under(const leat_setting *setting, const char *prefix)
{
    size_t size = strlen(prefix);
    if (strncmp(setting->path, prefix, size) != 0)
        return NULL;
    const char *name = setting->path + size;
    return *name && !strpbrk(name, ".[") ? name : NULL;
}

const leat_setting *leat_setting_find(const char *prefix, const char *key)
{
    size_t count;
    const leat_setting *settings = leat_settings(&count);
    for (size_t i = 0; i < count; i++) {
        const char *name = leat_setting_under(&settings[i], prefix);
        if (name && strcmp(name, key) == 0)
            return &settings[i];
    }
    return NULL;
}

void leat_setting_prefix(const leat_setting *setting, char *ret_prefix, size_t size)
{
    snprintf(ret_prefix, size, "%s%s.", setting->path,
             setting->kind == LEAT_SETTING_LIST ? "[]" : "");
}

const char *leat_setting_type(const leat_setting *setting)
{
    static const char *const kinds[LEAT_SETTING_KIND_COUNT] = {
        [LEAT_SETTING_GROUP] = "mapping", [LEAT_SETTING_LIST] = "list",
        [LEAT_SETTING_PAIRS] = "mapping", [LEAT_SETTING_TEXT] = "text",
        [LEAT_SETTING_EXPANDED] = "text", [LEAT_SETTING_CHOICE] = "word",
    };
    static const char *const units[] = {
        [LEAT_UNIT_ONE] = "number", [LEAT_UNIT_BYTES] = "size", [LEAT_UNIT_MS] = "duration"};
    return setting->kind == LEAT_SETTING_NUMBER ? units[setting->unit] : kinds[setting->kind];
}

static void print_choices(const leat_setting *setting, const char *before, char *ret_text,
                          size_t size)
{
    size_t used = (size_t)snprintf(ret_text, size, "%s", before);
    for (size_t i = 0; i < LEAT_CHOICES_MAX && setting->choices[i] && used < size; i++)
        used += (size_t)snprintf(ret_text + used, size - used, "%s%s", i ? ", " : "",
                                 setting->choices[i]);
}

/* "a mapping of brokers, topic, ..." */
static void print_members(const leat_setting *setting, char *ret_text, size_t size)
{
    char prefix[64];
    leat_setting_prefix(setting, prefix, sizeof prefix);
    bool list = setting->kind == LEAT_SETTING_LIST;
    size_t used =
        (size_t)snprintf(ret_text, size, "%s", list ? "a list of mappings of " : "a mapping of ");
    const char *between = "";
    size_t count;
    const leat_setting *settings = leat_settings(&count);
    for (size_t i = 0; i < count && used < size; i++) {
        const char *name = leat_setting_under(&settings[i], prefix);
        if (!name)
            continue;
        used += (size_t)snprintf(ret_text + used, size - used, "%s%s", between, name);
        between = ", ";
    }
}

static void print_range(const leat_setting *setting, char *ret_text, size_t size)
{
    char least[32], most[32];
    leat_text_print_number(setting->min, setting->unit, least, sizeof least);
    leat_text_print_number(setting->max, setting->unit, most, sizeof most);
    snprintf(ret_text, size, "%s to %s", least, most);
}

void leat_setting_allowed(const leat_setting *setting, char *ret_text, size_t size)
{
    if (setting->kind == LEAT_SETTING_NUMBER)
        print_range(setting, ret_text, size);
    else if (setting->kind == LEAT_SETTING_CHOICE)
        print_choices(setting, setting->choices[1] ? "one of " : "only ", ret_text, size);
    else if (setting->kind == LEAT_SETTING_PAIRS && setting->choices[0])
        print_choices(setting, "column: operation, one of ", ret_text, size);
    else if (setting->kind == LEAT_SETTING_GROUP || setting->kind == LEAT_SETTING_LIST)
        print_members(setting, ret_text, size);
    else
        snprintf(ret_text, size, "%s", setting->allowed ? setting->allowed : "any text");
}
