#include "commands/option_tables.h"

#include "services/auth/auth.h"
#include "services/auth/keys.h"
#include "services/common/gateway_key.h"
#include "services/common/limits.h"
#include "services/common/policy.h"
#include "services/common/public_url.h"
#include "services/common/service.h"
#include "services/converter/settings.h"
#include "services/gateway/settings.h"
#include "services/notifier/notifier.h"
#include "stores/blob_store/blob_store.h"
#include "stores/job_queue/job_queue.h"
#include "stores/job_queue/rabbitmq_settings.h"
#include "stores/mail_sender/mail_sender.h"
#include "stores/mail_sender/smtp_settings.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include "stores/shared/mongodb.h"
#include "stores/shared/sql.h"
#include "stores/user_store/user_store.h"
#include <stddef.h>

/* In the order in which docs/options.md shows them. */
const struct config_option *const option_tables[] = {
    /* Stores, and the servers that they can be on. */
    data_folder_options,
    blob_store_options,
    record_store_options,
    job_queue_options,
    user_store_options,
    mail_sender_options,
    mongodb_options,
    sql_options,
    rabbitmq_options,
    smtp_options,
    /* Services. */
    gateway_options,
    public_url_options,
    auth_options,
    keys_options,
    gateway_key_options,
    converter_options,
    notifier_options,
    service_options,
    policy_options,
    limits_options,
    NULL,
};
