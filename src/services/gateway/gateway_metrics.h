#pragma once

/* What operators see of the gateway: its metrics, and what it needs to be ready. */

#include "net/http_server.h"
#include "services/gateway/gateway.h"

struct ops;

void gateway_metrics_open(struct gateway *gateway, struct ops *ops);
/* Adds the checks, once all that they look at is open. */
void gateway_metrics_check(struct gateway *gateway);
void gateway_metrics_close(struct gateway *gateway);

void gateway_observe(void *service, const struct http_observation *observation);

/* What a handler counts. */
void gateway_count_upload(struct gateway *gateway, int change); /* open ones */
void gateway_count_received(struct gateway *gateway, uint64_t bytes);
void gateway_count_sent(struct gateway *gateway, uint64_t bytes);
/* A conversion was brought into the state: "queued", "abandoned", "cancelled", "deleting". */
void gateway_count_transition(struct gateway *gateway, const char *state);
void gateway_count_gone(struct gateway *gateway);
