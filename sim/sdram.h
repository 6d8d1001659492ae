// A synchronous DRAM (single data rate) as its data sheet describes it, with the registers of the
// FPGA's pads before it. It knows nothing of any controller: it answers commands, and says which
// rule the first wrong one broke.
// Refs: Alliance Memory AS4C16M16SA, Rev. 3.0: commands (table 3), mode register (tables 5 to 9),
// reads and writes (figures 5 to 15), power-up (note 11), times (table 16).
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

// Bits, and times in ps.
struct SdramConfig {
    int64_t data_bits, column_bits, row_bits, bank_bits, period, least_period, least_cas, start,
        refresh, rcd, rp, ras, rc, rfc, rrd, wr, mrd;
};

struct SdramPins {
    uint32_t ras, cas, we, ba, a, dqm, dq, oe;
};

class Sdram {
  public:
    explicit Sdram(const SdramConfig &c) : config(c), banks(1u << c.bank_bits) { restart(); }

    std::string error;                     // the first rule that was broken
    uint64_t refreshes = 0, activations = 0;

    // Clocks from a restart until the chip takes commands.
    uint64_t start_cycles() const { return config.start / config.period + 1; }

    // The FPGA was configured or reset, and leaves the chip alone for a while.
    void restart() {
        began = now;
        ready = false;
        precharged = modes = early_refreshes = 0;
        pads = {};
        pads.dqm = 1;
        sending = 0;
    }

    // A clock: what the controller's pins say until then enters the registers of the pads, and the
    // chip acts on that; returned is what the register on the way back shows after this clock.
    uint32_t clock(const SdramPins &pins) {
        const uint32_t back = bus;
        now += config.period;
        cycle++;
        pads = pins;
        act();
        return back;
    }

  private:
    static constexpr int64_t NEVER = -1'000'000'000;
    static constexpr int POSTPONED = 8;    // refreshes that may be late

    struct Bank {
        bool open = false;
        uint32_t row = 0;
        int64_t activated = NEVER, precharged = NEVER, written = NEVER;
    };
    struct Beat {
        uint64_t cycle;
        uint32_t data, bank;
    };

    SdramConfig config;
    std::vector<Bank> banks;
    std::unordered_map<uint32_t, std::vector<uint32_t>> pages;
    std::vector<Beat> out;                 // what is to be driven, and when
    SdramPins pads{};
    int64_t now = 0, began = 0, refreshed = NEVER, moded = NEVER, activated = NEVER, trained = 0;
    uint64_t cycle = 0, driven = 0, burst_refreshes = 0;
    uint32_t bus = 0, cas = 0, burst = 0, sending = 0, send_bank = 0, send_column = 0;
    int precharged = 0, modes = 0, early_refreshes = 0;
    bool ready = false;

    void complain(const std::string &text) {
        if (error.empty()) error = "SDRAM, cycle " + std::to_string(cycle) + ": " + text;
    }

    void need(bool good, const char *text) {
        if (!good) complain(text);
    }

    uint32_t noise(uint64_t seed) const {
        seed = (seed + 1) * 0x9E3779B97F4A7C15u;
        return static_cast<uint32_t>(seed >> 29) & mask();
    }
    uint32_t mask() const { return config.data_bits == 32 ? ~0u : (1u << config.data_bits) - 1; }

    uint32_t &cell(uint32_t bank, uint32_t column) {
        const uint32_t page = banks[bank].row << config.bank_bits | bank;
        auto &cells = pages[page];
        if (cells.empty()) {               // it wakes up with anything in it
            cells.resize(1u << config.column_bits);
            for (size_t n = 0; n < cells.size(); n++)
                cells[n] = noise(uint64_t(page) << 16 | n);
        }
        return cells[column];
    }

    // The column `n` words on, within the block of a burst.
    uint32_t wrap(uint32_t column, uint32_t n) const {
        return (column & ~(burst - 1)) | ((column + n) & (burst - 1));
    }

    void act() {
        const int command = pads.ras << 2 | pads.cas << 1 | pads.we;
        if (command) {
            need(now - began >= config.start, "a command before the wait after power-up is over");
            need(now - refreshed >= config.rfc, "a command within tRFC of a refresh");
            need(now - moded >= config.mrd && (cycle_of(moded) + 2 <= cycle || moded == NEVER),
                 "a command within tMRD of a mode register set");
        }
        switch (command) {
            case 0b100: activate(); break;
            case 0b010: read(); break;
            case 0b011: write(); break;
            case 0b101: precharge(); break;
            case 0b110: refresh(); break;
            case 0b111: set_mode(); break;
            case 0b001: complain("burst stop, which nothing here has a use for"); break;
        }
        transfer();
        if (ready)
            need((now - trained) / config.refresh <= int64_t(burst_refreshes) + POSTPONED,
                 "more refreshes are late than may be");
    }

    uint64_t cycle_of(int64_t time) const { return time < 0 ? 0 : time / config.period; }

    void activate() {
        auto &bank = banks[pads.ba];
        need(ready, "activate before the mode register is set");
        need(!bank.open, "activate, but a row of that bank is open");
        need(now - bank.precharged >= config.rp, "activate within tRP of a precharge");
        need(now - bank.activated >= config.rc, "activate within tRC of the same bank's");
        need(now - activated >= config.rrd, "activate within tRRD of another bank's");
        need(pads.a < 1u << config.row_bits, "activate beyond the rows");
        bank.open = true;
        bank.row = pads.a;
        bank.activated = activated = now;
        activations++;
    }

    bool column_ready(const char *closed, const char *early) {
        need(ready, "a column before the mode register is set");
        need(banks[pads.ba].open, closed);
        need(now - banks[pads.ba].activated >= config.rcd, early);
        need(!(pads.a & 1u << 10), "auto precharge, which nothing here has a use for");
        need((pads.a & 0x3ff) < 1u << config.column_bits, "a column beyond the row");
        return banks[pads.ba].open && burst;
    }

    void read() {
        if (!column_ready("read of a bank without an open row", "read within tRCD")) return;
        need(!sending, "read while a burst is written");
        const uint32_t column = pads.a & ((1u << config.column_bits) - 1);
        out.erase(std::remove_if(out.begin(), out.end(), [&](const Beat &beat) {
            return beat.cycle >= cycle + cas; }), out.end());
        for (uint32_t n = 0; n < burst; n++)
            out.push_back({cycle + cas + n, cell(pads.ba, wrap(column, n)), pads.ba});
    }

    void write() {
        if (!column_ready("write to a bank without an open row", "write within tRCD")) return;
        for (const auto &beat : out)
            need(beat.cycle < cycle, "write while words are still to be read");
        sending = burst;
        send_bank = pads.ba;
        send_column = pads.a & ((1u << config.column_bits) - 1);
    }

    void precharge() {
        for (uint32_t n = 0; n < banks.size(); n++) {
            auto &bank = banks[n];
            if (!(pads.a & 1u << 10) && n != pads.ba) continue;
            if (bank.open) {
                need(now - bank.activated >= config.ras, "precharge within tRAS");
                need(now - bank.written >= std::max(config.wr, 2 * config.period),
                     "precharge within tWR of the last word written");
                need(!(sending && send_bank == n), "precharge while a burst is written");
                // It ends a read: what would come CL clocks later does not.
                out.erase(std::remove_if(out.begin(), out.end(), [&](const Beat &beat) {
                    return beat.bank == n && beat.cycle >= cycle + cas; }), out.end());
                bank.precharged = now;
            }
            bank.open = false;
            if (bank.precharged == NEVER) bank.precharged = now;
        }
        if (pads.a & 1u << 10) precharged = 1;
    }

    void need_idle(const char *open, const char *early) {
        for (const auto &bank : banks) {
            need(!bank.open, open);
            need(now - bank.precharged >= config.rp, early);
        }
        need(precharged, "a refresh or mode before all banks were precharged");
    }

    void refresh() {
        need_idle("refresh while a row is open", "refresh within tRP of a precharge");
        refreshed = now;
        refreshes++;
        early_refreshes++;
        burst_refreshes++;
        if (!ready) settle();
    }

    void set_mode() {
        need_idle("mode register set while a row is open", "mode register set within tRP");
        need(pads.ba == 0 && !(pads.a >> 7), "mode register: bits that must be 0");
        need((pads.a & 7) <= 3, "mode register: no such burst");
        need(!(pads.a & 8), "mode register: interleaved bursts");
        cas = pads.a >> 4 & 7;
        burst = 1u << (pads.a & 3);
        need(cas == 2 || cas == 3, "mode register: no such CAS latency");
        need(int64_t(cas) > config.least_cas ||
             (int64_t(cas) == config.least_cas && config.period >= config.least_period),
             "the clock is too fast for this CAS latency");
        moded = now;
        modes++;
        if (!ready) settle();
    }

    void settle() {
        ready = precharged && modes && early_refreshes >= 8;
        trained = now;
        burst_refreshes = 0;
    }

    void transfer() {
        bus = noise(cycle);                // nobody drives it
        const bool was = driven && driven + 1 == cycle;
        for (size_t n = 0; n < out.size(); n++)
            if (out[n].cycle == cycle) {
                bus = out[n].data;
                driven = cycle;
                need(!pads.oe, "both sides drive the data");
                need(!pads.dqm, "a word that is read is masked");
            }
        out.erase(std::remove_if(out.begin(), out.end(), [&](const Beat &beat) {
            return beat.cycle <= cycle; }), out.end());
        if (sending) {
            need(pads.oe, "nobody drives a word that is written");
            need(!was, "no clock lies between words read and written");
            need(!pads.dqm, "a word that is written is masked");
            cell(send_bank, wrap(send_column, burst - sending)) = pads.dq & mask();
            banks[send_bank].written = now;
            sending--;
        } else {
            need(!pads.oe, "the data are driven without a write");
        }
        if (pads.oe) bus = pads.dq & mask();
    }
};
