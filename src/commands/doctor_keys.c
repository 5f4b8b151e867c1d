/* What `tapedeck doctor` asks about the files that hold secrets. */

#include "commands/doctor.h"

#include "services/auth/keys.h"
#include "services/common/gateway_key.h"

enum doctor_verdict doctor_check_keys(struct doctor *doctor)
{
    struct error error = {0};
    const struct config *config = doctor->session->config;
    bool asks_secret = doctor->has_data || config_is_given(config, "auth.gateway_key_file");
    bool asks_keys = (doctor->services & DOCTOR_AUTH) != 0 &&
                     (doctor->has_data || config_is_given(config, "auth.keys_dir"));
    if (!asks_secret && !asks_keys)
        return doctor_say(doctor, DOCTOR_SKIPPED, "see data folder");
    if (asks_secret && !gateway_key_check(config, &error)) {
        error_prefix(&error, "auth.gateway_key_file");
        return doctor_fail(doctor, &error,
                           "Without it no token is accepted: put a line of 16 to 256 visible ASCII "
                           "characters into a file that only this user can read (chmod 600).");
    }
    if (asks_keys && !keys_check(config, &error)) {
        error_prefix(&error, "auth.keys_dir");
        return doctor_fail(doctor, &error,
                           "Who can read a signing key can log in as anybody: chmod 600, then "
                           "`tapedeck keys rotate`. Remove what is no key.");
    }
    return doctor_say(doctor, DOCTOR_OK, "%s: usable, closed to others",
                      !asks_keys    ? "of the gateways"
                      : asks_secret ? "of the gateways and of tokens"
                                    : "of tokens");
}
