#pragma once

/* One place for a mail: a consumer's thread with its own queue, record and mail handles. */

#include "services/common/consumer.h"
#include "services/notifier/notice.h"

/* Where each notice's end is told; called from all threads. */
typedef void sending_observer(void *context, enum notice_outcome outcome);

struct sending {
    /* Set before sending_open(), then read-only; borrowed. */
    const struct config *config;
    const struct policy *policy;
    const struct mail_identity *identity;
    const struct stop *stop;
    sending_observer *observe;
    void *observer;

    /* The consumer's thread. */
    struct mail_sender *sender; /* owned */
    bool is_mail_failing;       /* the last mail was not taken */

    /* The thread that opened it. */
    struct consumer *consumer; /* owned */
};

MUST_CHECK bool sending_open(struct sending *sending, struct error *error);
