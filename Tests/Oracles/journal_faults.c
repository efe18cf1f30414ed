// A disk that fails, for one program: preloaded into it, this library lets calls on the journal's files fail as the control
// file says ($JOURNAL_FAULT_CONTROL; none, or an empty one, for no fault):
//
//   enospc     nothing more is written or allocated (ENOSPC)
//   eio-sync   no sync succeeds (EIO)
//   eio-once   one sync fails (EIO), and the file is removed
//   doubt      what is written to the log is written, and the commit fails all the same: the sync after it says EIO, and
//              whatever else is written, but for the list of doubts, does too
//
// Built by the test: cc -shared -fPIC -o journal_faults.so journal_faults.c -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fault(const char *name) {
    const char *control = getenv("JOURNAL_FAULT_CONTROL");
    if (!control) return 0;
    ssize_t (*reads)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    char text[32] = {0};
    ssize_t count = reads(file, text, sizeof text - 1);
    close(file);
    if (count <= 0) return 0;
    text[strcspn(text, "\n")] = 0;
    return strcmp(text, name) == 0;
}

// Whether an open file is one of the journal's, and how its name ends.
static int is_journals(int descriptor, const char *suffix) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    const char *name = strstr(path, "journal.sqlite");
    return name && (!suffix || strcmp(name + strlen("journal.sqlite"), suffix) == 0);
}

static int refuses_writes(int descriptor) {
    struct stat status;
    if (!is_journals(descriptor, NULL) || !fault("enospc")) return 0;
    // A full disk takes what is written in place of what is there.
    if (is_journals(descriptor, ".doubt") && fstat(descriptor, &status) == 0 && status.st_size > 0) return 0;
    return ENOSPC;
}

static int refuses_syncs(int descriptor) {
    if (!is_journals(descriptor, NULL)) return 0;
    if (fault("eio-sync")) return EIO;
    if (fault("doubt") && !is_journals(descriptor, ".doubt")) return EIO;
    if (fault("eio-once")) {
        unlink(getenv("JOURNAL_FAULT_CONTROL"));
        return EIO;
    }
    return 0;
}

#define NEXT(result, name, ...) result (*next)(__VA_ARGS__) = dlsym(RTLD_NEXT, name)

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t);
    int code = refuses_writes(descriptor);
    if (code) { errno = code; return -1; }
    return next(descriptor, bytes, count, offset);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
    NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    int code = refuses_writes(descriptor);
    if (code) { errno = code; return -1; }
    return next(descriptor, bytes, count, offset);
}
ssize_t write(int descriptor, const void *bytes, size_t count) {
    NEXT(ssize_t, "write", int, const void *, size_t);
    int code = refuses_writes(descriptor);
    if (code) { errno = code; return -1; }
    return next(descriptor, bytes, count);
}
int posix_fallocate(int descriptor, off_t offset, off_t length) {
    NEXT(int, "posix_fallocate", int, off_t, off_t);
    int code = refuses_writes(descriptor);
    return code ? code : next(descriptor, offset, length);
}
int posix_fallocate64(int descriptor, off64_t offset, off64_t length) {
    NEXT(int, "posix_fallocate64", int, off64_t, off64_t);
    int code = refuses_writes(descriptor);
    return code ? code : next(descriptor, offset, length);
}
int fsync(int descriptor) {
    NEXT(int, "fsync", int);
    int code = refuses_syncs(descriptor);
    if (code) { errno = code; return -1; }
    return next(descriptor);
}
int fdatasync(int descriptor) {
    NEXT(int, "fdatasync", int);
    int code = refuses_syncs(descriptor);
    if (code) { errno = code; return -1; }
    return next(descriptor);
}
