/* tapedeck doctor: is everything there that the system needs? */

#include "commands/doctor.h"

#include "commands/commands.h"
#include <stdarg.h>
#include <stdio.h>

static const char help[] =
    "usage: tapedeck doctor [SERVICE...] [--orphans]\n\n"
    "Checks everything that the configuration names: the data folder and its disk, each store and\n"
    "its schema, mail, auth and its keys, the confined worker, the clock, and whether passwords "
    "travel\n"
    "unencrypted. Says what to do about each failure; the exit status is 1 if there is one. To be\n"
    "run as the user that the services run as; changes nothing that is there.\n\n"
    "SERVICE    gateway, auth, converter or notifier: only what this one needs, for a machine of "
    "a\n"
    "           cluster whose configuration is its alone\n"
    "--orphans  compares blobs and records both ways instead, and lists those that have no other.\n"
    "           Reads every record: minutes where there are millions\n\n"
    "Examples:\n"
    "  tapedeck doctor --config /etc/tapedeck.ini\n"
    "  tapedeck doctor converter --config /etc/tapedeck.ini\n";

static const struct {
    const char *name;
    unsigned service;
} services[] = {
    {"gateway", DOCTOR_GATEWAY},
    {"auth", DOCTOR_AUTH},
    {"converter", DOCTOR_CONVERTER},
    {"notifier", DOCTOR_NOTIFIER},
};

static const struct {
    const char *name;
    doctor_check *check;
    unsigned services; /* that stand on it */
} checks[] = {
    {"data folder", doctor_check_data_folder, DOCTOR_ALL}, /* first: the others need to know */
    {"disk", doctor_check_disk, DOCTOR_ALL},
    {"clock", doctor_check_clock, DOCTOR_ALL},
    {"sandbox", doctor_check_sandbox, DOCTOR_CONVERTER},
    {"records", doctor_check_records, DOCTOR_ALL & ~DOCTOR_AUTH},
    {"blobs", doctor_check_blobs, DOCTOR_GATEWAY | DOCTOR_CONVERTER},
    {"queue", doctor_check_queue, DOCTOR_ALL & ~DOCTOR_AUTH},
    {"accounts", doctor_check_users, DOCTOR_AUTH},
    {"mysql tls", doctor_check_mysql_tls, DOCTOR_AUTH},
    {"mysql login", doctor_check_mysql_login, DOCTOR_AUTH},
    {"mysql host", doctor_check_mysql_host, DOCTOR_AUTH},
    {"mail", doctor_check_mail, DOCTOR_NOTIFIER},
    {"keys", doctor_check_keys, DOCTOR_GATEWAY | DOCTOR_AUTH},
    {"auth", doctor_check_auth, DOCTOR_GATEWAY},
    {"encryption", doctor_check_encryption, DOCTOR_ALL},
};

enum doctor_verdict doctor_say(struct doctor *doctor, enum doctor_verdict verdict,
                               const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(doctor->found, sizeof doctor->found, format, arguments);
    va_end(arguments);
    return verdict;
}

enum doctor_verdict doctor_fail(struct doctor *doctor, const struct error *error,
                                const char *advice)
{
    snprintf(doctor->advice, sizeof doctor->advice, "%s", advice);
    return doctor_say(doctor, DOCTOR_FAILED, "%s", error->text);
}

static int check_for(const struct session *session, unsigned wanted)
{
    static const char *const words[] = {
        [DOCTOR_OK] = "ok",
        [DOCTOR_SKIPPED] = "-",
        [DOCTOR_WARNING] = "warning",
        [DOCTOR_FAILED] = "FAILED",
    };
    struct doctor doctor = {.session = session, .services = wanted};
    size_t failed = 0;
    for (size_t i = 0; i < ARRAY_COUNT(checks); i++) {
        if ((checks[i].services & wanted) == 0)
            continue;
        doctor.found[0] = doctor.advice[0] = '\0';
        enum doctor_verdict verdict = checks[i].check(&doctor);
        failed += verdict == DOCTOR_FAILED;
        printf("%-7s  %-11s  %s\n", words[verdict], checks[i].name, doctor.found);
        if (doctor.advice[0] != '\0')
            printf("%-7s  %-11s  %s\n", "", "", doctor.advice);
    }
    return failed == 0 ? COMMAND_OK : COMMAND_FAILED;
}

static int compare(const struct session *session)
{
    struct error error = {0};
    size_t findings = 0;
    if (!doctor_compare(session->config, &findings, &error))
        return session_fail(session, &error);
    if (findings == 0)
        puts("Every blob has its record, and every record its blobs.");
    return findings == 0 ? COMMAND_OK : COMMAND_FAILED;
}

int doctor_run(const struct invocation *invocation)
{
    int status = COMMAND_FAILED;
    CLEANUP(session_finish) struct session session = {0};
    if (!session_open(invocation, help, &session, &status))
        return status;
    bool compares = session_take_flag(&session, "--orphans");
    unsigned wanted = 0;
    for (size_t i = 0; i < ARRAY_COUNT(services); i++)
        wanted |= session_take_flag(&session, services[i].name) ? services[i].service : 0;
    if (!session_has_arguments(&session, 0, "tapedeck doctor [SERVICE...] [--orphans]"))
        return COMMAND_USAGE;
    return compares ? compare(&session) : check_for(&session, wanted != 0 ? wanted : DOCTOR_ALL);
}
