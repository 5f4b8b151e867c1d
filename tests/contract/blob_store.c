/* The promises of stores/blob_store/blob_store.h. */

#include "stores/blob_store/blob_store.h"

#include "contract.h"
#include "model/failure.h"
#include "stores/shared/data_folder.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)100000)

static const char *backend_name;
static struct contract contract;
static unsigned char bytes[SIZE];

static const struct blob_metadata metadata = {
    .conversion_id = {"0123456789abcdef01234567"},
    .owner_id = {"ffffffffffffffff00000000"},
};

static bool is_disk_failing;

/* In libc's place, for the whole program. */
int fsync(int fd)
{
    if (!is_disk_failing)
        return (int)syscall(SYS_fsync, fd);
    errno = EIO;
    return -1;
}

static int set_up(void **state)
{
    (void)state;
    is_disk_failing = false;
    contract_init(&contract, "stores.blobs", backend_name);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 251);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    contract_finish(&contract);
    return 0;
}

static struct blob_store *open_store(void)
{
    struct error error = {0};
    struct blob_store *store = NULL;
    if (!blob_store_open(contract.config, &store, &error)) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return store;
}

static struct blob_writer *open_writer(struct blob_store *store, const struct id *id,
                                       int64_t generation)
{
    struct error error = {0};
    struct blob_writer *writer = NULL;
    if (!blob_writer_open(store, BLOB_VIDEO, id, generation, &writer, &error))
        fail_msg("%s", error.text);
    return writer;
}

static void write_blob(struct blob_store *store, enum blob_kind kind, const struct id *id,
                       size_t size)
{
    struct error error = {0};
    CLEANUP(blob_writer_closep) struct blob_writer *writer = NULL;
    assert_true(blob_writer_open(store, kind, id, 1, &writer, &error));
    assert_true(blob_writer_write(writer, 0, bytes, size, &error));
    assert_true(blob_writer_finish(writer, size, &metadata, &error));
}

static void assert_blob(struct blob_store *store, enum blob_kind kind, const struct id *id,
                        size_t size)
{
    static unsigned char read[SIZE + 1];
    struct error error = {0};
    CLEANUP(blob_reader_closep) struct blob_reader *reader = NULL;
    uint64_t told = 0;
    size_t got = 0;
    struct blob_metadata found;
    if (!blob_reader_open(store, kind, id, &reader, &told, &found, &error))
        fail_msg("%s", error.text);
    assert_int_equal(told, size);
    assert_string_equal(found.conversion_id.text, metadata.conversion_id.text);
    assert_string_equal(found.owner_id.text, metadata.owner_id.text);
    assert_true(blob_reader_read(reader, 0, read, sizeof read, &got, &error));
    assert_int_equal(got, size);
    assert_memory_equal(read, bytes, size);
}

static void assert_no_blob(struct blob_store *store, enum blob_kind kind, const struct id *id)
{
    struct error error = {0};
    struct blob_reader *reader = NULL;
    uint64_t size = 77;
    struct blob_metadata found;
    assert_false(blob_reader_open(store, kind, id, &reader, &size, &found, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_null(reader);
    assert_int_equal(size, 77);
}

static void a_finished_blob_is_read_as_it_was_written(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct id id = id_make();
    struct error error = {0};
    assert_true(blob_store_check(store, &error));
    assert_no_blob(store, BLOB_VIDEO, &id);
    write_blob(store, BLOB_VIDEO, &id, SIZE);
    assert_blob(store, BLOB_VIDEO, &id, SIZE);
    assert_no_blob(store, BLOB_MP3, &id); /* the same id of another kind is another blob */
    write_blob(store, BLOB_MP3, &id, 0);
    assert_blob(store, BLOB_MP3, &id, 0);
}

static void a_part_is_read_and_nothing_past_the_end(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct error error = {0};
    struct id id = id_make();
    write_blob(store, BLOB_VIDEO, &id, SIZE);
    CLEANUP(blob_reader_closep) struct blob_reader *reader = NULL;
    uint64_t size = 0;
    struct blob_metadata found;
    assert_true(blob_reader_open(store, BLOB_VIDEO, &id, &reader, &size, &found, &error));
    unsigned char part[1000];
    size_t got = 0;
    assert_true(blob_reader_read(reader, 54321, part, sizeof part, &got, &error));
    assert_int_equal(got, sizeof part);
    assert_memory_equal(part, bytes + 54321, sizeof part);
    assert_true(blob_reader_read(reader, SIZE - 10, part, sizeof part, &got, &error));
    assert_int_equal(got, 10);
    assert_memory_equal(part, bytes + SIZE - 10, 10);
    assert_true(blob_reader_read(reader, SIZE, part, sizeof part, &got, &error));
    assert_int_equal(got, 0);
    assert_true(blob_reader_read(reader, UINT64_MAX - 5, part, sizeof part, &got, &error));
    assert_int_equal(got, 0);
}

static void bytes_may_be_written_again_but_no_gap_left(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct id id = id_make();
    struct error error = {0};
    CLEANUP(blob_writer_closep) struct blob_writer *writer = open_writer(store, &id, 1);
    static const unsigned char zeros[100];
    assert_false(blob_writer_write(writer, 1, bytes, 1, &error));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
    assert_true(blob_writer_write(writer, 0, zeros, sizeof zeros, &error));
    assert_true(blob_writer_write(writer, 100, bytes + 100, SIZE - 100, &error));
    assert_true(blob_writer_write(writer, 0, bytes, 100, &error)); /* the head comes last */
    assert_false(blob_writer_write(writer, SIZE + 1, bytes, 1, &error));
    assert_false(blob_writer_write(writer, UINT64_MAX, bytes, 1, &error));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
    assert_false(blob_writer_finish(writer, SIZE + 1, &metadata, &error));
    assert_int_equal(error.kind, ERROR_BAD_INPUT);
    assert_no_blob(store, BLOB_VIDEO, &id);
    assert_true(blob_writer_finish(writer, SIZE, &metadata, &error));
    assert_blob(store, BLOB_VIDEO, &id, SIZE);
}

static void what_is_finished_has_exactly_the_size_it_was_finished_with(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct id id = id_make();
    struct error error = {0};
    CLEANUP(blob_writer_closep) struct blob_writer *writer = open_writer(store, &id, 1);
    assert_true(blob_writer_write(writer, 0, bytes, SIZE, &error));
    assert_true(blob_writer_finish(writer, SIZE / 3, &metadata, &error));
    assert_blob(store, BLOB_VIDEO, &id, SIZE / 3);
    assert_true(blob_writer_finish(writer, SIZE / 3, &metadata, &error)); /* repeated */
    assert_blob(store, BLOB_VIDEO, &id, SIZE / 3);
}

static void an_upload_goes_on_where_it_was_flushed(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct id id = id_make();
    struct error error = {0};
    struct blob_writer *writer = open_writer(store, &id, 1);
    assert_true(blob_writer_write(writer, 0, bytes, 40000, &error));
    assert_true(blob_writer_flush(writer, &error));
    blob_writer_close(writer);
    assert_no_blob(store, BLOB_VIDEO, &id);
    writer = open_writer(store, &id, 2);
    assert_true(blob_writer_write(writer, 40000, bytes + 40000, SIZE - 40000, &error));
    assert_true(blob_writer_finish(writer, SIZE, &metadata, &error));
    blob_writer_close(writer);
    assert_blob(store, BLOB_VIDEO, &id, SIZE);
}

/* The kernel tells of a page that it could not write once, and then calls it clean. */
static void what_a_flush_lost_is_not_made_good_by_another(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct id id = id_make();
    struct error error = {0};
    CLEANUP(blob_writer_closep) struct blob_writer *writer = open_writer(store, &id, 1);
    assert_true(blob_writer_write(writer, 0, bytes, SIZE, &error));
    is_disk_failing = true;
    if (blob_writer_flush(writer, &error))
        return; /* a store that needs no disk of this host */
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    is_disk_failing = false;
    assert_false(blob_writer_flush(writer, &error));
    assert_false(blob_writer_finish(writer, SIZE, &metadata, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    blob_writer_close(writer);
    writer = open_writer(store, &id, 2); /* and all is written again */
    assert_true(blob_writer_write(writer, 0, bytes, SIZE, &error));
    assert_true(blob_writer_finish(writer, SIZE, &metadata, &error));
    assert_blob(store, BLOB_VIDEO, &id, SIZE);
}

/* ---- Sizes that a server keeps in many pieces ---- */

#define LARGE_SIZE ((size_t)9 * 1024 * 1024)

static unsigned char large[LARGE_SIZE]; /* what the blob has to hold */
static size_t large_end;
static uint32_t draw_state;

static size_t draw(size_t below)
{
    draw_state = draw_state * 1664525 + 1013904223;
    return (size_t)(((uint64_t)draw_state * below) >> 32);
}

static void write_large(struct blob_writer *writer, size_t offset, size_t size)
{
    struct error error = {0};
    for (size_t i = 0; i < size; i++)
        large[offset + i] = (unsigned char)draw(256);
    if (!blob_writer_write(writer, offset, large + offset, size, &error))
        fail_msg("%s", error.text);
    if (offset + size > large_end)
        large_end = offset + size;
}

static size_t draw_size(size_t most)
{
    size_t size = draw(2) == 0 ? 1 + draw(3000) : 1 + draw(900000);
    return size < most ? size : most;
}

/* Mostly at the end, now and then over what is there. */
static void write_somewhere(struct blob_writer *writer)
{
    size_t offset = draw(4) == 0 ? draw(large_end + 1) : large_end;
    write_large(writer, offset, draw_size(LARGE_SIZE - offset));
}

static void read_somewhere(struct blob_reader *reader, size_t *at)
{
    static unsigned char read[1000000];
    struct error error = {0};
    size_t got = 0;
    size_t wanted = draw_size(sizeof read);
    if (draw(8) == 0)
        *at = draw(large_end + 1);
    if (!blob_reader_read(reader, *at, read, wanted, &got, &error))
        fail_msg("%s", error.text);
    assert_int_equal(got, wanted < large_end - *at ? wanted : large_end - *at);
    assert_memory_equal(read, large + *at, got);
    *at = got == 0 ? 0 : *at + got;
}

static void assert_large(struct blob_store *store, const struct id *id)
{
    struct error error = {0};
    CLEANUP(blob_reader_closep) struct blob_reader *reader = NULL;
    struct blob_metadata found;
    uint64_t size = 0;
    size_t at = 0;
    if (!blob_reader_open(store, BLOB_VIDEO, id, &reader, &size, &found, &error))
        fail_msg("%s", error.text);
    assert_int_equal(size, large_end);
    for (int i = 0; i < 60; i++)
        read_somewhere(reader, &at);
}

static void what_is_written_in_any_pieces_is_read_in_any_others(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct error error = {0};
    for (uint32_t seed = 1; seed <= 4; seed++) {
        struct id id = id_make();
        int64_t generation = 1;
        draw_state = seed;
        large_end = 0;
        struct blob_writer *writer = open_writer(store, &id, generation);
        while (large_end < LARGE_SIZE) {
            write_somewhere(writer);
            if (draw(8) != 0)
                continue;
            assert_true(blob_writer_flush(writer, &error));
            if (draw(2) != 0)
                continue;
            blob_writer_close(writer); /* another replica goes on */
            writer = open_writer(store, &id, ++generation);
        }
        large_end -= draw(LARGE_SIZE / 3);
        assert_true(blob_writer_finish(writer, large_end, &metadata, &error));
        blob_writer_close(writer);
        assert_large(store, &id);
        assert_true(blob_store_remove(store, BLOB_VIDEO, &id, &error));
    }
}

static void a_blob_may_end_where_its_pieces_do(void **state)
{
    (void)state;
    static const size_t sizes[] = {255 * 1024,     255 * 1024 + 1,     255 * 1024 - 1,
                                   8 * 255 * 1024, 8 * 255 * 1024 + 1, 8 * 255 * 1024 - 1};
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct error error = {0};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct id id = id_make();
        large_end = 0;
        struct blob_writer *writer = open_writer(store, &id, 1);
        write_large(writer, 0, sizes[i]);
        assert_true(blob_writer_flush(writer, &error));
        blob_writer_close(writer);
        writer = open_writer(store, &id, 2);
        write_large(writer, 0, 10); /* the head comes last */
        assert_true(blob_writer_finish(writer, sizes[i], &metadata, &error));
        blob_writer_close(writer);
        assert_large(store, &id);
        writer = open_writer(store, &id, 3);
        write_large(writer, sizes[i], 1);
        assert_true(blob_writer_finish(writer, large_end, &metadata, &error));
        blob_writer_close(writer);
        assert_large(store, &id);
    }
}

static void a_writer_that_was_overtaken_changes_nothing(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct id id = id_make();
    struct error error = {0};
    large_end = 0;
    draw_state = 7;
    struct blob_writer *older = open_writer(store, &id, 1);
    write_large(older, 0, LARGE_SIZE / 2);
    assert_true(blob_writer_flush(older, &error));
    struct blob_writer *newer = NULL;
    if (!blob_writer_open(store, BLOB_VIDEO, &id, 2, &newer, &error)) {
        assert_int_equal(error.kind, ERROR_CONFLICT); /* a store may let only one in */
        blob_writer_close(older);
        return;
    }
    write_large(newer, 0, LARGE_SIZE / 3);
    assert_true(blob_writer_flush(newer, &error));
    assert_false(blob_writer_write(older, 0, bytes, SIZE, &error) &&
                 blob_writer_flush(older, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    error = (struct error){0};
    assert_false(blob_writer_finish(older, LARGE_SIZE / 2, &metadata, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    blob_writer_close(older);
    write_large(newer, LARGE_SIZE / 2, LARGE_SIZE / 2);
    assert_true(blob_writer_finish(newer, LARGE_SIZE / 2 * 2, &metadata, &error));
    blob_writer_close(newer);
    assert_large(store, &id);
}

static void what_is_removed_while_it_grows_is_not_finished(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct id id = id_make();
    struct error error = {0};
    large_end = 0;
    CLEANUP(blob_writer_closep) struct blob_writer *writer = open_writer(store, &id, 1);
    write_large(writer, 0, LARGE_SIZE / 2);
    assert_true(blob_store_remove(store, BLOB_VIDEO, &id, &error));
    ignore_failure(blob_writer_write(writer, LARGE_SIZE / 2, bytes, SIZE, &error));
    assert_false(blob_writer_finish(writer, LARGE_SIZE / 2, &metadata, &error));
    assert_no_blob(store, BLOB_VIDEO, &id);
    assert_true(blob_store_remove(store, BLOB_VIDEO, &id, &error)); /* what came late */
}

static void a_finished_blob_that_is_opened_again_is_unfinished(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct id id = id_make();
    struct error error = {0};
    write_blob(store, BLOB_VIDEO, &id, SIZE);
    struct blob_writer *writer = open_writer(store, &id, 1);
    assert_no_blob(store, BLOB_VIDEO, &id);
    blob_writer_close(writer);
    assert_no_blob(store, BLOB_VIDEO, &id);
    writer = open_writer(store, &id, 2);
    assert_true(blob_writer_finish(writer, SIZE, &metadata, &error));
    blob_writer_close(writer);
    assert_blob(store, BLOB_VIDEO, &id, SIZE);
}

static void an_older_generation_is_refused(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct id id = id_make();
    struct error error = {0};
    struct blob_writer *writer = open_writer(store, &id, 3);
    assert_true(blob_writer_write(writer, 0, bytes, 1000, &error));
    assert_true(blob_writer_flush(writer, &error));
    blob_writer_close(writer);
    struct blob_writer *older = NULL;
    bool is_refused = !blob_writer_open(store, BLOB_VIDEO, &id, 2, &older, &error);
    if (!is_refused) /* a store may tell it only where it writes */
        is_refused = !blob_writer_write(older, 0, bytes, 1000, &error);
    assert_true(is_refused);
    assert_int_equal(error.kind, ERROR_CONFLICT);
    blob_writer_close(older);
}

/* Writes without end, until it is killed; says so once it has begun. */
static pid_t start_writer(const struct id *id, int *out_fd)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct blob_store *store = open_store();
        struct blob_writer *writer = NULL;
        struct error error = {0};
        if (!blob_writer_open(store, BLOB_VIDEO, id, 1, &writer, &error) ||
            !blob_writer_write(writer, 0, bytes, 5000, &error) ||
            !blob_writer_flush(writer, &error) || write(ends[1], "x", 1) != 1)
            _exit(1);
        for (uint64_t at = 5000; at < SIZE; at++)
            if (!blob_writer_write(writer, at, bytes + at, 1, &error))
                _exit(1);
        pause();
        _exit(1);
    }
    close(ends[1]);
    char byte = 0;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    *out_fd = ends[0];
    return pid;
}

static void a_killed_writer_leaves_what_it_flushed_and_its_place(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct id id = id_make();
    struct error error = {0};
    int fd = -1;
    pid_t pid = start_writer(&id, &fd);
    struct blob_writer *writer = NULL;
    if (strcmp(backend_name, "files") == 0) {
        assert_false(blob_writer_open(store, BLOB_VIDEO, &id, 2, &writer, &error));
        assert_int_equal(error.kind, ERROR_CONFLICT);
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(fd);
    assert_no_blob(store, BLOB_VIDEO, &id);
    writer = open_writer(store, &id, 2);
    assert_true(blob_writer_write(writer, 5000, bytes + 5000, SIZE - 5000, &error));
    assert_true(blob_writer_finish(writer, SIZE, &metadata, &error));
    blob_writer_close(writer);
    assert_blob(store, BLOB_VIDEO, &id, SIZE);
}

static void what_is_removed_is_gone_finished_or_not(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct error error = {0};
    struct id finished = id_make();
    struct id partial = id_make();
    struct id ids[4];
    size_t count = 99;
    write_blob(store, BLOB_VIDEO, &finished, SIZE);
    struct blob_writer *writer = open_writer(store, &partial, 1);
    assert_true(blob_writer_write(writer, 0, bytes, SIZE, &error));
    assert_true(blob_store_remove(store, BLOB_VIDEO, &finished, &error));
    assert_true(blob_store_remove(store, BLOB_VIDEO, &partial, &error));
    /* The writer that did not hear of it brings nothing back. */
    ignore_failure(blob_writer_write(writer, SIZE, bytes, 10, &error));
    assert_false(blob_writer_finish(writer, SIZE, &metadata, &error));
    blob_writer_close(writer);
    assert_no_blob(store, BLOB_VIDEO, &finished);
    assert_no_blob(store, BLOB_VIDEO, &partial);
    assert_true(blob_store_remove(store, BLOB_VIDEO, &finished, &error)); /* repeated */
    assert_true(blob_store_scan(store, BLOB_VIDEO, &(struct id){""}, 4, ids, &count, &error));
    assert_int_equal(count, 0);
    write_blob(store, BLOB_VIDEO, &partial, 10);
    assert_blob(store, BLOB_VIDEO, &partial, 10);
}

static void a_reader_of_a_removed_blob_never_reads_wrong_bytes(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct error error = {0};
    struct id id = id_make();
    write_blob(store, BLOB_VIDEO, &id, SIZE);
    CLEANUP(blob_reader_closep) struct blob_reader *reader = NULL;
    uint64_t size = 0;
    struct blob_metadata found;
    unsigned char part[1000];
    size_t got = 0;
    assert_true(blob_reader_open(store, BLOB_VIDEO, &id, &reader, &size, &found, &error));
    assert_true(blob_store_remove(store, BLOB_VIDEO, &id, &error));
    if (blob_reader_read(reader, 5000, part, sizeof part, &got, &error)) {
        assert_int_equal(got, sizeof part);
        assert_memory_equal(part, bytes + 5000, sizeof part);
    } else {
        assert_int_equal(error.kind, ERROR_NOT_FOUND);
    }
}

static void an_id_that_is_none_names_nothing(void **state)
{
    (void)state;
    static const char *const hostile[] = {"", "../../../../../etc/passw",
                                          "0123456789ABCDEF01234567", "0123456789abcdef0123456",
                                          "0123456789abcdef0123456/"};
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    for (size_t i = 0; i < ARRAY_COUNT(hostile); i++) {
        struct error error = {0};
        struct id id = {""};
        snprintf(id.text, sizeof id.text, "%s", hostile[i]);
        struct blob_writer *writer = NULL;
        assert_false(blob_writer_open(store, BLOB_VIDEO, &id, 1, &writer, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
        assert_false(blob_store_remove(store, BLOB_VIDEO, &id, &error));
        assert_no_blob(store, BLOB_VIDEO, &id);
    }
    struct error error = {0};
    struct id unended;
    memset(&unended, 'a', sizeof unended);
    assert_false(blob_store_remove(store, BLOB_VIDEO, &unended, &error));
}

static void a_scan_names_every_blob_once_in_order(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct error error = {0};
    struct id last = id_make();
    struct blob_writer *writer = open_writer(store, &last, 1); /* unfinished ones too */
    blob_writer_close(writer);
    for (int i = 0; i < 10; i++) {
        struct id id = id_make_random();
        write_blob(store, BLOB_VIDEO, &id, 10);
    }
    write_blob(store, BLOB_MP3, &last, 10);
    struct id after = {""};
    size_t total = 0;
    bool has_last = false;
    for (;;) {
        struct id ids[4];
        size_t count = 0;
        assert_true(blob_store_scan(store, BLOB_VIDEO, &after, 4, ids, &count, &error));
        for (size_t i = 0; i < count; i++) {
            assert_true(strcmp(ids[i].text, after.text) > 0);
            after = ids[i];
            has_last = has_last || id_is_equal(&ids[i], &last);
        }
        total += count;
        if (count < 4)
            break;
    }
    assert_int_equal(total, 11);
    assert_true(has_last);
}

static void free_space_is_told_where_it_is_known(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct error error = {0};
    bool is_known = false;
    uint64_t space = 0;
    assert_true(blob_store_space(store, &is_known, &space, &error));
    if (is_known)
        assert_true(space > 0);
}

static bool fill_disk(const struct config *config)
{
    struct error error = {0};
    CLEANUP(blob_store_closep) struct blob_store *store = NULL;
    CLEANUP(blob_writer_closep) struct blob_writer *writer = NULL;
    struct id id = id_make();
    CONTRACT_CHECK(blob_store_open(config, &store, &error));
    CONTRACT_CHECK(blob_writer_open(store, BLOB_VIDEO, &id, 1, &writer, &error));
    uint64_t at = 0;
    while (blob_writer_write(writer, at, bytes, SIZE, &error) && at < 100 * SIZE)
        at += SIZE;
    CONTRACT_CHECK(at > 0 && at < 100 * SIZE);
    CONTRACT_CHECK(error.kind == ERROR_TOO_LARGE && error.failure == &FAILURE_DISK_FULL);
    CONTRACT_CHECK(contract_disk_grow());
    CONTRACT_CHECK(blob_writer_write(writer, at, bytes, SIZE, &error));
    CONTRACT_CHECK(blob_writer_finish(writer, at + SIZE, &metadata, &error));
    CLEANUP(blob_reader_closep) struct blob_reader *reader = NULL;
    uint64_t size = 0;
    struct blob_metadata found;
    CONTRACT_CHECK(blob_reader_open(store, BLOB_VIDEO, &id, &reader, &size, &found, &error));
    CONTRACT_CHECK(size == at + SIZE);
    for (uint64_t offset = 0; offset < size; offset += SIZE) {
        static unsigned char read[SIZE];
        size_t got = 0;
        CONTRACT_CHECK(blob_reader_read(reader, offset, read, SIZE, &got, &error));
        CONTRACT_CHECK(got == SIZE && memcmp(read, bytes, SIZE) == 0);
    }
    return true;
}

static void a_full_disk_is_told_and_the_upload_can_go_on(void **state)
{
    (void)state;
    if (contract_has_server(&contract))
        return; /* the disk is the server's */
    assert_true(contract_on_small_disk(&contract, (size_t)2 * 1024 * 1024, fill_disk));
}

static void a_backup_holds_finished_and_unfinished_blobs(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    struct error error = {0};
    struct id finished = id_make();
    struct id partial = id_make();
    struct id absent = id_make();
    char copy[FILE_PATH_SIZE];
    assert_true(file_path(copy, &error, "%s/copy", contract.folder));
    write_blob(store, BLOB_MP3, &finished, SIZE);
    struct blob_writer *writer = open_writer(store, &partial, 1);
    assert_true(blob_writer_write(writer, 0, bytes, 40000, &error));
    assert_true(blob_writer_flush(writer, &error));
    if (!blob_store_backup(store, BLOB_MP3, &finished, copy, &error)) {
        assert_int_equal(error.kind, ERROR_BAD_INPUT); /* a server has tools of its own */
        blob_writer_close(writer);
        return;
    }
    assert_true(blob_store_backup(store, BLOB_VIDEO, &partial, copy, &error));
    assert_true(blob_store_backup(store, BLOB_MP3, &finished, copy, &error)); /* repeated */
    assert_false(blob_store_backup(store, BLOB_VIDEO, &absent, copy, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    /* What happens to the original does not happen to the copy. */
    assert_true(blob_writer_write(writer, 0, bytes + 1, 40000, &error));
    assert_true(blob_store_remove(store, BLOB_MP3, &finished, &error));
    blob_writer_close(writer);

    struct config *config = contract_config_in(&contract, copy);
    struct blob_store *copied = NULL;
    assert_true(blob_store_open(config, &copied, &error));
    assert_blob(copied, BLOB_MP3, &finished, SIZE);
    writer = open_writer(copied, &partial, 2);
    assert_true(blob_writer_write(writer, 40000, bytes + 40000, SIZE - 40000, &error));
    assert_true(blob_writer_finish(writer, SIZE, &metadata, &error));
    blob_writer_close(writer);
    assert_blob(copied, BLOB_VIDEO, &partial, SIZE);
    blob_store_close(copied);
    config_close(config);
}

static struct id backed_up;

static bool back_up_to_disk(const struct config *config)
{
    struct error error = {0};
    const char *disk = NULL;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    CONTRACT_CHECK(data_folder_get(config, &disk, &error));
    if (!blob_store_backup(store, BLOB_VIDEO, &backed_up, disk, &error)) {
        CONTRACT_CHECK(error.kind == ERROR_BAD_INPUT); /* a server has tools of its own */
        return true;
    }
    static unsigned char read[SIZE + 1];
    CLEANUP(blob_store_closep) struct blob_store *copied = NULL;
    CLEANUP(blob_reader_closep) struct blob_reader *reader = NULL;
    struct blob_metadata found;
    uint64_t size = 0;
    size_t got = 0;
    CONTRACT_CHECK(blob_store_open(config, &copied, &error));
    CONTRACT_CHECK(
        blob_reader_open(copied, BLOB_VIDEO, &backed_up, &reader, &size, &found, &error));
    CONTRACT_CHECK(blob_reader_read(reader, 0, read, sizeof read, &got, &error));
    CONTRACT_CHECK(got == SIZE && memcmp(read, bytes, SIZE) == 0);
    return true;
}

static void a_backup_may_lie_on_another_disk(void **state)
{
    (void)state;
    CLEANUP(blob_store_closep) struct blob_store *store = open_store();
    backed_up = id_make();
    write_blob(store, BLOB_VIDEO, &backed_up, SIZE);
    assert_true(contract_on_small_disk(&contract, (size_t)2 * 1024 * 1024, back_up_to_disk));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    backend_name = argc > 1 ? argv[1] : "files";
    if (!contract_is_possible(backend_name))
        return 0;
    const struct CMUnitTest tests[] = {
        TEST(a_finished_blob_is_read_as_it_was_written),
        TEST(a_part_is_read_and_nothing_past_the_end),
        TEST(bytes_may_be_written_again_but_no_gap_left),
        TEST(what_is_finished_has_exactly_the_size_it_was_finished_with),
        TEST(an_upload_goes_on_where_it_was_flushed),
        TEST(what_is_written_in_any_pieces_is_read_in_any_others),
        TEST(a_blob_may_end_where_its_pieces_do),
        TEST(a_writer_that_was_overtaken_changes_nothing),
        TEST(what_is_removed_while_it_grows_is_not_finished),
        TEST(what_a_flush_lost_is_not_made_good_by_another),
        TEST(a_finished_blob_that_is_opened_again_is_unfinished),
        TEST(an_older_generation_is_refused),
        TEST(a_killed_writer_leaves_what_it_flushed_and_its_place),
        TEST(what_is_removed_is_gone_finished_or_not),
        TEST(a_reader_of_a_removed_blob_never_reads_wrong_bytes),
        TEST(an_id_that_is_none_names_nothing),
        TEST(a_scan_names_every_blob_once_in_order),
        TEST(free_space_is_told_where_it_is_known),
        TEST(a_full_disk_is_told_and_the_upload_can_go_on),
        TEST(a_backup_holds_finished_and_unfinished_blobs),
        TEST(a_backup_may_lie_on_another_disk),
    };
    return cmocka_run_group_tests_name("blob_store", tests, NULL, NULL);
}
