/* SPDX-License-Identifier: Apache-2.0
 *
 * bulkhead-attest: bulkhead_attest.h as a program, for components that are scripts. A static
 * program that reads hexadecimal and writes it, so that it needs no files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead_attest.h"

static const char usage[] =
    "usage: bulkhead-attest document [--bytes HEX] [--nonce HEX] [--key HEX]\n"
    "       bulkhead-attest random COUNT\n"
    "\n"
    "Asks the supervisor over the inherited socket `attestation` and prints what it answers in\n"
    "hexadecimal. Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 no socket.\n";

static int wrong_usage(void) {
  fputs(usage, stderr);
  return 2;
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/* -1: no such bytes. */
static long from_hex(const char *text, unsigned char *out, size_t room) {
  const size_t size = strlen(text) / 2;
  size_t i;
  if (strlen(text) % 2 != 0 || size > room) return -1;
  for (i = 0; i < size; ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return -1;
    out[i] = (unsigned char)(high << 4 | low);
  }
  return (long)size;
}

static int finish(int status, const unsigned char *bytes, size_t size) {
  size_t i;
  if (status != BULKHEAD_ATTEST_OK) {
    fprintf(stderr, "bulkhead-attest: %s\n", bulkhead_attest_text(status));
    return status == BULKHEAD_ATTEST_BROKEN ? 3 : 1;
  }
  for (i = 0; i < size; ++i) printf("%02x", bytes[i]);
  putchar('\n');
  return fflush(stdout) == 0 ? 0 : 3;
}

static int document(int fd, int argc, char **argv) {
  static unsigned char out[BULKHEAD_ATTEST_MAX_DOCUMENT];
  static unsigned char fields[3][BULKHEAD_ATTEST_MAX_BYTES];
  static const char *const names[3] = {"--bytes", "--nonce", "--key"};
  long sizes[3] = {0, 0, 0};
  size_t size = sizeof out;
  int i, field, status;
  for (i = 2; i < argc; i += 2) {
    for (field = 0; field < 3 && strcmp(argv[i], names[field]) != 0;) ++field;
    if (field == 3 || i + 1 == argc) return wrong_usage();
    sizes[field] = from_hex(argv[i + 1], fields[field], sizeof fields[field]);
    if (sizes[field] < 0) return wrong_usage();
  }
  status = bulkhead_attest(fd, fields[0], (size_t)sizes[0], fields[1], (size_t)sizes[1], fields[2],
                           (size_t)sizes[2], out, &size);
  return finish(status, out, size);
}

static int random_bytes(int fd, int argc, char **argv) {
  unsigned char out[BULKHEAD_ATTEST_MAX_RANDOM];
  char *end = NULL;
  size_t size;
  int status;
  if (argc != 3) return wrong_usage();
  size = strtoul(argv[2], &end, 10);
  if (*argv[2] == '\0' || *end != '\0' || size == 0 || size > sizeof out) return wrong_usage();
  status = bulkhead_attest_random(fd, out, &size);
  return finish(status, out, size);
}

int main(int argc, char **argv) {
  int fd;
  if (argc < 2) return wrong_usage();
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    return fputs(usage, stdout) >= 0 && fflush(stdout) == 0 ? 0 : 3;
  }
  fd = bulkhead_attest_socket();
  if (strcmp(argv[1], "document") != 0 && strcmp(argv[1], "random") != 0) return wrong_usage();
  if (fd < 0) {
    fputs("bulkhead-attest: no `attestation` in LISTEN_FDNAMES: the policy gives none here\n", stderr);
    return 3;
  }
  return argv[1][0] == 'd' ? document(fd, argc, argv) : random_bytes(fd, argc, argv);
}
