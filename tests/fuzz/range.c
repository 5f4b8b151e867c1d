#include "net/range.h"

#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Eight bytes of size, then the header. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint64_t whole;
    struct range range;
    char content_range[RANGE_TEXT_SIZE];
    if (size < sizeof whole)
        return 0;
    memcpy(&whole, bytes, sizeof whole);
    whole &= INT64_MAX;
    char *text = fuzz_text(bytes + sizeof whole, size - sizeof whole);
    enum range_result result = range_parse(text, NULL, "\"e\"", whole, &range);
    must(range.offset <= whole && range.length <= whole - range.offset);
    must(result == RANGE_PART ? range.length > 0 : range.offset == 0 && range.length == whole);
    range_format(result == RANGE_PART ? &range : NULL, whole, content_range);
    must(range_parse("bytes=0-0", text, "\"e\"", 9, &range) !=
         RANGE_UNSATISFIABLE); /* as If-Range */
    must(!etag_matches_weakly(text, "\"e\"") || strpbrk(text, "e*") != NULL);
    free(text);
    return 0;
}
