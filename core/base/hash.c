/* XXH64, by its published specification, so that rows on disk can be read by other programs too. */
#include <endian.h>
#include <string.h>

#include "id.h"

#include "banned.h"

static const uint64_t prime1 = UINT64_C(0x9e3779b185ebca87);
static const uint64_t prime2 = UINT64_C(0xc2b2ae3d27d4eb4f);
static const uint64_t prime3 = UINT64_C(0x165667b19e3779f9);
static const uint64_t prime4 = UINT64_C(0x85ebca77c2b2ae63);
static const uint64_t prime5 = UINT64_C(0x27d4eb2f165667c5);

static uint64_t load64(const unsigned char *p) {
  uint64_t word = 0;
  memcpy(&word, p, sizeof word);
  return le64toh(word);
}

static uint64_t load32(const unsigned char *p) {
  uint32_t word = 0;
  memcpy(&word, p, sizeof word);
  return le32toh(word);
}

static uint64_t rotate(uint64_t x, int bits) {
  return (x << bits) | (x >> (64 - bits));
}

static uint64_t mix_lane(uint64_t lane, uint64_t word) {
  return rotate(lane + word * prime2, 31) * prime1;
}

static uint64_t merge_lane(uint64_t hash, uint64_t lane) {
  return (hash ^ mix_lane(0, lane)) * prime1 + prime4;
}

static uint64_t hash_stripes(uint64_t seed, const unsigned char *p, size_t stripes) {
  uint64_t lane1 = seed + prime1 + prime2, lane2 = seed + prime2;
  uint64_t lane3 = seed, lane4 = seed - prime1;
  for (; stripes > 0; stripes--, p += 32) {
    lane1 = mix_lane(lane1, load64(p));
    lane2 = mix_lane(lane2, load64(p + 8));
    lane3 = mix_lane(lane3, load64(p + 16));
    lane4 = mix_lane(lane4, load64(p + 24));
  }
  uint64_t hash = rotate(lane1, 1) + rotate(lane2, 7) + rotate(lane3, 12) + rotate(lane4, 18);
  hash = merge_lane(hash, lane1);
  hash = merge_lane(hash, lane2);
  hash = merge_lane(hash, lane3);
  return merge_lane(hash, lane4);
}

uint64_t hf_hash64(uint64_t seed, const void *bytes, size_t count) {
  const unsigned char *p = bytes;
  size_t stripes = count / 32, rest = count % 32;
  uint64_t hash = stripes > 0 ? hash_stripes(seed, p, stripes) : seed + prime5;
  hash += count;

  if (stripes > 0)
    p += 32 * stripes;
  for (; rest >= 8; rest -= 8, p += 8)
    hash = rotate(hash ^ mix_lane(0, load64(p)), 27) * prime1 + prime4;
  if (rest >= 4) {
    hash = rotate(hash ^ load32(p) * prime1, 23) * prime2 + prime3;
    rest -= 4;
    p += 4;
  }
  for (; rest > 0; rest--)
    hash = rotate(hash ^ *p++ * prime5, 11) * prime1;

  hash = (hash ^ hash >> 33) * prime2;
  hash = (hash ^ hash >> 29) * prime3;
  return hash ^ hash >> 32;
}
