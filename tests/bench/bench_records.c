/* Two record stores side by side, one with 1,000 records and one with 10,000: what creating one,
 * listing a page and claiming one costs in each, in turn, so that the machine's moods meet both. */

#include "base/clock.h"
#include "base/file.h"
#include "config/config.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 400
#define OWNERS 20
#define PAGE 50

enum operation { CREATE, LIST, CLAIM, OPERATION_COUNT };

static const char *const operation_names[] = {"create", "list a page", "claim"};
static const struct conversion_policy policy = {
    .lease_ms = 30 * CLOCK_SECOND_MS,
    .conversion_age_max_ms = 7 * CLOCK_DAY_MS,
    .attempts_max = 3,
};

struct side {
    size_t stored;
    struct config *config;
    struct record_store *store;
    struct id owners[OWNERS];
    double us[OPERATION_COUNT][ROUNDS];
};

static void must(bool succeeded, const struct error *error)
{
    if (succeeded)
        return;
    fprintf(stderr, "%s\n", error->text);
    exit(EXIT_FAILURE);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct id create(struct side *side, size_t number)
{
    struct error error = {0};
    struct conversion record;
    const struct conversion_upload upload = {
        .id = id_make(),
        .owner_id = side->owners[number % OWNERS],
        .owner_email = "anna@example.org",
        .video_name = "talk.mp4",
        .size_bytes = 1000,
        .holder = id_make_random(),
    };
    conversion_begin_upload(&policy, clock_wall_ms(), &upload, &record);
    must(record_store_insert(side->store, &record, &error), &error);
    return record.id;
}

static void queue(struct side *side, const struct id *id)
{
    struct error error = {0};
    struct conversion record;
    const struct conversion_options options = {0};
    must(record_store_get(side->store, id, &record, &error), &error);
    const struct conversion_arrival arrival = {
        .generation = record.generation,
        .size_bytes = 1000,
        .video_name = "talk.mp4",
        .options = &options,
    };
    if (!conversion_finish_upload(&record, &policy, clock_wall_ms(), &arrival, &record))
        must(false, &(struct error){.text = "the upload could not be finished"});
    must(record_store_update(side->store, &record, &error), &error);
}

static void list(struct side *side, size_t number)
{
    static struct conversion page[PAGE];
    size_t count = 0;
    struct error error = {0};
    const struct record_filter filter = {.owner_id = side->owners[number % OWNERS]};
    must(record_store_list(side->store, &filter, PAGE, page, &count, &error), &error);
}

static void claim(struct side *side, const struct id *id)
{
    struct error error = {0};
    struct conversion record;
    must(record_store_get(side->store, id, &record, &error), &error);
    if (!conversion_claim(&record, &policy, clock_wall_ms(), id_make_random(), &record))
        must(false, &(struct error){.text = "the record could not be claimed"});
    must(record_store_update(side->store, &record, &error), &error);
}

static void open_side(struct side *side, const char *folder)
{
    static const struct config_option *const tables[] = {data_folder_options, record_store_options,
                                                         NULL};
    char assignment[FILE_PATH_SIZE];
    struct error error = {0};
    must(file_path(assignment, &error, "data.dir=%s/%zu", folder, side->stored), &error);
    const char *const assignments[] = {assignment, NULL};
    const struct config_sources sources = {.assignments = assignments};
    must(config_open(tables, &sources, &side->config, &error), &error);
    must(record_store_migrate(side->config, &error), &error);
    must(record_store_open(side->config, &side->store, &error), &error);
    for (size_t i = 0; i < OWNERS; i++)
        side->owners[i] = id_make();
    for (size_t i = 0; i < side->stored; i++) {
        struct id id = create(side, i);
        queue(side, &id);
    }
}

static void run_round(struct side *side, size_t round)
{
    double start = now_us();
    struct id id = create(side, round);
    side->us[CREATE][round] = now_us() - start;
    queue(side, &id);

    start = now_us();
    list(side, round);
    side->us[LIST][round] = now_us() - start;

    start = now_us();
    claim(side, &id);
    side->us[CLAIM][round] = now_us() - start;
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    static struct side sides[] = {{.stored = 1000}, {.stored = 10000}};
    for (size_t i = 0; i < ARRAY_COUNT(sides); i++)
        open_side(&sides[i], argv[1]);
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < ARRAY_COUNT(sides); i++)
            run_round(&sides[i], round);

    printf("  medians of %d, interleaved\n", ROUNDS);
    printf("  %-12s %14s %14s %8s\n", "", "1,000 stored", "10,000 stored", "ratio");
    for (int operation = 0; operation < OPERATION_COUNT; operation++) {
        double few = median(sides[0].us[operation]);
        double many = median(sides[1].us[operation]);
        printf("  %-12s %11.0f us %11.0f us %8.2f\n", operation_names[operation], few, many,
               many / few);
    }
    for (size_t i = 0; i < ARRAY_COUNT(sides); i++) {
        record_store_close(sides[i].store);
        config_close(sides[i].config);
    }
    return 0;
}
