/* The two ways to compute hf_crc32c (id.h), apart so that a test can compare them. */
#ifndef HF_BASE_CRC32C_H
#define HF_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t (*hf_crc32c_fn)(uint32_t start, const void *bytes, size_t count);

/* By tables, eight bytes a step. */
uint32_t hf_crc32c_software(uint32_t start, const void *bytes, size_t count);

/* By the processor's instruction; NULL where it has none. */
hf_crc32c_fn hf_crc32c_hardware(void);

#endif
