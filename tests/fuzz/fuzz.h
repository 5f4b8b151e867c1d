#pragma once

/* One file for each parser of hostile bytes. libFuzzer calls the function with what it makes up
 * (scripts/fuzz), replay.c with what lies in corpus/ and regressions/: there the targets are tests
 * like all others. A target aborts where a promise of the parser's header does not hold. */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Unlike assert(): in every build. */
#define must(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_fail(const char *file, int line, const char *condition);
/* NUL-terminated, in memory of exactly its size; free() it. NUL bytes in between become spaces. */
char *fuzz_text(const uint8_t *bytes, size_t size);
