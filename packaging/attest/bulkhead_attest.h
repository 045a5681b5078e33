/* SPDX-License-Identifier: Apache-2.0
 *
 * How a component asks for attestation documents and random bytes: over the socket that its policy
 * gives it (`attestation:`), which it inherits under the name "attestation" in LISTEN_FDNAMES.
 * Two files, this one and bulkhead_attest.c, to be compiled into the component: C99, no library but
 * the C library, no system calls but read and write. The messages are in docs/ATTESTATION.md.
 *
 * Requests are answered one after the other. A descriptor must not be used by two threads at once.
 */
#ifndef BULKHEAD_ATTEST_H
#define BULKHEAD_ATTEST_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BULKHEAD_ATTEST_MAX_BYTES 1024
#define BULKHEAD_ATTEST_MAX_NONCE 512
#define BULKHEAD_ATTEST_MAX_KEY 1024
#define BULKHEAD_ATTEST_MAX_RANDOM 256
#define BULKHEAD_ATTEST_MAX_DOCUMENT 32768

enum bulkhead_attest_status {
  BULKHEAD_ATTEST_OK = 0,
  BULKHEAD_ATTEST_MALFORMED = 1, /* a field is too long */
  BULKHEAD_ATTEST_NOT_GIVEN = 2, /* the policy gives no such verb, or no key */
  BULKHEAD_ATTEST_RATE = 3,      /* more than the policy's rate: try again later */
  BULKHEAD_ATTEST_NO_FIELD = 4,  /* a TDX quote has no nonce and no key */
  BULKHEAD_ATTEST_FAILED = 5,    /* the platform did not answer */
  BULKHEAD_ATTEST_BROKEN = -1    /* no socket, or no answer from it; errno says why */
};

/* The descriptor, or -1 where LISTEN_FDNAMES has none. */
int bulkhead_attest_socket(void);

/* A document or a quote, whose user data is bound to this component, its bundle and `bytes`. `size`
 * is the room in `document`, and then its length. `nonce` and `key` may be NULL with length 0.
 * Returns a bulkhead_attest_status. */
int bulkhead_attest(int fd, const void* bytes, size_t bytes_size, const void* nonce,
                    size_t nonce_size, const void* key, size_t key_size, void* document,
                    size_t* size);

/* At most `*size` random bytes of the platform's, 1 to 256; `*size` is then how many came. */
int bulkhead_attest_random(int fd, void* bytes, size_t* size);

/* For people. */
const char* bulkhead_attest_text(int status);

#ifdef __cplusplus
}
#endif

#endif
