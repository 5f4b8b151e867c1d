#include "stores/shared/data_folder.h"

#include "support/cmocka_all.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/tapedeck-test-data-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* Of a config whose data.dir is that folder. */
static bool claim(struct error *error)
{
    static const struct config_option *const tables[] = {data_folder_options, NULL};
    char assignment[sizeof folder + 16];
    snprintf(assignment, sizeof assignment, "data.dir=%s", folder);
    const struct config_sources sources = {.assignments = (const char *const[]){assignment, NULL}};
    CLEANUP(config_closep) struct config *config = NULL;
    const char *path = NULL;
    return config_open(tables, &sources, &config, error) && data_folder_make(config, &path, error);
}

static void put(const char *name)
{
    char path[FILE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void take_away(const char *name)
{
    char path[FILE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(rmdir(path), 0);
}

static void a_folder_is_ours_while_it_is_empty_or_has_our_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool ours;
    } rows[] = {{"blobs", true}, {"lost+found", true}, {".cache", true}, {"Documents", false}};
    struct error error = {0};
    assert_true(claim(&error));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        put(rows[i].name);
        assert_int_equal(claim(&error), rows[i].ours);
        if (!rows[i].ours)
            assert_int_equal(error.kind, ERROR_CONFLICT);
        take_away(rows[i].name);
    }
}

static void *put_mail(void *barrier)
{
    pthread_barrier_wait(barrier);
    put("mail");
    return NULL;
}

/* Several processes with one new folder: what the first makes in it is not somebody else's. */
static void a_folder_that_another_begins_to_use_is_ours(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        pthread_barrier_t barrier;
        pthread_t other;
        struct error error = {0};
        pthread_barrier_init(&barrier, NULL, 2);
        assert_int_equal(pthread_create(&other, NULL, put_mail, &barrier), 0);
        pthread_barrier_wait(&barrier);
        bool ours = claim(&error);
        pthread_join(other, NULL);
        pthread_barrier_destroy(&barrier);
        take_away("mail");
        if (!ours)
            fail_msg("round %d: %s", round, error.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_is_ours_while_it_is_empty_or_has_our_files),
        cmocka_unit_test(a_folder_that_another_begins_to_use_is_ours),
    };
    return cmocka_run_group_tests_name("data_folder", tests, make_folder, remove_folder);
}
