/*
 * send_source.c - a window over the file: bytes that are not an item yet stay at its front until
 * enough have come. Lines of JSON pass as they are; what is wrong with them, the edge says.
 */
#include "cli/send_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/utf8.h"
#include "cli/csv.h"
#include "cli/send_line.h"
#include "record/chars.h"

enum {
    FILL_BYTES = 256 * 1024,
    ITEM_BYTES_MAX = 64 * 1024 * 1024,
    PARAMETERS_MAX = 16,
};

/* A parameter of the path and the text before it. */
typedef struct parameter {
    leat_slice before;
    leat_slice name;
    uint32_t column;
} parameter;

struct leat_send_source {
    leat_send_form form;
    int fd;
    bool has_line; /* of JSON */
    bool is_whole; /* all of it has been read */
    uint64_t size, at, line;
    leat_buf bytes;
    size_t used;

    /* CSV */
    leat_send_schema *schema; /* NULL: not known */
    bool has_header;
    leat_csv_row row;
    uint32_t column_count;
    char *names[LEAT_CSV_FIELDS_MAX];
    leat_send_kind kinds[LEAT_CSV_FIELDS_MAX];
    bool is_guessed[LEAT_CSV_FIELDS_MAX]; /* nobody says what it is: a text */
    bool in_path[LEAT_CSV_FIELDS_MAX];
    parameter parameters[PARAMETERS_MAX];
    uint32_t parameter_count;
    leat_slice path_end;
};

/* ---- columns ---- */

static int find_column(const leat_send_source *source, leat_slice name)
{
    for (uint32_t i = 0; i < source->column_count; i++)
        if (leat_slice_is(name, source->names[i]))
            return (int)i;
    return -1;
}

/* "NAME:KIND,NAME:KIND" */
static int take_types(leat_send_source *source, leat_error *error)
{
    const char *at = source->form.types;
    while (at && *at) {
        size_t size = strcspn(at, ",");
        const char *colon = memchr(at, ':', size);
        if (!colon)
            return leat_fail(error, "--types: NAME:KIND is expected, not %.*s", (int)size, at);
        leat_slice name = {at, (size_t)(colon - at)}, kind = {colon + 1, size - name.size - 1};
        int column = find_column(source, name);
        if (column < 0)
            return leat_fail(error, "--types: there is no column %.*s", (int)name.size, name.data);
        if (!leat_send_kind_named(kind, &source->kinds[column]))
            return leat_fail(error, "--types: %.*s is none of text, number, bool, json, timestamp",
                             (int)kind.size, kind.data);
        source->is_guessed[column] = false;
        at += size + (at[size] == ',');
    }
    return 0;
}

static int take_names(leat_send_source *source, leat_error *error)
{
    for (uint32_t i = 0; i < source->row.count; i++) {
        leat_slice name = leat_csv_text(&source->row, i);
        if (memchr(name.data, '\0', name.size))
            return leat_fail(
                error, "line 1: a name has a NUL byte, so the file is not UTF-8 as it must be");
        if (find_column(source, name) >= 0)
            return leat_fail(error, "line 1: two columns are named %.*s", (int)name.size,
                             name.data);
        char *own = leat_must_calloc(1, name.size + 1);
        memcpy(own, name.data, name.size);
        source->names[source->column_count++] = own;
    }
    return 0;
}

static int take_header(leat_send_source *source, leat_error *error)
{
    if (take_names(source, error) != 0)
        return -1;
    for (uint32_t i = 0; i < source->parameter_count; i++) {
        parameter *at = &source->parameters[i];
        int column = find_column(source, at->name);
        if (column < 0)
            return leat_fail(error, "line 1: the path needs a column %.*s, and there is none",
                             (int)at->name.size, at->name.data);
        at->column = (uint32_t)column;
        source->in_path[column] = true;
    }
    for (uint32_t i = 0; i < source->column_count; i++)
        source->is_guessed[i] =
            !source->schema ||
            !leat_send_schema_kind(source->schema, source->names[i], &source->kinds[i]);
    source->has_header = true;
    return take_types(source, error);
}

/* ---- the path ---- */

static int read_path(leat_send_source *source, leat_error *error)
{
    const char *at = source->form.path;
    if (*at != '/')
        return leat_fail(error, "the path must begin with '/': %s", at);
    for (;;) {
        size_t size = strcspn(at, "{");
        if (!at[size]) {
            source->path_end = leat_slice_of(at);
            return 0;
        }
        const char *end = strchr(at + size, '}');
        if (!end || source->parameter_count == PARAMETERS_MAX)
            return leat_fail(error, "the path has a '{' without '}', or too many: %s",
                             source->form.path);
        source->parameters[source->parameter_count++] = (parameter){
            .before = {at, size},
            .name = {at + size + 1, (size_t)(end - at) - size - 1},
        };
        at = end + 1;
    }
}

/* ---- a row as an item ---- */

/* Once for a column: a document that becomes a text is found late, in the rows. */
static void maybe_warn(leat_send_source *source, uint32_t column, leat_slice cell)
{
    const char *name = source->names[column];
    if (!source->is_guessed[column] || !leat_send_cell_is_json(cell))
        return;
    source->is_guessed[column] = false;
    leat_print_error("leat send: column %s looks like JSON and is sent as a text; --types %s:json "
                     "sends it as JSON",
                     name, name);
}

static void append_cell(leat_buf *out, leat_send_source *source, uint32_t column,
                        leat_send_item *item)
{
    leat_slice cell = leat_csv_text(&source->row, column);
    if (cell.size == 0 && !source->row.fields[column].is_quoted) {
        leat_buf_text(out, "null");
        return;
    }
    maybe_warn(source, column, cell);
    if (leat_send_cell_value(out, source->kinds[column], cell) || item->misfit)
        return;
    item->misfit = source->names[column];
    item->misfit_kind = source->kinds[column];
}

static void append_path(leat_buf *out, const leat_send_source *source)
{
    leat_buf text = {0};
    for (uint32_t i = 0; i < source->parameter_count; i++) {
        uint32_t column = source->parameters[i].column;
        leat_buf_clear(&text);
        leat_send_cell_text(&text, source->kinds[column], leat_csv_text(&source->row, column));
        leat_buf_slice(out, source->parameters[i].before);
        leat_buf_percent(out, (leat_slice){text.data, text.size});
    }
    leat_buf_free(&text);
    leat_buf_slice(out, source->path_end);
}

static void append_body(leat_buf *out, leat_send_source *source, leat_send_item *item)
{
    bool is_first = true;
    leat_buf_text(out, ",\"body\":{");
    for (uint32_t i = 0; i < source->column_count; i++) {
        if (source->in_path[i])
            continue;
        leat_buf_text(out, is_first ? "" : ",");
        is_first = false;
        leat_buf_json_string(out, leat_slice_of(source->names[i]));
        leat_buf_byte(out, ':');
        append_cell(out, source, i, item);
    }
    leat_buf_byte(out, '}');
}

static void row_item(leat_send_source *source, leat_send_item *ret)
{
    leat_buf path = {0}, text = {0};
    append_path(&path, source);
    LEAT_ASSERT(!path.failed);
    leat_buf_printf(&text, "{\"method\":\"%s\",\"path\":", source->form.method);
    leat_buf_json_string(&text, (leat_slice){path.data, path.size});
    if (strcmp(source->form.method, "DELETE") != 0)
        append_body(&text, source, ret);
    leat_buf_byte(&text, '}');
    LEAT_ASSERT(!text.failed);
    ret->text = text.data;
    ret->size = text.size;
    ret->row = leat_send_row_of((leat_slice){path.data, path.size});
    leat_buf_free(&path);
}

/* ---- reading ---- */

static leat_slice rest_of(const leat_send_source *source)
{
    if (source->used == source->bytes.size)
        return (leat_slice){"", 0};
    return (leat_slice){source->bytes.data + source->used, source->bytes.size - source->used};
}

/* Returns the line on which they began. */
static uint64_t use(leat_send_source *source, size_t size)
{
    uint64_t line = source->line + 1;
    const char *from = source->bytes.data + source->used, *end = from + size;
    while ((from = memchr(from, '\n', (size_t)(end - from)))) {
        source->line++;
        from++;
    }
    source->used += size;
    source->at += size;
    return line;
}

static leat_send_next broken(const leat_send_source *source, leat_error *error)
{
    leat_fail_prefix(error, "line %llu", (unsigned long long)source->line + 1);
    return LEAT_SEND_BROKEN;
}

static leat_send_next nothing(const leat_send_source *source, leat_error *error)
{
    if (source->is_whole)
        return LEAT_SEND_END;
    if (rest_of(source).size < ITEM_BYTES_MAX)
        return LEAT_SEND_WAIT;
    leat_fail(error, "it is larger than %d bytes", ITEM_BYTES_MAX);
    return broken(source, error);
}

static leat_send_next next_row(leat_send_source *source, leat_send_item *ret, leat_error *error)
{
    for (;;) {
        size_t used;
        int found = leat_csv_read(rest_of(source), source->is_whole, &source->row, &used, error);
        if (found < 0)
            return broken(source, error);
        if (found == 0)
            return nothing(source, error);
        if (!source->has_header) {
            if (take_header(source, error) != 0)
                return LEAT_SEND_BROKEN;
            use(source, used);
            continue;
        }
        bool is_left_out = source->row.count == 0 || source->line + 1 < source->form.from;
        if (!is_left_out && source->row.count != source->column_count) {
            leat_fail(error, "it has %u fields, and the header has %u", source->row.count,
                      source->column_count);
            return broken(source, error);
        }
        ret->line = use(source, used);
        if (is_left_out)
            continue;
        row_item(source, ret);
        leat_send_item_key(ret, source->form.idempotency, 0);
        return LEAT_SEND_ITEM;
    }
}

static leat_slice trim(leat_slice line)
{
    while (line.size > 0 && strchr(" \t\r\n", line.data[line.size - 1]))
        line.size--;
    while (line.size > 0 && strchr(" \t\r", *line.data)) {
        line.data++;
        line.size--;
    }
    return line;
}

static leat_send_next next_line(leat_send_source *source, leat_send_item *ret, leat_error *error)
{
    for (;;) {
        leat_slice rest = rest_of(source);
        const char *end = memchr(rest.data, '\n', rest.size);
        if (!end && (!source->is_whole || rest.size == 0))
            return nothing(source, error);
        size_t size = end ? (size_t)(end - rest.data) + 1 : rest.size;
        leat_slice line = trim((leat_slice){rest.data, size});
        ret->line = use(source, size);
        if (line.size == 0)
            continue;
        if (!source->has_line && !strchr("{[", *line.data)) {
            leat_fail(error, "line %llu looks like CSV: give --route or --path",
                      (unsigned long long)ret->line);
            return LEAT_SEND_BROKEN;
        }
        source->has_line = true;
        if (ret->line < source->form.from)
            continue;
        leat_send_line_item(line, source->form.idempotency, ret);
        return LEAT_SEND_ITEM;
    }
}

/* Spreadsheets begin a file with U+FEFF, in UTF-8 or in UTF-16; without it, the latter has a NUL
 * beside its first letter. */
static int skip_mark(leat_send_source *source, leat_error *error)
{
    leat_slice rest = rest_of(source);
    if (source->at > 0 || rest.size < 2)
        return 0;
    if (memcmp(rest.data, "\xFF\xFE", 2) == 0 || memcmp(rest.data, "\xFE\xFF", 2) == 0 ||
        memchr(rest.data, '\0', 2))
        return leat_fail(error, "line 1: it begins as UTF-16 does: the file must be UTF-8");
    use(source, leat_utf8_mark_size(rest));
    return 0;
}

leat_send_next leat_send_source_next(leat_send_source *source, leat_send_item *ret,
                                     leat_error *error)
{
    *ret = (leat_send_item){0};
    if (skip_mark(source, error) != 0)
        return LEAT_SEND_BROKEN;
    return source->form.path ? next_row(source, ret, error) : next_line(source, ret, error);
}

int leat_send_source_fill(leat_send_source *source, leat_error *error)
{
    leat_buf *bytes = &source->bytes;
    if (source->used > 0) {
        memmove(bytes->data, bytes->data + source->used, bytes->size - source->used);
        bytes->size -= source->used;
        source->used = 0;
    }
    char *room = leat_buf_reserve(bytes, FILL_BYTES);
    if (!room)
        return leat_fail(error, "out of memory");
    ssize_t got = read(source->fd, room, FILL_BYTES);
    if (got < 0 && errno != EINTR && errno != EAGAIN)
        return leat_fail(error, "cannot read %s: %s", source->form.file, strerror(errno));
    bytes->size += got > 0 ? (size_t)got : 0;
    source->is_whole = got == 0;
    return 0;
}

/* ---- open and free ---- */

leat_send_source *leat_send_source_open(const leat_send_form *form, leat_error *error)
{
    leat_send_source *source = leat_must_calloc(1, sizeof *source);
    source->form = *form;
    source->fd = STDIN_FILENO;
    if (form->path && read_path(source, error) != 0) {
        free(source);
        return NULL;
    }
    if (strcmp(form->file, "-") != 0)
        source->fd = open(form->file, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (source->fd < 0 || fstat(source->fd, &about) != 0) {
        leat_fail(error, "cannot open %s: %s", form->file, strerror(errno));
        free(source);
        return NULL;
    }
    source->size = S_ISREG(about.st_mode) ? (uint64_t)about.st_size : 0;
    return source;
}

void leat_send_source_take_schema(leat_send_source *source, leat_send_schema *schema)
{
    LEAT_ASSERT(!source->schema && !source->has_header);
    source->schema = schema;
}

void leat_send_source_free(leat_send_source *source)
{
    if (!source)
        return;
    for (uint32_t i = 0; i < source->column_count; i++)
        free(source->names[i]);
    leat_send_schema_free(source->schema);
    leat_csv_free(&source->row);
    leat_buf_free(&source->bytes);
    if (source->fd != STDIN_FILENO)
        close(source->fd);
    free(source);
}

int leat_send_source_fd(const leat_send_source *source)
{
    return source->fd;
}

uint64_t leat_send_source_size(const leat_send_source *source)
{
    return source->size;
}

uint64_t leat_send_source_at(const leat_send_source *source)
{
    return source->at;
}

uint64_t leat_send_source_line(const leat_send_source *source)
{
    return source->line;
}
