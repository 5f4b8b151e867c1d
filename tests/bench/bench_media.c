/* Converts a file as the worker does, but in the open: what a profiler or a counter of instructions
 * looks at. Its threads are, in this order: the one that decodes, those that encode, the one that
 * writes.
 *
 *   bench_media KBPS|vQ|copy|never ENCODERS INPUT OUTPUT      says: frames, frames encoded */

#include "base/file.h"
#include "media/media.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct files {
    int input, output;
};

static bool read_at(void *context, uint64_t offset, void *bytes, size_t size, size_t *out_size,
                    struct error *error)
{
    const struct files *files = context;
    return file_read_at(files->input, bytes, size, offset, out_size, error);
}

static bool write_at(void *context, uint64_t offset, const void *bytes, size_t size,
                     struct error *error)
{
    const struct files *files = context;
    return file_write_at(files->output, bytes, size, offset, error);
}

static bool progress(void *context, const struct media_progress *progress, struct error *error)
{
    (void)context;
    (void)progress;
    (void)error;
    return true;
}

static struct conversion_options read_options(const char *text)
{
    struct conversion_options options = {0};
    options.has_vbr_quality = text[0] == 'v';
    if (options.has_vbr_quality)
        options.vbr_quality = (uint32_t)strtoul(text + 1, NULL, 10);
    else if (strcmp(text, "never") == 0)
        options.copy = CONVERSION_COPY_NEVER;
    else if (strcmp(text, "copy") != 0)
        options.bitrate_kbps = (uint32_t)strtoul(text, NULL, 10);
    return options;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 5) {
        fprintf(stderr, "bench_media KBPS|vQ|copy|never ENCODERS INPUT OUTPUT\n");
        return 2;
    }
    struct files files = {
        .input = open(arguments[3], O_RDONLY | O_CLOEXEC),
        .output = open(arguments[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666),
    };
    const struct conversion_options options = read_options(arguments[1]);
    const struct media_job job = {
        .options = &options,
        .output_size_max = MEDIA_OUTPUT_SIZE_MAX,
        .threads = (uint32_t)strtoul(arguments[2], NULL, 10),
    };
    const struct media_io io = {
        .context = &files,
        .size = (uint64_t)lseek(files.input, 0, SEEK_END),
        .read_at = read_at,
        .write_at = write_at,
        .progress = progress,
    };
    struct media_result result = {0};
    struct error error = {0};
    media_prepare();
    bool succeeded = media_convert(&job, &io, &result, &error);
    if (succeeded)
        printf("%" PRIu64 " %" PRIu64 "\n", result.frames, result.frames_encoded);
    else
        fprintf(stderr, "bench_media: %s\n", error.text);
    file_close(files.input);
    file_close(files.output);
    return succeeded ? 0 : 1;
}
