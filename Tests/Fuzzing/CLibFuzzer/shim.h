#include <stddef.h>
#include <stdint.h>

/// libFuzzer as a library (LLVM, "Using libFuzzer as a library"): runs its command line on `callback`.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
