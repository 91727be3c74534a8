/* What the json*.c files share: scanning by runs, UTF-8, escapes. Nothing here reads at or past
 * `end`. */
#ifndef HF_BASE_JSON_SCAN_H
#define HF_BASE_JSON_SCAN_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "buf.h"
#include "json.h"

/* ---- eight bytes a step ---- */

/* In each of these words the highest bit of a byte says "here". Only the first such byte is exact:
 * a borrow may reach the bytes behind it. */
#define HF_SCAN_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HF_SCAN_HIGH HF_SCAN_EACH(0x80)

static inline uint64_t hf_scan_load(const char *p) {
  uint64_t word = 0;
  memcpy(&word, p, sizeof word);
  return le64toh(word);
}

static inline uint64_t hf_scan_equal(uint64_t word, unsigned char byte) {
  uint64_t zero = word ^ HF_SCAN_EACH(byte);
  return (zero - HF_SCAN_EACH(1)) & ~zero;
}

static inline const char *hf_scan_first(const char *p, uint64_t here) {
  return p + (__builtin_ctzll(here) >> 3);
}

/* The first byte that is a control character, '"', '\\' or not ASCII; or end. */
static inline const char *hf_scan_plain(const char *p, const char *end) {
#if defined(__SSE2__)
  for (; end - p >= 16; p += 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)); /* signed: not ASCII, too */
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i escape = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    int here = _mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, escape)));
    if (here != 0)
      return p + __builtin_ctz((unsigned)here);
  }
#endif
  for (; end - p >= 8; p += 8) {
    uint64_t word = hf_scan_load(p);
    uint64_t control = (word - HF_SCAN_EACH(0x20)) & ~word;
    uint64_t here = control | hf_scan_equal(word, '"') | hf_scan_equal(word, '\\') | word;
    if ((here & HF_SCAN_HIGH) != 0)
      return hf_scan_first(p, here & HF_SCAN_HIGH);
  }
  while (p < end && *p >= 0x20 && *p != '"' && *p != '\\' && (unsigned char)*p < 0x80)
    p++;
  return p;
}

static inline int hf_scan_is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline int hf_scan_is_digit(char c) {
  return c >= '0' && c <= '9';
}

static inline int hf_scan_hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/* The length of the well-formed UTF-8 character at p (RFC 3629, table 3-7 of Unicode); 0 where
 * there is none. */
static inline size_t hf_scan_utf8(const char *p, const char *end) {
  const unsigned char *u = (const unsigned char *)p;
  size_t have = (size_t)(end - p);
  if (have == 0)
    return 0;
  if (u[0] < 0x80)
    return 1;
  size_t want = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
  if (u[0] < 0xc2 || u[0] > 0xf4 || have < want)
    return 0;
  unsigned char low = u[0] == 0xe0 ? 0xa0 : u[0] == 0xf0 ? 0x90 : 0x80;  /* no overlong form */
  unsigned char high = u[0] == 0xed ? 0x9f : u[0] == 0xf4 ? 0x8f : 0xbf; /* no surrogate */
  if (u[1] < low || u[1] > high)
    return 0;
  for (size_t i = 2; i < want; i++)
    if ((u[i] & 0xc0) != 0x80)
      return 0;
  return want;
}

/* ---- inside a string that hf_json_check has accepted ---- */

/* What a '\\' at *at stands for; *at moves behind it. A pair of surrogates is one character; a lone
 * one is returned as the number that it is. */
uint32_t hf_json_take_escape(const char **at, const char *end);

/* Writes a character as UTF-8; its length. */
size_t hf_utf8_put(uint32_t character, char bytes[4]);

/* Appends the escape of a control character, '"' or '\\', the shortest one. */
int hf_json_add_escape(hf_buf *out, unsigned char c);

/* Appends a number (text that hf_json_check has accepted) in the canonical form. */
int hf_json_add_canonical_number(hf_buf *out, const char *text, size_t bytes);

static inline int hf_json_is_surrogate(uint32_t character) {
  return character >= 0xd800 && character <= 0xdfff;
}

/* Past the string that begins at p, with its quotation marks. */
const char *hf_json_skip_string(const char *p, const char *end);

/* Past the number, string, true, false or null that begins at p. */
const char *hf_json_skip_scalar(const char *p, const char *end);

/* Past white space. */
static inline const char *hf_json_skip_space(const char *p, const char *end) {
  while (p < end && hf_scan_is_space(*p))
    p++;
  return p;
}

hf_json_type hf_json_type_at(const char *p, const char *end);

#endif
