#include "systolith.h"

#include <string.h>

enum { HELLO = 0, WRITE = 1, READ = 2, WAIT = 3, ABORT = 0x80 };
enum { DONE = 0, GAP = 1, CLOSED = 2 };
enum { HEADER = 5, VERSION = 1 };

static uint32_t crc32(const uint8_t *data, size_t count)
{
    uint32_t crc = 0xffffffffu;
    while (count--) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void put32(uint8_t *to, uint32_t value)
{
    for (int n = 0; n < 4; n++)
        to[n] = (uint8_t)(value >> 8 * n);
}

static uint32_t get32(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

/* Makes a frame of the `count` bytes at frame + 2: CRC, COBS in place, and a delimiter before and
 * after it. Returns its length. */
static size_t seal(uint8_t *frame, size_t count)
{
    uint8_t *body = frame + 2;
    put32(body + count, crc32(body, count));
    count += 4;
    size_t zero = 1; /* where the way to the next zero goes */
    frame[0] = 0;
    for (size_t at = 2; at < 2 + count; at++)
        if (frame[at] == 0) {
            frame[zero] = (uint8_t)(at - zero);
            zero = at;
        }
    frame[zero] = (uint8_t)(2 + count - zero);
    frame[2 + count] = 0;
    return count + 3;
}

/* Opens the `count` bytes of a frame in place. Returns the length of its body, or 0. */
static size_t open_frame(uint8_t *frame, size_t count)
{
    size_t at = 0;
    while (at < count) {
        size_t next = at + frame[at];
        if (next > count)
            return 0;
        frame[at] = 0;
        at = next;
    }
    if (count < 1 + 2 + 4)
        return 0;
    memmove(frame, frame + 1, count - 1);
    count -= 1 + 4;
    return crc32(frame, count) == get32(frame + count) ? count : 0;
}

/* Waits for the answer to `sequence`, with so many bytes of data, which it leaves at inbox + 2. */
static systolith_result await(systolith *board, uint8_t sequence, size_t bytes, unsigned ms)
{
    /* Noise that never ends must not keep us: no answer is so far behind. */
    for (unsigned heard = 0; heard < 4096; heard++) {
        uint8_t byte;
        int count = board->receive(board->port, &byte, 1, ms);
        if (count < 0)
            return SYSTOLITH_PORT;
        if (count == 0)
            return SYSTOLITH_NO_ANSWER;
        if (byte != 0) {
            if (board->length < sizeof board->inbox)
                board->inbox[board->length] = byte;
            board->length += board->length <= sizeof board->inbox;
            continue;
        }
        size_t length = board->length <= sizeof board->inbox
                            ? open_frame(board->inbox, board->length) : 0;
        board->length = 0;
        if (length < 2 || board->inbox[0] != sequence)
            continue;
        switch (board->inbox[1]) {
        case DONE:
            if (length == 2 + bytes)
                return SYSTOLITH_OK;
            break;
        case GAP: /* cannot be: one request at a time */
            break;
        case CLOSED:
            return SYSTOLITH_RESET;
        default:
            return SYSTOLITH_REFUSED;
        }
    }
    return SYSTOLITH_NO_ANSWER;
}

/* Sends the request whose data, `count` bytes, are at frame + 2 + HEADER, until it is answered. */
static systolith_result request(systolith *board, uint8_t kind, uint32_t address, size_t count,
                                size_t answer, unsigned tries)
{
    uint8_t sequence = board->sequence;
    uint8_t *body = board->frame + 2;
    systolith_result result = SYSTOLITH_NO_ANSWER;
    put32(body + 1, address);
    body[0] = kind;
    memmove(body + 2, body + 1, 3);
    body[1] = sequence;
    size_t length = seal(board->frame, HEADER + count);
    for (unsigned n = 0; n < tries && result == SYSTOLITH_NO_ANSWER; n++) {
        if (board->send(board->port, board->frame, length) != 0)
            return SYSTOLITH_PORT;
        board->retries += n > 0;
        result = await(board, sequence, answer, SYSTOLITH_RETRY_MS);
    }
    if (result == SYSTOLITH_OK)
        board->sequence++;
    return result;
}

systolith_result systolith_hello(systolith *board, uint32_t nonce, int abort)
{
    systolith_result result = SYSTOLITH_NO_ANSWER;
    uint8_t drained;
    for (unsigned n = 0; n < 4096 && board->receive(board->port, &drained, 1, 0) > 0; n++)
        ;
    board->sequence = (uint8_t)(nonce ^ nonce >> 8 ^ nonce >> 16 ^ nonce >> 24);
    board->length = 0;
    for (unsigned n = 0; n < SYSTOLITH_TRIES && result == SYSTOLITH_NO_ANSWER; n++) {
        uint8_t sequence = board->sequence;
        put32(board->frame + 2 + HEADER, nonce);
        result = request(board, abort ? ABORT : HELLO, 0, 4, 8, 1);
        if (result == SYSTOLITH_OK && get32(board->inbox + 2) != nonce) {
            board->sequence = sequence; /* an answer to somebody else */
            result = SYSTOLITH_NO_ANSWER;
        }
    }
    if (result == SYSTOLITH_OK && board->inbox[6] != VERSION)
        return SYSTOLITH_REFUSED;
    return result;
}

systolith_result systolith_identify(systolith *board, uint32_t fingerprint)
{
    uint32_t id, found;
    systolith_result result = systolith_read(board, SYSTOLITH_REGISTER_ID, &id, 1);
    if (result == SYSTOLITH_OK)
        result = systolith_read(board, SYSTOLITH_REGISTER_FINGERPRINT, &found, 1);
    if (result != SYSTOLITH_OK)
        return result;
    if (id != SYSTOLITH_ID || found >> 16 != SYSTOLITH_MAP
        || (fingerprint != 0 && found != fingerprint))
        return SYSTOLITH_FOREIGN;
    return SYSTOLITH_OK;
}

systolith_result systolith_write(systolith *board, uint32_t address, const uint32_t *words,
                                 size_t count)
{
    while (count > 0) {
        size_t part = count < SYSTOLITH_WORDS ? count : SYSTOLITH_WORDS;
        for (size_t n = 0; n < part; n++)
            put32(board->frame + 2 + HEADER + 4 * n, words[n]);
        systolith_result result = request(board, WRITE, address, 4 * part, 0, SYSTOLITH_TRIES);
        if (result != SYSTOLITH_OK)
            return result;
        address += (uint32_t)part;
        words += part;
        count -= part;
    }
    return SYSTOLITH_OK;
}

systolith_result systolith_read(systolith *board, uint32_t address, uint32_t *words, size_t count)
{
    while (count > 0) {
        size_t part = count < SYSTOLITH_WORDS ? count : SYSTOLITH_WORDS;
        board->frame[2 + HEADER] = (uint8_t)part;
        systolith_result result = request(board, READ, address, 1, 4 * part, SYSTOLITH_TRIES);
        if (result != SYSTOLITH_OK)
            return result;
        for (size_t n = 0; n < part; n++)
            words[n] = get32(board->inbox + 2 + 4 * n);
        address += (uint32_t)part;
        words += part;
        count -= part;
    }
    return SYSTOLITH_OK;
}

systolith_result systolith_wait(systolith *board, unsigned ms)
{
    return request(board, WAIT, 0, 0, 0, ms / SYSTOLITH_RETRY_MS + 2);
}
