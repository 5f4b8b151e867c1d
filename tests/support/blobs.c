/* For tests and benchmarks: a blob store, step by step. Options are given as section.key=value;
 * each line of standard input is a step, answered by one line, "ok" and what there is to tell, or
 * the error's kind and text.
 *
 *   open video|mp3 ID GENERATION    at most one writer at a time
 *   write OFFSET FILE FROM SIZE     those bytes of the file, in one call
 *   flush | finish SIZE | close
 *   put video|mp3 ID FILE           all of it, in pieces as a gateway writes them
 *   get video|mp3 ID FILE           size and conversion are told
 *   read video|mp3 ID OFFSET SIZE FILE
 *   ranges video|mp3 ID FILE        by one reader; the file has lines of offset and size
 *   remove video|mp3 ID
 */

#include "base/file.h"
#include "stores/blob_store/blob_store.h"
#include "stores/shared/data_folder.h"
#include "stores/shared/mongodb.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_SIZE ((size_t)64 << 10)
#define PART_SIZE_MAX ((size_t)16 << 20)
#define WORDS_MAX 7

static const struct config_option *const tables[] = {
    data_folder_options,
    blob_store_options,
    mongodb_options,
    NULL,
};

static struct blob_store *store;
static struct blob_writer *writer;
static char *words[WORDS_MAX];
static const struct blob_metadata metadata = {.conversion_id = {"0123456789abcdef01234567"}};

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static enum blob_kind kind_of(const char *text)
{
    return strcmp(text, "mp3") == 0 ? BLOB_MP3 : BLOB_VIDEO;
}

static struct id id_of(const char *text)
{
    struct id id = {""};
    snprintf(id.text, sizeof id.text, "%s", text);
    return id;
}

static bool run_close(struct error *error)
{
    (void)error;
    blob_writer_closep(&writer);
    return true;
}

static bool run_open(struct error *error)
{
    struct id id = id_of(words[2]);
    blob_writer_closep(&writer);
    return blob_writer_open(store, kind_of(words[1]), &id, (int64_t)number(words[3]), &writer,
                            error);
}

static bool run_write(struct error *error)
{
    static char part[PART_SIZE_MAX];
    CLEANUP(file_closep) int fd = open(words[2], O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    if (fd < 0 || number(words[4]) > sizeof part)
        return error_set(error, ERROR_BAD_INPUT, "cannot read %s", words[2]);
    return file_read_at(fd, part, (size_t)number(words[4]), number(words[3]), &size, error) &&
           blob_writer_write(writer, number(words[1]), part, size, error);
}

static bool run_flush(struct error *error)
{
    return blob_writer_flush(writer, error);
}

static bool run_finish(struct error *error)
{
    return blob_writer_finish(writer, number(words[1]), &metadata, error);
}

static bool run_put(struct error *error)
{
    static char piece[PIECE_SIZE];
    struct id id = id_of(words[2]);
    CLEANUP(file_closep) int fd = open(words[3], O_RDONLY | O_CLOEXEC);
    CLEANUP(blob_writer_closep) struct blob_writer *own = NULL;
    uint64_t offset = 0;
    size_t size = 1;
    if (fd < 0)
        return error_set(error, ERROR_NOT_FOUND, "cannot read %s", words[3]);
    if (!blob_writer_open(store, kind_of(words[1]), &id, 1, &own, error))
        return false;
    for (; size > 0; offset += size) {
        if (!file_read_at(fd, piece, sizeof piece, offset, &size, error) ||
            !blob_writer_write(own, offset, piece, size, error))
            return false;
    }
    return blob_writer_finish(own, offset, &metadata, error);
}

static bool copy_out(struct blob_reader *reader, uint64_t offset, uint64_t end, const char *path,
                     struct error *error)
{
    static char piece[PIECE_SIZE];
    CLEANUP(file_closep)
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, ERROR_BAD_INPUT, "cannot write %s", path);
    for (uint64_t at = offset; at < end;) {
        size_t got = 0;
        size_t wanted = end - at < sizeof piece ? (size_t)(end - at) : sizeof piece;
        if (!blob_reader_read(reader, at, piece, wanted, &got, error) ||
            !file_write_at(fd, piece, got, at - offset, error))
            return false;
        if (got == 0)
            break;
        at += got;
    }
    return true;
}

static bool read_blob(const char *path, const char *offset, const char *size, struct error *error)
{
    struct id id = id_of(words[2]);
    CLEANUP(blob_reader_closep) struct blob_reader *reader = NULL;
    struct blob_metadata found;
    uint64_t whole = 0;
    if (!blob_reader_open(store, kind_of(words[1]), &id, &reader, &whole, &found, error))
        return false;
    uint64_t from = offset == NULL ? 0 : number(offset);
    uint64_t end = size == NULL ? whole : from + number(size);
    if (!copy_out(reader, from, end, path, error))
        return false;
    printf("ok %llu %s\n", (unsigned long long)whole, found.conversion_id.text);
    return true;
}

static bool run_get(struct error *error)
{
    return read_blob(words[3], NULL, NULL, error);
}

static bool run_read(struct error *error)
{
    return read_blob(words[5], words[3], words[4], error);
}

static bool read_ranges(struct blob_reader *reader, FILE *list, struct error *error)
{
    static char piece[PIECE_SIZE];
    char line[64];
    while (fgets(line, sizeof line, list) != NULL) {
        char *rest = NULL;
        uint64_t at = strtoull(line, &rest, 10);
        uint64_t end = at + number(rest);
        for (size_t got = 0; at < end; at += got) {
            size_t wanted = end - at < sizeof piece ? (size_t)(end - at) : sizeof piece;
            if (!blob_reader_read(reader, at, piece, wanted, &got, error))
                return false;
            if (got == 0)
                return error_set(error, ERROR_BAD_INPUT, "a range is past the end");
        }
    }
    return true;
}

static bool run_ranges(struct error *error)
{
    struct id id = id_of(words[2]);
    CLEANUP(blob_reader_closep) struct blob_reader *reader = NULL;
    struct blob_metadata found;
    uint64_t whole = 0;
    FILE *list = fopen(words[3], "re");
    if (list == NULL)
        return error_set(error, ERROR_BAD_INPUT, "cannot read %s", words[3]);
    bool is_read =
        blob_reader_open(store, kind_of(words[1]), &id, &reader, &whole, &found, error) &&
        read_ranges(reader, list, error);
    fclose(list);
    return is_read;
}

static bool run_remove(struct error *error)
{
    struct id id = id_of(words[2]);
    return blob_store_remove(store, kind_of(words[1]), &id, error);
}

static const struct step {
    const char *name;
    int word_count;
    bool needs_writer;
    bool answers; /* by itself */
    bool (*run)(struct error *error);
} steps[] = {
    {"open", 4, false, false, run_open},     {"write", 5, true, false, run_write},
    {"flush", 1, true, false, run_flush},    {"finish", 2, true, false, run_finish},
    {"close", 1, false, false, run_close},   {"put", 4, false, false, run_put},
    {"get", 4, false, true, run_get},        {"read", 6, false, true, run_read},
    {"remove", 3, false, false, run_remove}, {"ranges", 4, false, false, run_ranges},
};

static const char *const kind_names[] = {
    [ERROR_BAD_INPUT] = "BAD_INPUT", [ERROR_DENIED] = "DENIED",
    [ERROR_NOT_FOUND] = "NOT_FOUND", [ERROR_CONFLICT] = "CONFLICT",
    [ERROR_TOO_LARGE] = "TOO_LARGE", [ERROR_UNAVAILABLE] = "UNAVAILABLE",
    [ERROR_INTERNAL] = "INTERNAL",
};

static const struct step *step_of(char *line)
{
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " \n", &rest))
        words[count++] = word;
    for (size_t i = 0; count > 0 && i < ARRAY_COUNT(steps); i++) {
        if (strcmp(steps[i].name, words[0]) == 0)
            return steps[i].word_count == count ? &steps[i] : NULL;
    }
    return NULL;
}

static void take(char *line)
{
    struct error error = {0};
    const struct step *step = step_of(line);
    if (step == NULL || (step->needs_writer && writer == NULL))
        puts("BAD_INPUT no such step");
    else if (!step->run(&error))
        printf("%s %s\n", kind_names[error.kind], error.text);
    else if (!step->answers)
        puts("ok");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *const none[] = {NULL};
    const struct config_sources sources = {
        .assignments = argc > 1 ? (const char *const *)(argv + 1) : none,
    };
    struct config *config = NULL;
    struct error error = {0};
    char line[4096];
    if (!config_open(tables, &sources, &config, &error) ||
        !blob_store_open(config, &store, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL)
        take(line);
    blob_writer_closep(&writer);
    blob_store_closep(&store);
    config_close(config);
    return 0;
}
