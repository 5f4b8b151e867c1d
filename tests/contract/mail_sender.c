/* The promises of stores/mail_sender/mail_sender.h. */

#include "stores/mail_sender/mail_sender.h"

#include "contract.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *backend_name;

static const char text[] = "Subject: hello\r\n\r\nYour MP3 is ready.\r\n";
static const struct mail hello = {
    .from = "tapedeck@localhost",
    .to = "ada@example.test",
    .key = "66f0aabbccddeeff00112233.done",
    .bytes = text,
    .size = sizeof text - 1,
};

static int open_sender(void **state)
{
    static struct contract contract;
    contract_init(&contract, "stores.mail", backend_name);
    *state = &contract;
    return 0;
}

static int close_sender(void **state)
{
    contract_finish(*state);
    return 0;
}

static bool always(void *context)
{
    (void)context;
    return true;
}

static bool never(void *context)
{
    *(int *)context += 1;
    return false;
}

static struct mail_sender *sender_of(void **state)
{
    struct contract *contract = *state;
    struct mail_sender *sender = NULL;
    struct error error = {0};
    if (!mail_sender_open(contract->config, &sender, &error))
        fail_msg("%s", error.text);
    return sender;
}

/* Mails in a folder of the Maildir. */
static int count_in(void **state, const char *name)
{
    struct contract *contract = *state;
    char path[FILE_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/mail/%s", contract->folder, name);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static void a_mail_is_delivered_whole(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    assert_true(mail_sender_check(sender, &error));
    assert_true(mail_sender_send(sender, &hello, 1000, always, NULL, &error));

    struct contract *contract = *state;
    char path[FILE_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/mail/new/%s", contract->folder, hello.key);
    struct buffer bytes = BUFFER_WITH_MAX(4096);
    assert_true(file_load(path, &bytes, &error));
    assert_int_equal(bytes.size, hello.size);
    assert_memory_equal(bytes.bytes, text, hello.size);
    buffer_finish(&bytes);
    assert_int_equal(count_in(state, "tmp"), 0);
}

static void a_repeat_is_not_delivered_twice(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    for (int i = 0; i < 3; i++)
        assert_true(mail_sender_send(sender, &hello, 1000, always, NULL, &error));
    assert_int_equal(count_in(state, "new"), 1);
}

static void a_mail_that_was_read_is_not_delivered_again(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    assert_true(mail_sender_send(sender, &hello, 1000, always, NULL, &error));
    struct contract *contract = *state;
    char from[FILE_PATH_SIZE + 64];
    char to[FILE_PATH_SIZE + 64];
    snprintf(from, sizeof from, "%s/mail/new/%s", contract->folder, hello.key);
    snprintf(to, sizeof to, "%s/mail/cur/%s:2,S", contract->folder, hello.key);
    assert_int_equal(rename(from, to), 0);

    assert_true(mail_sender_send(sender, &hello, 1000, always, NULL, &error));
    assert_int_equal(count_in(state, "new"), 0);
    assert_int_equal(count_in(state, "cur"), 1);
}

static void one_key_within_another_is_another_mail(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    struct mail longer = hello;
    longer.key = "66f0aabbccddeeff00112233.done2";
    assert_true(mail_sender_send(sender, &longer, 1000, always, NULL, &error));
    assert_true(mail_sender_send(sender, &hello, 1000, always, NULL, &error));
    assert_int_equal(count_in(state, "new"), 2);
}

static void who_is_too_late_does_not_send(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    int asked = 0;
    assert_false(mail_sender_send(sender, &hello, 1000, never, &asked, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_int_equal(asked, 1);
    assert_int_equal(count_in(state, "new"), 0);
    assert_int_equal(count_in(state, "tmp"), 0);
}

static bool die(void *context)
{
    (void)context;
    _exit(0);
}

static bool send_and_die(void *state)
{
    struct mail_sender *sender = sender_of(state);
    ignore_failure(mail_sender_send(sender, &hello, 1000, die, NULL, NULL));
    return false;
}

static void a_killed_sender_leaves_nothing(void **state)
{
    assert_true(contract_fork(send_and_die, state));
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    assert_int_equal(count_in(state, "tmp"), 0);
    struct error error = {0};
    assert_true(mail_sender_send(sender, &hello, 1000, always, NULL, &error));
    assert_int_equal(count_in(state, "new"), 1);
}

static void what_is_no_address_is_refused_for_good(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    const char *const wrong[] = {"", "nobody", "a@b\r\nDATA", "a@b c", "<a@b>"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct error error = {0};
        struct mail mail = hello;
        mail.to = wrong[i];
        assert_false(mail_sender_send(sender, &mail, 1000, always, NULL, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
    assert_int_equal(count_in(state, "new"), 0);
}

/* Eight processes with the same mail: as notifiers that took over from one another. */
static void racing_senders_deliver_once(void **state)
{
    enum { SENDERS = 8 };
    pid_t children[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            struct mail_sender *sender = sender_of(state);
            _exit(mail_sender_send(sender, &hello, 1000, always, NULL, NULL) ? 0 : 1);
        }
    }
    for (int i = 0; i < SENDERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_in(state, "new"), 1);
    assert_int_equal(count_in(state, "tmp"), 0);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    backend_name = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_mail_is_delivered_whole, open_sender, close_sender),
        cmocka_unit_test_setup_teardown(a_repeat_is_not_delivered_twice, open_sender, close_sender),
        cmocka_unit_test_setup_teardown(a_mail_that_was_read_is_not_delivered_again, open_sender,
                                        close_sender),
        cmocka_unit_test_setup_teardown(one_key_within_another_is_another_mail, open_sender,
                                        close_sender),
        cmocka_unit_test_setup_teardown(who_is_too_late_does_not_send, open_sender, close_sender),
        cmocka_unit_test_setup_teardown(a_killed_sender_leaves_nothing, open_sender, close_sender),
        cmocka_unit_test_setup_teardown(what_is_no_address_is_refused_for_good, open_sender,
                                        close_sender),
        cmocka_unit_test_setup_teardown(racing_senders_deliver_once, open_sender, close_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
