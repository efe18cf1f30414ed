#pragma once
#include <nfc/nfc.h>

// Exported by the library for its own tools (pn53x-diagnose, pn53x-sam) and declared in a header that is not
// installed: one command of a PN53x chip. Only for devices whose driver is one of that family.
int pn53x_transceive(nfc_device *device, const uint8_t *command, size_t command_size, uint8_t *answer,
                     size_t answer_size, int timeout);
