#include "stores/blob_store/gridfs.h"

#include "base/clock.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_SIZE ((size_t)4 * GRIDFS_CHUNK_SIZE)
/* A reader that takes longer with a window is in no hurry for the next. */
#define SLOW_MS 250
/* What a window may cost beyond twice its chunks one by one. */
#define WINDOW_COST_MS 5
/* For how long a server is then asked for each alone: it may not find several by the index. */
#define SINGLE_MS CLOCK_MINUTE_MS

/* The chunks that were asked for last lie in memory: one where the reader jumped to, twice as many
 * as before each time it went on at once. So a distance to the server is crossed less often, and a
 * thousand slow downloads have one chunk each.
 *
 * Who takes the sound out of a film, and leaves the pictures, jumps: what is read lies across the
 * border of two chunks now and then, and that is no going on. So it counts only where at least half
 * of what is held was passed through. */
struct gridfs_reader {
    struct blob_reader base;
    struct gridfs_blob blob;
    struct gridfs_file file;
    uint64_t first;              /* chunk */
    size_t count;                /* chunks that are held */
    size_t size;                 /* their bytes */
    size_t read_begin, read_end; /* of these, where reads were: from the first to the last */
    int64_t fetched_at_boot_ms;
    int64_t single_ms; /* what the last one took that was asked for alone */
    size_t capacity;
    unsigned char *bytes; /* owned */
};

static struct gridfs_reader *reader_of(struct blob_reader *reader)
{
    assert(reader->backend == &blob_store_gridfs);
    return (struct gridfs_reader *)reader;
}

void gridfs_reader_close(struct blob_reader *reader)
{
    free(reader_of(reader)->bytes);
    free(reader_of(reader));
}

bool gridfs_reader_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                        struct blob_reader **out_reader, uint64_t *out_size,
                        struct blob_metadata *out_metadata, struct error *error)
{
    struct gridfs_blob blob = gridfs_blob_of(gridfs_store_of(store), kind, id);
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    struct gridfs_file file;
    if (!gridfs_borrow(blob.store, &loan, error) ||
        !gridfs_read_file(loan.mongodb, &blob, &file, error))
        return false;
    struct gridfs_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        abort();
    *reader = (struct gridfs_reader){
        .base.backend = &blob_store_gridfs,
        .blob = blob,
        .file = file,
    };
    *out_reader = &reader->base;
    *out_size = file.size_bytes;
    *out_metadata = file.metadata;
    return true;
}

/* Other drivers choose the size of their chunks, up to the 16 MB of a document. */
static void make_room(struct gridfs_reader *reader, size_t size)
{
    if (reader->capacity == size)
        return;
    free(reader->bytes);
    reader->bytes = malloc(size);
    if (reader->bytes == NULL)
        abort();
    reader->capacity = size;
}

static bool goes_on(const struct gridfs_reader *reader, uint64_t index)
{
    int64_t boot_ms = clock_boot_ms();
    bool was_passed_through = reader->read_end > reader->read_begin &&
                              2 * (reader->read_end - reader->read_begin) >= reader->size;
    return was_passed_through && index == reader->first + reader->count &&
           boot_ms - reader->fetched_at_boot_ms < SLOW_MS &&
           boot_ms >= reader->blob.store->single_until_boot_ms;
}

static size_t choose_count(const struct gridfs_reader *reader, uint64_t index)
{
    uint64_t size = reader->file.size_bytes;
    uint64_t left = (size + reader->file.chunk_size - 1) / reader->file.chunk_size - index;
    size_t most = WINDOW_SIZE / reader->file.chunk_size;
    size_t count = goes_on(reader, index) ? 2 * reader->count : 1;
    if (count > most)
        count = most > 0 ? most : 1;
    return count < left ? count : (size_t)left;
}

/* A chunk that is missing: the blob was removed, or the store lost it. */
static bool explain(struct gridfs_reader *reader, struct mongodb *mongodb,
                    const struct error *cause, struct error *error)
{
    struct gridfs_file file;
    if (cause->kind == ERROR_NOT_FOUND && gridfs_read_file(mongodb, &reader->blob, &file, error))
        return error_set(error, ERROR_INTERNAL, "%s, though its file is there", cause->text);
    if (cause->kind != ERROR_NOT_FOUND)
        *error = *cause;
    return false;
}

static void note_time(struct gridfs_reader *reader, size_t count, int64_t begun_at_boot_ms)
{
    reader->fetched_at_boot_ms = clock_boot_ms();
    int64_t took_ms = reader->fetched_at_boot_ms - begun_at_boot_ms;
    if (count == 1)
        reader->single_ms = took_ms;
    else if (took_ms > WINDOW_COST_MS + 2 * (int64_t)count * reader->single_ms)
        reader->blob.store->single_until_boot_ms = reader->fetched_at_boot_ms + SINGLE_MS;
}

static bool fetch(struct gridfs_reader *reader, uint64_t index, struct error *error)
{
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    size_t chunk_size = reader->file.chunk_size;
    size_t count = choose_count(reader, index);
    uint64_t left = reader->file.size_bytes - index * chunk_size;
    size_t size = left < count * chunk_size ? (size_t)left : count * chunk_size;
    const struct gridfs_window window = {
        .index = index,
        .count = count,
        .chunk_size = chunk_size,
        .last_size = size - (count - 1) * chunk_size,
    };
    struct error cause = {0};
    int64_t begun_at_boot_ms = clock_boot_ms();
    reader->size = 0; /* whatever was held is written over */
    make_room(reader, size);
    if (!gridfs_borrow(reader->blob.store, &loan, error))
        return false;
    if (!gridfs_read_chunks(loan.mongodb, &reader->blob, &window, reader->bytes, &cause))
        return explain(reader, loan.mongodb, &cause, error);
    reader->first = index;
    reader->count = count;
    reader->size = size;
    reader->read_begin = size;
    reader->read_end = 0;
    note_time(reader, count, begun_at_boot_ms);
    return true;
}

static void note_read(struct gridfs_reader *reader, size_t begin, size_t end)
{
    if (begin < reader->read_begin)
        reader->read_begin = begin;
    if (end > reader->read_end)
        reader->read_end = end;
}

bool gridfs_reader_read(struct blob_reader *reader, uint64_t offset, void *out_bytes, size_t size,
                        size_t *out_size, struct error *error)
{
    struct gridfs_reader *gridfs = reader_of(reader);
    uint64_t left = offset < gridfs->file.size_bytes ? gridfs->file.size_bytes - offset : 0;
    size_t wanted = size < left ? size : (size_t)left;
    unsigned char *to = out_bytes;
    for (size_t got = 0; got < wanted;) {
        uint64_t index = (offset + got) / gridfs->file.chunk_size;
        uint64_t start = gridfs->first * gridfs->file.chunk_size;
        if (index < gridfs->first || offset + got - start >= gridfs->size) {
            if (!fetch(gridfs, index, error))
                return error_prefix(error, "blob %s", gridfs->blob.id.text);
            continue;
        }
        size_t at = (size_t)(offset + got - start);
        size_t part = gridfs->size - at < wanted - got ? gridfs->size - at : wanted - got;
        memcpy(to + got, gridfs->bytes + at, part);
        note_read(gridfs, at, at + part);
        got += part;
    }
    *out_size = wanted;
    return true;
}
