/*
 * prefer.c - a line is a list of preferences with commas between them; each is a name, perhaps with
 * a value (a token or a quoted string), perhaps with parameters after semicolons. Only `wait` is of
 * interest, and the others must be passed over by the same grammar: a comma inside quotes ends
 * nothing.
 */
#include "edge/prefer.h"

enum { NOT_NAMED = -2, NONE = -1, DIGITS_MAX = 9 };

static void skip_blanks(leat_slice *rest)
{
    while (leat_slice_take(rest, ' ') || leat_slice_take(rest, '\t'))
        ;
}

static leat_slice take_token(leat_slice *rest)
{
    leat_slice token = {rest->data, 0};
    while (rest->size > 0 && rest->data[0] != ',' && rest->data[0] != ';' && rest->data[0] != '=' &&
           rest->data[0] != '"' && rest->data[0] != ' ' && rest->data[0] != '\t') {
        token.size++;
        rest->data++;
        rest->size--;
    }
    return token;
}

/* Without its quotes; a backslash stays, and makes no number. */
static leat_slice take_quoted(leat_slice *rest)
{
    leat_slice text = {rest->data, 0};
    while (rest->size > 0 && rest->data[0] != '"') {
        size_t size = rest->data[0] == '\\' && rest->size > 1 ? 2 : 1;
        text.size += size;
        rest->data += size;
        rest->size -= size;
    }
    leat_slice_take(rest, '"');
    return text;
}

/* What follows up to the next comma outside of quotes. */
static void skip_parameters(leat_slice *rest)
{
    while (rest->size > 0 && rest->data[0] != ',') {
        if (leat_slice_take(rest, '"')) {
            take_quoted(rest);
            continue;
        }
        rest->data++;
        rest->size--;
    }
}

static int64_t to_seconds(leat_slice value)
{
    int64_t seconds = 0;
    if (value.size == 0 || value.size > DIGITS_MAX)
        return NONE;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return NONE;
        seconds = seconds * 10 + (value.data[i] - '0');
    }
    return seconds;
}

int64_t edge_prefer_read(leat_slice line)
{
    leat_slice rest = line;
    while (rest.size > 0) {
        skip_blanks(&rest);
        leat_slice name = take_token(&rest), value = {"", 0};
        skip_blanks(&rest);
        if (leat_slice_take(&rest, '=')) {
            skip_blanks(&rest);
            value = leat_slice_take(&rest, '"') ? take_quoted(&rest) : take_token(&rest);
        }
        skip_parameters(&rest);
        leat_slice_take(&rest, ',');
        if (leat_slice_is_nocase(name, "wait"))
            return to_seconds(value);
    }
    return NOT_NAMED;
}

int64_t edge_prefer_wait(const leat_http_request *request)
{
    int64_t seconds = NOT_NAMED;
    for (uint32_t i = 0; seconds == NOT_NAMED; i++) {
        leat_slice line = leat_http_request_header_line(request, "prefer", i);
        if (!line.data)
            return NONE;
        seconds = edge_prefer_read(line);
    }
    return seconds;
}
