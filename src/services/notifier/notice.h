#pragma once

/* One claimed notice, from its claim to its end: the mail, then row 16 or 17. */

#include "model/conversion.h"
#include "services/common/consumer.h"
#include "services/notifier/mail.h"
#include "stores/mail_sender/mail_sender.h"

/* Borrowed; the handles are the calling thread's. */
struct notice_tools {
    const struct policy *policy;
    const struct mail_identity *identity;
    struct consumer *consumer;
    struct mail_sender *sender;
};

enum notice_outcome {
    NOTICE_SENT,
    NOTICE_FAILED,    /* for good: refused, or tried for too long */
    NOTICE_POSTPONED, /* to be tried again */
    NOTICE_LOST,      /* deleted, or taken over, meanwhile */
    NOTICE_UNSETTLED, /* the records do not answer and the service ends */
};

const char *notice_outcome_name(enum notice_outcome outcome); /* for metrics */

enum notice_outcome notice_run(const struct notice_tools *tools, struct conversion *record);
