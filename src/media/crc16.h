#pragma once

/* CRC-16/ARC: polynomial 0x8005, reflected. Pure. */

#include <stddef.h>
#include <stdint.h>

/* Continued from `crc`; begin with 0. */
uint16_t crc16_add(uint16_t crc, const unsigned char *bytes, size_t size);
