// The model of a serial flash for those who simulate in Python.
#include "flash.h"

extern "C" {

Flash *flash_create(int64_t period) { return new Flash(period); }
void flash_destroy(Flash *flash) { delete flash; }

uint32_t flash_clock(Flash *flash, uint32_t cs, uint32_t sck, uint32_t copi) {
    return flash->clock(cs, sck, copi);
}

void flash_write(Flash *flash, uint64_t offset, const uint8_t *data, uint64_t count) {
    for (uint64_t n = 0; n < count; n++) flash->contents[offset + n] = data[n];
}

const char *flash_error(Flash *flash) { return flash->error.c_str(); }

}  // extern "C"
