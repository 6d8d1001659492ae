// Drives a verilated core: every stream by a queue, every other port by hand.
// The table of ports, and Vtop.h, come with the core.
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "Vtop.h"
#include "flash.h"
#include "sdram.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

struct Port {
    void *data;
    size_t bytes;
};

struct Coin {
    uint64_t state;
    double probability;
    bool toss() {
        if (probability >= 1.0) return true;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return (state >> 11) * 0x1p-53 < probability;
    }
};

struct Stream {
    bool input;
    CData *valid, *ready;  // null where always true
    Port payload;
    std::vector<uint8_t> queue;
    uint64_t done = 0, wanted = 0, first = 0, last = 0;
    Coin coin{};
    std::vector<uint8_t> held;
    bool holding = false;

    uint64_t queued() const { return payload.bytes ? queue.size() / payload.bytes : 0; }
};

// Of what registers and memories hold at first, where the core was compiled to ask for that.
unsigned start_seed = 1;

struct Context : VerilatedContext {
    Context() {
        randReset(2);
        randSeed(start_seed);
    }
};

struct Sim {
    Context context;
    Vtop top{&context};
    uint64_t cycle = 0;
    int broken = -1;
    std::vector<Stream> streams;
    std::vector<Port> ports;
    std::unique_ptr<Sdram> sdram;      // beside the core, if it has pins for one
    std::vector<Port> sdram_pins;      // in the order of SdramPins, the data read last
    std::unique_ptr<Flash> flash;
    std::vector<Port> flash_pins;      // cs, sck, copi, cipo
#if VM_TRACE
    VerilatedVcdC trace;
    bool tracing = false;
    uint64_t time = 0;  // half cycles, those of resets included
#endif

    Sim() {
#include "ports.inc"
    }

    void half(int clk) {
        top.clk = clk;
        top.eval();
#if VM_TRACE
        if (tracing) trace.dump(time++);
#endif
    }

    // The rising edge of the clock, for the core and for the chips beside it.
    void rise() {
        uint32_t levels[8] = {}, lines[3] = {};
        for (size_t n = 0; n + 1 < sdram_pins.size(); n++)
            memcpy(&levels[n], sdram_pins[n].data, sdram_pins[n].bytes);
        for (size_t n = 0; n + 1 < flash_pins.size(); n++)
            memcpy(&lines[n], flash_pins[n].data, flash_pins[n].bytes);
        half(1);
        if (sdram) {
            const uint32_t back = sdram->clock({levels[0], levels[1], levels[2], levels[3],
                                                levels[4], levels[5], levels[6], levels[7]});
            memcpy(sdram_pins[8].data, &back, sdram_pins[8].bytes);
        }
        if (flash) {
            const uint32_t back = flash->clock(lines[0], lines[1], lines[2]);
            memcpy(flash_pins[3].data, &back, flash_pins[3].bytes);
        }
    }

    // What is wrong with what the chips beside the core got.
    const char *error() const {
        if (sdram && !sdram->error.empty()) return sdram->error.c_str();
        return flash ? flash->error.c_str() : "";
    }

    void reset() {
        if (sdram) sdram->restart();
        for (auto &s : streams) {
            if (s.input && s.valid) *s.valid = 0;
            if (!s.input && s.ready) *s.ready = 0;
            s.queue.clear();
            s.done = s.wanted = 0;
            s.holding = false;
        }
        top.rst = 1;
        for (int n = 0; n < 3; n++) {
            half(0);
            rise();
        }
        top.rst = 0;
        broken = -1;
    }

    // One cycle; returns whether anything was transferred.
    bool step() {
        for (auto &s : streams) {
            if (s.input) {
                const bool held = s.valid && *s.valid && s.holding;
                const bool offer = s.done < s.queued() && (held || s.coin.toss());
                if (s.valid) *s.valid = offer;
                if (offer && !held)
                    memcpy(s.payload.data, &s.queue[s.done * s.payload.bytes], s.payload.bytes);
                s.holding = offer;
            } else if (s.ready) {
                *s.ready = s.done < s.wanted && s.coin.toss();
            }
        }
        half(0);
        bool moved = false;
        for (size_t n = 0; n < streams.size(); n++) {
            auto &s = streams[n];
            const bool valid = !s.valid || *s.valid, ready = !s.ready || *s.ready;
            if (!s.input) {
                auto *now = static_cast<uint8_t *>(s.payload.data);
                if (s.holding && (!valid || memcmp(now, s.held.data(), s.payload.bytes)))
                    broken = n;
                s.holding = valid && !ready;
                if (s.holding) s.held.assign(now, now + s.payload.bytes);
                if (valid && ready) s.queue.insert(s.queue.end(), now, now + s.payload.bytes);
            }
            if (valid && ready) {
                if (!s.done) s.first = cycle;
                s.last = cycle;
                s.done++;
                s.holding = false;
                moved = true;
            }
        }
        rise();
        cycle++;
        return moved;
    }
};

}  // namespace

extern "C" {

Sim *sim_create() { return new Sim; }
void sim_destroy(Sim *sim) { delete sim; }

const char *sim_error(Sim *sim) { return sim->error(); }
void sim_reset(Sim *sim) { sim->reset(); }

void sim_trace(Sim *sim, const char *path) {
#if VM_TRACE
    sim->context.traceEverOn(true);
    sim->top.trace(&sim->trace, 99);
    sim->trace.open(path);
    sim->tracing = true;
#endif
}

void sim_close(Sim *sim) {
#if VM_TRACE
    if (sim->tracing) sim->trace.close();
    sim->tracing = false;
#endif
}

void sim_set(Sim *sim, int port, const uint8_t *value) {
    memcpy(sim->ports[port].data, value, sim->ports[port].bytes);
}

void sim_get(Sim *sim, int port, uint8_t *value) {
    sim->top.eval();
    memcpy(value, sim->ports[port].data, sim->ports[port].bytes);
}

void sim_push(Sim *sim, int stream, const uint8_t *data, uint64_t count) {
    auto &s = sim->streams[stream];
    s.queue.insert(s.queue.end(), data, data + count * s.payload.bytes);
}

void sim_stall(Sim *sim, int stream, uint64_t seed, double probability) {
    sim->streams[stream].coin = {seed * 0x9E3779B97F4A7C15u + stream + 1, probability};
}

void sim_want(Sim *sim, int stream, uint64_t count) { sim->streams[stream].wanted = count; }

// Transfers so far, cycle of the first, cycle of the last.
void sim_record(Sim *sim, int stream, uint64_t *record) {
    const auto &s = sim->streams[stream];
    record[0] = s.done;
    record[1] = s.first;
    record[2] = s.last;
}

// Takes what an output has delivered; its count starts anew.
void sim_pull(Sim *sim, int stream, uint8_t *data) {
    auto &s = sim->streams[stream];
    memcpy(data, s.queue.data(), s.queue.size());
    s.queue.clear();
    s.done = s.wanted = 0;
}

// Forgets what an input has delivered; what it has not stays queued.
void sim_forget(Sim *sim, int stream) {
    auto &s = sim->streams[stream];
    s.queue.erase(s.queue.begin(), s.queue.begin() + s.done * s.payload.bytes);
    s.done = s.wanted = 0;
}

void sim_steps(Sim *sim, uint64_t cycles) {
    for (uint64_t n = 0; n < cycles; n++) sim->step();
}

uint64_t sim_cycle(Sim *sim) { return sim->cycle; }

// Runs until every stream has done what is wanted of it. 0: done; 1: out of cycles; 2: nothing
// moved for `idle` cycles; 3 + n: stream n broke its contract; -1: see sim_error.
int sim_run(Sim *sim, uint64_t cycles, uint64_t idle) {
    uint64_t still = 0;
    for (uint64_t n = 0; n < cycles; n++) {
        bool over = true;
        for (const auto &s : sim->streams) over &= s.done >= s.wanted;
        if (over) return 0;
        still = sim->step() ? 0 : still + 1;
        if (sim->broken >= 0) return 3 + sim->broken;
        if (*sim->error()) return -1;
        if (still > idle) return 2;
    }
    return 1;
}

}  // extern "C"
