#pragma once
#include <nfc/nfc.h>

#pragma clang assume_nonnull begin

// libnfc's functions, for chips that answer nonsense. pn53x_transceive (chips/pn53x.c) calls abort() where a chip sets the
// highest bit of a status byte (NAD, which nobody asks for), and copies "-1" bytes where more was promised (MI) and an answer
// without any byte follows. Here the call ends instead, with this code; nothing of the answer is to be believed.
#define NFC_GUARD_ABORTED (-200)

// A buffer for answers that libnfc cannot write beyond. Give it back when no call uses it.
#define NFC_GUARD_BUFFER_SIZE 512
uint8_t *nfc_guard_buffer(void);
void nfc_guard_free_buffer(uint8_t *buffer);

// One command of a PN53x chip: exported by the library for its own tools (pn53x-diagnose, pn53x-sam) and declared in a
// header that is not installed. Only for devices whose driver is one of that family.
int nfc_guard_pn53x_transceive(nfc_device *device, const uint8_t *command, size_t command_size, uint8_t *answer,
                               size_t answer_size, int timeout);
// nfc_open; NULL where the chip made libnfc give up as well.
nfc_device *_Nullable nfc_guard_open(nfc_context *context, const char *connection_string);
int nfc_guard_initiator_init(nfc_device *device);
int nfc_guard_set_property_bool(nfc_device *device, nfc_property property, bool value);
int nfc_guard_list_passive_targets(nfc_device *device, nfc_modulation modulation, nfc_target *targets, size_t count);
int nfc_guard_select_passive_target(nfc_device *device, nfc_modulation modulation, nfc_target *target);
int nfc_guard_transceive_bytes(nfc_device *device, const uint8_t *command, size_t command_size, uint8_t *answer,
                               size_t answer_size, int timeout);
int nfc_guard_target_is_present(nfc_device *device);
// nfc_close. Where the chip spoils that too, it is tried again; in the end the device's memory and descriptor are left behind.
void nfc_guard_close(nfc_device *device);
// nfc_list_devices, which opens devices to look at them; 0 where libnfc gave up.
size_t nfc_guard_list_devices(nfc_context *context, nfc_connstring *names, size_t count);

#pragma clang assume_nonnull end
