#include "stores/shared/mongodb_connection.h"

#include "base/text.h"
#include "model/failure.h"
#include "stores/shared/server_uri.h"
#include "stores/shared/tls_probe.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct mongodb_settings {
    const char *uri;
    bool needs_tls;
    const char *ca_file;
    int64_t timeout_ms;
    const char *records, *videos, *mp3s;
};

const struct config_option mongodb_options[] = {
    {
        .name = "mongodb.uri",
        .type = CONFIG_SECRET,
        .field = CONFIG_FIELD(struct mongodb_settings, uri, const char *),
        .standard = "",
        .help = "Where MongoDB is: mongodb://USER:PASSWORD@HOST:27017/?tls=true, with all of a "
                "replica set's hosts and replicaSet=NAME. Its time-outs and concerns are not used.",
    },
    {
        .name = "mongodb.ca_file",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct mongodb_settings, ca_file, const char *),
        .standard = "",
        .help = "PEM file of the authorities that may have signed MongoDB's certificate. Empty: "
                "those of the system.",
    },
    {
        .name = "mongodb.tls",
        .type = CONFIG_BOOL,
        .field = CONFIG_FIELD(struct mongodb_settings, needs_tls, bool),
        .standard = "on",
        .help = "off: a mongodb.uri without tls=true may name other hosts too. Videos and the "
                "password can then be read on the way.",
    },
    {
        .name = "mongodb.timeout",
        .type = CONFIG_DURATION,
        .field = CONFIG_FIELD(struct mongodb_settings, timeout_ms, int64_t),
        .standard = "5s",
        .least = 100,
        .most = 60000,
        .help = "How long to wait for a server that can be written to, and for each answer.",
    },
    {
        .name = "mongodb.database",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct mongodb_settings, records, const char *),
        .standard = "tapedeck",
        .help = "Database of the conversions' records.",
    },
    {
        .name = "mongodb.videos_database",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct mongodb_settings, videos, const char *),
        .standard = "videos",
        .help = "Database whose GridFS bucket `fs` holds the videos.",
    },
    {
        .name = "mongodb.mp3s_database",
        .type = CONFIG_TEXT,
        .field = CONFIG_FIELD(struct mongodb_settings, mp3s, const char *),
        .standard = "mp3s",
        .help = "Database whose GridFS bucket `fs` holds the MP3s.",
    },
    {0},
};

/* ---- What the options may say ---- */

static bool is_loopback(const mongoc_host_list_t *host)
{
    return host->family == AF_UNIX || server_host_is_loopback(host->host);
}

/* Everything that would let another answer in the server's place. */
static bool check_verified(const mongoc_uri_t *uri, struct error *error)
{
    static const char *const options[] = {
        MONGOC_URI_TLSINSECURE,
        MONGOC_URI_TLSALLOWINVALIDCERTIFICATES,
        MONGOC_URI_TLSALLOWINVALIDHOSTNAMES,
    };
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        if (mongoc_uri_get_option_as_bool(uri, options[i], false))
            return error_set(error, ERROR_BAD_INPUT,
                             "mongodb.uri: with %s nobody knows who answers; name the authority "
                             "in mongodb.ca_file instead",
                             options[i]);
    }
    return true;
}

static bool fail_open(const char *host, struct error *error)
{
    return error_set(error, ERROR_BAD_INPUT,
                     "mongodb.uri: %s is another host, and without TLS all can be read on the way: "
                     "add tls=true, or set mongodb.tls=off",
                     host);
}

static bool check_encrypted(const mongoc_uri_t *uri, struct error *error)
{
    /* Only the name service knows which hosts those are. */
    if (mongoc_uri_get_srv_hostname(uri) != NULL)
        return fail_open(mongoc_uri_get_srv_hostname(uri), error);
    for (const mongoc_host_list_t *host = mongoc_uri_get_hosts(uri); host != NULL;
         host = host->next) {
        if (!is_loopback(host))
            return fail_open(host->host_and_port, error);
    }
    return true;
}

static bool check_database(const char *option, const char *name, struct error *error)
{
    if (name[0] != '\0' && strlen(name) < MONGODB_DATABASE_SIZE &&
        strpbrk(name, "/\\. \"$*<>:|?") == NULL)
        return true;
    return error_set(error, ERROR_BAD_INPUT, "%s: \"%.80s\" cannot name a database", option, name);
}

static bool check_settings(const struct mongodb_settings *settings, struct error *error)
{
    if (settings->uri[0] == '\0')
        return error_set(error, ERROR_BAD_INPUT,
                         "mongodb.uri is not set: name the server, as "
                         "mongodb://USER:PASSWORD@HOST:27017/?tls=true");
    return check_database("mongodb.database", settings->records, error) &&
           check_database("mongodb.videos_database", settings->videos, error) &&
           check_database("mongodb.mp3s_database", settings->mp3s, error) &&
           (!text_equals_ignoring_case(settings->videos, settings->mp3s) ||
            error_set(error, ERROR_BAD_INPUT,
                      "mongodb.videos_database and mongodb.mp3s_database are both %s: name two, or "
                      "videos and MP3s cannot be told apart",
                      settings->videos));
}

/* ---- The driver's connection ---- */

static void uri_destroyp(mongoc_uri_t **uri)
{
    mongoc_uri_destroy(*uri);
}

/* The driver initializes itself as it is loaded, and keeps counters for a tool of its own in a file
 * of /dev/shm with our number. Whoever is killed would leave it behind, and the driver of a later
 * process with that number would complain on standard error. Without a name, it ends with us. */
__attribute__((constructor)) static void unlink_counters(void)
{
    char name[32];
    snprintf(name, sizeof name, "/mongoc-%d", (int)getpid());
    shm_unlink(name);
}

static void initialize(void)
{
    mongoc_init();
    /* What matters comes back as an error; lines of its own would be in no form of ours, and can
     * quote the URI. */
    mongoc_log_set_handler(NULL, NULL);
    mongoc_handshake_data_append("tapedeck", TAPEDECK_VERSION, NULL);
}

static void set_concerns(mongoc_uri_t *uri, int32_t timeout_ms)
{
    mongoc_write_concern_t *writes = mongoc_write_concern_new();
    /* Less than the socket's time-out: so that the server says it, and the connection stays. */
    mongoc_write_concern_set_wmajority(writes, timeout_ms - timeout_ms / 4);
    mongoc_write_concern_set_journal(writes, true);
    mongoc_uri_set_write_concern(uri, writes);
    mongoc_write_concern_destroy(writes);

    mongoc_read_concern_t *reads = mongoc_read_concern_new();
    mongoc_read_concern_set_level(reads, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_uri_set_read_concern(uri, reads);
    mongoc_read_concern_destroy(reads);

    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    mongoc_uri_set_read_prefs_t(uri, primary);
    mongoc_read_prefs_destroy(primary);
}

static void set_timeouts(mongoc_uri_t *uri, int32_t timeout_ms)
{
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, timeout_ms);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, timeout_ms);
    /* Shorter, so that one host that is silent does not use up the wait for another. */
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, timeout_ms - timeout_ms / 2);
    /* Who asks a server that is down is told so at once, and tries again; to wait for it here would
     * hold the caller's thread. */
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_SERVERSELECTIONTRYONCE, true);
}

/* A password with @ or / in it, not escaped, ends too early or begins the name of a host; then that
 * part of it would stand in messages. */
static bool has_one_login(const char *uri)
{
    const char *login = strstr(uri, "://");
    if (login == NULL)
        return true; /* nor is it a URI */
    login += strlen("://");
    const char *at = strrchr(login, '@');
    return at == NULL || at == login + strcspn(login, "@/?");
}

/* The driver's own words can quote parts of a password too. */
static bool parse_uri(const struct mongodb_settings *settings, mongoc_uri_t **out_uri,
                      struct error *error)
{
    bson_error_t cause = {0};
    mongoc_uri_t *uri =
        has_one_login(settings->uri) ? mongoc_uri_new_with_error(settings->uri, &cause) : NULL;
    if (uri == NULL)
        return error_set(error, ERROR_BAD_INPUT,
                         "mongodb.uri is not a URI of MongoDB: it should be as "
                         "mongodb://USER:PASSWORD@HOST:27017/?tls=true, with %%XX for what is "
                         "neither letter nor digit in USER and PASSWORD");
    *out_uri = uri;
    return true;
}

static bool prepare_uri(const struct mongodb_settings *settings, mongoc_uri_t *uri,
                        struct error *error)
{
    if (!check_verified(uri, error))
        return false;
    if (!mongoc_uri_get_tls(uri)) {
        if (settings->needs_tls && !check_encrypted(uri, error))
            return false;
    } else if (settings->ca_file[0] != '\0') {
        if (!tls_check_ca_file("mongodb.ca_file", settings->ca_file, error))
            return false;
        mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, settings->ca_file);
    }
    set_concerns(uri, (int32_t)settings->timeout_ms);
    set_timeouts(uri, (int32_t)settings->timeout_ms);
    if (mongoc_uri_get_appname(uri) == NULL)
        mongoc_uri_set_appname(uri, "tapedeck");
    return true;
}

static const char *server_name(const mongoc_uri_t *uri)
{
    const mongoc_host_list_t *first = mongoc_uri_get_hosts(uri);
    return first == NULL ? "the hosts of its SRV record" : first->host_and_port;
}

/* Copies: the configuration need not outlive the connection. */
static void note_settings(struct mongodb *mongodb, const struct mongodb_settings *settings,
                          const mongoc_uri_t *uri)
{
    text_copy(mongodb->databases[MONGODB_RECORDS], MONGODB_DATABASE_SIZE, settings->records);
    text_copy(mongodb->databases[MONGODB_VIDEOS], MONGODB_DATABASE_SIZE, settings->videos);
    text_copy(mongodb->databases[MONGODB_MP3S], MONGODB_DATABASE_SIZE, settings->mp3s);
    text_copy(mongodb->server, sizeof mongodb->server, server_name(uri));
    text_copy(mongodb->ca_file, sizeof mongodb->ca_file, settings->ca_file);
    mongodb->has_tls = mongoc_uri_get_tls(uri);
    mongodb->timeout_ms = (int)settings->timeout_ms;
}

static bool load_settings(const struct config *config, struct mongodb_settings *out_settings,
                          mongoc_uri_t **out_uri, struct error *error)
{
    static pthread_once_t is_initialized = PTHREAD_ONCE_INIT;
    if (!config_load(config, mongodb_options, out_settings, error) ||
        !check_settings(out_settings, error))
        return false;
    pthread_once(&is_initialized, initialize);
    return parse_uri(out_settings, out_uri, error);
}

bool mongodb_is_plain(const struct config *config)
{
    struct mongodb_settings settings = {0};
    CLEANUP(uri_destroyp) mongoc_uri_t *uri = NULL;
    return load_settings(config, &settings, &uri, NULL) && !mongoc_uri_get_tls(uri) &&
           !check_encrypted(uri, NULL);
}

bool mongodb_server_name(const struct config *config, char *out_name, size_t size,
                         struct error *error)
{
    struct mongodb_settings settings = {0};
    CLEANUP(uri_destroyp) mongoc_uri_t *uri = NULL;
    if (!load_settings(config, &settings, &uri, error))
        return false;
    text_copy(out_name, size, server_name(uri));
    return true;
}

bool mongodb_connection_init(struct mongodb *mongodb, const struct config *config,
                             struct error *error)
{
    struct mongodb_settings settings = {0};
    CLEANUP(uri_destroyp) mongoc_uri_t *uri = NULL;
    bson_error_t cause = {0};
    if (!load_settings(config, &settings, &uri, error) || !prepare_uri(&settings, uri, error))
        return false;
    note_settings(mongodb, &settings, uri);
    return mongodb_client_init(&mongodb->client, uri, &cause) ||
           mongodb_fail(mongodb, &cause, error);
}

/* ---- What failures mean ---- */

/* Answers of a server that tell of a mistake here, or of a server that is none of MongoDB's: the
 * same would be answered again. Not a word about what is passing, so that it can be retried. */
static bool is_for_good(uint32_t code)
{
    static const uint32_t codes[] = {
        2,     /* BadValue */
        9,     /* FailedToParse */
        14,    /* TypeMismatch */
        20,    /* IllegalOperation */
        28,    /* PathNotViable */
        40,    /* ConflictingUpdateOperators */
        52,    /* DollarPrefixedFieldName */
        59,    /* CommandNotFound */
        66,    /* ImmutableField */
        67,    /* CannotCreateIndex */
        72,    /* InvalidOptions */
        73,    /* InvalidNamespace */
        85,    /* IndexOptionsConflict */
        86,    /* IndexKeySpecsConflict */
        238,   /* NotImplemented */
        10334, /* BSONObjectTooLarge */
        17280, /* KeyTooLong */
    };
    for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
        if (codes[i] == code)
            return true;
    }
    return false;
}

static enum error_kind kind_of(const bson_error_t *cause)
{
    switch (cause->domain) {
    case MONGOC_ERROR_BSON:
    case MONGOC_ERROR_COMMAND:
    case MONGOC_ERROR_NAMESPACE:
        return ERROR_INTERNAL;
    case MONGOC_ERROR_SERVER:
    case MONGOC_ERROR_COLLECTION:
    case MONGOC_ERROR_QUERY:
        break;
    default:
        return ERROR_UNAVAILABLE;
    }
    switch (cause->code) {
    case 11000: /* DuplicateKey */
        return ERROR_CONFLICT;
    case 14031: /* OutOfDiskSpace */
        return ERROR_TOO_LARGE;
    default:
        return is_for_good(cause->code) ? ERROR_INTERNAL : ERROR_UNAVAILABLE;
    }
}

/* Of "[connection closed calling hello on 'db.example.org:27017']" the host and its port. */
static bool find_host(const char *message, char out_host[MONGODB_SERVER_SIZE],
                      const char **out_port)
{
    static const char before[] = " on '";
    const char *host = strstr(message, before);
    if (host == NULL)
        return false;
    host += sizeof before - 1;
    size_t size = strcspn(host, "'");
    if (size == 0 || size >= MONGODB_SERVER_SIZE)
        return false;
    bool is_bracketed = host[0] == '[';
    snprintf(out_host, MONGODB_SERVER_SIZE, "%.*s", (int)size - is_bracketed, host + is_bracketed);
    char *end = strrchr(out_host, ':');
    if (end == NULL || end == out_host)
        return false;
    *out_port = end + 1;
    *(end[-1] == ']' ? end - 1 : end) = '\0';
    return true;
}

/* The driver says of a certificate that it refuses at best what OpenSSL says, and of one for
 * another host only that the connection was closed. */
static bool explain_tls(const struct mongodb *mongodb, const char *message, struct error *error)
{
    char host[MONGODB_SERVER_SIZE];
    struct tls_peer peer = {.host = host, .ca_file = mongodb->ca_file};
    struct error found = {0};
    bool may_be_tls = strstr(message, "TLS handshake failed") != NULL ||
                      strstr(message, "connection closed") != NULL ||
                      strstr(message, "connection error") != NULL;
    if (!mongodb->has_tls || !may_be_tls || !find_host(message, host, &peer.port) ||
        tls_probe(&peer, mongodb->timeout_ms, &found))
        return false;
    *error = found;
    return true;
}

/* Of "No suitable servers found: `serverSelectionTryOnce` set: [connection refused calling hello on
 * 'localhost:27017']" what is in brackets. Between two looks for a server there is no reason in it:
 * that of the last look still holds. */
static void note_unreachable(struct mongodb *mongodb, const char *message)
{
    const char *bracket = strchr(message, '[');
    struct error explained = {0};
    if (strstr(message, "No servers yet eligible for rescan") != NULL &&
        mongodb->unreachable[0] != '\0')
        return;
    const char *reason = "no server there takes writes: an election goes on, or replicaSet in "
                         "mongodb.uri is not its name";
    if (explain_tls(mongodb, message, &explained))
        reason = explained.text;
    else if (bracket != NULL)
        reason = bracket;
    text_copy(mongodb->unreachable, sizeof mongodb->unreachable, reason);
}

static bool is_login_refused(const bson_error_t *cause)
{
    return cause->domain == MONGOC_ERROR_CLIENT && cause->code == MONGOC_ERROR_CLIENT_AUTHENTICATE;
}

bool(mongodb_fail)(struct mongodb *mongodb, const bson_error_t *cause, struct error *error)
{
    enum error_kind kind = kind_of(cause);
    if (cause->domain == MONGOC_ERROR_SERVER_SELECTION) {
        mongodb_client_note_unreached(&mongodb->client);
        note_unreachable(mongodb, cause->message);
        return error_set(error, kind, "MongoDB at %s: %s", mongodb->server, mongodb->unreachable);
    }
    if (is_login_refused(cause))
        return error_set(error, kind,
                         "MongoDB at %s refuses the login: check user, password and authSource in "
                         "mongodb.uri",
                         mongodb->server);
    if (kind == ERROR_TOO_LARGE)
        return error_set_failure(error, kind, &FAILURE_DISK_FULL, "MongoDB at %s: %s",
                                 mongodb->server, cause->message);
    return error_set(error, kind, "MongoDB at %s: %s", mongodb->server, cause->message);
}
