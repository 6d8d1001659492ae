// Turns the pins of a verilated board into bytes: a UART on the other side of rx and tx.
#include "driver.cpp"

#include <deque>

namespace {

// Cycles without a bit on either pin after which nothing more is to come while nothing runs.
// The longest silence is that in which the longest answer is gathered: below 4 000.
constexpr uint64_t QUIET = 8192;

struct Board {
    Sim sim;
    unsigned divisor;
    std::deque<uint8_t> in;
    std::vector<uint8_t> out;
    unsigned sending = 0, send_clock = 0, send_bits = 0;     // bits left of the byte on rx
    unsigned taking = 0, take_clock = 0, take_bits = 0;      // bits left of the byte on tx
    uint64_t still = 0;

    // While an SDRAM is started anew, all waits.
    uint64_t quiet() const { return QUIET + (sim.sdram ? sim.sdram->start_cycles() : 0); }

    void cycle() {
        auto &top = sim.top;
        if (!sending && !in.empty()) {
            send_bits = 0x200u | in.front() << 1;
            in.pop_front();
            sending = 10;
            send_clock = divisor;
        }
        top.rx = sending ? send_bits & 1 : 1;
        if (sending && !--send_clock) {
            send_bits >>= 1;
            send_clock = divisor;
            sending--;
        }
        sim.half(0);
        if (taking) {
            if (!--take_clock) {
                take_bits = take_bits >> 1 | top.tx << 9;
                take_clock = divisor;
                if (!--taking && take_bits & 0x200) out.push_back(take_bits >> 1);
            }
        } else if (!top.tx) {
            taking = 10;
            take_clock = (divisor + 1) / 2;
        }
        sim.rise();
        sim.cycle++;
        still = sending || taking || !top.done ? 0 : still + 1;
    }
};

}  // namespace

extern "C" {

// `seed` is that of what registers and memories hold at first, if that is left to chance.
Board *board_create(unsigned divisor, unsigned seed) {
    start_seed = seed;
    auto *board = new Board;
    board->divisor = divisor;
    board->sim.top.rx = 1;
    board->sim.reset();
    return board;
}

void board_destroy(Board *board) { delete board; }

void board_reset(Board *board) {
    board->in.clear();
    board->out.clear();
    board->sending = board->taking = board->still = 0;
    board->sim.top.rx = 1;
    board->sim.reset();
}

void board_trace(Board *board, const char *path) { sim_trace(&board->sim, path); }
void board_close(Board *board) { sim_close(&board->sim); }

void board_push(Board *board, const uint8_t *data, uint64_t count) {
    board->in.insert(board->in.end(), data, data + count);
    board->still = 0;
}

// Runs for so many cycles, fewer if nothing moves any more or, with `eager`, a byte has come.
// Returns how many bytes there are to pull.
uint64_t board_run(Board *board, uint64_t cycles, int eager) {
    for (uint64_t n = 0; n < cycles && board->still < board->quiet() && !*board->sim.error(); n++) {
        if (eager && !board->out.empty() && !board->taking) break;
        board->cycle();
    }
    return board->out.size();
}

int board_quiet(Board *board) { return board->in.empty() && board->still >= board->quiet(); }
const char *board_error(Board *board) { return sim_error(&board->sim); }
void board_flash(Board *board, uint64_t offset, const uint8_t *data, uint64_t count) {
    std::copy(data, data + count, board->sim.flash->contents.begin() + offset);
}

uint64_t board_waiting(Board *board) { return board->in.size(); }
uint64_t board_cycle(Board *board) { return board->sim.cycle; }

void board_pull(Board *board, uint8_t *data) {
    memcpy(data, board->out.data(), board->out.size());
    board->out.clear();
}

}  // extern "C"
