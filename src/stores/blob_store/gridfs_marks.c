#include "stores/blob_store/gridfs.h"

/* Who may replace what: marks, and the turns that they begin with. */

/* So that a mark has room for a turn above four thousand million stores. */
#define TURN_MOST INT32_MAX
/* How often a turn is tried for again that another took at the same moment. */
#define TRIES_MAX 5

static int64_t integer_at(const bson_t *document, const char *path)
{
    bson_iter_t start;
    bson_iter_t found;
    int64_t integer = -1;
    if (!bson_iter_init(&start, document) || !bson_iter_find_descendant(&start, path, &found) ||
        !mongodb_whole_number(&found, 0, INT64_MAX, &integer))
        return -1;
    return integer;
}

struct gridfs_mark gridfs_mark_of(const bson_t *document, const char *g, const char *w)
{
    struct gridfs_mark mark = {.g = integer_at(document, g), .w = integer_at(document, w)};
    return mark.g < 0 || mark.w < 0 ? (struct gridfs_mark){-1, -1} : mark;
}

int gridfs_mark_compare(const struct gridfs_mark *a, const struct gridfs_mark *b)
{
    if (a->g != b->g)
        return a->g < b->g ? -1 : 1;
    if (a->w != b->w)
        return a->w < b->w ? -1 : 1;
    return 0;
}

bool gridfs_fail_newer(const struct gridfs_blob *blob, struct error *error)
{
    return error_set(error, ERROR_CONFLICT, "a newer upload writes blob %s", blob->id.text);
}

/* ---- Turns ---- */

static bool fail_removed(const struct gridfs_blob *blob, struct error *error)
{
    return error_set(error, ERROR_CONFLICT, "blob %s was removed meanwhile", blob->id.text);
}

static bool read_turn(const struct gridfs_blob *blob, const bson_t *document,
                      struct gridfs_mark *out_turn, struct error *error)
{
    struct gridfs_mark turn = gridfs_mark_of(document, "g", "turn");
    if (turn.g < 0 || turn.w > TURN_MOST)
        return error_set(error, ERROR_INTERNAL,
                         "the document of blob %s in fs.writers makes no sense", blob->id.text);
    *out_turn = turn;
    return true;
}

/* Of the latest generation; where nobody had a turn, its g is -1. */
static bool find_turn(struct mongodb *mongodb, const struct gridfs_blob *blob,
                      struct gridfs_mark *out_turn, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = gridfs_filter_of(blob);
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    if (!mongodb_find_one(mongodb, &gridfs_writers[blob->kind], filter, &document, error))
        return false;
    *out_turn = (struct gridfs_mark){-1, -1};
    return bson_empty(&document) || read_turn(blob, &document, out_turn, error);
}

/* One that lands late raises a number that nobody waits for: only a greater generation counts. */
bool gridfs_take_turn(struct mongodb *mongodb, const struct gridfs_blob *blob, int64_t generation,
                      int64_t *out_turn, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp)
    bson_t *filter =
        BCON_NEW("_id", BCON_OID(&blob->oid), "g", "{", "$lte", BCON_INT64(generation), "}");
    CLEANUP(gridfs_bson_destroyp)
    bson_t *update = BCON_NEW("$set", "{", "g", BCON_INT64(generation), "}", "$inc", "{", "turn",
                              BCON_INT64(1), "}");
    for (int i = 0; i < TRIES_MAX; i++) {
        CLEANUP(bson_destroy) bson_t stored = BSON_INITIALIZER;
        struct gridfs_mark turn;
        struct error cause = {0};
        if (mongodb_modify_or_insert(mongodb, &gridfs_writers[blob->kind], filter, update, &stored,
                                     &cause)) {
            if (!read_turn(blob, &stored, &turn, error))
                return false;
            *out_turn = turn.w;
            return true;
        }
        if (cause.kind != ERROR_CONFLICT) {
            *error = cause;
            return false;
        }
        if (!find_turn(mongodb, blob, &turn, error))
            return false;
        if (turn.g > generation)
            break;
    }
    return gridfs_fail_newer(blob, error);
}

bool gridfs_check_turn(struct mongodb *mongodb, const struct gridfs_blob *blob, int64_t generation,
                       struct error *error)
{
    struct gridfs_mark turn;
    if (!find_turn(mongodb, blob, &turn, error))
        return false;
    if (turn.g > generation)
        return gridfs_fail_newer(blob, error);
    return turn.g == generation || fail_removed(blob, error);
}
