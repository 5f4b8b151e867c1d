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
