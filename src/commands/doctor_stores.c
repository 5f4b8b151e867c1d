/* What `tapedeck doctor` asks of the stores and of mail. */

#include "commands/doctor.h"

#include "stores/blob_store/blob_store.h"
#include "stores/job_queue/job_queue.h"
#include "stores/mail_sender/mail_sender.h"
#include "stores/record_store/record_store.h"
#include "stores/user_store/user_store.h"
#include <string.h>

/* A schema, index or queue that is missing, a login or a certificate that is refused: each says
 * itself what to do. */
#define SERVER_ADVICE                                                                              \
    "If that does not say what to do: check that the server runs, and what the options say of it."
#define MAIL_ADVICE "Until it works, conversions go on and mails are tried again."

/* A store's first option chooses its backend, and the one that is chosen where nothing is said is
 * the embedded one. */
bool doctor_is_embedded(const struct doctor *doctor, const struct config_option *options)
{
    struct config_option choice[] = {options[0], {0}};
    const char *backend = NULL;
    choice[0].field = 0;
    return !config_load(doctor->session->config, choice, &backend, NULL) ||
           strcmp(backend, options[0].standard) == 0;
}

bool doctor_needs_data(const struct doctor *doctor)
{
    static const struct {
        const struct config_option *options;
        unsigned services;
    } stores[] = {
        {record_store_options, DOCTOR_ALL & ~DOCTOR_AUTH},
        {blob_store_options, DOCTOR_GATEWAY | DOCTOR_CONVERTER},
        {job_queue_options, DOCTOR_ALL & ~DOCTOR_AUTH},
        {user_store_options, DOCTOR_AUTH},
        {mail_sender_options, DOCTOR_NOTIFIER},
    };
    for (size_t i = 0; i < ARRAY_COUNT(stores); i++) {
        if ((stores[i].services & doctor->services) != 0 &&
            doctor_is_embedded(doctor, stores[i].options))
            return true;
    }
    return false;
}

bool doctor_may_open(const struct doctor *doctor, const struct config_option *options)
{
    return doctor->has_data || !doctor_is_embedded(doctor, options);
}

static const char *advice_for(const struct doctor *doctor, const struct config_option *options,
                              const char *embedded_advice)
{
    return doctor_is_embedded(doctor, options) ? embedded_advice : SERVER_ADVICE;
}

/* Of an embedded store, what is to be migrated says so itself; what is damaged is past that. */
static enum doctor_verdict fail(struct doctor *doctor, const struct config_option *options,
                                const struct error *error)
{
    return doctor_fail(doctor, error,
                       advice_for(doctor, options,
                                  error->kind == ERROR_INTERNAL
                                      ? "It is damaged: stop the system and put a backup in its "
                                        "place."
                                      : ""));
}

static enum doctor_verdict skip(struct doctor *doctor)
{
    return doctor_say(doctor, DOCTOR_SKIPPED, "see data folder");
}

enum doctor_verdict doctor_check_records(struct doctor *doctor)
{
    struct error error = {0};
    const struct record_filter queued = {.has_state = true, .state = CONVERSION_QUEUED};
    int64_t count = 0;
    CLEANUP(record_store_closep) struct record_store *records = NULL;
    if (!doctor_may_open(doctor, record_store_options))
        return skip(doctor);
    if (!record_store_open(doctor->session->config, &records, &error) ||
        !record_store_check(records, &error) || !record_store_check_indexes(records, &error) ||
        !record_store_count(records, &queued, INT32_MAX, &count, &error))
        return fail(doctor, record_store_options, &error);
    return doctor_say(doctor, DOCTOR_OK,
                      "reachable, of a schema that this version knows; %lld queued",
                      (long long)count);
}

enum doctor_verdict doctor_check_blobs(struct doctor *doctor)
{
    struct error error = {0};
    CLEANUP(blob_store_closep) struct blob_store *blobs = NULL;
    if (!doctor_may_open(doctor, blob_store_options))
        return skip(doctor);
    if (!blob_store_open(doctor->session->config, &blobs, &error) ||
        !blob_store_check(blobs, &error) || !blob_store_check_indexes(blobs, &error))
        return doctor_fail(doctor, &error,
                           advice_for(doctor, blob_store_options,
                                      "Check that its disk is mounted and may be written to."));
    return doctor_say(doctor, DOCTOR_OK, "can be written to");
}

enum doctor_verdict doctor_check_queue(struct doctor *doctor)
{
    static const enum job_queue_name names[] = {JOB_QUEUE_VIDEO, JOB_QUEUE_MP3};
    struct error error = {0};
    if (!doctor_may_open(doctor, job_queue_options))
        return skip(doctor);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        CLEANUP(job_queue_closep) struct job_queue *queue = NULL;
        if (!job_queue_open(doctor->session->config, names[i], &queue, &error) ||
            !job_queue_check(queue, &error))
            return fail(doctor, job_queue_options, &error);
    }
    return doctor_say(doctor, DOCTOR_OK, "both queues can be reached");
}

enum doctor_verdict doctor_check_users(struct doctor *doctor)
{
    struct error error = {0};
    struct user first;
    size_t count = 0;
    CLEANUP(user_store_closep) struct user_store *users = NULL;
    if (!doctor_may_open(doctor, user_store_options))
        return skip(doctor);
    if (!user_store_open(doctor->session->config, &users, &error) ||
        !user_store_check(users, &error) || !user_store_list(users, "", 1, &first, &count, &error))
        return fail(doctor, user_store_options, &error);
    return count != 0
               ? doctor_say(doctor, DOCTOR_OK, "reachable, of a schema that this version knows")
               : doctor_say(doctor, DOCTOR_WARNING,
                            "nobody can log in: `tapedeck user add EMAIL` makes an account");
}

enum doctor_verdict doctor_check_mail(struct doctor *doctor)
{
    struct error error = {0};
    CLEANUP(mail_sender_closep) struct mail_sender *sender = NULL;
    if (!doctor_may_open(doctor, mail_sender_options))
        return skip(doctor);
    if (!mail_sender_open(doctor->session->config, &sender, &error) ||
        !mail_sender_check(sender, &error))
        return doctor_fail(
            doctor, &error,
            doctor_is_embedded(doctor, mail_sender_options)
                ? MAIL_ADVICE
                : "Check that the server runs and what smtp.* says of it. " MAIL_ADVICE);
    return doctor_say(doctor, DOCTOR_OK, "can be handed over");
}
