/* `tapedeck doctor --orphans`: blobs and records, compared both ways.
 *
 * All goes on meanwhile, so the order decides. Blobs are listed before the records are read and
 * again after. A blob has a record before it has its first byte, and is gone before its record is:
 * one that is in both lists and has no record in between is nobody's. A blob that a record needs is
 * opened, since one that lost a part may still be listed: it is missing if that fails twice, and
 * the record still says the same. */

#include "commands/doctor.h"

#include "stores/blob_store/blob_store.h"
#include "stores/record_store/record_store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 200
#define IDS_MAX ((size_t)50 * 1000 * 1000)

/* Sorted once all are in. */
struct id_list {
    struct id *ids; /* owned */
    size_t count, capacity;
};

enum { LIST_BEFORE, LIST_OWNED, LIST_AFTER, LIST_COUNT };

struct comparison {
    struct record_store *records;        /* owned */
    struct blob_store *blobs;            /* owned */
    struct id_list lists[2][LIST_COUNT]; /* owned; by enum blob_kind */
    struct id_list missing;              /* owned; conversions that may miss a blob */
    size_t findings;
};

static void comparison_finish(struct comparison *comparison)
{
    for (int kind = BLOB_VIDEO; kind <= BLOB_MP3; kind++) {
        for (int list = 0; list < LIST_COUNT; list++)
            free(comparison->lists[kind][list].ids);
    }
    free(comparison->missing.ids);
    blob_store_close(comparison->blobs);
    record_store_close(comparison->records);
}

static bool add(struct id_list *list, const struct id *id, struct error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 1024 : 2 * list->capacity;
        if (capacity > IDS_MAX)
            return error_set(error, ERROR_TOO_LARGE, "more than %zu blobs: compare in parts",
                             IDS_MAX / 2);
        struct id *ids = realloc(list->ids, capacity * sizeof *ids);
        if (ids == NULL)
            return error_set(error, ERROR_TOO_LARGE, "no memory for %zu ids", capacity);
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->count++] = *id;
    return true;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const struct id *)a)->text, ((const struct id *)b)->text);
}

static void sort(struct id_list *list)
{
    if (list->count != 0)
        qsort(list->ids, list->count, sizeof *list->ids, compare_ids);
}

static bool has(const struct id_list *list, const struct id *id)
{
    return list->count != 0 && bsearch(id, list->ids, list->count, sizeof *id, compare_ids) != NULL;
}

static bool list_blobs(struct comparison *comparison, int which, struct error *error)
{
    for (int kind = BLOB_VIDEO; kind <= BLOB_MP3; kind++) {
        struct id_list *list = &comparison->lists[kind][which];
        struct id page[PAGE];
        struct id after = {0};
        size_t count = 0;
        do {
            if (!blob_store_scan(comparison->blobs, (enum blob_kind)kind, &after, PAGE, page,
                                 &count, error))
                return false;
            for (size_t i = 0; i < count; i++) {
                if (!add(list, &page[i], error))
                    return false;
            }
            if (count != 0)
                after = page[count - 1];
        } while (count == PAGE);
        sort(list);
    }
    return true;
}

/* ---- Records ---- */

static bool needs_video(const struct conversion *record)
{
    return !record->video.is_removed && record->foreign != CONVERSION_FOREIGN_MP3 &&
           (record->state == CONVERSION_QUEUED || record->state == CONVERSION_CONVERTING);
}

static bool misses(struct comparison *comparison, enum blob_kind kind, const struct id *id,
                   bool *out_is_missing, struct error *error)
{
    CLEANUP(blob_reader_closep) struct blob_reader *reader = NULL;
    struct blob_metadata metadata;
    uint64_t size = 0;
    struct error cause = {0};
    bool is_there =
        blob_reader_open(comparison->blobs, kind, id, &reader, &size, &metadata, &cause);
    *out_is_missing = !is_there;
    if (is_there || cause.kind == ERROR_NOT_FOUND || cause.kind == ERROR_INTERNAL)
        return true;
    *error = cause;
    return false;
}

static bool misses_video(struct comparison *comparison, const struct conversion *record,
                         bool *out_is_missing, struct error *error)
{
    *out_is_missing = false;
    return !needs_video(record) ||
           misses(comparison, BLOB_VIDEO, &record->id, out_is_missing, error);
}

static bool misses_mp3(struct comparison *comparison, const struct conversion *record,
                       bool *out_is_missing, struct error *error)
{
    *out_is_missing = false;
    return record->state != CONVERSION_DONE ||
           misses(comparison, BLOB_MP3, &record->mp3.id, out_is_missing, error);
}

/* All that could ever be the record's: whatever one of its claims wrote is swept by it. */
static bool note_record(struct comparison *comparison, const struct conversion *record,
                        struct error *error)
{
    if (!add(&comparison->lists[BLOB_VIDEO][LIST_OWNED], &record->id, error))
        return false;
    for (int64_t claim = 1; claim <= record->claim; claim++) {
        struct id id = conversion_mp3_id(&record->id, claim);
        if (!add(&comparison->lists[BLOB_MP3][LIST_OWNED], &id, error))
            return false;
    }
    if (!id_is_none(&record->mp3.id) &&
        !add(&comparison->lists[BLOB_MP3][LIST_OWNED], &record->mp3.id, error))
        return false;
    bool has_no_video = false;
    bool has_no_mp3 = false;
    if (!misses_video(comparison, record, &has_no_video, error) ||
        !misses_mp3(comparison, record, &has_no_mp3, error))
        return false;
    return !(has_no_video || has_no_mp3) || add(&comparison->missing, &record->id, error);
}

static bool read_records(struct comparison *comparison, struct error *error)
{
    static struct conversion page[PAGE];
    struct id after = {0};
    size_t count = 0;
    do {
        if (!record_store_scan(comparison->records, &after, PAGE, page, &count, error))
            return false;
        for (size_t i = 0; i < count; i++) {
            if (!note_record(comparison, &page[i], error))
                return false;
            after = page[i].id;
        }
    } while (count == PAGE);
    sort(&comparison->lists[BLOB_VIDEO][LIST_OWNED]);
    sort(&comparison->lists[BLOB_MP3][LIST_OWNED]);
    return true;
}

/* ---- What is told ---- */

static void tell_orphans(struct comparison *comparison, enum blob_kind kind, const char *name)
{
    const struct id_list *lists = comparison->lists[kind];
    for (size_t i = 0; i < lists[LIST_BEFORE].count; i++) {
        const struct id *id = &lists[LIST_BEFORE].ids[i];
        if (has(&lists[LIST_OWNED], id) || !has(&lists[LIST_AFTER], id))
            continue;
        printf("%s %s has no record\n", name, id->text);
        comparison->findings++;
    }
}

/* Read again: it may have been deleted, or converted, since. */
static bool tell_missing(struct comparison *comparison, const struct id *id, struct error *error)
{
    struct conversion record;
    struct error cause = {0};
    if (!record_store_get(comparison->records, id, &record, &cause)) {
        if (cause.kind == ERROR_NOT_FOUND)
            return true;
        *error = cause;
        return false;
    }
    bool has_no_video = false;
    bool has_no_mp3 = false;
    if (!misses_video(comparison, &record, &has_no_video, error) ||
        !misses_mp3(comparison, &record, &has_no_mp3, error))
        return false;
    if (has_no_video) {
        printf("conversion %s (%s) has no video\n", id->text, conversion_state_name(record.state));
        comparison->findings++;
    }
    if (has_no_mp3) {
        printf("conversion %s (done) has no MP3 %s\n", id->text, record.mp3.id.text);
        comparison->findings++;
    }
    return true;
}

bool doctor_compare(const struct config *config, size_t *out_findings, struct error *error)
{
    CLEANUP(comparison_finish) struct comparison comparison = {0};
    if (!record_store_open(config, &comparison.records, error) ||
        !record_store_check(comparison.records, error) ||
        !blob_store_open(config, &comparison.blobs, error) ||
        !blob_store_check(comparison.blobs, error) ||
        !list_blobs(&comparison, LIST_BEFORE, error) || !read_records(&comparison, error) ||
        !list_blobs(&comparison, LIST_AFTER, error))
        return false;
    tell_orphans(&comparison, BLOB_VIDEO, "video");
    tell_orphans(&comparison, BLOB_MP3, "MP3");
    for (size_t i = 0; i < comparison.missing.count; i++) {
        if (!tell_missing(&comparison, &comparison.missing.ids[i], error))
            return false;
    }
    *out_findings = comparison.findings;
    return true;
}
