#define _GNU_SOURCE
#include "nfc_guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

int pn53x_transceive(nfc_device *device, const uint8_t *command, size_t command_size, uint8_t *answer,
                     size_t answer_size, int timeout);

// Where this thread goes on when libnfc fails; NULL outside of its functions. Both signals come on the thread that causes
// them, and a handler may leave by a jump (abort(): C17, 7.22.4.1). What is left behind is libnfc's own frames, which hold
// no lock.
static _Thread_local sigjmp_buf *volatile way_out;
static struct sigaction before_abort, before_fault;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void leave(void) {
  sigjmp_buf *out = way_out;
  way_out = NULL;
  siglongjmp(*out, 1);
}

static void on_abort(int number) {
  if (way_out) leave();
  // Somebody else's: to whoever cared for it before; the signal comes again when this handler returns.
  sigaction(SIGABRT, &before_abort, NULL);
  raise(number);
}

// Buffers for answers: pages between fences that nobody may touch. libnfc works with descriptors below 1024 only and needs
// three for a device: there are never more.
enum { PAGE = 4096, FENCE = 16 * PAGE, SLOT = FENCE + PAGE, SLOTS = 341 };
static uint8_t *region;
static bool is_taken[SLOTS];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void on_fault(int number, siginfo_t *information, void *context) {
  (void)number;
  (void)context;
  if (way_out && region && (uintptr_t)information->si_addr - (uintptr_t)region < (size_t)SLOT * SLOTS + FENCE) leave();
  // The instruction is done again, for whoever cared for faults before.
  sigaction(SIGSEGV, &before_fault, NULL);
}

static void install(void) {
  struct sigaction action = {0};
  sigemptyset(&action.sa_mask);
  action.sa_handler = on_abort;
  sigaction(SIGABRT, &action, &before_abort);
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &before_fault);
  void *memory = mmap(NULL, (size_t)SLOT * SLOTS + FENCE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory != MAP_FAILED) region = memory;
}

// A handler's jump leaves its signal blocked.
static void unblock(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGABRT);
  sigaddset(&set, SIGSEGV);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

uint8_t *nfc_guard_buffer(void) {
  pthread_once(&once, install);
  uint8_t *page = NULL;
  pthread_mutex_lock(&turn);
  for (int index = 0; region && !page && index < SLOTS; index++) {
    uint8_t *candidate = region + (size_t)index * SLOT + FENCE;
    if (is_taken[index] || mprotect(candidate, PAGE, PROT_READ | PROT_WRITE) != 0) continue;
    is_taken[index] = true;
    page = candidate;
  }
  pthread_mutex_unlock(&turn);
  // At its end: forwards nothing else is touched before the fence, backwards what is on the page is nobody's.
  if (page) return page + PAGE - NFC_GUARD_BUFFER_SIZE;
  uint8_t *plain = calloc(1, NFC_GUARD_BUFFER_SIZE);
  if (!plain) abort();
  return plain;
}

void nfc_guard_free_buffer(uint8_t *buffer) {
  if (!region || buffer < region || buffer >= region + (size_t)SLOT * SLOTS + FENCE) {
    free(buffer);
    return;
  }
  pthread_mutex_lock(&turn);
  size_t index = (size_t)(buffer - region) / SLOT;
  mprotect(region + index * SLOT + FENCE, PAGE, PROT_NONE);
  is_taken[index] = false;
  pthread_mutex_unlock(&turn);
}

#define GUARDED(type, otherwise, call) \
  do {                                 \
    sigjmp_buf out;                    \
    pthread_once(&once, install);      \
    if (sigsetjmp(out, 0)) {           \
      unblock();                       \
      return otherwise;                \
    }                                  \
    way_out = &out;                    \
    type result = call;                \
    way_out = NULL;                    \
    return result;                     \
  } while (0)

int nfc_guard_pn53x_transceive(nfc_device *device, const uint8_t *command, size_t command_size, uint8_t *answer,
                               size_t answer_size, int timeout) {
  GUARDED(int, NFC_GUARD_ABORTED, pn53x_transceive(device, command, command_size, answer, answer_size, timeout));
}

nfc_device *nfc_guard_open(nfc_context *context, const char *connection_string) {
  GUARDED(nfc_device *, NULL, nfc_open(context, connection_string));
}

int nfc_guard_initiator_init(nfc_device *device) { GUARDED(int, NFC_GUARD_ABORTED, nfc_initiator_init(device)); }

int nfc_guard_set_property_bool(nfc_device *device, nfc_property property, bool value) {
  GUARDED(int, NFC_GUARD_ABORTED, nfc_device_set_property_bool(device, property, value));
}

int nfc_guard_list_passive_targets(nfc_device *device, nfc_modulation modulation, nfc_target *targets, size_t count) {
  GUARDED(int, NFC_GUARD_ABORTED, nfc_initiator_list_passive_targets(device, modulation, targets, count));
}

int nfc_guard_select_passive_target(nfc_device *device, nfc_modulation modulation, nfc_target *target) {
  GUARDED(int, NFC_GUARD_ABORTED, nfc_initiator_select_passive_target(device, modulation, NULL, 0, target));
}

int nfc_guard_transceive_bytes(nfc_device *device, const uint8_t *command, size_t command_size, uint8_t *answer,
                               size_t answer_size, int timeout) {
  GUARDED(int, NFC_GUARD_ABORTED,
          nfc_initiator_transceive_bytes(device, command, command_size, answer, answer_size, timeout));
}

int nfc_guard_target_is_present(nfc_device *device) {
  GUARDED(int, NFC_GUARD_ABORTED, nfc_initiator_target_is_present(device, NULL));
}

static int closed(nfc_device *device) { GUARDED(int, 0, (nfc_close(device), 1)); }
void nfc_guard_close(nfc_device *device) {
  // libnfc sends the chip to sleep before it frees anything.
  for (int round = 0; round < 3 && !closed(device); round++) {
  }
}

size_t nfc_guard_list_devices(nfc_context *context, nfc_connstring *names, size_t count) {
  GUARDED(size_t, 0, nfc_list_devices(context, names, count));
}
