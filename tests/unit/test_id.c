#include "id.h"

#include <check.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <holdfast/holdfast.h>

#include "clock.h"
#include "crc32c.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { THREADS = 4, PATTERN_BYTES = 4096 };

static uint64_t random_state = 1;

static uint64_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

static void fill(uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    bytes[i] = (uint8_t)(next_random() >> 24);
}

/* ---- ULIDs and UUIDs ---- */

static uint64_t milliseconds(const hf_id *id) {
  uint64_t ms = 0;
  for (int i = 0; i < 6; i++)
    ms = ms << 8 | id->bytes[i];
  return ms;
}

START_TEST(an_id_begins_with_the_time) {
  uint64_t before = (uint64_t)(hf_realtime_us() / 1000);
  hf_id id;
  ck_assert_int_eq(hf_id_make(&id, NULL), HF_OK);
  ck_assert_uint_ge(milliseconds(&id), before);
  ck_assert_uint_le(milliseconds(&id), (uint64_t)(hf_realtime_us() / 1000));
}
END_TEST

static int compare_ids(const void *a, const void *b) {
  return memcmp(a, b, sizeof(hf_id));
}

START_TEST(ids_differ) {
  enum { IDS = 20000 };
  static hf_id ids[IDS];
  uint8_t seen_or[16] = {0}, seen_and[16];
  memset(seen_and, 0xff, sizeof seen_and);
  ck_assert_int_eq(hf_ids_make(hf_realtime_us(), ids, IDS / 2, NULL), HF_OK);
  for (size_t i = 0; i < IDS; i++) {
    if (i >= IDS / 2)
      ck_assert_int_eq(hf_id_make(&ids[i], NULL), HF_OK);
    ck_assert_uint_eq(milliseconds(&ids[i]) / 600000, milliseconds(&ids[0]) / 600000);
    for (size_t k = 0; k < 16; k++) {
      seen_or[k] |= ids[i].bytes[k];
      seen_and[k] &= ids[i].bytes[k];
    }
  }
  for (size_t k = 6; k < 16; k++) { /* every random bit was 0 once and 1 once */
    ck_assert_uint_eq(seen_or[k], 0xff);
    ck_assert_uint_eq(seen_and[k], 0);
  }
  qsort(ids, IDS, sizeof ids[0], compare_ids);
  for (size_t i = 1; i < IDS; i++)
    ck_assert_int_ne(compare_ids(&ids[i - 1], &ids[i]), 0);
}
END_TEST

typedef struct id_case {
  const char *text;
  uint8_t bytes[16];
} id_case;

static const id_case id_cases[] = {
    {"00000000000000000000000000", {0}},
    {"00000000000000000000000001", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
    {"0000000000000000000000000Z", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 31}},
    {"00000000000000000000000080", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}},
    {"7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
     {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
    {"40000000000000000000000000", {128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
    /* the example of the ULID specification */
    {"01ARZ3NDEKTSV4RRFFQ69G5FAV",
     {0x01, 0x56, 0x3e, 0x3a, 0xb5, 0xd3, 0xd6, 0x76, 0x4c, 0x61, 0xef, 0xb9, 0x93, 0x02, 0xbd,
      0x5b}},
};

START_TEST(known_ids) {
  for (size_t i = 0; i < COUNT(id_cases); i++) {
    hf_id id;
    char text[HF_ID_CHARS + 1];
    ck_assert_int_eq(hf_id_parse(id_cases[i].text, HF_ID_CHARS, &id), 0);
    ck_assert_mem_eq(id.bytes, id_cases[i].bytes, 16);
    hf_id_format(&id, text);
    ck_assert_str_eq(text, id_cases[i].text);
  }
}
END_TEST

START_TEST(ids_come_back_and_keep_their_order) {
  hf_id previous = {{0}};
  char previous_text[HF_ID_CHARS + 1];
  hf_id_format(&previous, previous_text);
  for (int i = 0; i < 20000; i++) {
    hf_id id, parsed;
    char text[HF_ID_CHARS + 1];
    fill(id.bytes, sizeof id.bytes);
    hf_id_format(&id, text);
    ck_assert_uint_eq(strlen(text), HF_ID_CHARS);
    ck_assert_int_eq(hf_id_parse(text, HF_ID_CHARS, &parsed), 0);
    ck_assert_mem_eq(id.bytes, parsed.bytes, 16);
    int order = compare_ids(&previous, &id), text_order = strcmp(previous_text, text);
    ck_assert_int_eq((order > 0) - (order < 0), (text_order > 0) - (text_order < 0));
    previous = id;
    memcpy(previous_text, text, sizeof text);
  }
}
END_TEST

START_TEST(what_is_no_id) {
  static const char *const cases[] = {
      "80000000000000000000000000", /* 129 bits */
      "ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "01arz3ndektsv4rrffq69g5fav",    "01ARZ3NDEKTSV4RRFFQ69G5FAI",
      "01ARZ3NDEKTSV4RRFFQ69G5FAL", "01ARZ3NDEKTSV4RRFFQ69G5FAO",    "01ARZ3NDEKTSV4RRFFQ69G5FAU",
      "01ARZ3NDEKTSV4RRFFQ69G5FA ", "01ARZ3NDEKTSV4RRFFQ69G5FA/",    " 1ARZ3NDEKTSV4RRFFQ69G5FAV",
      "-1ARZ3NDEKTSV4RRFFQ69G5FAV", "\3771ARZ3NDEKTSV4RRFFQ69G5FAV",
  };
  hf_id id;
  memset(&id, 7, sizeof id);
  for (size_t i = 0; i < COUNT(cases); i++) {
    ck_assert_uint_eq(strlen(cases[i]), HF_ID_CHARS);
    ck_assert_msg(hf_id_parse(cases[i], HF_ID_CHARS, &id) == -1, "accepted: %s", cases[i]);
  }
  ck_assert_int_eq(hf_id_parse("01ARZ3NDEKTSV4RRFFQ69G5FAV", HF_ID_CHARS - 1, &id), -1);
  ck_assert_int_eq(hf_id_parse("01ARZ3NDEKTSV4RRFFQ69G5FAV0", HF_ID_CHARS + 1, &id), -1);
  ck_assert_int_eq(hf_id_parse("", 0, &id), -1);
  ck_assert_int_eq(hf_id_parse("01ARZ3NDEKTSV4RRFFQ69G5FA\0", HF_ID_CHARS, &id), -1);
  for (size_t i = 0; i < sizeof id.bytes; i++)
    ck_assert_uint_eq(id.bytes[i], 7); /* written only where the text is an id */
}
END_TEST

START_TEST(public_ids) {
  char text[HF_ID_CHARS + 1], other[HF_ID_CHARS + 1];
  hf_id id;
  ck_assert_int_eq(hf_make_id(text, NULL), HF_OK);
  ck_assert_int_eq(hf_make_id(other, NULL), HF_OK);
  ck_assert_int_eq(hf_id_parse(text, strlen(text), &id), 0);
  ck_assert_str_ne(text, other);
}
END_TEST

START_TEST(uuids) {
  char previous[HF_UUID_CHARS + 1] = "";
  for (int i = 0; i < 1000; i++) {
    char text[HF_UUID_CHARS + 1];
    ck_assert_int_eq(hf_uuid_make(text, NULL), HF_OK);
    ck_assert_uint_eq(strlen(text), HF_UUID_CHARS);
    for (size_t k = 0; k < HF_UUID_CHARS; k++) {
      if (k == 8 || k == 13 || k == 18 || k == 23)
        ck_assert_int_eq(text[k], '-');
      else
        ck_assert_ptr_nonnull(strchr("0123456789abcdef", text[k]));
    }
    ck_assert_int_eq(text[14], '4');
    ck_assert_ptr_nonnull(strchr("89ab", text[19]));
    ck_assert_str_ne(text, previous);
    memcpy(previous, text, sizeof text);
  }
}
END_TEST

/* ---- CRC-32C ---- */

START_TEST(crc_vectors) {
  /* RFC 3720, appendix B.4 */
  static const uint8_t read_command[48] = {
      0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
      0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0};
  uint8_t bytes[32];
  ck_assert_uint_eq(hf_crc32c(0, read_command, sizeof read_command), 0xd9963a56);
  memset(bytes, 0, sizeof bytes);
  ck_assert_uint_eq(hf_crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
  memset(bytes, 0xff, sizeof bytes);
  ck_assert_uint_eq(hf_crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)i;
  ck_assert_uint_eq(hf_crc32c(0, bytes, sizeof bytes), 0x46dd794e);
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(31 - i);
  ck_assert_uint_eq(hf_crc32c(0, bytes, sizeof bytes), 0x113fdb5c);
  ck_assert_uint_eq(hf_crc32c(0, "123456789", 9), 0xe3069283);
  ck_assert_uint_eq(hf_crc32c(0, "", 0), 0);
  ck_assert_uint_eq(hf_crc32c(0x12345678, "", 0), 0x12345678);
}
END_TEST

/* Bit by bit, from the polynomial's definition. */
static uint32_t crc_slow(uint32_t start, const uint8_t *bytes, size_t count) {
  uint32_t crc = ~start;
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
  }
  return ~crc;
}

START_TEST(crc_ways_agree) {
  static uint8_t pattern[PATTERN_BYTES];
  hf_crc32c_fn hardware = hf_crc32c_hardware();
  fill(pattern, sizeof pattern);
  for (int i = 0; i < 1000; i++) {
    size_t offset = next_random() % 64;
    size_t bound = i % 10 != 0 ? 64 : PATTERN_BYTES - 64;
    size_t count = next_random() % bound;
    uint32_t start = i % 2 == 0 ? 0 : (uint32_t)next_random();
    uint8_t *copy = malloc(offset + count + 1); /* ends where the bytes end: no read behind them */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy + offset + 1, pattern + offset, count);
    const uint8_t *bytes = copy + offset + 1;
    uint32_t expected = crc_slow(start, bytes, count);
    ck_assert_uint_eq(hf_crc32c_software(start, bytes, count), expected);
    ck_assert_uint_eq(hf_crc32c(start, bytes, count), expected);
    if (hardware != NULL)
      ck_assert_uint_eq(hardware(start, bytes, count), expected);
    size_t cut = count > 0 ? next_random() % count : 0;
    ck_assert_uint_eq(hf_crc32c(hf_crc32c(start, bytes, cut), bytes + cut, count - cut), expected);
    free(copy);
  }
}
END_TEST

START_TEST(crc_finds_every_flipped_bit) {
  uint8_t bytes[512];
  fill(bytes, sizeof bytes);
  uint32_t crc = hf_crc32c(0, bytes, sizeof bytes);
  for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
    bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    ck_assert_uint_ne(hf_crc32c(0, bytes, sizeof bytes), crc);
    bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
  }
}
END_TEST

/* ---- SHA-256, hex, hash ---- */

static const char sha_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

START_TEST(sha_vectors) {
  static const char *const cases[][2] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", sha_abc},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
  };
  uint8_t digest[32];
  char text[HF_SHA256_CHARS + 1];
  for (size_t i = 0; i < COUNT(cases); i++) {
    ck_assert_int_eq(hf_sha256(cases[i][0], strlen(cases[i][0]), digest, NULL), HF_OK);
    hf_hex(digest, sizeof digest, text);
    ck_assert_str_eq(text, cases[i][1]);
  }
  char *million = malloc(1000000);
  ck_assert_ptr_nonnull(million);
  memset(million, 'a', 1000000);
  ck_assert_int_eq(hf_sha256(million, 1000000, digest, NULL), HF_OK);
  hf_hex(digest, sizeof digest, text);
  ck_assert_str_eq(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  free(million);
}
END_TEST

static pthread_barrier_t barrier;

/* The first use of what is prepared once, by several threads in the same instant. */
static void *digest_thread(void *unused) {
  (void)unused;
  uint8_t digest[32];
  char text[HF_SHA256_CHARS + 1];
  (void)pthread_barrier_wait(&barrier);
  int wrong = hf_crc32c(0, "123456789", 9) != 0xe3069283;
  wrong += hf_crc32c_software(0, "123456789", 9) != 0xe3069283;
  wrong += hf_sha256("abc", 3, digest, NULL) != HF_OK;
  hf_hex(digest, sizeof digest, text);
  wrong += strcmp(text, sha_abc) != 0;
  return wrong == 0 ? &barrier : NULL;
}

START_TEST(threads_share_the_digests) {
  pthread_t threads[THREADS];
  ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, THREADS), 0);
  for (int i = 0; i < THREADS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, digest_thread, NULL), 0);
  for (int i = 0; i < THREADS; i++) {
    void *result = NULL;
    ck_assert_int_eq(pthread_join(threads[i], &result), 0);
    ck_assert_ptr_nonnull(result);
  }
}
END_TEST

START_TEST(hex) {
  static const uint8_t bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xab, 0xff};
  char text[13];
  uint8_t back[6] = {9, 9, 9, 9, 9, 9};
  hf_hex(bytes, sizeof bytes, text);
  ck_assert_str_eq(text, "00017f80abff");
  ck_assert_int_eq(hf_unhex(text, 12, back), 0);
  ck_assert_mem_eq(back, bytes, sizeof bytes);
  ck_assert_int_eq(hf_unhex("", 0, back), 0);
  static const char *const bad[] = {"0", "000", "0G", "g0", "AB", "0 ", " 0", "0x", "-1", "\xb5"};
  for (size_t i = 0; i < COUNT(bad); i++)
    ck_assert_msg(hf_unhex(bad[i], strlen(bad[i]), back) == -1, "accepted: %s", bad[i]);
  hf_hex(bytes, 0, text);
  ck_assert_str_eq(text, "");
}
END_TEST

/* The reference implementation's self-test: its pattern, lengths and seeds. */
START_TEST(hash_vectors) {
  enum { SANITY_BYTES = 222 };
  static const struct {
    size_t count;
    uint64_t seed, hash;
  } cases[] = {
      {0, 0, UINT64_C(0xef46db3751d8e999)},   {0, 2654435761, UINT64_C(0xac75fda2929b17ef)},
      {1, 0, UINT64_C(0xe934a84adb052768)},   {1, 2654435761, UINT64_C(0x5014607643a9b4c3)},
      {14, 0, UINT64_C(0x8282dcc4994e35c8)},  {14, 2654435761, UINT64_C(0xc3bd6bf63deb6df0)},
      {222, 0, UINT64_C(0xb641ae8cb691c174)}, {222, 2654435761, UINT64_C(0x20cb8ab7ae10c14a)},
  };
  uint8_t pattern[SANITY_BYTES];
  uint64_t generator = 2654435761;
  for (size_t i = 0; i < sizeof pattern; i++) {
    pattern[i] = (uint8_t)(generator >> 56);
    generator *= UINT64_C(11400714785074694797);
  }
  for (size_t i = 0; i < COUNT(cases); i++)
    ck_assert_uint_eq(hf_hash64(cases[i].seed, pattern, cases[i].count), cases[i].hash);
  ck_assert_uint_eq(hf_hash64(0, "a", 1), UINT64_C(0xd24ec4f1a98c6e5b));
  ck_assert_uint_eq(hf_hash64(0, "abc", 3), UINT64_C(0x44bc2cf5ad770999));
  ck_assert_uint_eq(hf_hash64(0, NULL, 0), UINT64_C(0xef46db3751d8e999));
}
END_TEST

static int compare_hashes(const void *a, const void *b) {
  uint64_t x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return (x > y) - (x < y);
}

START_TEST(hashes_of_like_keys_differ) {
  enum { KEYS = 50000 };
  static uint64_t hashes[KEYS];
  for (uint32_t i = 0; i < KEYS; i++)
    hashes[i] = hf_hash64(i % 2, &i, sizeof i) & UINT64_C(0xffffffffffff);
  qsort(hashes, KEYS, sizeof hashes[0], compare_hashes);
  for (size_t i = 1; i < KEYS; i++)
    ck_assert_uint_ne(hashes[i - 1], hashes[i]); /* by chance: once in 200,000 */
  ck_assert_uint_ne(hf_hash64(0, "run", 3), hf_hash64(1, "run", 3));
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("id");
  TCase *ids = tcase_create("ids");
  tcase_add_test(ids, an_id_begins_with_the_time);
  tcase_add_test(ids, ids_differ);
  tcase_add_test(ids, known_ids);
  tcase_add_test(ids, ids_come_back_and_keep_their_order);
  tcase_add_test(ids, what_is_no_id);
  tcase_add_test(ids, public_ids);
  tcase_add_test(ids, uuids);
  suite_add_tcase(s, ids);
  TCase *digests = tcase_create("digests");
  tcase_add_test(digests, crc_vectors);
  tcase_add_test(digests, crc_ways_agree);
  tcase_add_test(digests, crc_finds_every_flipped_bit);
  tcase_add_test(digests, sha_vectors);
  tcase_add_test(digests, threads_share_the_digests);
  tcase_add_test(digests, hex);
  tcase_add_test(digests, hash_vectors);
  tcase_add_test(digests, hashes_of_like_keys_differ);
  suite_add_tcase(s, digests);
  return s;
}

int main(void) {
  SRunner *runner = srunner_create(suite());
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
