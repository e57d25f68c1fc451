/*
 * load.c - the walk through the tree: every entry is looked up in the table, read by its kind and
 * stored where the table says, in a field that is an offset. No setting has code of its own, so
 * none can miss its range check, its line or its message. Rules about several settings at once are
 * checked afterwards, in rules.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/rules.h"
#include "config/table.h"
#include "config/text.h"
#include "config/tree.h"

enum { WORDS_MAX = 512, PREFIX_MAX = 64 };

typedef struct loader {
    const char *file;
    leat_error *error;
} loader;

/* A mapping of settings while it is read. */
typedef struct scope {
    const loader *loader;
    const leat_node *map;
    const char *prefix; /* of its settings' paths */
    char *base;         /* the base of the settings' `field` offsets */
} scope;

/* By way of void *: the compiler cannot see that offsetof has aligned the field. */
static char **text_field(char *base, const leat_setting *setting)
{
    return (char **)(void *)(base + setting->field);
}

static int64_t *number_field(char *base, const leat_setting *setting)
{
    return (int64_t *)(void *)(base + setting->field);
}

static char **array_field(char *base, const leat_setting *setting)
{
    return text_field(base, setting);
}

static uint32_t *count_field(char *base, const leat_setting *setting)
{
    return (uint32_t *)(void *)(base + setting->shape->count_field);
}

/* ---- messages ---- */

static int fail_allowed(const scope *s, const leat_node *node, const leat_setting *setting,
                        const char *what)
{
    char allowed[WORDS_MAX];
    leat_setting_allowed(setting, allowed, sizeof allowed);
    return leat_node_fail(s->loader->file, node, NULL, s->loader->error, "%s (%s)", what, allowed);
}

static int fail_kind(const scope *s, const leat_node *node, const leat_setting *setting)
{
    static const char *const kinds[] = {[LEAT_NODE_NULL] = "no value",
                                        [LEAT_NODE_TEXT] = "a text",
                                        [LEAT_NODE_LIST] = "a list",
                                        [LEAT_NODE_MAP] = "a mapping"};
    char what[64];
    snprintf(what, sizeof what, "must be a %s, not %s", leat_setting_type(setting),
             kinds[node->kind]);
    return fail_allowed(s, node, setting, what);
}

static size_t add_name(char *list, size_t size, size_t used, const char *name)
{
    if (used >= size)
        return used;
    return used + (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "", name);
}

/* The setting meant: the same name in another place, or the closest name here. A name that differs
 * in more than about a third of its letters would only mislead. */
static const leat_setting *guess(const char *prefix, const char *key)
{
    size_t count, nearest = 1 + strlen(key) / 3;
    const leat_setting *settings = leat_settings(&count), *best = NULL, *elsewhere = NULL;
    for (size_t i = 0; i < count; i++) {
        const char *name = leat_setting_under(&settings[i], prefix);
        const char *dot = strrchr(settings[i].path, '.');
        if (!name && !elsewhere && strcmp(dot ? dot + 1 : settings[i].path, key) == 0)
            elsewhere = &settings[i];
        size_t distance = name ? leat_text_distance(key, name) : nearest + 1;
        if (distance < nearest || (distance == nearest && !best)) {
            nearest = distance;
            best = &settings[i];
        }
    }
    return elsewhere ? elsewhere : best;
}

static int fail_unknown(const scope *s, const leat_node *node)
{
    char names[WORDS_MAX] = "", meant[128] = "";
    size_t count, used = 0;
    const leat_setting *settings = leat_settings(&count), *near = guess(s->prefix, node->key);
    for (size_t i = 0; i < count; i++) {
        const char *name = leat_setting_under(&settings[i], s->prefix);
        if (name)
            used = add_name(names, sizeof names, used, name);
    }
    if (near) {
        const char *name = leat_setting_under(near, s->prefix);
        snprintf(meant, sizeof meant, "; did you mean %s?", name ? name : near->path);
    }
    return leat_node_fail(s->loader->file, node, NULL, s->loader->error,
                          "unknown key%s (known here: %s)", meant, names);
}

/* ---- values ---- */

static bool is_one_of(const char *text, const char *const words[LEAT_CHOICES_MAX])
{
    for (size_t i = 0; i < LEAT_CHOICES_MAX && words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static int check_choice(const scope *s, const leat_node *node, const leat_setting *setting)
{
    if (is_one_of(node->text, setting->choices))
        return 0;
    char what[96];
    snprintf(what, sizeof what, "\"%.40s\" is not known", node->text);
    return fail_allowed(s, node, setting, what);
}

static int read_choice(const scope *s, const leat_node *node, const leat_setting *setting)
{
    if (check_choice(s, node, setting) < 0)
        return -1;
    if (setting->field == LEAT_NO_FIELD)
        return 0;
    char **field = text_field(s->base, setting);
    free(*field);
    *field = leat_must_strdup(node->text);
    return 0;
}

static int read_text(const scope *s, const leat_node *node, const leat_setting *setting)
{
    leat_error why;
    if (!*node->text)
        return fail_allowed(s, node, setting, "must not be empty");
    if (setting->check && setting->check(node->text, &why) < 0)
        return fail_allowed(s, node, setting, why.text);
    char **field = text_field(s->base, setting);
    free(*field);
    *field = leat_must_strdup(node->text);
    return 0;
}

/* No message shows the text or its value: either may have a password in it. */
static int read_expanded(const scope *s, const leat_node *node, const leat_setting *setting)
{
    leat_error why;
    if (!*node->text)
        return fail_allowed(s, node, setting, "must not be empty");
    char *value = leat_text_expand(node->text, &why);
    if (!value)
        return leat_node_fail(s->loader->file, node, NULL, s->loader->error, "%s", why.text);
    /* It has the default until here. */
    char **field = text_field(s->base, setting);
    free(*field);
    *field = value;
    return 0;
}

static int read_number(const scope *s, const leat_node *node, const leat_setting *setting)
{
    int64_t value;
    char what[160];
    if (!leat_text_number(node->text, setting->unit, &value)) {
        snprintf(what, sizeof what, "\"%.40s\" is not a %s: %s", node->text,
                 leat_setting_type(setting), leat_text_number_form(setting->unit));
        return fail_allowed(s, node, setting, what);
    }
    if (value < setting->min || value > setting->max) {
        snprintf(what, sizeof what, "%.40s is out of range", node->text);
        return fail_allowed(s, node, setting, what);
    }
    *number_field(s->base, setting) = value;
    return 0;
}

/* ---- mappings and lists ---- */

static int read_map(const loader *l, const leat_node *map, const leat_setting *owner, char *base);

static int read_group(const scope *s, const leat_node *node, const leat_setting *setting)
{
    return read_map(s->loader, node, setting, s->base);
}

static int check_count(const scope *s, const leat_node *node, const leat_setting *setting)
{
    char what[64];
    if ((int64_t)node->count >= setting->min && (int64_t)node->count <= setting->max)
        return 0;
    if ((int64_t)node->count < setting->min)
        return fail_allowed(s, node, setting, "must not be empty");
    snprintf(what, sizeof what, "%zu entries are too many: at most %lld", node->count,
             (long long)setting->max);
    return fail_allowed(s, node, setting, what);
}

static char *new_array(const scope *s, const leat_node *node, const leat_setting *setting)
{
    char *array = leat_must_calloc(node->count, setting->shape->element_size);
    *array_field(s->base, setting) = array;
    *count_field(s->base, setting) = (uint32_t)node->count;
    return array;
}

static int read_list(const scope *s, const leat_node *node, const leat_setting *setting)
{
    if (check_count(s, node, setting) < 0)
        return -1;
    char *element = new_array(s, node, setting);
    for (const leat_node *child = node->first; child;
         child = child->next, element += setting->shape->element_size) {
        if (child->kind != LEAT_NODE_MAP)
            return fail_allowed(s, child, setting, "must be a mapping");
        *(int *)(void *)(element + setting->shape->line_field) = child->line;
        if (read_map(s->loader, child, setting, element) < 0)
            return -1;
    }
    return 0;
}

/* An entry that is a mapping: takes its detail, and returns where its value is; NULL: a fault. */
static const leat_node *open_pair(const scope *s, const leat_node *map, const leat_setting *setting,
                                  leat_config_pair *pair)
{
    const leat_node *value = leat_node_get(map, setting->value_name);
    const leat_node *detail = leat_node_get(map, setting->detail_name);
    for (const leat_node *child = map->first; child; child = child->next) {
        if (child == value || child == detail)
            continue;
        leat_node_fail(s->loader->file, child, NULL, s->loader->error,
                       "unknown key (known here: %s, %s)", setting->value_name,
                       setting->detail_name);
        return NULL;
    }
    if (!value) {
        leat_node_fail(s->loader->file, map, setting->value_name, s->loader->error, "missing");
        return NULL;
    }
    if (detail && (detail->kind != LEAT_NODE_TEXT || !*detail->text)) {
        leat_node_fail(s->loader->file, detail, NULL, s->loader->error, "must be a text");
        return NULL;
    }
    pair->detail = detail ? leat_must_strdup(detail->text) : NULL;
    return value;
}

static int read_pair(const scope *s, const leat_node *node, const leat_setting *setting,
                     leat_config_pair *pair)
{
    leat_error why;
    if (!*node->key)
        return fail_allowed(s, node, setting, "has an empty key");
    pair->name = leat_must_strdup(node->key);
    pair->line = node->line;
    if (node->kind == LEAT_NODE_MAP && setting->detail_name &&
        !(node = open_pair(s, node, setting, pair)))
        return -1;
    if (node->kind != LEAT_NODE_TEXT)
        return fail_allowed(s, node, setting,
                            node->kind == LEAT_NODE_NULL ? "has no value" : "must be a text");
    if (setting->choices[0] && check_choice(s, node, setting) < 0)
        return -1;
    pair->value = setting->choices[0] ? leat_must_strdup(node->text)
                                      : leat_text_expand(node->text, &why);
    if (!pair->value)
        return leat_node_fail(s->loader->file, node, NULL, s->loader->error, "%s", why.text);
    return 0;
}

static int read_pairs(const scope *s, const leat_node *node, const leat_setting *setting)
{
    if (check_count(s, node, setting) < 0)
        return -1;
    if (node->count == 0)
        return 0;
    leat_config_pair *pairs = (leat_config_pair *)(void *)new_array(s, node, setting);
    for (const leat_node *child = node->first; child; child = child->next)
        if (read_pair(s, child, setting, &pairs[child->index]) < 0)
            return -1;
    return 0;
}

typedef struct kind_reader {
    leat_node_kind node;
    bool null_is_empty; /* a key whose entries are all commented out */
    int (*read)(const scope *s, const leat_node *node, const leat_setting *setting);
} kind_reader;

static const kind_reader kind_readers[LEAT_SETTING_KIND_COUNT] = {
    [LEAT_SETTING_GROUP] = {LEAT_NODE_MAP, true, read_group},
    [LEAT_SETTING_LIST] = {LEAT_NODE_LIST, true, read_list},
    [LEAT_SETTING_PAIRS] = {LEAT_NODE_MAP, true, read_pairs},
    [LEAT_SETTING_TEXT] = {LEAT_NODE_TEXT, false, read_text},
    [LEAT_SETTING_EXPANDED] = {LEAT_NODE_TEXT, false, read_expanded},
    [LEAT_SETTING_CHOICE] = {LEAT_NODE_TEXT, false, read_choice},
    [LEAT_SETTING_NUMBER] = {LEAT_NODE_TEXT, false, read_number},
};

static int read_entry(const scope *s, const leat_node *node)
{
    const leat_setting *setting = leat_setting_find(s->prefix, node->key);
    if (!setting)
        return fail_unknown(s, node);
    const kind_reader *reader = &kind_readers[setting->kind];
    if (node->kind != reader->node && !(node->kind == LEAT_NODE_NULL && reader->null_is_empty))
        return fail_kind(s, node, setting);
    return reader->read(s, node, setting);
}

static int fail_missing(const scope *s, const char *name, const leat_setting *setting)
{
    char allowed[WORDS_MAX];
    leat_setting_allowed(setting, allowed, sizeof allowed);
    return leat_node_fail(s->loader->file, s->map, name, s->loader->error, "missing (%s)", allowed);
}

static int check_required(const scope *s)
{
    size_t count;
    const leat_setting *settings = leat_settings(&count);
    for (size_t i = 0; i < count; i++) {
        const char *name = leat_setting_under(&settings[i], s->prefix);
        if (name && settings[i].required && !leat_node_get(s->map, name))
            return fail_missing(s, name, &settings[i]);
    }
    return 0;
}

/* Is the setting a value in the same structure as those under `prefix`, whatever its group? */
static bool shares_base(const leat_setting *setting, const char *prefix)
{
    size_t size = strlen(prefix);
    return setting->field != LEAT_NO_FIELD && strncmp(setting->path, prefix, size) == 0 &&
           !strchr(setting->path + size, '[');
}

static void set_default(char *base, const leat_setting *setting)
{
    if (setting->kind != LEAT_SETTING_NUMBER)
        *text_field(base, setting) = leat_must_strdup(setting->fallback);
    else
        LEAT_ASSERT(
            leat_text_number(setting->fallback, setting->unit, number_field(base, setting)));
}

static void set_defaults(char *base, const char *prefix)
{
    size_t count;
    const leat_setting *settings = leat_settings(&count);
    for (size_t i = 0; i < count; i++)
        if (settings[i].fallback && shares_base(&settings[i], prefix))
            set_default(base, &settings[i]);
}

/* `owner`: the group or list the mapping belongs to; NULL: the whole file. */
static int read_map(const loader *l, const leat_node *map, const leat_setting *owner, char *base)
{
    char prefix[PREFIX_MAX] = "";
    if (owner)
        leat_setting_prefix(owner, prefix, sizeof prefix);
    /* All defaults of the structure come first, so that groups that the file leaves out have
     * theirs. */
    if (!owner || owner->kind == LEAT_SETTING_LIST)
        set_defaults(base, prefix);
    scope s = {l, map, prefix, base};
    for (const leat_node *child = map->first; child; child = child->next)
        if (read_entry(&s, child) < 0)
            return -1;
    return check_required(&s);
}

/* ---- the whole ---- */

static void release(char *base, const char *prefix);

static void release_pairs(char *array, uint32_t count)
{
    leat_config_pair *pairs = (leat_config_pair *)(void *)array;
    for (uint32_t i = 0; i < count; i++) {
        free(pairs[i].name);
        free(pairs[i].value);
        free(pairs[i].detail);
    }
}

static void release_array(char *base, const leat_setting *setting)
{
    char prefix[PREFIX_MAX];
    char *array = *array_field(base, setting);
    uint32_t count = *count_field(base, setting);
    leat_setting_prefix(setting, prefix, sizeof prefix);
    if (setting->kind == LEAT_SETTING_PAIRS)
        release_pairs(array, count);
    for (uint32_t i = 0; setting->kind == LEAT_SETTING_LIST && i < count; i++)
        release(array + i * setting->shape->element_size, prefix);
    free(array);
}

/* By the same table that has filled it, so that no setting can be forgotten. */
static void release(char *base, const char *prefix)
{
    size_t count;
    const leat_setting *settings = leat_settings(&count);
    for (size_t i = 0; i < count; i++) {
        if (!shares_base(&settings[i], prefix))
            continue;
        if (settings[i].shape)
            release_array(base, &settings[i]);
        else if (settings[i].kind != LEAT_SETTING_NUMBER)
            free(*text_field(base, &settings[i]));
    }
}

void leat_config_fini(leat_config *config)
{
    if (!config)
        return;
    release((char *)config, "");
    leat_tree_free(config->tree);
    free(config->file);
    *config = (leat_config){0};
}

int leat_config_load(const char *file, leat_config *ret, leat_error *error)
{
    leat_node *root = leat_tree_read(file, error);
    if (!root)
        return -1;
    leat_config config = {.file = leat_must_strdup(file), .tree = root};
    loader l = {file, error};
    int result = read_map(&l, root, NULL, (char *)&config);
    if (result == 0)
        result = leat_rules_check(root, &config, error);
    if (result < 0)
        leat_config_fini(&config);
    else
        *ret = config;
    return result;
}
