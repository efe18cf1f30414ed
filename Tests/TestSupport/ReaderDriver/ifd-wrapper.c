/* A reader driver for pcscd around vsmartcard's: it adds what real readers' drivers have besides APDUs. Beside the
 * library `X.so` lie `X.so.inner` (a copy of libifdvpcd.so: a copy has slots of its own), `X.so.properties` (the TLV
 * properties to tell, in hexadecimal; without the file, those of the inner driver), `X.so.escape` (lines
 * "COMMAND ANSWER" in hexadecimal; without the file, escape commands are not allowed), `X.so.log` (the escape
 * commands that came) and, while it exists, `X.so.gone`: the reader has been pulled out. */
#define _GNU_SOURCE
#include <PCSC/ifdhandler.h>
#include <PCSC/reader.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define GET_PROPERTIES SCARD_CTL_CODE(FEATURE_GET_TLV_PROPERTIES + 0x330000)
#define ESCAPE SCARD_CTL_CODE(1)
#define MAX_HEX 2048

static char base[4096];
static void *inner;

static void *symbol(const char *name) {
  if (inner == NULL) {
    Dl_info info;
    char path[4200];
    if (dladdr((void *)&symbol, &info) == 0) return NULL;
    snprintf(base, sizeof base, "%s", info.dli_fname);
    snprintf(path, sizeof path, "%s.inner", base);
    inner = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (inner == NULL) return NULL;
  }
  return dlsym(inner, name);
}

#define FORWARD(NAME, PARAMETERS, ARGUMENTS)              \
  RESPONSECODE NAME PARAMETERS {                          \
    RESPONSECODE(*call) PARAMETERS = symbol(#NAME);       \
    return call ? call ARGUMENTS : IFD_COMMUNICATION_ERROR; \
  }

FORWARD(IFDHCreateChannel, (DWORD lun, DWORD channel), (lun, channel))
FORWARD(IFDHCreateChannelByName, (DWORD lun, LPSTR name), (lun, name))
FORWARD(IFDHCloseChannel, (DWORD lun), (lun))
FORWARD(IFDHSetCapabilities, (DWORD lun, DWORD tag, DWORD length, PUCHAR value), (lun, tag, length, value))
FORWARD(IFDHSetProtocolParameters, (DWORD lun, DWORD protocol, UCHAR flags, UCHAR a, UCHAR b, UCHAR c),
        (lun, protocol, flags, a, b, c))
FORWARD(IFDHPowerICC, (DWORD lun, DWORD action, PUCHAR atr, PDWORD length), (lun, action, atr, length))

static FILE *beside(const char *suffix, const char *mode) {
  char path[4200];
  snprintf(path, sizeof path, "%s.%s", base, suffix);
  return fopen(path, mode);
}

/* Whether the reader has been pulled out: the USB stack answers so before hotplug has taken the reader away. */
static int isGone(void) {
  FILE *file = beside("gone", "r");
  if (file) fclose(file);
  return file != NULL;
}

RESPONSECODE IFDHTransmitToICC(DWORD lun, SCARD_IO_HEADER in, PUCHAR tx, DWORD txLength, PUCHAR rx,
                               PDWORD rxLength, PSCARD_IO_HEADER out) {
  RESPONSECODE (*call)(DWORD, SCARD_IO_HEADER, PUCHAR, DWORD, PUCHAR, PDWORD, PSCARD_IO_HEADER) =
      symbol("IFDHTransmitToICC");
  RESPONSECODE result = call ? call(lun, in, tx, txLength, rx, rxLength, out) : IFD_COMMUNICATION_ERROR;
  if (!isGone()) return result;
  *rxLength = 0;
  return IFD_NO_SUCH_DEVICE;
}

RESPONSECODE IFDHICCPresence(DWORD lun) {
  RESPONSECODE (*call)(DWORD) = symbol("IFDHICCPresence");
  if (isGone()) return IFD_NO_SUCH_DEVICE;
  return call ? call(lun) : IFD_COMMUNICATION_ERROR;
}

static RESPONSECODE text(const char *value, DWORD *length, PUCHAR bytes) {
  DWORD size = strlen(value) + 1;
  if (*length < size) return IFD_ERROR_INSUFFICIENT_BUFFER;
  memcpy(bytes, value, size);
  *length = size;
  return IFD_SUCCESS;
}

RESPONSECODE IFDHGetCapabilities(DWORD lun, DWORD tag, PDWORD length, PUCHAR value) {
  RESPONSECODE (*call)(DWORD, DWORD, PDWORD, PUCHAR) = symbol("IFDHGetCapabilities");
  switch (tag) {
    case SCARD_ATTR_VENDOR_NAME: return text("Tapbridge Tests", length, value);
    case SCARD_ATTR_VENDOR_IFD_SERIAL_NO: return text("S/N 0042", length, value);
    case SCARD_ATTR_VENDOR_IFD_VERSION:
      if (*length < 4) return IFD_ERROR_INSUFFICIENT_BUFFER;
      memcpy(value, "\x07\x00\x02\x01", 4); /* 1.02.0007 */
      *length = 4;
      return IFD_SUCCESS;
    default: return call ? call(lun, tag, length, value) : IFD_COMMUNICATION_ERROR;
  }
}

static DWORD bytes(const char *hex, PUCHAR out, DWORD capacity) {
  DWORD count = 0;
  unsigned value;
  while (count < capacity && sscanf(hex + 2 * count, "%2x", &value) == 1) out[count++] = value;
  return count;
}

RESPONSECODE IFDHControl(DWORD lun, DWORD code, PUCHAR tx, DWORD txLength, PUCHAR rx, DWORD rxLength,
                         LPDWORD returned) {
  RESPONSECODE (*call)(DWORD, DWORD, PUCHAR, DWORD, PUCHAR, DWORD, LPDWORD) = symbol("IFDHControl");
  if (!call || !returned) return IFD_COMMUNICATION_ERROR;
  *returned = 0;
  FILE *escapes = beside("escape", "r");
  if (code == CM_IOCTL_GET_FEATURE_REQUEST) {
    PCSC_TLV_STRUCTURE features[2] = {{FEATURE_GET_TLV_PROPERTIES, 4, htonl(GET_PROPERTIES)},
                                      {FEATURE_CCID_ESC_COMMAND, 4, htonl(ESCAPE)}};
    DWORD size = (escapes ? 2 : 1) * sizeof features[0];
    if (escapes) fclose(escapes);
    if (rxLength < size) return IFD_ERROR_INSUFFICIENT_BUFFER;
    memcpy(rx, features, size);
    *returned = size;
    return IFD_SUCCESS;
  }
  if (code == GET_PROPERTIES) {
    if (escapes) fclose(escapes);
    FILE *file = beside("properties", "r");
    char hex[MAX_HEX] = "";
    if (file == NULL) return call(lun, code, tx, txLength, rx, rxLength, returned);
    if (fgets(hex, sizeof hex, file) == NULL) hex[0] = 0;
    fclose(file);
    *returned = bytes(hex, rx, rxLength);
    return IFD_SUCCESS;
  }
  if (code != ESCAPE || escapes == NULL) {
    if (escapes) fclose(escapes);
    return IFD_ERROR_NOT_SUPPORTED;
  }
  char command[MAX_HEX] = "", from[MAX_HEX], to[MAX_HEX];
  for (DWORD i = 0; i < txLength && i < MAX_HEX / 2 - 1; i++) snprintf(command + 2 * i, 3, "%02X", tx[i]);
  FILE *log = beside("log", "a");
  if (log) {
    fprintf(log, "%s\n", command);
    fclose(log);
  }
  RESPONSECODE result = IFD_ERROR_NOT_SUPPORTED;
  while (fscanf(escapes, "%2047s %2047s", from, to) == 2) {
    if (strcmp(from, command) == 0) {
      *returned = strcmp(to, "-") == 0 ? 0 : bytes(to, rx, rxLength);
      result = IFD_SUCCESS;
      break;
    }
  }
  fclose(escapes);
  return result;
}
