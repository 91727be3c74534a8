#include "id.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "err.h"

#include "banned.h"

enum { RANDOM_TRIES_MAX = 100, ID_TIME_BYTES = 6, SHA256_BYTES = 32 };

/* Crockford's base 32: without I, L, O and U. */
static const char base32[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const char base16[] = "0123456789abcdef";

/* A digit's value + 1; 0: it is none. */
static const unsigned char base32_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    ['G'] = 17, ['H'] = 18, ['J'] = 19, ['K'] = 20, ['M'] = 21, ['N'] = 22, ['P'] = 23, ['Q'] = 24,
    ['R'] = 25, ['S'] = 26, ['T'] = 27, ['V'] = 28, ['W'] = 29, ['X'] = 30, ['Y'] = 31, ['Z'] = 32,
};
static const unsigned char base16_values[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

static int fill_random(uint8_t *bytes, size_t count, hf_error *reterr) {
  size_t have = 0;
  for (int tries = 0; tries < RANDOM_TRIES_MAX; tries++) {
    ssize_t got = getrandom(bytes + have, count - have, 0);
    if (got > 0)
      have += (size_t)got;
    if (have == count)
      return HF_OK;
    if (got < 0 && errno != EINTR)
      break;
  }
  return hf_err_sys(reterr, HF_EIO, errno, NULL, "no random bytes from the system (getrandom)");
}

int hf_ids_make(int64_t unix_us, hf_id *ids, size_t count, hf_error *reterr) {
  uint64_t ms = unix_us > 0 ? (uint64_t)unix_us / 1000 : 0;
  int status = fill_random(ids[0].bytes, count * sizeof ids[0], reterr);
  if (status < 0)
    return status;
  for (size_t n = 0; n < count; n++)
    for (int i = 0; i < ID_TIME_BYTES; i++)
      ids[n].bytes[i] = (uint8_t)(ms >> (8 * (ID_TIME_BYTES - 1 - i)));
  return HF_OK;
}

int hf_id_make(hf_id *ret_id, hf_error *reterr) {
  hf_id id;
  int status = hf_ids_make(hf_realtime_us(), &id, 1, reterr);
  if (status == HF_OK)
    *ret_id = id;
  return status;
}

/* The 128 bits are the low ones of 26 digits of five bits. */
void hf_id_format(const hf_id *id, char text[HF_ID_CHARS + 1]) {
  unsigned bits = 0;
  int have = 2; /* 130 - 128 leading zero bits */
  size_t next = 0;
  for (int i = 0; i < HF_ID_CHARS; i++) {
    if (have < 5) {
      bits = (bits << 8 | id->bytes[next++]) & 0xfff;
      have += 8;
    }
    have -= 5;
    text[i] = base32[bits >> have & 31];
  }
  text[HF_ID_CHARS] = '\0';
}

int hf_id_parse(const char *text, size_t count, hf_id *ret_id) {
  if (count != HF_ID_CHARS || text[0] > '7')
    return -1;
  hf_id id;
  unsigned bits = 0;
  int have = -2;
  size_t next = 0;
  for (size_t i = 0; i < count; i++) {
    unsigned value = base32_values[(unsigned char)text[i]];
    if (value == 0)
      return -1;
    bits = (bits << 5 | (value - 1)) & 0xfff;
    have += 5;
    if (have >= 8) {
      have -= 8;
      id.bytes[next++] = (uint8_t)(bits >> have);
    }
  }
  *ret_id = id;
  return 0;
}

int hf_make_id(char *text, hf_error *reterr) {
  hf_id id;
  int status = hf_id_make(&id, reterr);
  if (status < 0)
    return status;
  hf_id_format(&id, text);
  return HF_OK;
}

int hf_uuid_make(char text[HF_UUID_CHARS + 1], hf_error *reterr) {
  uint8_t bytes[16];
  int status = fill_random(bytes, sizeof bytes, reterr);
  if (status < 0)
    return status;
  bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* version 4 */
  bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80); /* the variant of RFC 9562 */
  char *at = text;
  for (size_t i = 0; i < sizeof bytes; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      *at++ = '-';
    hf_hex(&bytes[i], 1, at);
    at += 2;
  }
  return HF_OK;
}

void hf_hex(const uint8_t *bytes, size_t count, char *text) {
  for (size_t i = 0; i < count; i++) {
    text[2 * i] = base16[bytes[i] >> 4];
    text[2 * i + 1] = base16[bytes[i] & 15];
  }
  text[2 * count] = '\0';
}

int hf_unhex(const char *text, size_t count, uint8_t *ret_bytes) {
  if (count % 2 != 0)
    return -1;
  for (size_t i = 0; i < count; i += 2) {
    unsigned high = base16_values[(unsigned char)text[i]];
    unsigned low = base16_values[(unsigned char)text[i + 1]];
    if (high == 0 || low == 0)
      return -1;
    ret_bytes[i / 2] = (uint8_t)((high - 1) << 4 | (low - 1));
  }
  return 0;
}

/* Fetched once, because a fetch costs more than the digest of a small document; tried again if it
 * failed. */
static const EVP_MD *sha256_method(void) {
  static _Atomic(EVP_MD *) kept;
  EVP_MD *method = atomic_load(&kept);
  if (method != NULL)
    return method;
  EVP_MD *fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
  if (fetched == NULL || atomic_compare_exchange_strong(&kept, &method, fetched))
    return fetched;
  EVP_MD_free(fetched); /* another thread was first */
  return method;
}

int hf_sha256(const void *bytes, size_t count, uint8_t ret_digest[32], hf_error *reterr) {
  (void)ERR_set_mark(); /* the thread's error queue is the program's, not ours */
  const EVP_MD *method = sha256_method();
  unsigned digest_bytes = 0;
  uint8_t digest[EVP_MAX_MD_SIZE];
  int done = method != NULL && EVP_Digest(bytes, count, digest, &digest_bytes, method, NULL) == 1 &&
             digest_bytes == SHA256_BYTES;
  int reason = done ? 0 : ERR_GET_REASON(ERR_peek_last_error());
  (void)ERR_pop_to_mark();
  /* Once there is a method, only memory can be wanting; OpenSSL 3.0 does not always say so. */
  if (!done && (method != NULL || reason == ERR_R_MALLOC_FAILURE))
    return hf_err_nomem(reterr);
  if (!done)
    return hf_err(reterr, HF_EINTERNAL, NULL,
                  "OpenSSL cannot compute SHA-256; is its default provider enabled?");
  memcpy(ret_digest, digest, SHA256_BYTES);
  return HF_OK;
}
