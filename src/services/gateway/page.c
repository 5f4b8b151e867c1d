/* GET /c/{id}, where the email's link leads: how to fetch the MP3, and how to ask why there is
 * none. It does not look at the conversion, so that it can say nothing about it. */

#include "services/gateway/gateway.h"

#include "base/text.h"

#define PAGE_SIZE_MAX 16384

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Tapedeck</title>\n"
    "<style>body{font:16px/1.5 sans-serif;max-width:44em;margin:3em auto;padding:0 1em}"
    "pre{background:#8882;padding:1em;overflow-x:auto}</style>\n"
    "<h1>Your conversion</h1>\n<p>Log in, and put the token that you get into a variable:</p>\n";

static bool format_page(const char *url, const struct id *id, struct buffer *out_page)
{
    CLEANUP(buffer_finish) struct buffer escaped = BUFFER_WITH_MAX(6 * PUBLIC_URL_SIZE);
    if (!text_escape_html(url, &escaped, NULL))
        return false;
    const char *url_text = buffer_text(&escaped);
    return buffer_append_text(out_page, head, NULL) &&
           buffer_append_format(out_page, NULL,
                                "<pre>token=$(curl -sf -X POST -u YOUR_EMAIL %s/login)</pre>\n"
                                "<p>curl asks for your password. Then fetch the MP3:</p>\n"
                                "<pre>curl -fOJ -H \"Authorization: Bearer $token\" \\\n"
                                "  %s/v1/conversions/%s/mp3</pre>\n"
                                "<p>If there is none, ask how the conversion ended:</p>\n"
                                "<pre>curl -s -H \"Authorization: Bearer $token\" \\\n"
                                "  %s/v1/conversions/%s</pre>\n",
                                url_text, url_text, id->text, url_text, id->text);
}

void gateway_page(struct http_request *request)
{
    struct id id;
    if (!id_parse(http_request_path_parameter(request, "id"), &id, NULL)) {
        http_answer_failure(request, &FAILURE_NOT_FOUND, NULL);
        return;
    }
    CLEANUP(buffer_finish) struct buffer page = BUFFER_WITH_MAX(PAGE_SIZE_MAX);
    if (!format_page(gateway_of(request)->public_url.text, &id, &page)) {
        http_answer_failure(request, &FAILURE_INTERNAL, NULL);
        return;
    }
    http_answer_header(request, "Content-Security-Policy",
                       "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    http_answer_header(request, "X-Content-Type-Options", "nosniff");
    http_answer_header(request, "Referrer-Policy", "no-referrer");
    http_answer_bytes(request, 200, "text/html; charset=utf-8", buffer_text(&page), page.size);
}
