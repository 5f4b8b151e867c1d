#include "net/problem.h"

#include "base/json.h"
#include "base/text.h"
#include "model/failure.h"

/* Leaves room in PROBLEM_SIZE_MAX even where every byte becomes \u00XX. */
#define DETAIL_SIZE 400

/* `type` is left out, which means "about:blank" (§4.2.1): `code` is what a client decides by. */
bool problem_format(const struct failure *failure, const char *detail, const char *request_id,
                    struct buffer *out_text, struct error *error)
{
    char cut_detail[DETAIL_SIZE];
    text_copy(cut_detail, sizeof cut_detail, detail != NULL ? detail : failure->sentence);

    CLEANUP(json_decrefp) json_t *problem = json_object_make();
    json_set_text(problem, "title", failure->sentence);
    json_set_integer(problem, "status", failure->http_status);
    json_set_text(problem, "code", failure->code);
    json_set_text(problem, "detail", cut_detail);
    json_set_text(problem, "action", failure->advice);
    json_set_text(problem, "request_id", request_id);
    return json_format(problem, out_text, error);
}
