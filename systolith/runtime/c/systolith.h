/* A driver for Systolith boards in C99, without a heap: what docs/link.md describes, one request at
 * a time. Fill in `send`, `receive` and `port`, zero the rest, say hello, then write and read. */
#ifndef SYSTOLITH_H
#define SYSTOLITH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Words of 32 bits in a frame at the most. */
#define SYSTOLITH_WORDS 60
/* Milliseconds until a request is sent again, and how often it is sent at the most. */
#define SYSTOLITH_RETRY_MS 100
#define SYSTOLITH_TRIES 50

/* Windows of addresses, and registers in the first: rtl/accelerator/registers.py has them all. */
#define SYSTOLITH_ADDRESS(window, offset) ((uint32_t)(window) << 20 | (uint32_t)(offset))
#define SYSTOLITH_ID 0x53595354u
/* Upper half of the register FINGERPRINT: a digest of these windows and registers. */
#define SYSTOLITH_MAP 0x04c5u /* written by python -m systolith.cli.generate_docs */

/* Registers of every build. */
enum { SYSTOLITH_REGISTER_ID = 0, SYSTOLITH_REGISTER_FINGERPRINT = 8 };

enum {
    SYSTOLITH_REGISTERS = 0,
    SYSTOLITH_PROGRAM = 1,
    SYSTOLITH_WEIGHTS = 2,
    SYSTOLITH_PARAMS = 3,
    SYSTOLITH_ACTIVATIONS = 4,
    SYSTOLITH_CYCLES = 5
};

/* What functions return. */
typedef enum {
    SYSTOLITH_OK = 0,
    SYSTOLITH_NO_ANSWER, /* nothing, or nothing intact, came back: cable, power, baud rate? */
    SYSTOLITH_RESET,     /* the board was reset: say hello, write everything again */
    SYSTOLITH_REFUSED,   /* the board speaks another version of the link */
    SYSTOLITH_FOREIGN,   /* no accelerator, or its registers or descriptors are others */
    SYSTOLITH_PORT       /* `send` or `receive` failed */
} systolith_result;

typedef struct {
    /* Sends all bytes; returns 0, or -1 if the port failed. */
    int (*send)(void *port, const uint8_t *data, size_t count);
    /* Waits up to `ms` for at least a byte; returns how many came, 0 for none, -1 on a failure. */
    int (*receive)(void *port, uint8_t *data, size_t count, unsigned ms);
    void *port;

    uint8_t sequence;
    uint32_t retries; /* requests that were sent again */
    uint8_t frame[256];
    uint8_t inbox[256];
    size_t length;
} systolith;

/* Begins a conversation. `nonce` is any number that was not used lately. With `abort` the
 * accelerator is reset first; its memories stay. */
systolith_result systolith_hello(systolith *board, uint32_t nonce, int abort);

/* Whether the board is what this header and a program were made for: SYSTOLITH_FOREIGN if not.
 * `fingerprint` is the word that the program writes first, to the register FINGERPRINT, or 0. */
systolith_result systolith_identify(systolith *board, uint32_t fingerprint);

/* Writes words to ascending addresses. */
systolith_result systolith_write(systolith *board, uint32_t address, const uint32_t *words,
                                 size_t count);

/* Reads words from ascending addresses. */
systolith_result systolith_read(systolith *board, uint32_t address, uint32_t *words, size_t count);

/* Waits until nothing runs, up to about `ms`. */
systolith_result systolith_wait(systolith *board, unsigned ms);

#ifdef __cplusplus
}
#endif

#endif
