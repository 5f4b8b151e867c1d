#include "base/file.h"

#include "support/cmocka_all.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/tapedeck-test-file-XXXXXX";
static char path[FILE_PATH_SIZE];

static int make_folder(void **state)
{
    (void)state;
    struct error error = {0};
    return mkdtemp(folder) != NULL && file_path(path, &error, "%s/file", folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    const char *const parts[] = {"/file", "/a/b/c", "/a/b", "/a", ""};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        char part[FILE_PATH_SIZE];
        snprintf(part, sizeof part, "%s%s", folder, parts[i]);
        remove(part);
    }
    return access(folder, F_OK) != 0 ? 0 : -1;
}

static int count_entries(void)
{
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

static void a_saved_file_replaces_the_old_one_and_leaves_nothing_else(void **state)
{
    (void)state;
    struct error error = {0};
    assert_true(file_save(path, 0600, "first, and longer", 17, &error));
    assert_true(file_save(path, 0640, "second", 6, &error));
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    struct buffer bytes = BUFFER_WITH_MAX(6);
    assert_true(file_load(path, &bytes, &error));
    assert_string_equal(buffer_text(&bytes), "second");
    buffer_finish(&bytes);
    assert_int_equal(count_entries(), 1);
}

static void a_save_that_fails_leaves_no_temporary_file(void **state)
{
    (void)state;
    struct error error = {0};
    char target[FILE_PATH_SIZE];
    assert_true(file_make_folder(folder, 0700, &error));
    assert_true(file_path(target, &error, "%s/a", folder));
    assert_true(file_make_folder(target, 0700, &error));
    int before = count_entries();
    /* A folder is in the way of the rename. */
    assert_false(file_save(target, 0600, "x", 1, &error));
    assert_int_equal(count_entries(), before);
    assert_false(file_save("/nowhere/at/all", 0600, "x", 1, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
}

static void a_file_past_the_limit_is_too_large_and_adds_nothing(void **state)
{
    (void)state;
    struct error error = {0};
    assert_true(file_save(path, 0600, "123456", 6, &error));
    struct buffer bytes = BUFFER_WITH_MAX(7);
    assert_true(buffer_append_text(&bytes, "ab", &error));
    assert_false(file_load(path, &bytes, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    assert_string_equal(buffer_text(&bytes), "ab");
    assert_false(file_load("/nowhere", &bytes, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_false(file_load("/", &bytes, &error));
    buffer_finish(&bytes);
}

static void reads_are_short_only_at_the_end(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(file_closep) int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_true(file_write(fd, "0123456789", 10, &error));
    assert_true(file_write_at(fd, "ab", 2, 4, &error));
    assert_true(file_write_at(fd, "z", 1, 12, &error));
    assert_true(file_sync(fd, &error));
    char bytes[16] = {0};
    size_t size = 99;
    assert_true(file_read_at(fd, bytes, 4, 3, &size, &error));
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, "3ab6", 4);
    assert_true(file_read_at(fd, bytes, 16, 9, &size, &error));
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, "9\0\0z", 4);
    assert_true(file_read_at(fd, bytes, 16, 100, &size, &error));
    assert_int_equal(size, 0);
    assert_false(file_read_at(fd, bytes, 16, UINT64_MAX, &size, &error));
    assert_false(file_write_at(fd, bytes, 16, INT64_MAX, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
}

static void a_full_disk_is_told_as_such(void **state)
{
    (void)state;
    struct error error = {0};
    CLEANUP(file_closep) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_false(file_write(fd, "x", 1, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
}

static void folders_are_made_with_their_parents(void **state)
{
    (void)state;
    struct error error = {0};
    char deep[FILE_PATH_SIZE];
    assert_true(file_path(deep, &error, "%s/a/b/c", folder));
    assert_true(file_make_folder(deep, 0700, &error));
    assert_true(file_make_folder(deep, 0700, &error));
    assert_true(file_sync_folder(deep, &error));
    struct stat status;
    assert_int_equal(stat(deep, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);

    assert_true(file_save(path, 0600, "x", 1, &error));
    assert_true(file_path(deep, &error, "%s/below", path));
    assert_false(file_make_folder(deep, 0700, &error));
    assert_false(file_make_folder(path, 0700, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
}

static void a_path_too_long_is_an_error(void **state)
{
    (void)state;
    struct error error = {0};
    char long_path[FILE_PATH_SIZE] = "as before";
    char name[FILE_PATH_SIZE];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_false(file_path(long_path, &error, "/%s", name));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    assert_string_equal(long_path, "as before");
    uint64_t free_bytes = 0;
    assert_true(file_free_space(folder, &free_bytes, &error));
    assert_true(free_bytes > 0);
    assert_false(file_free_space("/nowhere", &free_bytes, &error));
}

static void a_wait_ends_with_what_it_waits_for_or_by_word(void **state)
{
    (void)state;
    struct error error = {0};
    int data[2], cancel[2];
    assert_int_equal(pipe(data), 0);
    assert_int_equal(pipe(cancel), 0);
    assert_true(file_wait(data[1], POLLOUT, cancel[0], &error));
    assert_int_equal(write(data[1], "x", 1), 1);
    assert_true(file_wait(data[0], POLLIN, cancel[0], &error));
    assert_int_equal(write(cancel[1], "x", 1), 1);
    assert_false(file_wait(data[0], POLLIN, cancel[0], &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    for (int i = 0; i < 2; i++) {
        file_close(data[i]);
        file_close(cancel[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_saved_file_replaces_the_old_one_and_leaves_nothing_else),
        cmocka_unit_test(a_save_that_fails_leaves_no_temporary_file),
        cmocka_unit_test(a_file_past_the_limit_is_too_large_and_adds_nothing),
        cmocka_unit_test(reads_are_short_only_at_the_end),
        cmocka_unit_test(a_wait_ends_with_what_it_waits_for_or_by_word),
        cmocka_unit_test(a_full_disk_is_told_as_such),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(a_path_too_long_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
