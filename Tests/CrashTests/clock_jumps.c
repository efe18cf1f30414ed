// A clock that jumps, for one program: preloaded into it, this library adds to the time of day what the control file
// ($CLOCK_JUMP_CONTROL, one 64-bit integer of this machine) says in seconds. Clocks that only count on are left alone.
//
// Built by the test: cc -shared -fPIC -o clock_jumps.so clock_jumps.c -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *jump;
static int (*next_clock_gettime)(clockid_t, struct timespec *);
static int (*next_gettimeofday)(struct timeval *, void *);

__attribute__((constructor)) static void prepare(void) {
    next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    next_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
    const char *control = getenv("CLOCK_JUMP_CONTROL");
    if (!control) return;
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *jump, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) jump = page;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!next_clock_gettime) next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int result = next_clock_gettime(clock, time);
    if (result == 0 && jump && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += *jump;
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    if (!next_gettimeofday) next_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
    int result = next_gettimeofday(time, zone);
    if (result == 0 && jump) time->tv_sec += *jump;
    return result;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
