#pragma once

/* `tapedeck notifier`: tells users by email how their conversions ended. Needs the store of records
 * and somewhere to send mail to; a queue makes it quick. */

#include "services/common/service.h"

extern const struct config_option notifier_options[]; /* mail.from, mail.reply_to, notifier.* */

extern const struct service notifier_service;
