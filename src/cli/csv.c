/*
 * csv.c - a row is read from its beginning each time: it is small beside a read from a file, so one
 * that is cut costs a second look, and no state has to be kept.
 */
#include "cli/csv.h"

leat_slice leat_csv_text(const leat_csv_row *row, uint32_t field)
{
    LEAT_ASSERT(field < row->count);
    const leat_csv_field *at = &row->fields[field];
    return (leat_slice){at->size > 0 ? row->text.data + at->at : "", at->size};
}

void leat_csv_free(leat_csv_row *row)
{
    leat_buf_free(&row->text);
}

/* What follows a field. */
typedef enum after { CUT, COMMA, ROW_END, END, BROKEN } after;

/* At `*at`, past a field. */
static after what_follows(leat_slice bytes, bool is_last, size_t *at)
{
    if (*at == bytes.size)
        return is_last ? END : CUT;
    char c = bytes.data[(*at)++];
    if (c == ',')
        return COMMA;
    if (c == '\n')
        return ROW_END;
    if (c != '\r')
        return BROKEN;
    if (*at == bytes.size)
        return is_last ? END : CUT;
    return bytes.data[(*at)++] == '\n' ? ROW_END : BROKEN;
}

static after read_quoted(leat_slice bytes, bool is_last, size_t *at, leat_buf *text,
                         leat_error *error)
{
    for ((*at)++;;) {
        if (*at == bytes.size) {
            if (!is_last)
                return CUT;
            leat_fail(error, "a quoted field has no end");
            return BROKEN;
        }
        char c = bytes.data[(*at)++];
        if (c != '"') {
            leat_buf_byte(text, c);
            continue;
        }
        if (*at == bytes.size || bytes.data[*at] != '"')
            break;
        leat_buf_byte(text, '"');
        (*at)++;
    }
    after follows = what_follows(bytes, is_last, at);
    if (follows == BROKEN)
        leat_fail(error, "a comma or the end of the line must follow a closing quote");
    return follows;
}

static after read_plain(leat_slice bytes, bool is_last, size_t *at, leat_buf *text,
                        leat_error *error)
{
    size_t begin = *at;
    while (*at < bytes.size && bytes.data[*at] != ',' && bytes.data[*at] != '\n' &&
           bytes.data[*at] != '\r' && bytes.data[*at] != '"')
        (*at)++;
    leat_buf_append(text, bytes.data + begin, *at - begin);
    if (*at < bytes.size && bytes.data[*at] == '"') {
        leat_fail(error, "a quote stands inside a field that does not begin with one");
        return BROKEN;
    }
    after follows = what_follows(bytes, is_last, at);
    if (follows == BROKEN)
        leat_fail(error, "a carriage return stands outside quotes, without a line feed after it");
    return follows;
}

int leat_csv_read(leat_slice bytes, bool is_last, leat_csv_row *ret, size_t *ret_used,
                  leat_error *error)
{
    ret->count = 0;
    leat_buf_clear(&ret->text);
    if (bytes.size == 0)
        return 0;
    after follows = COMMA;
    size_t at = 0;
    while (follows == COMMA) {
        if (ret->count == LEAT_CSV_FIELDS_MAX)
            return leat_fail(error, "a row has more than %d fields", LEAT_CSV_FIELDS_MAX);
        leat_csv_field *field = &ret->fields[ret->count++];
        field->at = ret->text.size;
        field->is_quoted = at < bytes.size && bytes.data[at] == '"';
        follows = field->is_quoted ? read_quoted(bytes, is_last, &at, &ret->text, error)
                                   : read_plain(bytes, is_last, &at, &ret->text, error);
        field->size = ret->text.size - field->at;
    }
    if (follows == CUT)
        return 0;
    if (follows == BROKEN)
        return -1;
    if (ret->text.failed)
        return leat_fail(error, "out of memory");
    if (ret->count == 1 && ret->fields[0].size == 0 && !ret->fields[0].is_quoted)
        ret->count = 0;
    *ret_used = at;
    return 1;
}
