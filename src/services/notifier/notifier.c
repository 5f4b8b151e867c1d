#include "services/notifier/notifier.h"

#include "base/log.h"
#include "net/metrics.h"
#include "net/ops.h"
#include "services/common/probes.h"
#include "services/notifier/sending.h"
#include "stores/mail_sender/mail_sender.h"
#include <stdlib.h>

#define MAILS_AT_ONCE_MAX 16

struct notifier_settings {
    const char *from, *reply_to;
    uint64_t mails_at_once;
};

static bool check_address(const char *text, struct error *error)
{
    struct mail_address address;
    return mail_address_parse(text, &address, error);
}

static bool check_address_or_none(const char *text, struct error *error)
{
    return text[0] == '\0' || check_address(text, error);
}

const struct config_option notifier_options[] = {
    {
        .name = "mail.from",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct notifier_settings, from, const char *),
        .standard = "Tapedeck <tapedeck@localhost>",
        .check = check_address,
        .help = "Who the mails are from: an address, or a name with an address in <>.",
    },
    {
        .name = "mail.reply_to",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct notifier_settings, reply_to, const char *),
        .standard = "",
        .check = check_address_or_none,
        .help = "Where answers to the mails go, where that is not mail.from.",
    },
    {
        .name = "notifier.mails_at_once",
        .type = CONFIG_COUNT,
        .field = CONFIG_FIELD(struct notifier_settings, mails_at_once, uint64_t),
        .standard = "2",
        .least = 1,
        .most = MAILS_AT_ONCE_MAX,
        .help = "Dialogues with the mail server at once.",
    },
    {0},
};

static const struct probes_plan plan = {
    .queue = JOB_QUEUE_MP3,
};

static const struct metric_family families[] = {
    {
        .name = "tapedeck_mails_total",
        .type = METRIC_COUNTER,
        .help = "Mails, by outcome: sent, failed (for good), postponed (to be tried again), lost "
                "(its conversion was deleted, or taken over), unsettled.",
        .labels = {"outcome"},
    },
    {0},
};

struct notifier {
    /* Set by notifier_open(), then read-only. */
    struct ops *ops; /* borrowed */
    struct policy policy;
    struct mail_identity identity;

    struct stop stop; /* safe from any thread */

    /* Main thread only. */
    struct sending sendings[MAILS_AT_ONCE_MAX];
    size_t sending_count; /* that were opened */
};

static void observe(void *context, enum notice_outcome outcome)
{
    struct notifier *notifier = context;
    const char *name = notice_outcome_name(outcome);
    metrics_add(ops_metrics(notifier->ops), families, &name, 1);
}

static void notifier_close(void *state)
{
    struct notifier *notifier = state;
    if (!stop_is_told(&notifier->stop))
        stop_tell(&notifier->stop, 0);
    for (size_t i = 0; i < notifier->sending_count; i++)
        consumer_close(notifier->sendings[i].consumer);
    probes_close(notifier->ops);
    stop_close(&notifier->stop);
    free(notifier);
}

static bool load(struct notifier *notifier, const struct config *config,
                 struct notifier_settings *out_settings, struct error *error)
{
    if (!policy_load(config, &notifier->policy, error) ||
        !public_url_load(config, &notifier->identity.url, error) ||
        !config_load(config, notifier_options, out_settings, error))
        return false;
    if (!mail_address_parse(out_settings->from, &notifier->identity.from, error))
        return error_prefix(error, "mail.from");
    if (out_settings->reply_to[0] != '\0' &&
        !mail_address_parse(out_settings->reply_to, &notifier->identity.reply_to, error))
        return error_prefix(error, "mail.reply_to");
    return true;
}

/* A mistake in what is configured is told at the start; all else may pass, and is waited for. */
static bool is_sender_configured(const struct config *config, struct error *error)
{
    struct error problem = {0};
    CLEANUP(mail_sender_closep) struct mail_sender *sender = NULL;
    if (mail_sender_open(config, &sender, &problem) || problem.kind != ERROR_BAD_INPUT)
        return true;
    *error = problem;
    return false;
}

static bool open_all(struct notifier *notifier, const struct config *config, struct error *error)
{
    struct notifier_settings settings = {0};
    if (!load(notifier, config, &settings, error) || !is_sender_configured(config, error))
        return false;
    for (size_t i = 0; i < settings.mails_at_once; i++) {
        notifier->sendings[i] = (struct sending){
            .config = config,
            .policy = &notifier->policy,
            .identity = &notifier->identity,
            .stop = &notifier->stop,
            .observe = observe,
            .observer = notifier,
        };
        if (!sending_open(&notifier->sendings[i], error))
            return false;
        notifier->sending_count = i + 1;
    }
    return true;
}

static bool notifier_open(const struct config *config, struct ops *ops, void **out_state,
                          struct error *error)
{
    struct notifier *notifier = calloc(1, sizeof *notifier);
    if (notifier == NULL)
        abort();
    notifier->ops = ops;
    if (!stop_open(&notifier->stop, error)) {
        free(notifier);
        return false;
    }
    metrics_register(ops_metrics(ops), families);
    probes_open(config, &plan, ops);
    if (!open_all(notifier, config, error)) {
        notifier_close(notifier);
        return false;
    }
    log_info("notifying", FIELD_TEXT("from", notifier->identity.from.address));
    *out_state = notifier;
    return true;
}

static void notifier_drain(void *state, int64_t drain_max_ms)
{
    struct notifier *notifier = state;
    stop_tell(&notifier->stop, drain_max_ms);
    for (size_t i = 0; i < notifier->sending_count; i++) {
        if (!consumer_wait(notifier->sendings[i].consumer, stop_left_ms(&notifier->stop)))
            log_warning("a mail is still being sent past stop.drain_max");
    }
}

const struct service notifier_service = {
    .name = "notifier",
    .summary = "Tells users by email how their conversions ended. Needs the stores of records and "
               "messages,\nand somewhere to send mail to.",
    .open = notifier_open,
    .drain = notifier_drain,
    .close = notifier_close,
};
