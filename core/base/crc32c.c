#include "crc32c.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

#include "id.h"

#include "banned.h"

/* The Castagnoli polynomial, with the lowest bit first. */
static const uint32_t polynomial = UINT32_C(0x82f63b78);

/* table[k][b]: what byte b adds to the remainder when k more bytes follow it. */
static uint32_t table[8][256];
static hf_crc32c_fn picked;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++)
      crc = (crc >> 1) ^ (crc & 1 ? polynomial : 0);
    table[0][byte] = crc;
  }
  for (int k = 1; k < 8; k++) {
    for (uint32_t byte = 0; byte < 256; byte++)
      table[k][byte] = (table[k - 1][byte] >> 8) ^ table[0][table[k - 1][byte] & 0xff];
  }
}

static void prepare(void) {
  make_table();
  hf_crc32c_fn hardware = hf_crc32c_hardware();
  picked = hardware != NULL ? hardware : hf_crc32c_software;
}

static uint64_t load64(const unsigned char *p) {
  uint64_t word = 0;
  memcpy(&word, p, sizeof word);
  return le64toh(word);
}

uint32_t hf_crc32c_software(uint32_t start, const void *bytes, size_t count) {
  (void)pthread_once(&once, prepare);
  const unsigned char *p = bytes;
  uint32_t crc = ~start;
  for (; count >= 8; count -= 8, p += 8) {
    uint64_t word = load64(p) ^ crc;
    crc = table[7][word & 0xff] ^ table[6][word >> 8 & 0xff] ^ table[5][word >> 16 & 0xff] ^
          table[4][word >> 24 & 0xff] ^ table[3][word >> 32 & 0xff] ^ table[2][word >> 40 & 0xff] ^
          table[1][word >> 48 & 0xff] ^ table[0][word >> 56];
  }
  for (; count > 0; count--)
    crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xff];
  return ~crc;
}

#if defined(__x86_64__)

static __attribute__((target("sse4.2"))) uint32_t crc32c_sse42(uint32_t start, const void *bytes,
                                                               size_t count) {
  const unsigned char *p = bytes;
  uint64_t crc = (uint32_t)~start;
  for (; count >= 8; count -= 8, p += 8)
    crc = __builtin_ia32_crc32di(crc, load64(p));
  uint32_t rest = (uint32_t)crc;
  for (; count > 0; count--)
    rest = __builtin_ia32_crc32qi(rest, *p++);
  return ~rest;
}

hf_crc32c_fn hf_crc32c_hardware(void) {
  return __builtin_cpu_supports("sse4.2") ? crc32c_sse42 : NULL;
}

#else

hf_crc32c_fn hf_crc32c_hardware(void) {
  return NULL;
}

#endif

uint32_t hf_crc32c(uint32_t start, const void *bytes, size_t count) {
  (void)pthread_once(&once, prepare);
  return picked(start, bytes, count);
}
