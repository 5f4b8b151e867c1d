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
    char reason[CURL_ERROR_SIZE];   /* the library's words */

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
    ignore_failure(buffer_append(&dialogue->reply, line + skipped, size - skipped, NULL));
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
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)timeout_ms / 1000 + 1);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, dialogue->reason);
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

static bool tell_refusal(const struct dialogue *dialogue, long code, struct error *error)
{
    char words[WORDS_SIZE];
    write_words(dialogue, words);
    if (is_refused_for_good(dialogue, code))
        return error_set(error, ERROR_BAD_INPUT, "the mail server refuses it: %s", words);
    if (is_login_missing(dialogue))
        return error_set(error, ERROR_UNAVAILABLE,
                         "the mail server offers no login that is known here (PLAIN, LOGIN): %s",
                         words);
    if (is_about_login(code) || (dialogue->has_login && !dialogue->has_envelope))
        return error_set(error, ERROR_UNAVAILABLE, "the mail server refuses the login: %s", words);
    return error_set(error, ERROR_UNAVAILABLE, "the mail server does not take it now: %s", words);
}

static bool tell_certificate(const struct dialogue *dialogue, struct error *error)
{
    const struct server_uri *uri = &dialogue->smtp->settings.uri;
    long verdict = 0;
    curl_easy_getinfo(dialogue->curl, CURLINFO_SSL_VERIFYRESULT, &verdict);
    return error_set(error, ERROR_UNAVAILABLE, "the certificate of %s:%u %s", uri->host, uri->port,
                     tls_complaint(verdict));
}

static bool tell(const struct dialogue *dialogue, CURLcode result, struct error *error)
{
    const struct server_uri *uri = &dialogue->smtp->settings.uri;
    const char *outcome = dialogue->is_handed_over ? "; whether it took the mail is not known" : "";
    long code = 0;
    curl_easy_getinfo(dialogue->curl, CURLINFO_RESPONSE_CODE, &code);
    if (dialogue->is_unfit)
        return error_set(error, ERROR_BAD_INPUT,
                         "the mail server takes no address beyond ASCII (SMTPUTF8)");
    if (dialogue->is_too_late)
        return error_set(error, ERROR_UNAVAILABLE, "too late to send: another may have sent it");
    if (result == CURLE_PEER_FAILED_VERIFICATION)
        return tell_certificate(dialogue, error);
    if (result == CURLE_USE_SSL_FAILED)
        return error_set(error, ERROR_UNAVAILABLE,
                         "%s:%u offers no TLS (STARTTLS), and without it mails and the password "
                         "could be read on the way",
                         uri->host, uri->port);
    if (code >= 400)
        return tell_refusal(dialogue, code, error);
    if (result == CURLE_OPERATION_TIMEDOUT)
        return error_set(error, ERROR_UNAVAILABLE, "%s:%u did not answer in time%s", uri->host,
                         uri->port, outcome);
    return error_set(error, ERROR_UNAVAILABLE, "%s:%u: %s%s", uri->host, uri->port,
                     dialogue->reason[0] != '\0' ? dialogue->reason : curl_easy_strerror(result),
                     outcome);
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

/* As far as the login: what all mails need. */
static bool smtp_check(struct mail_sender *sender, struct error *error)
{
    CLEANUP(dialogue_finish) struct dialogue dialogue = {0};
    if (!dialogue_init(&dialogue, smtp_of(sender), CHECK_TIMEOUT_MS, error))
        return false;
    curl_easy_setopt(dialogue.curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(dialogue.curl, CURLOPT_CUSTOMREQUEST, "NOOP");
    if (!dialogue_run(&dialogue, error))
        return false;
    return !is_login_missing(&dialogue) || tell_refusal(&dialogue, 0, error);
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
