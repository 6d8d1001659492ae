/* Does what standard input says with the board at the port that is the first argument:
 * "H nonce abort", "W address count words...", "R address count", "D ms" (wait until done),
 * "I fingerprint" (identify). */
#include "systolith.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST 65536

static int port_send(void *port, const uint8_t *data, size_t count)
{
    while (count > 0) {
        ssize_t sent = write(*(int *)port, data, count);
        if (sent <= 0)
            return -1;
        data += sent;
        count -= (size_t)sent;
    }
    return 0;
}

static int port_receive(void *port, uint8_t *data, size_t count, unsigned ms)
{
    struct pollfd wait = {.fd = *(int *)port, .events = POLLIN};
    if (poll(&wait, 1, (int)ms) <= 0)
        return 0;
    ssize_t came = read(*(int *)port, data, count);
    return came <= 0 ? -1 : (int)came;
}

int main(int argc, char **argv)
{
    static uint32_t words[MOST];
    static systolith board;
    int port = argc == 2 ? open(argv[1], O_RDWR | O_NOCTTY) : -1;
    char what;
    uint32_t first, count;
    systolith_result result = SYSTOLITH_OK;
    if (port < 0)
        return 2;
    board.send = port_send;
    board.receive = port_receive;
    board.port = &port;
    while (result == SYSTOLITH_OK && scanf(" %c %" SCNu32, &what, &first) == 2) {
        count = 0;
        if (what != 'D' && what != 'I' && scanf("%" SCNu32, &count) != 1)
            return 3;
        if ((what == 'W' || what == 'R') && count > MOST)
            return 3;
        for (uint32_t n = 0; what == 'W' && n < count; n++)
            if (scanf("%" SCNu32, &words[n]) != 1)
                return 3;
        result = what == 'H'   ? systolith_hello(&board, first, (int)count)
                 : what == 'W' ? systolith_write(&board, first, words, count)
                 : what == 'R' ? systolith_read(&board, first, words, count)
                 : what == 'I' ? systolith_identify(&board, first)
                               : systolith_wait(&board, first);
        for (uint32_t n = 0; result == SYSTOLITH_OK && what == 'R' && n < count; n++)
            printf("%" PRIu32 "\n", words[n]);
    }
    fprintf(stderr, "result %d, %" PRIu32 " retries\n", (int)result, board.retries);
    return result == SYSTOLITH_OK ? 0 : 1;
}
