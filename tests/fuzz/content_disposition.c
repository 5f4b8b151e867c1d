#include "net/content_disposition.h"

#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Whatever the file is called, the header is one line of ASCII with one quoted string. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct error error = {0};
    CLEANUP(buffer_finish) struct buffer value = BUFFER_WITH_MAX(CONTENT_DISPOSITION_SIZE_MAX);
    char *name = fuzz_text(bytes, size);
    must(content_disposition_format(name, &value, &error));
    size_t quotes = 0;
    for (size_t i = 0; i < value.size; i++) {
        must(value.bytes[i] >= ' ' && (unsigned char)value.bytes[i] < 0x7f);
        quotes += value.bytes[i] == '"';
    }
    must(quotes == 2);
    free(name);
    return 0;
}
