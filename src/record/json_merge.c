/*
 * RFC 7396 merge patches. Both objects' members are sorted by name and merged like two sorted
 * lists, so that a large object costs n log n and not n * m; of members with one name the last
 * counts, as in jsonb. Two patches do not always compose into one: "delete this, then put that
 * inside it" would have to replace, but a patch merges. Those are left apart.
 */
#include "record/json_merge.h"

#include <stdlib.h>
#include <string.h>

typedef struct member {
    yyjson_val *name;
    yyjson_val *value;
} member;

/* By name, each name once. */
typedef struct member_list {
    member *items;
    size_t count;
} member_list;

typedef struct joining {
    yyjson_alc *memory;
    yyjson_mut_doc *made;
    bool is_applied; /* to a value; else composed with an earlier patch */
    leat_fold_outcome outcome;
} joining;

/* ---- Texts ---- */

static yyjson_doc *read_text(const yyjson_alc *memory, leat_slice text)
{
    yyjson_read_err error;
    char *data = (char *)(uintptr_t)text.data; /* without the flag INSITU it is not written to */
    yyjson_doc *doc = yyjson_read_opts(data, text.size, YYJSON_READ_NUMBER_AS_RAW, memory, &error);
    LEAT_ASSERT(doc || error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION);
    return doc;
}

static leat_fold_outcome write_text(const leat_json_merger *merger, const yyjson_mut_val *made,
                                    leat_slice *ret)
{
    size_t size;
    char *text = yyjson_mut_val_write_opts(made, YYJSON_WRITE_NOFLAG, merger->memory, &size, NULL);
    if (!text)
        return LEAT_FOLD_MEMORY;
    leat_fold_outcome outcome = LEAT_FOLD_APART;
    if (size <= merger->limit) {
        char *copy = leat_arena_take(merger->texts, size);
        outcome = copy ? LEAT_FOLD_DONE : LEAT_FOLD_MEMORY;
        if (copy)
            *ret = (leat_slice){memcpy(copy, text, size), size};
    }
    merger->memory->free(merger->memory->ctx, text);
    return outcome;
}

/* ---- Members ---- */

static int compare_names(yyjson_val *a, yyjson_val *b)
{
    size_t a_size = yyjson_get_len(a);
    size_t b_size = yyjson_get_len(b);
    int order = memcmp(unsafe_yyjson_get_str(a), unsafe_yyjson_get_str(b),
                       a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* Of one name, those later in the text come later: yyjson keeps values in the order of the text. */
static int compare_members(const void *a, const void *b)
{
    const member *left = a;
    const member *right = b;
    int order = compare_names(left->name, right->name);
    return order != 0 ? order : (left->name > right->name) - (left->name < right->name);
}

static void keep_last_of_each_name(member_list *members)
{
    size_t kept = 0;
    for (size_t i = 0; i < members->count; i++)
        if (i + 1 == members->count ||
            compare_names(members->items[i].name, members->items[i + 1].name) != 0)
            members->items[kept++] = members->items[i];
    members->count = kept;
}

/* None when `object` is NULL. */
static bool list_members(const yyjson_alc *memory, yyjson_val *object, member_list *ret)
{
    *ret = (member_list){0};
    size_t count = yyjson_obj_size(object);
    if (count == 0)
        return true;
    ret->items = memory->malloc(memory->ctx, count * sizeof *ret->items);
    if (!ret->items)
        return false;
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    for (yyjson_val *name = yyjson_obj_iter_next(&iter); name; name = yyjson_obj_iter_next(&iter))
        ret->items[ret->count++] = (member){name, yyjson_obj_iter_get_val(name)};
    qsort(ret->items, ret->count, sizeof *ret->items, compare_members);
    keep_last_of_each_name(ret);
    return true;
}

static void drop_members(const yyjson_alc *memory, member_list *members)
{
    if (members->items)
        memory->free(memory->ctx, members->items);
}

/* ---- Joining ---- */

static yyjson_mut_val *join_objects(joining *join, yyjson_val *earlier, yyjson_val *later);

static void add_made(joining *join, yyjson_mut_val *object, yyjson_val *name, yyjson_mut_val *value)
{
    if (join->outcome != LEAT_FOLD_DONE)
        return;
    yyjson_mut_val *made_name =
        yyjson_mut_strn(join->made, unsafe_yyjson_get_str(name), yyjson_get_len(name));
    if (!yyjson_mut_obj_add(object, made_name, value))
        join->outcome = LEAT_FOLD_MEMORY;
}

static void add_copy(joining *join, yyjson_mut_val *object, const member *from)
{
    add_made(join, object, from->name, yyjson_val_mut_copy(join->made, from->value));
}

/* `earlier` is the value of that name so far, NULL: none. */
static void add_later(joining *join, yyjson_mut_val *object, yyjson_val *earlier,
                      const member *later)
{
    if (yyjson_is_null(later->value) && join->is_applied)
        return;
    if (!yyjson_is_obj(later->value) || (!earlier && !join->is_applied))
        add_copy(join, object, later);
    else if (yyjson_is_obj(earlier) || join->is_applied)
        add_made(join, object, later->name, join_objects(join, earlier, later->value));
    else
        join->outcome = LEAT_FOLD_APART;
}

static void add_all(joining *join, yyjson_mut_val *object, const member_list *earlier,
                    const member_list *later)
{
    size_t i = 0;
    size_t k = 0;
    while (join->outcome == LEAT_FOLD_DONE && (i < earlier->count || k < later->count)) {
        int order = i == earlier->count ? 1
                    : k == later->count
                        ? -1
                        : compare_names(earlier->items[i].name, later->items[k].name);
        if (order < 0)
            add_copy(join, object, &earlier->items[i++]);
        else
            add_later(join, object, order == 0 ? earlier->items[i++].value : NULL,
                      &later->items[k++]);
    }
}

/* `earlier`: anything, or NULL. The result means nothing unless the outcome is LEAT_FOLD_DONE. */
static yyjson_mut_val *join_objects(joining *join, yyjson_val *earlier, yyjson_val *later)
{
    member_list before = {0};
    member_list after = {0};
    yyjson_mut_val *object = yyjson_mut_obj(join->made);
    if (object && list_members(join->memory, earlier, &before) &&
        list_members(join->memory, later, &after))
        add_all(join, object, &before, &after);
    else
        join->outcome = LEAT_FOLD_MEMORY;
    drop_members(join->memory, &before);
    drop_members(join->memory, &after);
    return object;
}

/* ---- What patches ask of SQL ---- */

int leat_json_classify(const leat_json_merger *merger, leat_slice patch, leat_merge *ret)
{
    yyjson_doc *doc = read_text(merger->memory, patch);
    if (!doc)
        return -1;
    *ret = LEAT_MERGE_CONCAT;
    yyjson_obj_iter iter = yyjson_obj_iter_with(yyjson_doc_get_root(doc));
    for (yyjson_val *name = yyjson_obj_iter_next(&iter); name; name = yyjson_obj_iter_next(&iter)) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        if (yyjson_is_obj(value))
            *ret = LEAT_MERGE_DEEP;
        else if (yyjson_is_null(value) && *ret == LEAT_MERGE_CONCAT)
            *ret = LEAT_MERGE_STRIP;
    }
    yyjson_doc_free(doc);
    return 0;
}

/* ---- The whole ---- */

static leat_fold_outcome join_docs(const leat_json_merger *merger, bool is_applied,
                                   yyjson_doc *earlier, yyjson_doc *later, leat_slice *ret)
{
    yyjson_mut_doc *made = yyjson_mut_doc_new(merger->memory);
    if (!made)
        return LEAT_FOLD_MEMORY;
    joining join = {merger->memory, made, is_applied, LEAT_FOLD_DONE};
    yyjson_mut_val *object =
        join_objects(&join, yyjson_doc_get_root(earlier), yyjson_doc_get_root(later));
    if (join.outcome == LEAT_FOLD_DONE)
        join.outcome = write_text(merger, object, ret);
    yyjson_mut_doc_free(made);
    return join.outcome;
}

static leat_fold_outcome join_texts(const leat_json_merger *merger, bool is_applied,
                                    leat_slice earlier, leat_slice later, leat_slice *ret)
{
    if (earlier.size > merger->limit || later.size > merger->limit)
        return LEAT_FOLD_APART;
    yyjson_doc *before = earlier.size > 0 ? read_text(merger->memory, earlier) : NULL;
    yyjson_doc *after = read_text(merger->memory, later);
    leat_fold_outcome outcome = LEAT_FOLD_MEMORY;
    if (after && (before || earlier.size == 0))
        outcome = join_docs(merger, is_applied, before, after, ret);
    yyjson_doc_free(before);
    yyjson_doc_free(after);
    return outcome;
}

leat_fold_outcome leat_json_apply(const leat_json_merger *merger, leat_slice value,
                                  leat_slice patch, leat_slice *ret)
{
    return join_texts(merger, true, value, patch, ret);
}

leat_fold_outcome leat_json_compose(const leat_json_merger *merger, leat_slice earlier,
                                    leat_slice later, leat_slice *ret, leat_merge *ret_merge)
{
    leat_fold_outcome outcome = join_texts(merger, false, earlier, later, ret);
    if (outcome == LEAT_FOLD_DONE && leat_json_classify(merger, *ret, ret_merge) != 0)
        return LEAT_FOLD_MEMORY;
    return outcome;
}
