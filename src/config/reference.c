/*
 * reference.c - docs/configuration.md and leat.yaml(5), printed from the table that the loader
 * uses, so every setting is documented, and with its real default.
 */
#include "config/table.h"

enum { WORDS_MAX = 512 };

static void print_intro(FILE *out)
{
    fputs(
        "# Configuration\n\n"
        "One YAML file. A setting that is not listed here is an error. A size is in bytes or has the unit `KiB`, `MiB`\n"
        "or `GiB` (`64KiB`); a duration has the unit `ms`, `s`, `m` or `h` (`500ms`). In connection strings, brokers and\n"
        "values of properties, `$NAME` (capitals) and `${name}` are environment variables, which must be set; `$$` is a\n"
        "dollar sign. Anchors, aliases and tags are errors.\n\n"
        "## The process\n",
        out);
}

static void print_head(FILE *out)
{
    fputs("\n| setting | type | default | allowed | |\n|---|---|---|---|---|\n", out);
}

static void print_section(const leat_setting *setting, FILE *out)
{
    fprintf(out, "\n## `%s`\n\n%s", setting->path, setting->help);
    if (setting->kind == LEAT_SETTING_LIST)
        fprintf(out, " A list of %lld to %lld.", (long long)setting->min, (long long)setting->max);
    fputs("\n", out);
}

static void print_setting(const leat_setting *setting, FILE *out)
{
    char allowed[WORDS_MAX];
    leat_setting_allowed(setting, allowed, sizeof allowed);
    fprintf(out, "| `%s` | %s | ", setting->path, leat_setting_type(setting));
    if (setting->required)
        fputs("required", out);
    else if (setting->fallback)
        fprintf(out, "`%s`", setting->fallback);
    else
        fputs(setting->fallback_words ? setting->fallback_words : "none", out);
    fprintf(out, " | %s | %s |\n", allowed, setting->help);
}

void leat_config_print_reference(FILE *out)
{
    size_t count;
    const leat_setting *settings = leat_settings(&count);
    bool table_open = false;
    print_intro(out);
    for (size_t i = 0; i < count; i++) {
        bool section = settings[i].kind == LEAT_SETTING_GROUP ||
                       settings[i].kind == LEAT_SETTING_LIST;
        if (!section && !table_open)
            print_head(out);
        table_open = !section;
        if (section)
            print_section(&settings[i], out);
        else
            print_setting(&settings[i], out);
    }
}
