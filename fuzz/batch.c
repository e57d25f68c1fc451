/*
 * batch.c - the bytes of a batch. Its items are the same however the bytes are cut, and each is
 * read or refused; the body of one that is read lies inside it. The first byte chooses lines or an
 * array, and the length of the pieces.
 */
#include <string.h>

#include "edge/batch_item.h"
#include "edge/batch_split.h"
#include "target.h"

enum { ITEM_MAX = 200 };

static void read_item(edge_item_reader *reader, leat_slice json, leat_buf *story)
{
    edge_item item;
    edge_item_error error;
    leat_buf_slice(story, json);
    leat_buf_byte(story, '\n');
    if (edge_item_read(reader, json, &item, &error) != 0) {
        LEAT_ASSERT(leat_http_codes[error.code].error && *error.message);
        return;
    }
    LEAT_ASSERT(item.path.size > 0 && *item.path.data == '/');
    LEAT_ASSERT(item.body.size == 0 || (item.body.data > json.data &&
                                        item.body.data + item.body.size < json.data + json.size));
    leat_buf_slice(story, item.body);
}

static void read_in_pieces(bool is_array, leat_slice bytes, size_t piece, leat_buf *story)
{
    leat_split split;
    edge_item_reader reader = {0};
    leat_split_init(&split, is_array, ITEM_MAX);
    size_t from = 0, come = 0;
    for (;;) {
        leat_slice item;
        size_t used;
        leat_split_result result = leat_split_next(
            &split, (leat_slice){bytes.data + from, come - from}, come == bytes.size, &item, &used);
        LEAT_ASSERT(used <= come - from);
        if (result == LEAT_SPLIT_FOUND)
            read_item(&reader, item, story);
        if (result == LEAT_SPLIT_TOO_LARGE)
            leat_buf_text(story, "large\n");
        if (result == LEAT_SPLIT_MORE) {
            LEAT_ASSERT(come < bytes.size);
            come += piece < bytes.size - come ? piece : bytes.size - come;
        }
        from += used;
        if (result == LEAT_SPLIT_END || result == LEAT_SPLIT_FAULT)
            break;
    }
    leat_buf_printf(story, "%zu %s", from, leat_split_expected(&split));
    edge_item_reader_fini(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    leat_slice bytes = {(const char *)data + 1, size - 1};
    leat_buf whole = {0}, pieces = {0};
    read_in_pieces(data[0] & 1, bytes, size, &whole);
    read_in_pieces(data[0] & 1, bytes, 1 + data[0] / 2 % 16, &pieces);
    LEAT_ASSERT(whole.size == pieces.size && memcmp(whole.data, pieces.data, whole.size) == 0);
    leat_buf_free(&whole);
    leat_buf_free(&pieces);
    return 0;
}
