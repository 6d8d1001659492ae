// The model of an SDRAM for those who simulate in Python.
#include "sdram.h"

extern "C" {

Sdram *sdram_create(const int64_t *values) {
    SdramConfig config;
    std::copy(values, values + sizeof config / sizeof *values, &config.data_bits);
    return new Sdram(config);
}

void sdram_destroy(Sdram *sdram) { delete sdram; }
void sdram_restart(Sdram *sdram) { sdram->restart(); }

uint32_t sdram_clock(Sdram *sdram, const uint32_t *pins) {
    return sdram->clock({pins[0], pins[1], pins[2], pins[3], pins[4], pins[5], pins[6], pins[7]});
}

const char *sdram_error(Sdram *sdram) { return sdram->error.c_str(); }
uint64_t sdram_refreshes(Sdram *sdram) { return sdram->refreshes; }
uint64_t sdram_activations(Sdram *sdram) { return sdram->activations; }

}  // extern "C"
