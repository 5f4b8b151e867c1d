#pragma once

/* gateway.public_url: what the links begin with that leave the system, in emails and in answers.
 *
 * Empty where it was not given. The gateway then stands on its own address; the notifier writes
 * mails without a link. `tapedeck serve` knows the address and gives it to both. */

#include "base/error.h"
#include "base/id.h"
#include "config/config.h"

#define PUBLIC_URL_SIZE 512
#define PUBLIC_URL_LINK_SIZE (PUBLIC_URL_SIZE + sizeof "/c/" + sizeof(struct id))

struct public_url {
    char text[PUBLIC_URL_SIZE]; /* without the final slash; "" where not given */
};

extern const struct config_option public_url_options[];

/* ERROR_BAD_INPUT unless it is empty or an absolute http or https URL without query, fragment,
 * user, space and quote. */
MUST_CHECK bool public_url_load(const struct config *config, struct public_url *out_url,
                                struct error *error);
/* The same from text: what the gateway does with its own address. */
MUST_CHECK bool public_url_parse(const char *text, struct public_url *out_url, struct error *error);

/* "https://tapedeck.example/c/66f0…", the page that the email leads to; "" where the URL is. */
void public_url_conversion(const struct public_url *url, const struct id *conversion_id,
                           char out_link[PUBLIC_URL_LINK_SIZE]);
