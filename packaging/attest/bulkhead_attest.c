/* SPDX-License-Identifier: Apache-2.0 */
#include "bulkhead_attest.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD 20
#define ANSWER_HEAD 12
#define FIRST_FD 3

static const char magic[4] = {'B', 'H', 'A', '1'};

static void put_u32(unsigned char *out, size_t value) {
  int i;
  for (i = 0; i < 4; ++i) out[i] = (unsigned char)(value >> (8 * i));
}

static size_t get_u32(const unsigned char *in) {
  return (size_t)in[0] | (size_t)in[1] << 8 | (size_t)in[2] << 16 | (size_t)in[3] << 24;
}

int bulkhead_attest_socket(void) {
  static const char name[] = "attestation";
  const char *names = getenv("LISTEN_FDNAMES");
  int fd = FIRST_FD;
  while (names != NULL && *names != '\0') {
    const char *end = strchr(names, ':');
    const size_t size = end == NULL ? strlen(names) : (size_t)(end - names);
    if (size == sizeof name - 1 && memcmp(names, name, size) == 0) return fd;
    names = end == NULL ? NULL : end + 1;
    ++fd;
  }
  errno = ENOENT;
  return -1;
}

/* Writes the request, and reads its answer's payload. */
static int ask(int fd, const unsigned char *request, size_t request_size, void *out, size_t *size) {
  /* Larger than any answer, so that none is cut off. */
  static unsigned char answer[ANSWER_HEAD + BULKHEAD_ATTEST_MAX_DOCUMENT + 1];
  ssize_t got;
  size_t payload;
  do {
    got = write(fd, request, request_size);
  } while (got < 0 && errno == EINTR);
  if (got != (ssize_t)request_size) return BULKHEAD_ATTEST_BROKEN;
  do {
    got = read(fd, answer, sizeof answer);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return BULKHEAD_ATTEST_BROKEN;
  errno = EPROTO;
  if (got < ANSWER_HEAD || memcmp(answer, magic, sizeof magic) != 0) return BULKHEAD_ATTEST_BROKEN;
  payload = get_u32(answer + 8);
  if (payload != (size_t)got - ANSWER_HEAD) return BULKHEAD_ATTEST_BROKEN;
  if (answer[4] != BULKHEAD_ATTEST_OK) return answer[4];
  if (payload > *size) {
    errno = EMSGSIZE;
    return BULKHEAD_ATTEST_BROKEN;
  }
  memcpy(out, answer + ANSWER_HEAD, payload);
  *size = payload;
  return BULKHEAD_ATTEST_OK;
}

static void head(unsigned char *out, unsigned char verb) {
  memset(out, 0, HEAD);
  memcpy(out, magic, sizeof magic);
  out[4] = verb;
}

int bulkhead_attest(int fd, const void *bytes, size_t bytes_size, const void *nonce,
                    size_t nonce_size, const void *key, size_t key_size, void *document,
                    size_t *size) {
  unsigned char request[HEAD + BULKHEAD_ATTEST_MAX_BYTES + BULKHEAD_ATTEST_MAX_NONCE +
                        BULKHEAD_ATTEST_MAX_KEY];
  unsigned char *at = request + HEAD;
  if (bytes_size > BULKHEAD_ATTEST_MAX_BYTES || nonce_size > BULKHEAD_ATTEST_MAX_NONCE ||
      key_size > BULKHEAD_ATTEST_MAX_KEY) {
    return BULKHEAD_ATTEST_MALFORMED;
  }
  head(request, 2);
  put_u32(request + 8, bytes_size);
  put_u32(request + 12, nonce_size);
  put_u32(request + 16, key_size);
  if (bytes_size != 0) memcpy(at, bytes, bytes_size);
  at += bytes_size;
  if (nonce_size != 0) memcpy(at, nonce, nonce_size);
  at += nonce_size;
  if (key_size != 0) memcpy(at, key, key_size);
  at += key_size;
  return ask(fd, request, (size_t)(at - request), document, size);
}

int bulkhead_attest_random(int fd, void *bytes, size_t *size) {
  unsigned char request[HEAD];
  if (*size == 0 || *size > BULKHEAD_ATTEST_MAX_RANDOM) return BULKHEAD_ATTEST_MALFORMED;
  head(request, 1);
  put_u32(request + 8, *size);
  return ask(fd, request, sizeof request, bytes, size);
}

const char *bulkhead_attest_text(int status) {
  switch (status) {
    case BULKHEAD_ATTEST_OK:
      return "done";
    case BULKHEAD_ATTEST_MALFORMED:
      return "a field is too long";
    case BULKHEAD_ATTEST_NOT_GIVEN:
      return "not given by the policy";
    case BULKHEAD_ATTEST_RATE:
      return "over the policy's rate";
    case BULKHEAD_ATTEST_NO_FIELD:
      return "this platform's documents have no such field";
    case BULKHEAD_ATTEST_FAILED:
      return "the platform did not answer";
    default:
      return strerror(errno);
  }
}
