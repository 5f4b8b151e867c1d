#include "stores/blob_store/gridfs.h"

#include "base/clock.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_SIZE ((size_t)GRIDFS_CHUNKS_MAX * GRIDFS_CHUNK_SIZE)
#define BLOB_SIZE_MAX ((uint64_t)INT32_MAX * GRIDFS_CHUNK_SIZE)

#define SLOW_MS 250

/* A window of chunks lies in memory: from chunk `first` on `size` bytes without a gap, all of them
 * whole chunks but the blob's last. What is written goes there, and to the server once the window
 * is full, has to move, or is flushed; of a slow upload each chunk that is whole, so that a
 * thousand of them hold one chunk each. Bytes of a store that failed stay, to be stored again. */
struct gridfs_writer {
    struct blob_writer base;
    struct gridfs_blob blob;
    struct gridfs_mark mark; /* of the last store */
    uint64_t end;            /* of the blob, stored or not */
    uint64_t stored_chunks;  /* from this one on none is thought to be there */
    int64_t stored_at_boot_ms;
    uint64_t first;
    size_t size;
    bool is_dirty[GRIDFS_CHUNKS_MAX];
    size_t capacity;      /* whole chunks */
    unsigned char *bytes; /* owned */
};

static struct gridfs_writer *writer_of(struct blob_writer *writer)
{
    assert(writer->backend == &blob_store_gridfs);
    return (struct gridfs_writer *)writer;
}

static uint64_t window_start(const struct gridfs_writer *writer)
{
    return writer->first * GRIDFS_CHUNK_SIZE;
}

static size_t chunks_of(size_t size)
{
    return (size + GRIDFS_CHUNK_SIZE - 1) / GRIDFS_CHUNK_SIZE;
}

static void resize(struct gridfs_writer *writer, size_t capacity)
{
    unsigned char *bytes = realloc(writer->bytes, capacity);
    if (bytes == NULL)
        abort();
    writer->bytes = bytes;
    writer->capacity = capacity;
}

static void make_room(struct gridfs_writer *writer, size_t size)
{
    size_t capacity = writer->capacity == 0 ? GRIDFS_CHUNK_SIZE : writer->capacity;
    while (capacity < size)
        capacity *= 2;
    if (capacity != writer->capacity)
        resize(writer, capacity);
}

/* ---- Opening ---- */

/* Goes on where an earlier writer ended: its last chunk may be a short one. */
static bool find_end(struct gridfs_writer *writer, struct mongodb *mongodb, struct error *error)
{
    uint64_t count = 0;
    if (!gridfs_unfinish(mongodb, &writer->blob, error) ||
        !gridfs_count_run(mongodb, &writer->blob, &count, error))
        return false;
    writer->stored_chunks = count;
    if (count == 0)
        return true;
    writer->first = count - 1;
    make_room(writer, GRIDFS_CHUNK_SIZE);
    if (!gridfs_read_chunk(mongodb, &writer->blob, count - 1, writer->bytes, &writer->size, error))
        return false;
    writer->end = window_start(writer) + writer->size;
    return true;
}

static bool begin(struct gridfs_writer *writer, int64_t generation, struct error *error)
{
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    struct gridfs_store *store = writer->blob.store;
    int64_t turn = 0;
    if (!gridfs_borrow(store, &loan, error) ||
        !gridfs_create_indexes(store, loan.mongodb, writer->blob.kind, error) ||
        !gridfs_take_turn(loan.mongodb, &writer->blob, generation, &turn, error))
        return false;
    writer->mark = (struct gridfs_mark){.g = generation, .w = turn << 32};
    writer->stored_at_boot_ms = clock_boot_ms();
    bool is_new = turn == 1; /* nobody has written anything */
    return is_new || find_end(writer, loan.mongodb, error);
}

bool gridfs_writer_open(struct blob_store *store, enum blob_kind kind, const struct id *id,
                        int64_t generation, struct blob_writer **out_writer, struct error *error)
{
    struct gridfs_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        abort();
    writer->base.backend = &blob_store_gridfs;
    writer->blob = gridfs_blob_of(gridfs_store_of(store), kind, id);
    CLEANUP(blob_writer_closep) struct blob_writer *owned = &writer->base;
    if (!begin(writer, generation, error))
        return false;
    *out_writer = owned;
    owned = NULL; /* the caller's now */
    return true;
}

void gridfs_writer_close(struct blob_writer *writer)
{
    free(writer_of(writer)->bytes);
    free(writer_of(writer));
}

/* ---- Storing ---- */

static bool store_run(struct gridfs_writer *writer, struct mongodb *mongodb, size_t from, size_t to,
                      struct error *error)
{
    size_t held = chunks_of(writer->size);
    const struct gridfs_window window = {
        .index = writer->first + from,
        .count = to - from,
        .chunk_size = GRIDFS_CHUNK_SIZE,
        .last_size = to < held ? GRIDFS_CHUNK_SIZE : writer->size - (held - 1) * GRIDFS_CHUNK_SIZE,
    };
    /* Each try under a mark of its own: what an earlier one held may have grown since. */
    writer->mark.w++;
    if (!gridfs_store_chunks(mongodb, &writer->blob, &writer->mark, &window, writer->stored_chunks,
                             writer->bytes + from * GRIDFS_CHUNK_SIZE, error))
        return false;
    memset(writer->is_dirty + from, 0, window.count * sizeof *writer->is_dirty);
    if (writer->first + to > writer->stored_chunks)
        writer->stored_chunks = writer->first + to;
    writer->stored_at_boot_ms = clock_boot_ms();
    return true;
}

/* Run by run, in order, so that what a crash leaves has no gap. */
static bool store(struct gridfs_writer *writer, struct mongodb *mongodb, size_t held,
                  struct error *error)
{
    for (size_t from = 0; from < held;) {
        size_t to = from;
        while (to < held && writer->is_dirty[to])
            to++;
        if (to > from && !store_run(writer, mongodb, from, to, error))
            return false;
        from = to + 1;
    }
    return true;
}

static bool store_all(struct gridfs_writer *writer, struct mongodb *mongodb, struct error *error)
{
    return store(writer, mongodb, chunks_of(writer->size), error);
}

static bool move_window(struct gridfs_writer *writer, struct mongodb *mongodb, uint64_t first,
                        struct error *error)
{
    if (!store_all(writer, mongodb, error))
        return false;
    writer->first = first;
    writer->size = 0;
    free(writer->bytes);
    writer->bytes = NULL;
    writer->capacity = 0;
    return true;
}

/* The next chunk after what is held, which is stored already. */
static bool load_chunk(struct gridfs_writer *writer, struct mongodb *mongodb, struct error *error)
{
    uint64_t at = window_start(writer) + writer->size;
    uint64_t left = writer->end - at;
    size_t wanted = left < GRIDFS_CHUNK_SIZE ? (size_t)left : GRIDFS_CHUNK_SIZE;
    const struct gridfs_window window = {
        .index = at / GRIDFS_CHUNK_SIZE,
        .count = 1,
        .chunk_size = GRIDFS_CHUNK_SIZE,
        .last_size = wanted,
    };
    struct error cause = {0};
    make_room(writer, writer->size + wanted);
    if (!gridfs_read_chunks(mongodb, &writer->blob, &window, writer->bytes + writer->size,
                            &cause)) {
        bool is_gone = cause.kind == ERROR_NOT_FOUND; /* removed, or cut by a newer writer */
        return error_set(error, is_gone ? ERROR_CONFLICT : cause.kind, "%s", cause.text);
    }
    writer->size += wanted;
    return true;
}

/* Makes the window hold the place at `offset`: the byte there, or the end. */
static bool reach(struct gridfs_writer *writer, struct mongodb *mongodb, uint64_t offset,
                  struct error *error)
{
    uint64_t index = offset / GRIDFS_CHUNK_SIZE;
    for (;;) {
        uint64_t held_end = window_start(writer) + writer->size;
        bool has_room = index >= writer->first && index - writer->first < GRIDFS_CHUNKS_MAX;
        if (has_room && (offset < held_end || (offset == held_end && offset == writer->end)))
            return true;
        bool is_next = has_room && index * GRIDFS_CHUNK_SIZE == held_end;
        if (!is_next && !move_window(writer, mongodb, index, error))
            return false;
        if (index * GRIDFS_CHUNK_SIZE < writer->end && !load_chunk(writer, mongodb, error))
            return false;
    }
}

/* ---- Writing ---- */

static size_t put(struct gridfs_writer *writer, uint64_t offset, const unsigned char *bytes,
                  size_t size)
{
    size_t at = (size_t)(offset - window_start(writer));
    bool may_grow = writer->end == window_start(writer) + writer->size;
    size_t room = (may_grow ? WINDOW_SIZE : writer->size) - at;
    size_t part = size < room ? size : room;
    make_room(writer, at + part);
    memcpy(writer->bytes + at, bytes, part);
    for (size_t i = at / GRIDFS_CHUNK_SIZE; i < chunks_of(at + part); i++)
        writer->is_dirty[i] = true;
    if (at + part > writer->size)
        writer->size = at + part;
    if (offset + part > writer->end)
        writer->end = offset + part;
    return part;
}

static bool is_slow(const struct gridfs_writer *writer)
{
    return writer->size > GRIDFS_CHUNK_SIZE &&
           clock_boot_ms() - writer->stored_at_boot_ms > SLOW_MS;
}

/* All but a chunk that is begun. */
static bool shed(struct gridfs_writer *writer, struct mongodb *mongodb, struct error *error)
{
    size_t whole = writer->size / GRIDFS_CHUNK_SIZE;
    size_t rest = writer->size % GRIDFS_CHUNK_SIZE;
    if (!store(writer, mongodb, whole, error))
        return false;
    memmove(writer->bytes, writer->bytes + whole * GRIDFS_CHUNK_SIZE, rest);
    writer->is_dirty[0] = writer->is_dirty[whole];
    writer->is_dirty[whole] = false;
    writer->first += whole;
    writer->size = rest;
    resize(writer, GRIDFS_CHUNK_SIZE);
    return true;
}

bool gridfs_writer_write(struct blob_writer *writer, uint64_t offset, const void *bytes,
                         size_t size, struct error *error)
{
    struct gridfs_writer *gridfs = writer_of(writer);
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    const unsigned char *from = bytes;
    if (offset > gridfs->end || size > BLOB_SIZE_MAX - offset)
        return error_set(error, ERROR_BAD_INPUT, "blob %s ends before offset %llu",
                         gridfs->blob.id.text, (unsigned long long)offset);
    if (!gridfs_borrow(gridfs->blob.store, &loan, error))
        return false;
    while (size > 0) {
        if (!reach(gridfs, loan.mongodb, offset, error))
            return false;
        size_t part = put(gridfs, offset, from, size);
        offset += part;
        from += part;
        size -= part;
        if (gridfs->size == WINDOW_SIZE &&
            !move_window(gridfs, loan.mongodb, gridfs->first + GRIDFS_CHUNKS_MAX, error))
            return false;
    }
    return !is_slow(gridfs) || shed(gridfs, loan.mongodb, error);
}

/* Every write is durable once it is answered. */
bool gridfs_writer_flush(struct blob_writer *writer, struct error *error)
{
    struct gridfs_writer *gridfs = writer_of(writer);
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    return gridfs_borrow(gridfs->blob.store, &loan, error) &&
           store_all(gridfs, loan.mongodb, error);
}

/* ---- Finishing ---- */

static bool cut(struct gridfs_writer *writer, struct mongodb *mongodb, uint64_t size,
                struct error *error)
{
    uint64_t last = size / GRIDFS_CHUNK_SIZE;
    size_t rest = (size_t)(size % GRIDFS_CHUNK_SIZE);
    if (size > writer->end)
        return error_set(error, ERROR_BAD_INPUT, "blob %s has %llu bytes, not %llu",
                         writer->blob.id.text, (unsigned long long)writer->end,
                         (unsigned long long)size);
    if (size == writer->end)
        return true;
    if (!move_window(writer, mongodb, last, error) ||
        (rest != 0 && !load_chunk(writer, mongodb, error)))
        return false;
    writer->size = rest;
    writer->is_dirty[0] = rest != 0;
    writer->end = size;
    return true;
}

/* Other drivers refuse a file with a chunk too many. */
static bool remove_rest(struct gridfs_writer *writer, struct mongodb *mongodb, uint64_t chunks,
                        struct error *error)
{
    bool is_there = writer->stored_chunks > chunks;
    if (!is_there && !gridfs_has_chunk(mongodb, &writer->blob, chunks, &is_there, error))
        return false;
    if (is_there && !gridfs_cut_chunks(mongodb, &writer->blob, &writer->mark, chunks, error))
        return false;
    if (writer->stored_chunks > chunks)
        writer->stored_chunks = chunks;
    return true;
}

static bool count_chunks(struct gridfs_writer *writer, struct mongodb *mongodb, uint64_t chunks,
                         struct error *error)
{
    uint64_t count = 0;
    if (!gridfs_count_chunks(mongodb, &writer->blob, &count, error) ||
        !gridfs_check_turn(mongodb, &writer->blob, writer->mark.g, error))
        return false;
    return count == chunks ||
           error_set(error, ERROR_INTERNAL, "blob %s has %llu chunks stored, not %llu",
                     writer->blob.id.text, (unsigned long long)count, (unsigned long long)chunks);
}

/* What a removal that came in between could not have seen is taken back. */
static bool store_file(struct gridfs_writer *writer, struct mongodb *mongodb,
                       const struct blob_metadata *metadata, struct error *error)
{
    writer->mark.w++;
    const struct gridfs_file file = {
        .size_bytes = writer->end,
        .chunk_size = GRIDFS_CHUNK_SIZE,
        .mark = writer->mark,
        .metadata = *metadata,
    };
    struct error cause = {0};
    if (!gridfs_store_file(mongodb, &writer->blob, &file, error))
        return false;
    if (gridfs_check_turn(mongodb, &writer->blob, writer->mark.g, &cause))
        return true;
    if (cause.kind == ERROR_CONFLICT)
        ignore_failure(gridfs_take_file_back(mongodb, &writer->blob, &writer->mark, error));
    *error = cause;
    return false;
}

bool gridfs_writer_finish(struct blob_writer *writer, uint64_t size,
                          const struct blob_metadata *metadata, struct error *error)
{
    struct gridfs_writer *gridfs = writer_of(writer);
    CLEANUP(gridfs_give_back) struct gridfs_loan loan = {0};
    uint64_t chunks = (size + GRIDFS_CHUNK_SIZE - 1) / GRIDFS_CHUNK_SIZE;
    return gridfs_borrow(gridfs->blob.store, &loan, error) &&
           gridfs_check_turn(loan.mongodb, &gridfs->blob, gridfs->mark.g, error) &&
           cut(gridfs, loan.mongodb, size, error) && store_all(gridfs, loan.mongodb, error) &&
           remove_rest(gridfs, loan.mongodb, chunks, error) &&
           count_chunks(gridfs, loan.mongodb, chunks, error) &&
           store_file(gridfs, loan.mongodb, metadata, error);
}
