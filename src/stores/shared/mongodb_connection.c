#include "stores/shared/mongodb_connection.h"

#include "base/text.h"
#include "model/failure.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

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

#define DATABASE_NAME_MAX 63

/* ---- What the options may say ---- */

static bool is_loopback(const mongoc_host_list_t *host)
{
    return host->family == AF_UNIX || strcmp(host->host, "localhost") == 0 ||
           text_starts_with(host->host, "127.") || strcmp(host->host, "::1") == 0;
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

static bool check_encrypted(const mongoc_uri_t *uri, struct error *error)
{
    for (const mongoc_host_list_t *host = mongoc_uri_get_hosts(uri); host != NULL;
         host = host->next) {
        if (!is_loopback(host))
            return error_set(error, ERROR_BAD_INPUT,
                             "mongodb.uri: %s is another host, and without TLS all can be read on "
                             "the way: add tls=true, or set mongodb.tls=off",
                             host->host_and_port);
    }
    return true;
}

static bool check_database(const char *option, const char *name, struct error *error)
{
    if (name[0] != '\0' && strlen(name) <= DATABASE_NAME_MAX &&
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
           check_database("mongodb.mp3s_database", settings->mp3s, error);
}

/* ---- The driver's connection ---- */

static void uri_destroyp(mongoc_uri_t **uri)
{
    mongoc_uri_destroy(*uri);
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
    /* An election takes a moment: it is waited for. */
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_SERVERSELECTIONTRYONCE, false);
}

/* The driver's own words can quote parts of a password that was not escaped. */
static bool parse_uri(const struct mongodb_settings *settings, mongoc_uri_t **out_uri,
                      struct error *error)
{
    bson_error_t cause = {0};
    mongoc_uri_t *uri = mongoc_uri_new_with_error(settings->uri, &cause);
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
        mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, settings->ca_file);
    }
    set_concerns(uri, (int32_t)settings->timeout_ms);
    set_timeouts(uri, (int32_t)settings->timeout_ms);
    if (mongoc_uri_get_appname(uri) == NULL)
        mongoc_uri_set_appname(uri, "tapedeck");
    return true;
}

bool mongodb_connection_init(struct mongodb *mongodb, const struct config *config,
                             struct error *error)
{
    static pthread_once_t is_initialized = PTHREAD_ONCE_INIT;
    struct mongodb_settings settings = {0};
    CLEANUP(uri_destroyp) mongoc_uri_t *uri = NULL;
    bson_error_t cause = {0};
    if (!config_load(config, mongodb_options, &settings, error) ||
        !check_settings(&settings, error))
        return false;
    pthread_once(&is_initialized, initialize);
    if (!parse_uri(&settings, &uri, error) || !prepare_uri(&settings, uri, error))
        return false;
    mongodb->databases[MONGODB_RECORDS] = settings.records;
    mongodb->databases[MONGODB_VIDEOS] = settings.videos;
    mongodb->databases[MONGODB_MP3S] = settings.mp3s;
    const mongoc_host_list_t *first = mongoc_uri_get_hosts(uri);
    snprintf(mongodb->server, sizeof mongodb->server, "%.*s", MONGODB_SERVER_SIZE - 1,
             first == NULL ? "the hosts of its SRV record" : first->host_and_port);
    mongodb->client = mongoc_client_new_from_uri_with_error(uri, &cause);
    if (mongodb->client == NULL)
        return mongodb_fail(mongodb, &cause, error);
    mongoc_client_set_error_api(mongodb->client, MONGOC_ERROR_API_VERSION_2);
    return true;
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

/* Of "No suitable servers found: `serverSelectionTimeoutMS` expired: [connection refused calling
 * hello on 'localhost:27017']" what is in brackets. */
static const char *reason_of(const bson_error_t *cause)
{
    const char *bracket = strchr(cause->message, '[');
    return cause->domain == MONGOC_ERROR_SERVER_SELECTION && bracket != NULL ? bracket
                                                                             : cause->message;
}

bool mongodb_fail(const struct mongodb *mongodb, const bson_error_t *cause, struct error *error)
{
    enum error_kind kind = kind_of(cause);
    if (kind == ERROR_TOO_LARGE)
        return error_set_failure(error, kind, &FAILURE_DISK_FULL, "MongoDB at %s: %s",
                                 mongodb->server, cause->message);
    return error_set(error, kind, "MongoDB at %s: %s", mongodb->server, reason_of(cause));
}
