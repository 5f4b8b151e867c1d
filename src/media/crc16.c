#include "media/crc16.h"

#include <pthread.h>

#define POLYNOMIAL 0xa001U /* 0x8005, the lowest bit first */
#define SLICES 16

/* [n][b]: what is left of byte b with n zeros behind it. */
static uint16_t remainders[SLICES][256];
static pthread_once_t are_made = PTHREAD_ONCE_INIT;

static void make_remainders(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned left = byte;
        for (unsigned bit = 0; bit < 8; bit++)
            left = left >> 1 ^ ((left & 1) != 0 ? POLYNOMIAL : 0);
        remainders[0][byte] = (uint16_t)left;
    }
    for (unsigned slice = 1; slice < SLICES; slice++)
        for (unsigned byte = 0; byte < 256; byte++) {
            unsigned left = remainders[slice - 1][byte];
            remainders[slice][byte] = (uint16_t)(left >> 8 ^ remainders[0][left & 0xff]);
        }
}

/* Sixteen bytes at a time, whose look-ups need not wait for each other: else, of copying an MP3,
 * this is what would take longest. */
static uint16_t add_slices(uint16_t crc, const unsigned char *bytes)
{
    unsigned left = remainders[SLICES - 1][(crc ^ bytes[0]) & 0xff] ^
                    remainders[SLICES - 2][(crc >> 8 ^ bytes[1]) & 0xff];
    for (unsigned i = 2; i < SLICES; i++)
        left ^= remainders[SLICES - 1 - i][bytes[i]];
    return (uint16_t)left;
}

uint16_t crc16_add(uint16_t crc, const unsigned char *bytes, size_t size)
{
    pthread_once(&are_made, make_remainders);
    for (; size >= SLICES; bytes += SLICES, size -= SLICES)
        crc = add_slices(crc, bytes);
    for (; size > 0; bytes++, size--)
        crc = (uint16_t)(crc >> 8 ^ remainders[0][(crc ^ bytes[0]) & 0xff]);
    return crc;
}
