/* Mail by SMTP (RFC 5321), to the server through which the operator sends mail.
 *
 * Each mail has a connection of its own: one that was kept would be found to be dead only by the
 * next mail. The server's code alone decides whether a refusal is for good, and it is that only
 * where it is about this mail; that the server is down, is not the right one, or does not know us
 * is for the operator to mend, and then the mail goes out. */

#include "stores/mail_sender/mail_sender.h"

#include "base/text.h"
#include "stores/mail_sender/backend.h"
#include "stores/mail_sender/smtp_settings.h"
#include "stores/shared/tls_probe.h"
#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_TIMEOUT_MS 15000
#define GOODBYE_TIMEOUT_S 1L
#define REPLY_SIZE_MAX 1024
#define WORDS_SIZE 180 /* of the server, in a message to people */
#define URL_SIZE (2 * SERVER_URI_PART_SIZE + 32)
#define PATH_SIZE 324 /* RFC 5321 §4.5.3.1: an address of 64 + 1 + 255 bytes in <> */

struct smtp_sender {
    struct mail_sender base;
    struct smtp_settings settings;
    char url[URL_SIZE];
};

static struct smtp_sender *smtp_of(struct mail_sender *sender)
{
    assert(sender->backend == &mail_sender_smtp);
    return (struct smtp_sender *)sender;
}

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

/* The library counts these calls, and guards the count. */
static void prepare(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void write_url(struct smtp_sender *smtp)
{
    const struct server_uri *uri = &smtp->settings.uri;
    bool is_v6 = strchr(uri->host, ':') != NULL;
    snprintf(smtp->url, sizeof smtp->url, "%s://%s%s%s:%u/%s", uri->scheme, is_v6 ? "[" : "",
             uri->host, is_v6 ? "]" : "", uri->port, uri->path);
}

static bool smtp_open(const struct config *config, struct mail_sender **out_sender,
                      struct error *error)
{
    struct smtp_settings settings;
    if (!smtp_settings_load(config, &settings, error))
        return false;
    pthread_once(&prepared, prepare);
    struct smtp_sender *smtp = calloc(1, sizeof *smtp);
    if (smtp == NULL)
        abort();
    smtp->base.backend = &mail_sender_smtp;
    smtp->settings = settings;
    write_url(smtp);
    *out_sender = &smtp->base;
    return true;
}

static void smtp_close(struct mail_sender *sender)
{
    struct smtp_sender *smtp = smtp_of(sender);
    explicit_bzero(&smtp->settings, sizeof smtp->settings);
    free(smtp);
}

/* ---- A dialogue: one connection, from its beginning to its end ---- */

struct dialogue {
    const struct smtp_sender *smtp; /* borrowed */
    CURL *curl;                     /* owned */

    /* What was said. */
    struct buffer reply;   /* owned; the server's last one */
    bool is_reply_unended; /* more lines of it come */
    bool has_login;        /* we said who we are */
    bool has_envelope;     /* we said whom the mail is from and for */
    bool is_utf8_offered;  /* addresses beyond ASCII: RFC 6531 */
    bool is_over;          /* we said goodbye */

    /* The mail; NULL where nothing is sent. */
    const struct mail *mail; /* borrowed */
    size_t position;
    mail_sender_may_send *may_send;
    void *may_context;
    bool is_too_late; /* may_send said so */
    bool is_unfit;    /* for this server: an address that it cannot take */
    bool is_handed_over;
};

static void dialogue_finish(struct dialogue *dialogue)
{
    curl_easy_cleanup(dialogue->curl);
    buffer_finish(&dialogue->reply);
}

/* One line: "250-SIZE 1000000", "550 No such user". What does not fit is left out. */
static size_t on_reply(char *line, size_t one, size_t size, void *context)
{
    struct dialogue *dialogue = context;
    (void)one;
    if (dialogue->is_over)
        return size;
    if (!dialogue->is_reply_unended)
        buffer_clear(&dialogue->reply);
    dialogue->is_reply_unended = size > 3 && line[3] == '-';
    size_t skipped = dialogue->reply.size == 0 || size < 4 ? 0 : 4;
    size_t room = REPLY_SIZE_MAX - dialogue->reply.size;
    size_t kept = size - skipped < room ? size - skipped : room;
    ignore_failure(buffer_append(&dialogue->reply, line + skipped, kept, NULL));
    if (size >= 12 && strncasecmp(line + 4, "SMTPUTF8", 8) == 0)
        dialogue->is_utf8_offered = true;
    return size;
}

/* Our own side, since the library does not tell how far it came. */
static int on_trace(CURL *curl, curl_infotype type, char *bytes, size_t size, void *context)
{
    struct dialogue *dialogue = context;
    if (type != CURLINFO_HEADER_OUT || size < 4)
        return 0;
    if (memcmp(bytes, "EHLO", 4) == 0)
        dialogue->is_utf8_offered = false;
    else if (memcmp(bytes, "AUTH", 4) == 0)
        dialogue->has_login = true;
    else if (memcmp(bytes, "MAIL", 4) == 0)
        dialogue->has_envelope = true;
    else if (memcmp(bytes, "QUIT", 4) == 0) {
        /* All is decided. The answer is nobody's concern, and the time-out of the whole does not
         * cover it. */
        dialogue->is_over = true;
        curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, GOODBYE_TIMEOUT_S);
    }
    return 0;
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80)
            return false;
    }
    return true;
}

static bool needs_utf8(const struct mail *mail)
{
    return !is_ascii(mail->from) || !is_ascii(mail->to);
}

/* The server waits for the message. may_send is asked before each piece, and last before its end,
 * without which what was sent is no mail. */
static size_t on_message(char *out_bytes, size_t one, size_t count, void *context)
{
    struct dialogue *dialogue = context;
    const struct mail *mail = dialogue->mail;
    size_t left = mail->size - dialogue->position;
    size_t size = one * count < left ? one * count : left;
    dialogue->is_unfit = needs_utf8(mail) && !dialogue->is_utf8_offered;
    dialogue->is_too_late = !dialogue->is_unfit && !dialogue->may_send(dialogue->may_context);
    if (dialogue->is_unfit || dialogue->is_too_late)
        return CURL_READFUNC_ABORT;
    memcpy(out_bytes, (const char *)mail->bytes + dialogue->position, size);
    dialogue->position += size;
    dialogue->is_handed_over = dialogue->position == mail->size;
    return size;
}

static void set_security(CURL *curl, const struct smtp_settings *settings)
{
    static const curl_usessl uses[] = {
        [SMTP_TLS_FIRST] = CURLUSESSL_ALL,
        [SMTP_TLS_NEXT] = CURLUSESSL_ALL,
        [SMTP_TLS_IF_OFFERED] = CURLUSESSL_TRY,
        [SMTP_TLS_NEVER] = CURLUSESSL_NONE,
    };
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)uses[settings->tls]);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (settings->ca_file[0] != '\0') {
        curl_easy_setopt(curl, CURLOPT_CAINFO, settings->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    if (settings->uri.user[0] != '\0') {
        curl_easy_setopt(curl, CURLOPT_USERNAME, settings->uri.user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, settings->uri.password);
        /* Left to itself the library prefers Kerberos for a user whose name has an @. */
        curl_easy_setopt(curl, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN");
    }
}

static void set_options(struct dialogue *dialogue, int timeout_ms)
{
    CURL *curl = dialogue->curl;
    curl_easy_setopt(curl, CURLOPT_URL, dialogue->smtp->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    /* Name servers may be silent for longer: the thread that asks them is then left to itself. */
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)timeout_ms / 1000 + 1);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_reply);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, dialogue);
    curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, on_trace);
    curl_easy_setopt(curl, CURLOPT_DEBUGDATA, dialogue);
    curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
    set_security(curl, &dialogue->smtp->settings);
}

/* ---- How it ended ---- */

/* The server's words, on one line and without what could change a terminal or a log. */
static void write_words(const struct dialogue *dialogue, char out_words[WORDS_SIZE])
{
    struct buffer words = BUFFER_WITH_MAX(4 * REPLY_SIZE_MAX);
    char line[REPLY_SIZE_MAX + 1];
    size_t size = 0;
    for (const char *from = buffer_text(&dialogue->reply); *from != '\0'; from++) {
        if (*from != '\r')
            line[size++] = *from == '\n' ? ' ' : *from;
    }
    while (size > 0 && line[size - 1] == ' ')
        size--;
    if (size > 3)
        line[3] = ' '; /* "-" where more lines follow */
    bool is_clean = text_clean(line, size, &words, NULL);
    text_copy(out_words, WORDS_SIZE, is_clean ? buffer_text(&words) : "");
    buffer_finish(&words);
}

/* RFC 4954 §6: a login is missing, too weak or wrong. */
static bool is_about_login(long code)
{
    return code == 530 || code == 534 || code == 535 || code == 538;
}

static bool is_login_missing(const struct dialogue *dialogue)
{
    return dialogue->smtp->settings.uri.user[0] != '\0' && !dialogue->has_login;
}

/* Who does not know us, because it offered no login, may refuse all mail to others. */
static bool is_refused_for_good(const struct dialogue *dialogue, long code)
{
    return dialogue->has_envelope && code >= 500 && code <= 599 && !is_about_login(code) &&
           !is_login_missing(dialogue);
}

static const char *complaint_of(const struct dialogue *dialogue, long code)
{
    if (is_refused_for_good(dialogue, code))
        return "refuses it";
    if (is_login_missing(dialogue))
        return "offers no login that is known here (PLAIN, LOGIN)";
    if (is_about_login(code) && !dialogue->has_login)
        return "wants a login, and none is configured";
    if (is_about_login(code) || (dialogue->has_login && !dialogue->has_envelope))
        return "refuses the login";
    return "does not take it now";
}

static bool tell_refusal(const struct dialogue *dialogue, long code, struct error *error)
{
    enum error_kind kind =
        is_refused_for_good(dialogue, code) ? ERROR_BAD_INPUT : ERROR_UNAVAILABLE;
    char words[WORDS_SIZE];
    write_words(dialogue, words);
    return error_set(error, kind, "the mail server %s: %s", complaint_of(dialogue, code), words);
}

static bool tell_certificate(const struct dialogue *dialogue, struct error *error)
{
    long verdict = 0;
    curl_easy_getinfo(dialogue->curl, CURLINFO_SSL_VERIFYRESULT, &verdict);
    return error_set(error, ERROR_UNAVAILABLE, "the mail server's certificate %s",
                     tls_complaint(verdict));
}

/* There is a connection, and nothing was said over it. */
static bool is_silent(const struct dialogue *dialogue)
{
    curl_off_t connected_us = 0;
    curl_easy_getinfo(dialogue->curl, CURLINFO_CONNECT_TIME_T, &connected_us);
    return connected_us > 0 && dialogue->reply.size == 0;
}

static bool tell_end(const struct dialogue *dialogue, const char *words, struct error *error)
{
    return error_set(error, ERROR_UNAVAILABLE, "the mail server: %s%s", words,
                     dialogue->is_handed_over ? "; whether it took the mail is not known" : "");
}

/* Its host is not named: the user is told this too, and the operator knows it. */
static bool tell(const struct dialogue *dialogue, CURLcode result, struct error *error)
{
    long code = 0;
    curl_easy_getinfo(dialogue->curl, CURLINFO_RESPONSE_CODE, &code);
    if (dialogue->is_unfit)
        return error_set(error, ERROR_BAD_INPUT,
                         "the mail server takes no address beyond ASCII (SMTPUTF8)");
    if (dialogue->is_too_late)
        return error_set(error, ERROR_UNAVAILABLE, "too late to send: another may have sent it");
    if (code >= 400)
        return tell_refusal(dialogue, code, error);
    switch (result) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return tell_certificate(dialogue, error);
    case CURLE_USE_SSL_FAILED:
        return tell_end(dialogue, "no STARTTLS, without which all could be read on the way", error);
    case CURLE_SSL_CONNECT_ERROR:
        return tell_end(dialogue, "no TLS, or none that is known here; is it smtp:// there?",
                        error);
    case CURLE_OPERATION_TIMEDOUT:
        return tell_end(dialogue,
                        is_silent(dialogue) ? "nothing was said in time; is it smtps:// there?"
                                            : "no answer in time",
                        error);
    default:
        return tell_end(dialogue, curl_easy_strerror(result), error);
    }
}

static bool dialogue_init(struct dialogue *dialogue, const struct smtp_sender *smtp, int timeout_ms,
                          struct error *error)
{
    *dialogue = (struct dialogue){
        .smtp = smtp,
        .curl = curl_easy_init(),
        .reply = BUFFER_WITH_MAX(REPLY_SIZE_MAX),
    };
    if (dialogue->curl == NULL)
        return error_set(error, ERROR_UNAVAILABLE, "start a dialogue with the mail server");
    set_options(dialogue, timeout_ms);
    return true;
}

static bool dialogue_run(struct dialogue *dialogue, struct error *error)
{
    CURLcode result = curl_easy_perform(dialogue->curl);
    return result == CURLE_OK || tell(dialogue, result, error);
}

/* ---- What a sender does ---- */

static bool ask(const struct smtp_sender *smtp, struct error *error)
{
    CLEANUP(dialogue_finish) struct dialogue dialogue = {0};
    if (!dialogue_init(&dialogue, smtp, CHECK_TIMEOUT_MS, error))
        return false;
    curl_easy_setopt(dialogue.curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(dialogue.curl, CURLOPT_CUSTOMREQUEST, "NOOP");
    if (!dialogue_run(&dialogue, error))
        return false;
    return !is_login_missing(&dialogue) ||
           error_set(error, ERROR_UNAVAILABLE, "the mail server %s", complaint_of(&dialogue, 0));
}

/* As far as the login: what all mails need. */
static bool smtp_check(struct mail_sender *sender, struct error *error)
{
    const struct smtp_sender *smtp = smtp_of(sender);
    const struct server_uri *uri = &smtp->settings.uri;
    return ask(smtp, error) || error_prefix(error, "%s:%u", uri->host, uri->port);
}

static bool smtp_send(struct mail_sender *sender, const struct mail *mail, int timeout_ms,
                      mail_sender_may_send *may_send, void *context, struct error *error)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    CLEANUP(dialogue_finish) struct dialogue dialogue = {0};
    int from_size = snprintf(from, sizeof from, "<%s>", mail->from);
    int to_size = snprintf(to, sizeof to, "<%s>", mail->to);
    if (from_size >= (int)sizeof from || to_size >= (int)sizeof to)
        return error_set(error, ERROR_BAD_INPUT, "an address is longer than one can be");
    if (!dialogue_init(&dialogue, smtp_of(sender), timeout_ms, error))
        return false;
    dialogue.mail = mail;
    dialogue.may_send = may_send;
    dialogue.may_context = context;
    struct curl_slist *recipients = curl_slist_append(NULL, to);
    if (recipients == NULL)
        abort();
    curl_easy_setopt(dialogue.curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(dialogue.curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(dialogue.curl, CURLOPT_READFUNCTION, on_message);
    curl_easy_setopt(dialogue.curl, CURLOPT_READDATA, &dialogue);
    curl_easy_setopt(dialogue.curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)mail->size);
    curl_easy_setopt(dialogue.curl, CURLOPT_UPLOAD, 1L);
    bool is_sent = dialogue_run(&dialogue, error);
    curl_slist_free_all(recipients);
    return is_sent;
}

const struct mail_sender_backend mail_sender_smtp = {
    .name = "smtp",
    .open = smtp_open,
    .check = smtp_check,
    .send = smtp_send,
    .close = smtp_close,
};
