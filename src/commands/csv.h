#pragma once

/* Reads comma-separated values (RFC 4180) from memory, a row at a time: fields may be quoted, a
 * quoted one may hold commas, line ends and "" for a quote; lines end with LF or CR LF; a byte
 * order mark at the start and empty lines are skipped. */

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

#define CSV_FIELDS_MAX 16
#define CSV_ROW_SIZE 4096 /* of all fields of a row, each with its NUL */

struct csv {
    const char *bytes; /* borrowed */
    size_t size;
    size_t at;
    uint64_t line; /* of `at`, from 1 */
};

struct csv_row {
    uint64_t line; /* that it begins on, from 1 */
    size_t field_count;
    const char *fields[CSV_FIELDS_MAX]; /* in text */
    char text[CSV_ROW_SIZE];
};

enum csv_result {
    CSV_ROW,
    CSV_BAD, /* *error says why; out_row->line says where; reading goes on with the line after it */
    CSV_END,
};

void csv_init(struct csv *csv, const void *bytes, size_t size);
MUST_CHECK enum csv_result csv_next(struct csv *csv, struct csv_row *out_row, struct error *error);
