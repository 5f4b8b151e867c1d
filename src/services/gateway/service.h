#pragma once

/* `tapedeck gateway`: the public port. Needs auth and the stores of records and blobs; a queue
 * makes it quick. */

#include "services/common/service.h"

extern const struct service gateway_service;
