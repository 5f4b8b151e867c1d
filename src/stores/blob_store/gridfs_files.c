#include "stores/blob_store/gridfs.h"

#include "base/clock.h"

/* How often a document is looked at again that was not as a write had just found it. */
#define TRIES_MAX 5
/* The server's own bound for a document, which a chunk is. */
#define CHUNK_SIZE_MAX ((int64_t)16 * 1024 * 1024)

static bool read_number(const bson_t *document, const char *member, int64_t least, int64_t most,
                        int64_t *out_number)
{
    bson_iter_t found;
    return bson_iter_init_find(&found, document, member) &&
           mongodb_whole_number(&found, least, most, out_number);
}

static bool parse_file(const bson_t *document, struct gridfs_file *out_file)
{
    int64_t size = 0;
    int64_t chunk_size = 0;
    if (!read_number(document, "length", 0, (int64_t)1 << 48, &size) ||
        !read_number(document, "chunkSize", 1, CHUNK_SIZE_MAX, &chunk_size))
        return false;
    *out_file = (struct gridfs_file){
        .size_bytes = (uint64_t)size,
        .chunk_size = (size_t)chunk_size,
        .mark = gridfs_mark_of(document, "metadata.g", "metadata.w"),
        .metadata.conversion_id = gridfs_id_at(document, "metadata.conversion_id"),
        .metadata.owner_id = gridfs_id_at(document, "metadata.owner_id"),
    };
    return (out_file->size_bytes + out_file->chunk_size - 1) / out_file->chunk_size <= INT32_MAX;
}

/* Empty: there is none. */
static bool find_file(struct mongodb *mongodb, const struct gridfs_blob *blob, bson_t *out_document,
                      struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = gridfs_filter_of(blob);
    return mongodb_find_one(mongodb, &gridfs_files[blob->kind], filter, out_document, error);
}

bool gridfs_read_file(struct mongodb *mongodb, const struct gridfs_blob *blob,
                      struct gridfs_file *out_file, struct error *error)
{
    CLEANUP(bson_destroy) bson_t document = BSON_INITIALIZER;
    if (!find_file(mongodb, blob, &document, error))
        return false;
    if (bson_empty(&document))
        return error_set(error, ERROR_NOT_FOUND, "blob %s is not there, or not finished",
                         blob->id.text);
    return parse_file(&document, out_file) ||
           error_set(error, ERROR_INTERNAL, "the file document of blob %s makes no sense",
                     blob->id.text);
}

static void append_id(bson_t *document, const char *member, const struct id *id)
{
    bson_oid_t oid;
    if (id_is_none(id))
        return;
    bson_oid_init_from_string(&oid, id->text);
    BSON_APPEND_OID(document, member, &oid);
}

/* What a finished blob has besides its _id. A name is nothing that the specification asks for, but
 * some tools list files by it. */
static void append_file(bson_t *document, const struct gridfs_blob *blob,
                        const struct gridfs_file *file)
{
    bson_t metadata;
    BSON_APPEND_INT64(document, "length", (int64_t)file->size_bytes);
    BSON_APPEND_INT32(document, "chunkSize", (int32_t)file->chunk_size);
    BSON_APPEND_DATE_TIME(document, "uploadDate", clock_wall_ms());
    BSON_APPEND_UTF8(document, "filename", blob->id.text);
    BSON_APPEND_DOCUMENT_BEGIN(document, "metadata", &metadata);
    append_id(&metadata, "conversion_id", &file->metadata.conversion_id);
    append_id(&metadata, "owner_id", &file->metadata.owner_id);
    BSON_APPEND_INT64(&metadata, "g", file->mark.g);
    BSON_APPEND_INT64(&metadata, "w", file->mark.w);
    bson_append_document_end(document, &metadata);
}

static bson_t *filter_of_mark(const struct gridfs_blob *blob, const struct gridfs_mark *mark)
{
    return BCON_NEW("_id", BCON_OID(&blob->oid), "metadata.g", BCON_INT64(mark->g), "metadata.w",
                    BCON_INT64(mark->w));
}

/* In the place of exactly the one that was found. */
static bool replace_file(struct mongodb *mongodb, const struct gridfs_blob *blob,
                         const struct gridfs_mark *found, const struct gridfs_file *file,
                         int64_t *out_matched, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = filter_of_mark(blob, found);
    CLEANUP(bson_destroy) bson_t update = BSON_INITIALIZER;
    bson_t set;
    BSON_APPEND_DOCUMENT_BEGIN(&update, "$set", &set);
    append_file(&set, blob, file);
    bson_append_document_end(&update, &set);
    return mongodb_update(mongodb, &gridfs_files[blob->kind], filter, &update, out_matched, error);
}

bool gridfs_store_file(struct mongodb *mongodb, const struct gridfs_blob *blob,
                       const struct gridfs_file *file, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *document = gridfs_filter_of(blob);
    append_file(document, blob, file);
    for (int i = 0; i < TRIES_MAX; i++) {
        struct error cause = {0};
        CLEANUP(bson_destroy) bson_t found = BSON_INITIALIZER;
        int64_t matched = 0;
        if (mongodb_insert(mongodb, &gridfs_files[blob->kind], document, &cause))
            return true;
        if (cause.kind != ERROR_CONFLICT) {
            *error = cause;
            return false;
        }
        if (!find_file(mongodb, blob, &found, error))
            return false;
        if (bson_empty(&found))
            continue;
        struct gridfs_mark mark = gridfs_mark_of(&found, "metadata.g", "metadata.w");
        if (mark.g >= 0 && gridfs_mark_compare(&mark, &file->mark) == 0)
            return true;
        if (mark.g < 0 || gridfs_mark_compare(&mark, &file->mark) > 0)
            break;
        if (!replace_file(mongodb, blob, &mark, file, &matched, error))
            return false;
        if (matched != 0)
            return true;
    }
    return gridfs_fail_newer(blob, error);
}

bool gridfs_take_file_back(struct mongodb *mongodb, const struct gridfs_blob *blob,
                           const struct gridfs_mark *mark, struct error *error)
{
    CLEANUP(gridfs_bson_destroyp) bson_t *filter = filter_of_mark(blob, mark);
    return mongodb_delete_one(mongodb, &gridfs_files[blob->kind], filter, NULL, error);
}

/* Only the very document that was found: a removal that lands late must not meet the one that a
 * later turn finished with. */
bool gridfs_unfinish(struct mongodb *mongodb, const struct gridfs_blob *blob, struct error *error)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        CLEANUP(bson_destroy) bson_t found = BSON_INITIALIZER;
        if (!find_file(mongodb, blob, &found, error))
            return false;
        if (bson_empty(&found))
            return true;
        struct gridfs_mark mark = gridfs_mark_of(&found, "metadata.g", "metadata.w");
        if (mark.g < 0)
            return error_set(error, ERROR_CONFLICT, "blob %s is another program's", blob->id.text);
        if (!gridfs_take_file_back(mongodb, blob, &mark, error))
            return false;
    }
    return gridfs_fail_newer(blob, error);
}
