/* What is saved: keys, documents, ids; all from the seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "driver.h"

enum { DOCUMENT_HEAD_BYTES = 512, SHA256_BYTES = 32, FILL_LETTERS = 26 };

/* splitmix64 */
uint64_t driver_next(driver *me) {
  uint64_t z = (me->random += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint64_t driver_below(driver *me, uint64_t bound) {
  return driver_next(me) % bound;
}

uint64_t driver_recent(driver *me, uint64_t ops_each, uint64_t width) {
  return me->ops / ops_each + driver_below(me, width);
}

void driver_key_make(const char *family, uint64_t number, driver_key *ret_key) {
  memset(ret_key, 0, sizeof *ret_key);
  (void)snprintf(ret_key->run_id, sizeof ret_key->run_id, "%s_%llu", family,
                 (unsigned long long)number);
  (void)snprintf(ret_key->stage, sizeof ret_key->stage, "%s", number % 2 == 0 ? "build" : "test");
  if (number % 3 == 0)
    (void)snprintf(ret_key->view, sizeof ret_key->view, "v%llu",
                   (unsigned long long)(number / 3 % 2));
}

hf_key driver_key_of(driver_key *key) {
  key->dim = (hf_dim){.name = "view", .value = key->view};
  return (hf_key){.run_id = key->run_id,
                  .stage = key->stage,
                  .dims = &key->dim,
                  .dims_count = key->view[0] != '\0'};
}

static void digest(const char *bytes, size_t count, unsigned char out[SHA256_BYTES]) {
  if (EVP_Digest(bytes, count, out, NULL, EVP_sha256(), NULL) != 1)
    driver_fail("no SHA-256");
}

void driver_sha256(const char *bytes, size_t count, char text[HF_SHA256_CHARS + 1]) {
  unsigned char hash[SHA256_BYTES];
  digest(bytes, count, hash);
  for (size_t i = 0; i < sizeof hash; i++)
    (void)snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

/* Numbers that a parser turns into others; white space that has to go. */
void driver_document_make(const char *label, size_t bytes, driver_document *ret_document) {
  size_t size = bytes + DOCUMENT_HEAD_BYTES;
  char *fill = malloc(bytes + 1);
  char *stored = malloc(size);
  ret_document->sent = malloc(size);
  if (fill == NULL || stored == NULL || ret_document->sent == NULL)
    driver_fail("out of memory");
  for (size_t i = 0; i < bytes; i++)
    fill[i] = (char)('a' + (i % FILL_LETTERS));
  fill[bytes] = '\0';
  int stored_bytes = snprintf(
      stored, size,
      "{\"label\":\"%s\",\"n\":[9007199254740993,1e400,0.10,-0],\"fill\":\"%s\",\"a b\":{}}", label,
      fill);
  int sent_bytes = snprintf(ret_document->sent, size,
                            "{ \"label\": \"%s\",\n\"n\":[9007199254740993, 1e400,\t0.10, -0 ], "
                            "\"fill\":\"%s\", \"a b\" : {} }\n",
                            label, fill);
  if (stored_bytes < 0 || sent_bytes < 0 || (size_t)sent_bytes >= size)
    driver_fail("a document's label is too long");
  ret_document->sent_bytes = (size_t)sent_bytes;
  driver_sha256(stored, (size_t)stored_bytes, ret_document->sha256);
  free(stored);
  free(fill);
}

void driver_document_free(driver_document *document) {
  free(document->sent);
  document->sent = NULL;
}

void driver_shared_id(const driver *me, uint64_t number, char text[HF_ID_CHARS + 1]) {
  static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  unsigned char hash[SHA256_BYTES];
  char name[64];
  int bytes = snprintf(name, sizeof name, "id %llu of seed %llu", (unsigned long long)number,
                       (unsigned long long)me->options.seed);
  digest(name, (size_t)bytes, hash);
  for (size_t i = 0; i < HF_ID_CHARS; i++)
    text[i] = alphabet[hash[i] % 32];
  text[0] = '0'; /* a ULID has 128 bits, its text 130 */
  text[HF_ID_CHARS] = '\0';
}
