#pragma once

/* Who a token belongs to, without asking auth for each: the public keys and the revocations are
 * fetched by a thread and kept in memory, so that an outage of auth ends no session.
 *
 * Revocations come every gateway.auth_interval (ten seconds), with the secret that gateways share
 * with auth; while auth is unreachable the last ones count. An unknown key makes the keys be
 * fetched again, at most as often. */

#include "base/error.h"
#include "config/config.h"
#include "model/claims.h"
#include "services/gateway/settings.h"

struct tokens; /* thread-safe */

/* Called by the thread for each account that is being erased, whenever the revocations have come.
 * True: nothing is left of what it owned, which auth is then told. */
typedef bool tokens_erase(void *context, const struct id *user_id);

/* Starts the thread; auth need not be there yet. */
MUST_CHECK bool tokens_open(const struct config *config, const struct gateway_settings *settings,
                            tokens_erase *erase, void *erase_context, struct tokens **out_tokens,
                            struct error *error);
void tokens_close(struct tokens *tokens); /* NULL is fine */

/* Are the keys known? The text says why not. */
MUST_CHECK bool tokens_check(struct tokens *tokens, struct error *error);

/* ERROR_DENIED with FAILURE_INVALID_TOKEN; ERROR_UNAVAILABLE with FAILURE_AUTH_UNAVAILABLE where no
 * keys are known yet. May wait for keys to be fetched, three seconds at most. */
MUST_CHECK bool tokens_verify(struct tokens *tokens, const char *token, struct claims *out_claims,
                              struct error *error);
