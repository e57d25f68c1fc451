/*
 * text.c - the small grammars inside a configuration. They are stricter than necessary: a number
 * without its unit, a variable that is not set or a path that mixes text and parameters is an error
 * at start instead of a surprise later. Messages never show a text that may hold a secret.
 */
#include "config/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum {
    TOPIC_MAX_BYTES = 249, /* Kafka's limit */
    SEGMENTS_MAX = 24,
    HOST_MAX = 256,
    DISTANCE_MAX = 64, /* longer words are not compared */
};

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

/* ---- numbers ---- */

typedef struct suffix {
    const char *name;
    leat_unit unit;
    int64_t factor;
} suffix;

/* Largest first within a unit: the printer takes the first that divides. */
static const suffix suffixes[] = {
    {"GiB", LEAT_UNIT_BYTES, (int64_t)1 << 30},
    {"MiB", LEAT_UNIT_BYTES, 1 << 20},
    {"KiB", LEAT_UNIT_BYTES, 1 << 10},
    {"", LEAT_UNIT_BYTES, 1},
    {"h", LEAT_UNIT_MS, 3600000},
    {"m", LEAT_UNIT_MS, 60000},
    {"s", LEAT_UNIT_MS, 1000},
    {"ms", LEAT_UNIT_MS, 1},
    {"", LEAT_UNIT_ONE, 1},
};

const char *leat_text_number_form(leat_unit unit)
{
    static const char *const forms[] = {
        [LEAT_UNIT_ONE] = "digits",
        [LEAT_UNIT_BYTES] = "digits, or with KiB, MiB or GiB",
        [LEAT_UNIT_MS] = "digits with ms, s, m or h",
    };
    return forms[unit];
}

/* Digits up to the suffix; false when there are none or they do not fit. */
static bool scan_digits(const char **at, int64_t *ret_value)
{
    int64_t value = 0;
    const char *c = *at;
    for (; *c >= '0' && *c <= '9'; c++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *c - '0', &value))
            return false;
    if (c == *at)
        return false;
    *at = c;
    *ret_value = value;
    return true;
}

bool leat_text_number(const char *text, leat_unit unit, int64_t *ret_value)
{
    int64_t digits, value;
    if (!scan_digits(&text, &digits))
        return false;
    while (*text == ' ')
        text++;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (suffixes[i].unit != unit || strcmp(suffixes[i].name, text) != 0)
            continue;
        if (__builtin_mul_overflow(digits, suffixes[i].factor, &value))
            return false;
        *ret_value = value;
        return true;
    }
    return false;
}

void leat_text_print_number(int64_t value, leat_unit unit, char *ret_text, size_t size)
{
    const char *name = unit == LEAT_UNIT_MS ? "s" : ""; /* of zero */
    for (size_t i = 0; value != 0 && i < sizeof suffixes / sizeof *suffixes; i++) {
        if (suffixes[i].unit == unit && value % suffixes[i].factor == 0) {
            value /= suffixes[i].factor;
            name = suffixes[i].name;
            break;
        }
    }
    snprintf(ret_text, size, "%lld%s", (long long)value, name);
}

/* Digits with or without a point between them. */
static bool is_decimal(const char *text)
{
    size_t whole = strspn(text, DIGITS);
    size_t fraction = text[whole] == '.' ? strspn(text + whole + 1, DIGITS) : 0;
    const char *end = text + whole + (text[whole] == '.' ? 1 + fraction : 0);
    return whole > 0 && !*end && (text[whole] != '.' || fraction > 0);
}

bool leat_text_share(const char *text, uint32_t points, uint32_t *ret)
{
    char *end;
    double percent = *text >= '0' && *text <= '9' ? strtod(text, &end) : 0;
    if (!(percent > 0 && percent <= 100) || strcmp(end, "%") != 0)
        return false;
    *ret = (uint32_t)(percent * points / 100 + 0.5);
    *ret = *ret > 0 ? *ret : 1;
    return true;
}

bool leat_text_step(const char *text, int64_t *ret_ms)
{
    if (leat_text_number(text, LEAT_UNIT_MS, ret_ms))
        return *ret_ms > 0;
    *ret_ms = 0;
    return is_decimal(text) && text[strspn(text, "0.")] != '\0';
}

double leat_text_fraction(const char *text)
{
    return strtod(text, NULL);
}

int leat_text_check_fraction(const char *text, leat_error *error)
{
    return is_decimal(text) && leat_text_fraction(text) <= 1
               ? 0
               : leat_fail(error, "\"%.40s\" is not a share", text);
}

/* ---- variables of the environment ---- */

typedef struct variable {
    leat_slice name;
    size_t size; /* of the whole reference, from the '$' */
    bool braces;
} variable;

/* Small letters count only in braces: `pa$word` is far more often a password than a variable. */
static bool scan_variable(const char *dollar, variable *ret)
{
    bool braces = dollar[1] == '{';
    const char *name = dollar + 1 + braces;
    size_t size =
        strspn(name, braces ? LETTERS DIGITS "_" : "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "_");
    if (size == 0 || strchr(DIGITS, name[0]) || (braces && name[size] != '}'))
        return false;
    *ret = (variable){{name, size}, 1 + size + (braces ? 2u : 0u), braces};
    return true;
}

static const char *value_of(const variable *v)
{
    char name[256];
    if (v->name.size >= sizeof name)
        return NULL;
    memcpy(name, v->name.data, v->name.size);
    name[v->name.size] = '\0';
    return getenv(name);
}

/* Is it a word of its own, such as in "host=$HOST password=$PASSWORD" or
 * "postgresql://$USER:$PASSWORD@$HOST/db"? */
static bool is_word(const char *text, const char *dollar, const variable *v)
{
    static const char ends[] = " \t\n=:/@,;?&'\"";
    return (dollar == text || strchr(ends, dollar[-1])) &&
           (!dollar[v->size] || strchr(ends, dollar[v->size]));
}

/* A bare $NAME inside a word might be part of a password, so the message gives only its
 * position. */
static int fail_unset(const char *text, const char *dollar, const variable *v, leat_error *error)
{
    if (v->braces || is_word(text, dollar, v))
        return leat_fail(error, "the environment variable %.*s is not set (or empty)",
                         v->name.size > 64 ? 64 : (int)v->name.size, v->name.data);
    return leat_fail(
        error,
        "the environment variable at character %zu is not set (or empty; ${NAME} has it named, $$ is a dollar sign)",
        (size_t)(dollar - text) + 1);
}

/* Appends the value of the variable at `dollar` and returns the bytes that it took; 0: `error` is
 * set. */
static size_t expand_one(const char *text, const char *dollar, leat_buf *out, leat_error *error)
{
    if (dollar[1] == '$') {
        leat_buf_byte(out, '$');
        return 2;
    }
    variable v;
    if (!scan_variable(dollar, &v)) {
        leat_fail(
            error,
            "the $ at character %zu begins no variable ($NAME in capitals, ${name}; $$ is a dollar sign)",
            (size_t)(dollar - text) + 1);
        return 0;
    }
    const char *value = value_of(&v);
    if (!value || !*value) {
        fail_unset(text, dollar, &v, error);
        return 0;
    }
    leat_buf_text(out, value);
    return v.size;
}

char *leat_text_expand(const char *text, leat_error *error)
{
    leat_buf out = {0};
    const char *at = text;
    for (const char *dollar; (dollar = strchr(at, '$')) != NULL;) {
        leat_buf_append(&out, at, (size_t)(dollar - at));
        size_t taken = expand_one(text, dollar, &out, error);
        if (taken == 0) {
            leat_buf_free(&out);
            return NULL;
        }
        at = dollar + taken;
    }
    leat_buf_text(&out, at);
    const char *whole = leat_buf_cstr(&out);
    char *result = whole ? leat_must_strdup(whole) : NULL;
    if (!result)
        leat_fail(error, "out of memory");
    leat_buf_free(&out);
    return result;
}

/* ---- addresses and names ---- */

static int fail_address(const char *text, leat_error *error, const char *what)
{
    return leat_fail(error, "\"%.64s\" %s", text, what);
}

/* Finds the host and returns what follows it; NULL: `error` is set. */
static const char *split_host(const char *text, leat_slice *ret_host, leat_error *error)
{
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (!end || end == text + 1) {
            fail_address(text, error, "has no address between [ and ]");
            return NULL;
        }
        *ret_host = (leat_slice){text + 1, (size_t)(end - text) - 1};
        return end + 1;
    }
    const char *colon = strchr(text, ':');
    if (colon && strchr(colon + 1, ':')) {
        fail_address(text, error, "has several colons: an IPv6 address needs [ and ]");
        return NULL;
    }
    size_t size = colon ? (size_t)(colon - text) : strlen(text);
    *ret_host = (leat_slice){text, size};
    return text + size;
}

int leat_config_address(const char *text, char *ret_host, size_t host_size, int *ret_port,
                        leat_error *error)
{
    leat_slice host;
    const char *rest = split_host(text, &host, error);
    if (!rest)
        return -1;
    if (*rest != ':')
        return fail_address(text, error, "has no port");
    const char *digits = ++rest;
    int64_t port;
    if (!scan_digits(&rest, &port) || *rest || rest - digits > 5 || port > 65535)
        return fail_address(text, error, "has no port from 0 to 65535 after the colon");
    if (host.size >= host_size)
        return fail_address(text, error, "has a host that is too long");
    for (size_t i = 0; i < host.size; i++)
        if ((unsigned char)host.data[i] <= 0x20 || strchr("[]/@", host.data[i]))
            return fail_address(text, error, "has a character in it that no host has");
    memcpy(ret_host, host.data, host.size);
    ret_host[host.size] = '\0';
    *ret_port = (int)port;
    return 0;
}

int leat_text_check_address(const char *text, leat_error *error)
{
    char host[HOST_MAX];
    int port;
    return leat_config_address(text, host, sizeof host, &port, error);
}

int leat_text_check_admin(const char *text, leat_error *error)
{
    return strcmp(text, "off") == 0 ? 0 : leat_text_check_address(text, error);
}

static int check_characters(const char *text, const char *allowed, size_t size_max,
                            leat_error *error)
{
    size_t good = strspn(text, allowed);
    if (text[good])
        return leat_fail(error, "the character at place %zu is not allowed", good + 1);
    if (good > size_max)
        return leat_fail(error, "%zu characters are too many", good);
    return 0;
}

int leat_text_check_name(const char *text, leat_error *error)
{
    return check_characters(text, LETTERS DIGITS "_-.", LEAT_NAME_MAX, error);
}

int leat_text_check_topic(const char *text, leat_error *error)
{
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return leat_fail(error, "\"%s\" is not a name", text);
    return check_characters(text, LETTERS DIGITS "._-", TOPIC_MAX_BYTES, error);
}

int leat_text_check_table(const char *text, leat_error *error)
{
    const char *dot = strchr(text, '.');
    const char *name = dot ? dot + 1 : text;
    size_t schema_size = dot ? (size_t)(dot - text) : 0;
    if ((dot && schema_size == 0) || !*name || strchr(name, '.'))
        return leat_fail(error, "\"%.64s\" is not the name of a table", text);
    if (schema_size > LEAT_NAME_MAX || strlen(name) > LEAT_NAME_MAX)
        return leat_fail(error, "a name of more than %d bytes", LEAT_NAME_MAX);
    return 0;
}

/* ---- paths ---- */

static bool is_parameter(leat_slice segment)
{
    return segment.size > 0 && segment.data[0] == '{';
}

/* The next segment, without its '/'; false: the path has ended. */
static bool next_segment(const char **at, leat_slice *ret)
{
    if (**at != '/')
        return false;
    const char *begin = *at + 1;
    *ret = (leat_slice){begin, strcspn(begin, "/")};
    *at = begin + ret->size;
    return true;
}

static int check_parameter(leat_slice segment, leat_error *error)
{
    int size = segment.size > 64 ? 64 : (int)segment.size;
    if (segment.size < 3 || segment.data[segment.size - 1] != '}')
        return leat_fail(error, "\"%.*s\" is not a parameter (write {name})", size, segment.data);
    if (strcspn(segment.data + 1, "{}") != segment.size - 2)
        return leat_fail(
            error, "\"%.*s\" is not a parameter (the name of a key column, without braces in it)",
            size, segment.data);
    if (segment.size - 2 > LEAT_NAME_MAX)
        return leat_fail(error, "a parameter's name has more than %d bytes", LEAT_NAME_MAX);
    return 0;
}

static int check_segment(leat_slice segment, leat_error *error)
{
    if (segment.size == 0)
        return leat_fail(error, "a segment is empty");
    if (is_parameter(segment))
        return check_parameter(segment, error);
    int size = segment.size > 64 ? 64 : (int)segment.size;
    if (memchr(segment.data, '{', segment.size) || memchr(segment.data, '}', segment.size))
        return leat_fail(error,
                         "\"%.*s\" mixes text and a parameter (a parameter is a whole segment)",
                         size, segment.data);
    if (strspn(segment.data, LETTERS DIGITS "-._~!$&'()*+,;=:@") < segment.size)
        return leat_fail(error, "\"%.*s\" has a character that must be percent-encoded in paths",
                         size, segment.data);
    if (leat_slice_is(segment, ".") || leat_slice_is(segment, ".."))
        return leat_fail(error, "\"%.*s\" is not a segment", size, segment.data);
    if (segment.size > LEAT_NAME_MAX)
        return leat_fail(error, "a segment has more than %d bytes", LEAT_NAME_MAX);
    return 0;
}

static int check_parameters(const char *path, leat_error *error)
{
    size_t count = leat_text_path_parameters(path);
    if (count == 0)
        return leat_fail(error, "there is no {parameter}, so no row is named");
    for (size_t i = 0; i < count; i++) {
        leat_slice name = leat_text_path_parameter(path, i);
        for (size_t j = 0; j < i; j++)
            if (leat_slice_equal(name, leat_text_path_parameter(path, j)))
                return leat_fail(error, "the parameter {%.*s} comes twice", (int)name.size,
                                 name.data);
    }
    return 0;
}

int leat_text_check_path(const char *text, leat_error *error)
{
    if (text[0] != '/')
        return leat_fail(error, "it does not begin with /");
    size_t count = 0;
    leat_slice segment;
    for (const char *at = text; next_segment(&at, &segment); count++)
        if (check_segment(segment, error) < 0)
            return -1;
    if (count > SEGMENTS_MAX)
        return leat_fail(error, "more than %d segments", SEGMENTS_MAX);
    return check_parameters(text, error);
}

size_t leat_text_path_parameters(const char *path)
{
    size_t count = 0;
    leat_slice segment;
    while (next_segment(&path, &segment))
        count += is_parameter(segment);
    return count;
}

leat_slice leat_text_path_parameter(const char *path, size_t index)
{
    leat_slice segment;
    while (next_segment(&path, &segment))
        if (is_parameter(segment) && index-- == 0)
            return (leat_slice){segment.data + 1, segment.size - 2};
    return (leat_slice){"", 0};
}

bool leat_text_path_same(const char *a, const char *b)
{
    leat_slice left, right;
    for (;;) {
        bool more = next_segment(&a, &left);
        if (next_segment(&b, &right) != more)
            return false;
        if (!more)
            return true;
        if (is_parameter(left) != is_parameter(right) ||
            (!is_parameter(left) && !leat_slice_equal(left, right)))
            return false;
    }
}

/* ---- did you mean ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Row by row through the table of distances between all beginnings; `before` is the row above,
 * `earlier` the one above that, for two letters swapped. */
size_t leat_text_distance(const char *a, const char *b)
{
    size_t width = strlen(b);
    if (strlen(a) > DISTANCE_MAX || width > DISTANCE_MAX)
        return DISTANCE_MAX;
    size_t rows[3][DISTANCE_MAX + 1];
    for (size_t j = 0; j <= width; j++)
        rows[0][j] = j;
    size_t i = 1;
    for (; a[i - 1]; i++) {
        size_t *row = rows[i % 3], *before = rows[(i - 1) % 3], *earlier = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            row[j] =
                least(before[j - 1] + (a[i - 1] != b[j - 1]), least(before[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], earlier[j - 2] + 1);
        }
    }
    return rows[(i - 1) % 3][width];
}
