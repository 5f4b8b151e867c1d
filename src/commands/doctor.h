#pragma once

/* Between the files of `tapedeck doctor`: what each check says. */

#include "base/error.h"
#include "commands/session.h"

enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_SKIPPED, /* it could not be asked, and that is no fault of its own */
    DOCTOR_WARNING, /* works, but should not stay so */
    DOCTOR_FAILED,
};

#define DOCTOR_TEXT_SIZE 1000

/* Whom something is for. */
enum {
    DOCTOR_GATEWAY = 1,
    DOCTOR_AUTH = 2,
    DOCTOR_CONVERTER = 4,
    DOCTOR_NOTIFIER = 8,
    DOCTOR_ALL = 15,
};

struct doctor {
    const struct session *session; /* borrowed */
    unsigned services;             /* that this machine is to run */
    bool has_data;                 /* data.dir is there, and may be touched by this user */
    char found[DOCTOR_TEXT_SIZE];  /* by the last check: what it saw, or what was wrong */
    char advice[DOCTOR_TEXT_SIZE]; /* what to do about it; "": nothing */
};

typedef enum doctor_verdict doctor_check(struct doctor *doctor);

/* Sets what was found; returns the verdict, so that it can be returned. */
enum doctor_verdict doctor_say(struct doctor *doctor, enum doctor_verdict verdict,
                               const char *format, ...) PRINTF_FORMAT(3, 4);
enum doctor_verdict doctor_fail(struct doctor *doctor, const struct error *error,
                                const char *advice);

/* The machine. */
doctor_check doctor_check_data_folder, doctor_check_disk, doctor_check_clock, doctor_check_sandbox;
/* The stores. */
doctor_check doctor_check_records, doctor_check_blobs, doctor_check_queue, doctor_check_users,
    doctor_check_mail;
/* Of a server with accounts: the way to it, what our account may do there, how it is set up. */
doctor_check doctor_check_mysql_tls, doctor_check_mysql_login, doctor_check_mysql_host;
/* Who talks to whom. */
doctor_check doctor_check_keys, doctor_check_auth, doctor_check_encryption;

/* Of a store by its options. */
bool doctor_is_embedded(const struct doctor *doctor, const struct config_option *options);
/* Whether any store of these services is. */
bool doctor_needs_data(const struct doctor *doctor);
/* Of a store by its options: opening an embedded one can make its files, which must be its user's.
 */
bool doctor_may_open(const struct doctor *doctor, const struct config_option *options);

/* Blobs and records, compared both ways; prints each that has no other. False: the stores could not
 * be asked. */
MUST_CHECK bool doctor_compare(const struct config *config, size_t *out_findings,
                               struct error *error);
