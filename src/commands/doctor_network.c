/* What `tapedeck doctor` asks about the ways between processes and people. */

#include "commands/doctor.h"

#include "base/text.h"
#include "commands/data_lock.h"
#include "commands/serve_plan.h"
#include "net/http_client.h"
#include "services/common/gateway_key.h"
#include "services/gateway/settings.h"
#include "stores/blob_store/blob_store.h"
#include "stores/job_queue/job_queue.h"
#include "stores/job_queue/rabbitmq_settings.h"
#include "stores/mail_sender/mail_sender.h"
#include "stores/mail_sender/smtp_settings.h"
#include "stores/record_store/record_store.h"
#include "stores/shared/data_folder.h"
#include "stores/shared/mongodb.h"
#include "stores/shared/server_uri.h"
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS 5000

/* ---- auth ---- */

/* Under `serve` auth is where that decided; elsewhere where the configuration says. "": nowhere,
 * since nothing was configured and nothing runs. */
static bool find_auth(const struct doctor *doctor, char out_url[FILE_PATH_SIZE],
                      const char **out_ca_file, struct error *error)
{
    struct gateway_settings settings = {0};
    const struct config *config = doctor->session->config;
    const char *data = NULL;
    bool is_served = false;
    if (!config_load(config, gateway_options, &settings, error) ||
        !data_folder_get(config, &data, error) ||
        (doctor->has_data && !data_lock_is_held(data, &is_served, error)))
        return false;
    *out_ca_file = settings.auth_ca_file;
    if (is_served && !config_is_given(config, "auth.listen"))
        return serve_plan_auth_url(data, out_url, error);
    bool is_expected =
        is_served || doctor->services != DOCTOR_ALL || config_is_given(config, "gateway.auth_url");
    return file_path(out_url, error, "%s", is_expected ? settings.auth_url : "");
}

/* Whether auth knows the gateways' secret; true where this machine has none yet, or one that cannot
 * be read, which is told elsewhere. */
static bool is_secret_known(const struct doctor *doctor, struct http_client *client,
                            struct error *error)
{
    char key[GATEWAY_KEY_SIZE];
    char header[sizeof GATEWAY_KEY_HEADER + sizeof key + 4];
    CLEANUP(http_client_answer_finish) struct http_client_answer answer = {0};
    const struct http_client_call call = {
        .method = "GET",
        .path = "/revocations",
        .headers = (const char *const[]){header, NULL},
    };
    if (!gateway_key_read(doctor->session->config, key, NULL))
        return true;
    snprintf(header, sizeof header, "%s: %s", GATEWAY_KEY_HEADER, key);
    if (!http_client_do(client, &call, &answer, error))
        return false;
    return answer.status != 403 || error_set(error, ERROR_DENIED, "%s", GATEWAY_KEY_REFUSED);
}

enum doctor_verdict doctor_check_auth(struct doctor *doctor)
{
    static const char advice[] = "Look into the log of auth; check gateway.auth_url.";
    static const struct http_client_call call = {.method = "GET", .path = "/.well-known/jwks.json"};
    struct error error = {0};
    char url[FILE_PATH_SIZE];
    CLEANUP(http_client_closep) struct http_client *client = NULL;
    CLEANUP(http_client_answer_finish) struct http_client_answer answer = {0};
    struct http_client_options options = {.base_url = url, .timeout_ms = TIMEOUT_MS};
    http_client_prepare();
    if (!doctor->has_data && doctor->services == DOCTOR_ALL &&
        !config_is_given(doctor->session->config, "gateway.auth_url"))
        return doctor_say(doctor, DOCTOR_SKIPPED, "see data folder");
    if (!find_auth(doctor, url, &options.ca_file, &error))
        return doctor_fail(doctor, &error, advice);
    if (url[0] == '\0')
        return doctor_say(doctor, DOCTOR_SKIPPED,
                          "`tapedeck serve` does not run on this data folder");
    if (!http_client_open(&options, &client, &error) ||
        !http_client_do(client, &call, &answer, &error))
        return doctor_fail(doctor, &error, advice);
    if (answer.status != 200 || strstr(buffer_text(&answer.body), "\"keys\"") == NULL) {
        error_set(&error, ERROR_UNAVAILABLE,
                  "%.200s answers %d to what auth would give its keys to", url, answer.status);
        return doctor_fail(doctor, &error, advice);
    }
    if (!is_secret_known(doctor, client, &error))
        return doctor_fail(doctor, &error,
                           error.kind == ERROR_DENIED
                               ? "Until then the gateway answers 503. Copy the file from auth's "
                                 "machine: it is read anew each time."
                               : advice);
    return doctor_say(doctor, DOCTOR_OK, "answers at %.300s", url);
}

/* ---- Encryption ---- */

/* Of "host:port" or "[v6]:port", with or without a path after it. */
static bool is_loopback(const char *address)
{
    struct server_uri uri = {0};
    bool is_v6 = address[0] == '[';
    const char *host = is_v6 ? address + 1 : address;
    snprintf(uri.host, sizeof uri.host, "%.*s", (int)strcspn(host, is_v6 ? "]" : ":/"), host);
    return server_uri_is_loopback(&uri);
}

static bool is_plain_to_others(const char *url)
{
    return text_starts_with(url, "http://") && !is_loopback(url + strlen("http://"));
}

static bool is_queue_plain(const struct config *config)
{
    struct rabbitmq_settings settings;
    return rabbitmq_settings_load(config, &settings, NULL) && !settings.has_tls &&
           !server_uri_is_loopback(&settings.uri);
}

static bool is_mail_plain(const struct config *config)
{
    struct smtp_settings settings;
    return smtp_settings_load(config, &settings, NULL) && settings.tls == SMTP_TLS_NEVER &&
           !server_uri_is_loopback(&settings.uri);
}

/* Where an option says that TLS may be left out, and it is. MySQL has a check of its own. */
static const struct server {
    const struct config_option *store; /* its first option chooses the backend */
    bool (*is_plain)(const struct config *config);
    const char *what, *option;
} servers[] = {
    {blob_store_options, mongodb_is_plain, "videos, MP3s", "mongodb.tls"},
    {record_store_options, mongodb_is_plain, "records", "mongodb.tls"},
    {job_queue_options, is_queue_plain, "messages", "rabbitmq.tls"},
    {mail_sender_options, is_mail_plain, "mails", "smtp.tls"},
};

static const struct server *find_plain_server(const struct doctor *doctor)
{
    for (size_t i = 0; i < ARRAY_COUNT(servers); i++) {
        if (!doctor_is_embedded(doctor, servers[i].store) &&
            servers[i].is_plain(doctor->session->config))
            return &servers[i];
    }
    return NULL;
}

/* To the gateway, and from it to auth. Its address for clients is often set for the gateway alone,
 * so that no other service's configuration can tell. */
static enum doctor_verdict check_gateway(struct doctor *doctor)
{
    struct error error = {0};
    struct gateway_settings settings = {0};
    struct public_url url;
    const struct config *config = doctor->session->config;
    if (!config_load(config, gateway_options, &settings, &error) ||
        !public_url_load(config, &url, &error))
        return doctor_fail(doctor, &error, "Correct the option.");
    bool is_open = !text_starts_with(settings.listen, "unix:") && !is_loopback(settings.listen);
    bool is_secure = text_starts_with(url.text, "https://");
    if (is_plain_to_others(url.text) || (is_open && !is_secure)) {
        snprintf(doctor->advice, sizeof doctor->advice,
                 "Put a proxy with a certificate in front, let gateway.listen be reached by it "
                 "alone, and set gateway.public_url to its https:// address.");
        return doctor_say(doctor, DOCTOR_FAILED,
                          "passwords and videos travel in the clear to the gateway (%.100s)",
                          url.text[0] != '\0' ? url.text : settings.listen);
    }
    if (is_plain_to_others(settings.auth_url)) {
        snprintf(doctor->advice, sizeof doctor->advice,
                 "Let that network be the services' alone, or use https://.");
        return doctor_say(doctor, DOCTOR_WARNING,
                          "passwords travel in the clear from the gateway to auth (%.150s)",
                          settings.auth_url);
    }
    return DOCTOR_OK;
}

enum doctor_verdict doctor_check_encryption(struct doctor *doctor)
{
    bool is_gateway = (doctor->services & DOCTOR_GATEWAY) != 0;
    enum doctor_verdict verdict = is_gateway ? check_gateway(doctor) : DOCTOR_OK;
    if (verdict != DOCTOR_OK)
        return verdict;
    const struct server *plain = find_plain_server(doctor);
    if (plain != NULL) {
        snprintf(doctor->advice, sizeof doctor->advice,
                 "Let that network be the services' alone, or leave %s on.", plain->option);
        return doctor_say(doctor, DOCTOR_WARNING, "%s and a password travel in the clear (%s=off)",
                          plain->what, plain->option);
    }
    return doctor_say(doctor, DOCTOR_OK,
                      is_gateway ? "nothing travels in the clear to others by HTTP"
                                 : "nothing travels in the clear to servers");
}
