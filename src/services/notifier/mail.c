#include "services/notifier/mail.h"

#include "base/text.h"
#include "services/notifier/mail_text.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BODY_SIZE_MAX 16384
#define NAME_SIZE_MAX (4 * CONVERSION_NAME_SIZE)
#define SUBJECT_SIZE (NAME_SIZE_MAX + 64)
#define DATE_SIZE 64

/* Not strftime's: those follow the locale. */
static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static void fields_of(int64_t wall_ms, struct tm *out_fields)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    if (gmtime_r(&seconds, out_fields) == NULL)
        *out_fields = (struct tm){.tm_mday = 1, .tm_year = 70};
}

static void format_date_for_people(int64_t wall_ms, char out_text[DATE_SIZE])
{
    struct tm fields;
    fields_of(wall_ms, &fields);
    snprintf(out_text, DATE_SIZE, "%d %s %d, %02d:%02d UTC", fields.tm_mday,
             month_names[fields.tm_mon], fields.tm_year + 1900, fields.tm_hour, fields.tm_min);
}

/* RFC 5322 §3.3. */
static void format_date_header(int64_t wall_ms, char out_text[DATE_SIZE])
{
    struct tm fields;
    fields_of(wall_ms, &fields);
    snprintf(out_text, DATE_SIZE, "%s, %d %.3s %d %02d:%02d:%02d +0000", day_names[fields.tm_wday],
             fields.tm_mday, month_names[fields.tm_mon], fields.tm_year + 1900, fields.tm_hour,
             fields.tm_min, fields.tm_sec);
}

static enum mail_kind kind_of(const struct conversion *record)
{
    return record->state == CONVERSION_DONE ? MAIL_DONE : MAIL_FAILED;
}

void mail_key(const struct conversion *record, char out_key[MAIL_KEY_SIZE])
{
    snprintf(out_key, MAIL_KEY_SIZE, "%s.%s", record->id.text,
             kind_of(record) == MAIL_DONE ? "done" : "failed");
}

/* ---- What is known ---- */

/* The texts that facts point to. */
struct material {
    struct buffer name; /* owned */
    char link[PUBLIC_URL_LINK_SIZE];
    char size[TEXT_UNIT_SIZE], length[TEXT_UNIT_SIZE], quality[64], expiry[DATE_SIZE];
};

static void material_finish(struct material *material)
{
    buffer_finish(&material->name);
}

static void describe_mp3(const struct conversion *record, struct material *material)
{
    if (record->mp3.size_bytes > 0)
        text_format_size_for_people((uint64_t)record->mp3.size_bytes, material->size);
    if (record->mp3.duration_seconds > 0)
        text_format_length_for_people(record->mp3.duration_seconds, material->length);
    if (record->mp3.bitrate_kbps != 0)
        snprintf(material->quality, sizeof material->quality, "%u kbit/s, %s, %u Hz",
                 record->mp3.bitrate_kbps, record->mp3.channels == 1 ? "mono" : "stereo",
                 record->mp3.sample_rate_hz);
}

static bool collect(const struct mail_identity *identity, const struct conversion *record,
                    struct material *material, struct mail_facts *out_facts, struct error *error)
{
    if (!text_clean(record->video.name, strlen(record->video.name), &material->name, error))
        return false;
    public_url_conversion(&identity->url, &record->id, material->link);
    describe_mp3(record, material);
    /* Of a foreign MP3 only the record ends. */
    if (record->expires_at_ms > 0 && record->foreign != CONVERSION_FOREIGN_MP3)
        format_date_for_people(record->expires_at_ms, material->expiry);
    const struct failure *failure = failure_find(record->error.code);
    *out_facts = (struct mail_facts){
        .name = buffer_text(&material->name),
        .conversion_id = record->id.text,
        .mp3_id = record->mp3.id.text,
        .link = material->link,
        .size = material->size,
        .length = material->length,
        .quality = material->quality,
        .expiry = material->expiry,
        .warning = record->mp3.is_truncated ? "The video ended early, or broke off; the MP3 holds "
                                              "the sound up to there."
                                            : "",
        .problem = record->error.message,
        .advice = failure == NULL ? "Try it again, or another video." : failure->advice,
    };
    return true;
}

/* ---- The message ---- */

static bool append_headers(struct buffer *mail, const struct mail_identity *identity,
                           const struct conversion *record, const struct mail_address *to,
                           int64_t now_ms, struct error *error)
{
    char date[DATE_SIZE];
    char key[MAIL_KEY_SIZE];
    format_date_header(now_ms, date);
    mail_key(record, key);
    if (!buffer_append_format(mail, error, "Date: %s\r\n", date) ||
        !mail_header_address(mail, "From", &identity->from, error))
        return false;
    if (identity->reply_to.address[0] != '\0' &&
        !mail_header_address(mail, "Reply-To", &identity->reply_to, error))
        return false;
    return mail_header_address(mail, "To", to, error) &&
           buffer_append_format(mail, error, "Message-ID: <%s@%s>\r\n", key,
                                mail_address_domain(&identity->from)) &&
           buffer_append_text(mail, "Auto-Submitted: auto-generated\r\n", error) &&
           buffer_append_text(mail, "MIME-Version: 1.0\r\n", error);
}

static bool append_subject(struct buffer *mail, enum mail_kind kind, const struct mail_facts *facts,
                           struct error *error)
{
    static const char *const beginnings[] = {
        [MAIL_DONE] = "Your MP3 is ready",
        [MAIL_FAILED] = "Your video could not be converted",
    };
    char subject[SUBJECT_SIZE];
    bool has_name = facts->name[0] != '\0';
    snprintf(subject, sizeof subject, "%s%s%s", beginnings[kind], has_name ? ": " : "",
             facts->name);
    return mail_header_text(mail, "Subject", subject, error);
}

static bool append_part(struct buffer *mail, enum mail_kind kind, enum mail_form form,
                        const struct mail_facts *facts, struct error *error)
{
    CLEANUP(buffer_finish) struct buffer text = BUFFER_WITH_MAX(BODY_SIZE_MAX);
    return buffer_append_format(mail, error,
                                "\r\n--=_%s\r\n"
                                "Content-Type: text/%s; charset=utf-8\r\n"
                                "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
                                facts->conversion_id, form == MAIL_HTML ? "html" : "plain") &&
           mail_text_write(&text, kind, form, facts, error) &&
           mail_quoted_printable(mail, buffer_text(&text), text.size, error);
}

bool mail_compose(const struct mail_identity *identity, const struct conversion *record,
                  int64_t now_ms, struct buffer *out_mail, struct error *error)
{
    struct mail_address to;
    if (!mail_address_parse(record->owner.email, &to, error))
        return false;
    CLEANUP(material_finish)
    struct material material = {.name = BUFFER_WITH_MAX(NAME_SIZE_MAX)};
    struct mail_facts facts;
    enum mail_kind kind = kind_of(record);
    /* "=_" cannot stand in a quoted-printable body, so no name can end a part. */
    return collect(identity, record, &material, &facts, error) &&
           append_headers(out_mail, identity, record, &to, now_ms, error) &&
           append_subject(out_mail, kind, &facts, error) &&
           buffer_append_format(out_mail, error,
                                "Content-Type: multipart/alternative; boundary=\"=_%s\"\r\n",
                                record->id.text) &&
           append_part(out_mail, kind, MAIL_TEXT, &facts, error) &&
           append_part(out_mail, kind, MAIL_HTML, &facts, error) &&
           buffer_append_format(out_mail, error, "\r\n--=_%s--\r\n", record->id.text);
}
