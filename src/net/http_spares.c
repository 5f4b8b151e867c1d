#include "net/http_spares.h"

#include "net/http_exchange.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

/* More than these go back to the system, and by munmap(2) at once: free() would keep what a burst
 * has needed. */
#define SPARES_MAX 16

struct http_spares {
    /* Guarded by lock, a leaf. */
    pthread_mutex_t lock;
    char
        *bytes[SPARES_MAX]; /* owned; the last one given is taken first: it is still in the cache */
    size_t count;
};

struct http_spares *http_spares_open(void)
{
    struct http_spares *spares = calloc(1, sizeof *spares);
    if (spares == NULL)
        abort();
    pthread_mutex_init(&spares->lock, NULL);
    return spares;
}

void http_spares_close(struct http_spares *spares)
{
    if (spares == NULL)
        return;
    for (size_t i = 0; i < spares->count; i++)
        munmap(spares->bytes[i], HTTP_PIECE_SIZE);
    pthread_mutex_destroy(&spares->lock);
    free(spares);
}

char *http_spares_take(struct http_spares *spares)
{
    char *bytes = NULL;
    pthread_mutex_lock(&spares->lock);
    if (spares->count > 0)
        bytes = spares->bytes[--spares->count];
    pthread_mutex_unlock(&spares->lock);
    if (bytes != NULL)
        return bytes;
    bytes = mmap(NULL, HTTP_PIECE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        abort();
    return bytes;
}

void http_spares_give(struct http_spares *spares, char *bytes)
{
    if (bytes == NULL)
        return;
    pthread_mutex_lock(&spares->lock);
    if (spares->count < SPARES_MAX) {
        spares->bytes[spares->count++] = bytes;
        bytes = NULL;
    }
    pthread_mutex_unlock(&spares->lock);
    if (bytes != NULL)
        munmap(bytes, HTTP_PIECE_SIZE);
}
