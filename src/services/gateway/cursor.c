#include "services/gateway/cursor.h"

#include <sodium.h>
#include <string.h>

/* So that another form of cursor can follow this one. */
#define VERSION '1'

void cursor_format(const struct id *last_id, char out_cursor[CURSOR_SIZE])
{
    unsigned char bytes[1 + ID_BYTES] = {VERSION};
    size_t size = 0;
    sodium_hex2bin(bytes + 1, ID_BYTES, last_id->text, strlen(last_id->text), NULL, &size, NULL);
    sodium_bin2base64(out_cursor, CURSOR_SIZE, bytes, sizeof bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool cursor_parse(const char *cursor, struct id *out_last_id, struct error *error)
{
    unsigned char bytes[1 + ID_BYTES];
    size_t size = 0;
    const char *end = NULL;
    size_t length = strnlen(cursor, CURSOR_SIZE);
    if (sodium_base642bin(bytes, sizeof bytes, cursor, length, NULL, &size, &end,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        end != cursor + length || length == CURSOR_SIZE || size != sizeof bytes ||
        bytes[0] != VERSION)
        return error_set(error, ERROR_BAD_INPUT, "not a cursor of this service");
    *out_last_id = id_from_bytes(bytes + 1);
    return true;
}
