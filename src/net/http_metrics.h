#pragma once

/* What every http server of ours counts: requests by method, route and status, their durations, and
 * the bytes of their bodies. */

#include "net/http_server.h"

struct metrics;

void http_metrics_register(struct metrics *metrics);
/* What http_server_options.observe hands on. */
void http_metrics_observe(struct metrics *metrics, const struct http_observation *observation);
