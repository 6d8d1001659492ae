// A serial flash as its data sheet describes it: it sleeps, wakes and is read, in SPI mode 0.
// Refs: Winbond W25Q128JV, Rev. M: 8.1.2 instruction set table; 8.2.6 read data (03h); 8.2.21
// power-down (B9h); 8.2.22 release (ABh); tRES1, tCRLH and tCRLL, 45 % of a period, and fR in 9.6.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

class Flash {
  public:
    // `period` of the FPGA's clock, in ps.
    explicit Flash(int64_t period, size_t bytes = 1 << 24)
        : contents(bytes, 0xff), period(period) {}

    std::vector<uint8_t> contents;     // erased at first
    std::string error;
    bool asleep = true;                // as iCE40 leave it

    // A clock of the FPGA, before which the pins had these levels; the output after it.
    uint32_t clock(uint32_t cs, uint32_t sck, uint32_t copi) {
        now += period;
        if (!cs) {
            if (selected && command == 0xab && bits >= 8) {
                if (asleep) woken = now;
                asleep = false;
            }
            if (selected && command == 0xb9 && bits == 8) asleep = true;
            selected = false;
        } else if (!selected) {
            selected = true;
            need(!sck, "selected while the clock is high");
            bits = command = address = 0;
            out = 1;
        }
        if (selected && sck != last) {
            need(now - edge >= LEAST_HALF, "a clock of more than 50 MHz");
            edge = now;
            sck ? rise(copi) : fall();
        }
        last = sck;
        return out;
    }

  private:
    static constexpr int64_t LEAST_HALF = 9'000, RELEASE = 3'000'000;

    int64_t period, now = 0, edge = -1'000'000'000, woken = -1'000'000'000;
    uint64_t bits = 0;
    uint32_t command = 0, address = 0, out = 1, last = 0;
    bool selected = false;

    void need(bool good, const char *text) {
        if (!good && error.empty()) error = std::string("flash: ") + text;
    }

    void rise(uint32_t copi) {
        if (bits < 8) command = command << 1 | (copi & 1);
        else if (bits < 32) address = address << 1 | (copi & 1);
        bits++;
        if (bits == 8 && command != 0xab) {
            need(!asleep, "a command while it sleeps");
            need(now - woken >= RELEASE, "a command within tRES1");
            need(command == 0x03, "a command that nothing here has a use for");
        }
    }

    void fall() {
        if (asleep || command != 0x03 || bits < 32) return;
        const uint64_t n = bits - 32;
        out = contents[(address + n / 8) % contents.size()] >> (7 - n % 8) & 1;
    }
};
