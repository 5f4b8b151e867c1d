#pragma once

/* Removes the databases of the server that TEST_MONGODB_URI names whose names begin so. */
void mongodb_place_remove(const char *name);
