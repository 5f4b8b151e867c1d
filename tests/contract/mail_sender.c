/* The promises of stores/mail_sender/mail_sender.h. */

#include "stores/mail_sender/mail_sender.h"

#include "contract.h"

#include "base/clock.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESS_SIZE 128
#define TIMEOUT_MS 10000

static const char *backend_name;

static const char text[] = "Subject: hello\r\n\r\n.\r\nYour MP3 is ready.\r\n..\r\n";

/* A mail, and where it ends up: a Maildir of the case's own. */
struct post {
    struct contract contract;
    struct mail hello;
    char to[ADDRESS_SIZE];
    char box[2 * FILE_PATH_SIZE];
};

static int open_sender(void **state)
{
    static struct post post;
    const char *folder = getenv("TEST_SMTP_FOLDER"); /* of tests/support/servers/smtp */
    contract_init(&post.contract, "stores.mail", backend_name);
    snprintf(post.to, sizeof post.to, "ada@%.80s.test", post.contract.folder + strlen("/tmp/"));
    post.hello = (struct mail){
        .from = "tapedeck@localhost",
        .to = post.to,
        .key = "66f0aabbccddeeff00112233.done",
        .bytes = text,
        .size = sizeof text - 1,
    };
    if (contract_has_server(&post.contract))
        snprintf(post.box, sizeof post.box, "%s/mail/%s", folder == NULL ? "" : folder, post.to);
    else
        snprintf(post.box, sizeof post.box, "%s/mail", post.contract.folder);
    *state = &post;
    return 0;
}

static int close_sender(void **state)
{
    struct post *post = *state;
    contract_finish(&post->contract);
    return 0;
}

static const struct mail *hello_of(void **state)
{
    const struct post *post = *state;
    return &post->hello;
}

static bool has_server(void **state)
{
    const struct post *post = *state;
    return contract_has_server(&post->contract);
}

/* A mail server knows nothing of keys: a repeat has the same Message-ID, and arrives. */
static int copies_of(void **state, int sent)
{
    return has_server(state) ? sent : 1;
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
    const struct post *post = *state;
    struct mail_sender *sender = NULL;
    struct error error = {0};
    if (!mail_sender_open(post->contract.config, &sender, &error))
        fail_msg("%s", error.text);
    return sender;
}

static bool is_mail(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Mails in a folder of the Maildir, which a server makes for the first of them. */
static int count_in(void **state, const char *name)
{
    const struct post *post = *state;
    char path[sizeof post->box + 16];
    snprintf(path, sizeof path, "%s/%s", post->box, name);
    DIR *folder = opendir(path);
    if (folder == NULL && has_server(state))
        return 0;
    assert_non_null(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += is_mail(entry);
    closedir(folder);
    return count;
}

static bool has_text(const char *path)
{
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer bytes = BUFFER_WITH_MAX(4096);
    return file_load(path, &bytes, &error) && bytes.size == sizeof text - 1 &&
           memcmp(bytes.bytes, text, bytes.size) == 0;
}

static void check_that_all_are_whole(void **state)
{
    const struct post *post = *state;
    char path[sizeof post->box + 512];
    snprintf(path, sizeof path, "%s/new", post->box);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        snprintf(path, sizeof path, "%s/new/%s", post->box, entry->d_name);
        if (is_mail(entry))
            assert_true(has_text(path));
    }
    closedir(folder);
}

static void a_mail_is_delivered_whole(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    assert_true(mail_sender_check(sender, &error));
    assert_true(mail_sender_send(sender, hello_of(state), TIMEOUT_MS, always, NULL, &error));
    assert_int_equal(count_in(state, "new"), 1);
    assert_int_equal(count_in(state, "tmp"), 0);
    check_that_all_are_whole(state);
}

static void a_repeat_is_the_same_mail(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    for (int i = 0; i < 3; i++)
        assert_true(mail_sender_send(sender, hello_of(state), TIMEOUT_MS, always, NULL, &error));
    assert_int_equal(count_in(state, "new"), copies_of(state, 3));
    check_that_all_are_whole(state);
}

static void a_mail_that_was_read_is_not_delivered_again(void **state)
{
    if (has_server(state))
        return; /* who reads it does so behind the server */
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    assert_true(mail_sender_send(sender, hello_of(state), TIMEOUT_MS, always, NULL, &error));
    const struct post *post = *state;
    char from[sizeof post->box + 64];
    char to[sizeof post->box + 64];
    snprintf(from, sizeof from, "%s/new/%s", post->box, post->hello.key);
    snprintf(to, sizeof to, "%s/cur/%s:2,S", post->box, post->hello.key);
    assert_int_equal(rename(from, to), 0);

    assert_true(mail_sender_send(sender, hello_of(state), TIMEOUT_MS, always, NULL, &error));
    assert_int_equal(count_in(state, "new"), 0);
    assert_int_equal(count_in(state, "cur"), 1);
}

static void one_key_within_another_is_another_mail(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    struct mail longer = *hello_of(state);
    longer.key = "66f0aabbccddeeff00112233.done2";
    assert_true(mail_sender_send(sender, &longer, TIMEOUT_MS, always, NULL, &error));
    assert_true(mail_sender_send(sender, hello_of(state), TIMEOUT_MS, always, NULL, &error));
    assert_int_equal(count_in(state, "new"), 2);
}

static void who_is_too_late_does_not_send(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    int asked = 0;
    assert_false(mail_sender_send(sender, hello_of(state), TIMEOUT_MS, never, &asked, &error));
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
    ignore_failure(mail_sender_send(sender, hello_of(state), TIMEOUT_MS, die, NULL, NULL));
    return false;
}

static void a_killed_sender_leaves_nothing(void **state)
{
    assert_true(contract_fork(send_and_die, state));
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    assert_int_equal(count_in(state, "tmp"), 0);
    struct error error = {0};
    assert_true(mail_sender_send(sender, hello_of(state), TIMEOUT_MS, always, NULL, &error));
    assert_int_equal(count_in(state, "new"), 1);
}

static void what_is_no_address_is_refused_for_good(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    const char *const wrong[] = {"", "nobody", "a@b\r\nDATA", "a@b c", "<a@b>"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct error error = {0};
        struct mail mail = *hello_of(state);
        mail.to = wrong[i];
        assert_false(mail_sender_send(sender, &mail, TIMEOUT_MS, always, NULL, &error));
        assert_int_equal(error.kind, ERROR_BAD_INPUT);
    }
    assert_int_equal(count_in(state, "new"), 0);
}

/* Eight processes with the same mail: as notifiers that took over from one another. */
static void racing_senders_deliver_one_mail(void **state)
{
    enum { SENDERS = 8 };
    pid_t children[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            struct mail_sender *sender = sender_of(state);
            _exit(mail_sender_send(sender, hello_of(state), TIMEOUT_MS, always, NULL, NULL) ? 0
                                                                                            : 1);
        }
    }
    for (int i = 0; i < SENDERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_in(state, "new"), copies_of(state, SENDERS));
    check_that_all_are_whole(state);
    assert_int_equal(count_in(state, "tmp"), 0);
}

/* ---- What only a server does: tests/support/servers/smtp reads from the address what ---- */

/* To an address that begins with the fault; *out_ms is how long it took. */
static bool send_to(void **state, const char *fault, int timeout_ms, int64_t *out_ms,
                    struct error *error)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct post *post = *state;
    char to[2 * ADDRESS_SIZE];
    struct mail mail = post->hello;
    snprintf(to, sizeof to, "%s+%s", fault, post->to);
    snprintf(post->box, sizeof post->box, "%s/mail/%s", getenv("TEST_SMTP_FOLDER"), to);
    mail.to = to;
    int64_t start_ms = clock_boot_ms();
    bool is_sent = mail_sender_send(sender, &mail, timeout_ms, always, NULL, error);
    *out_ms = clock_boot_ms() - start_ms;
    return is_sent;
}

static void the_servers_code_decides_whether_a_refusal_is_for_good(void **state)
{
    static const struct {
        const char *fault;
        enum error_kind kind;
    } cases[] = {
        {"refuse-550", ERROR_BAD_INPUT},   {"refuse-551", ERROR_BAD_INPUT},
        {"reject-554", ERROR_BAD_INPUT},   {"refuse-450", ERROR_UNAVAILABLE},
        {"refuse-421", ERROR_UNAVAILABLE}, {"reject-452", ERROR_UNAVAILABLE},
        {"refuse-530", ERROR_UNAVAILABLE}, /* the operator's login, not this mail */
    };
    if (!has_server(state))
        return;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct error error = {0};
        int64_t took_ms;
        assert_false(send_to(state, cases[i].fault, TIMEOUT_MS, &took_ms, &error));
        assert_int_equal(error.kind, cases[i].kind);
        /* The server's words. */
        assert_non_null(strstr(error.text, cases[i].fault + strlen("refuse-")));
        assert_non_null(strstr(error.text, "postmaster@localhost"));
        assert_int_equal(count_in(state, "new"), 0);
    }
}

static void a_connection_that_ends_before_the_answer_leaves_the_outcome_unknown(void **state)
{
    struct error error = {0};
    int64_t took_ms;
    if (!has_server(state))
        return;
    assert_false(send_to(state, "drop", TIMEOUT_MS, &took_ms, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_non_null(strstr(error.text, "not known"));
    assert_int_equal(count_in(state, "new"), 1);
}

static void a_slow_server_is_not_waited_for_past_the_time_out(void **state)
{
    static const char *const faults[] = {"slow-20", "late-20"};
    if (!has_server(state))
        return;
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        struct error error = {0};
        int64_t took_ms;
        assert_false(send_to(state, faults[i], 700, &took_ms, &error));
        assert_int_equal(error.kind, ERROR_UNAVAILABLE);
        assert_in_range(took_ms, 600, 10000);
    }
}

static void what_was_accepted_is_sent_whether_or_not_the_goodbye_is_answered(void **state)
{
    struct error error = {0};
    int64_t took_ms;
    if (!has_server(state))
        return;
    assert_true(send_to(state, "mute", TIMEOUT_MS, &took_ms, &error));
    assert_in_range(took_ms, 0, TIMEOUT_MS / 2);
    assert_int_equal(count_in(state, "new"), 1);
}

static bool only_once(void *context)
{
    return (*(int *)context)++ == 0;
}

/* All but its end was on the way already. */
static void who_stands_still_while_sending_does_not_end_the_mail(void **state)
{
    CLEANUP(mail_sender_closep) struct mail_sender *sender = sender_of(state);
    struct error error = {0};
    int asked = 0;
    if (!has_server(state))
        return;
    assert_false(mail_sender_send(sender, hello_of(state), TIMEOUT_MS, only_once, &asked, &error));
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_int_equal(asked, 2);
    assert_int_equal(count_in(state, "new"), 0);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    backend_name = argv[1];
    if (!contract_is_possible(backend_name))
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_mail_is_delivered_whole, open_sender, close_sender),
        cmocka_unit_test_setup_teardown(a_repeat_is_the_same_mail, open_sender, close_sender),
        cmocka_unit_test_setup_teardown(a_mail_that_was_read_is_not_delivered_again, open_sender,
                                        close_sender),
        cmocka_unit_test_setup_teardown(one_key_within_another_is_another_mail, open_sender,
                                        close_sender),
        cmocka_unit_test_setup_teardown(who_is_too_late_does_not_send, open_sender, close_sender),
        cmocka_unit_test_setup_teardown(a_killed_sender_leaves_nothing, open_sender, close_sender),
        cmocka_unit_test_setup_teardown(what_is_no_address_is_refused_for_good, open_sender,
                                        close_sender),
        cmocka_unit_test_setup_teardown(racing_senders_deliver_one_mail, open_sender, close_sender),
        cmocka_unit_test_setup_teardown(the_servers_code_decides_whether_a_refusal_is_for_good,
                                        open_sender, close_sender),
        cmocka_unit_test_setup_teardown(
            a_connection_that_ends_before_the_answer_leaves_the_outcome_unknown, open_sender,
            close_sender),
        cmocka_unit_test_setup_teardown(a_slow_server_is_not_waited_for_past_the_time_out,
                                        open_sender, close_sender),
        cmocka_unit_test_setup_teardown(
            what_was_accepted_is_sent_whether_or_not_the_goodbye_is_answered, open_sender,
            close_sender),
        cmocka_unit_test_setup_teardown(who_stands_still_while_sending_does_not_end_the_mail,
                                        open_sender, close_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
