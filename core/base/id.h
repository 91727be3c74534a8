/* Identifiers: ULIDs (attempts), UUIDs (stores), and the digests that records carry. */
#ifndef HF_BASE_ID_H
#define HF_BASE_ID_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/holdfast.h>

typedef struct hf_id {
  uint8_t bytes[16];
} hf_id;

int hf_id_make(hf_id *ret_id,
               hf_error *reterr); /* 48 bits of milliseconds, 80 random bits (getrandom) */
/* Many at once, of the moment unix_us: the system is asked for all their random bits together. */
int hf_ids_make(int64_t unix_us, hf_id *ids, size_t count, hf_error *reterr);
void hf_id_format(const hf_id *id, char text[HF_ID_CHARS + 1]);
int hf_id_parse(const char *text, size_t count,
                hf_id *ret_id); /* 0 or -1. Capitals only, as we print them */
int hf_uuid_make(char text[HF_UUID_CHARS + 1], hf_error *reterr); /* version 4 */

/* CRC-32C (Castagnoli), as in RFC 3720; crc of "123456789" is 0xe3069283. start: 0, or the crc so
 * far. */
uint32_t hf_crc32c(uint32_t start, const void *bytes, size_t count);

int hf_sha256(const void *bytes, size_t count, uint8_t ret_digest[32], hf_error *reterr);
void hf_hex(const uint8_t *bytes, size_t count, char *text); /* 2 * count + 1 bytes, lower case */
int hf_unhex(const char *text, size_t count, uint8_t *ret_bytes); /* count characters; 0 or -1 */

/* A fast 64-bit hash for tables in memory and rows; a hit is always checked against the record.
 * Stable over hosts. */
uint64_t hf_hash64(uint64_t seed, const void *bytes, size_t count);

#endif
