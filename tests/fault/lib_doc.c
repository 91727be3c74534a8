/* Documents that show whether they came back as they were written. */
#include "lib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCUMENT_EXTRA_BYTES = 512 };

/* Appends to both texts, with white space around in the one that is sent. */
static void add(fault_document *document, const char *space, const char *text) {
  size_t space_bytes = strlen(space);
  size_t bytes = strlen(text);
  memcpy(document->sent + document->sent_bytes, space, space_bytes);
  memcpy(document->sent + document->sent_bytes + space_bytes, text, bytes);
  document->sent_bytes += space_bytes + bytes;
  memcpy(document->stored + document->stored_bytes, text, bytes);
  document->stored_bytes += bytes;
}

static void add_padding(fault_document *document, uint64_t number, size_t bytes) {
  fault_random random = {number * 77 + 1};
  static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789 {}[],:.-_";
  for (size_t i = 0; i < bytes; i++) {
    char c = alphabet[fault_next(&random) % (sizeof alphabet - 1)];
    document->sent[document->sent_bytes++] = c;
    document->stored[document->stored_bytes++] = c;
  }
}

void fault_document_make(uint64_t number, size_t bytes, fault_document *ret_document) {
  char text[256];
  fault_document document = {0};
  document.sent = malloc(bytes + DOCUMENT_EXTRA_BYTES);
  document.stored = malloc(bytes + DOCUMENT_EXTRA_BYTES);
  FAULT_CHECK(document.sent != NULL && document.stored != NULL, "out of memory");
  int spaced = number % 3 == 0;
  add(&document, spaced ? " \n" : "", "{");
  (void)snprintf(text, sizeof text, "\"number\":%llu,\"comparison_group\":{\"g\":%llu}",
                 (unsigned long long)number, (unsigned long long)(number % 5));
  add(&document, spaced ? "\t" : "", text);
  add(&document, spaced ? "\r\n  " : "",
      ",\"big\":9007199254740993,\"tenth\":0.10,\"far\":1e400,\"minus\":-0.0,\"nul\":\"\\u0000\"");
  add(&document, "", ",\"pad\":\"");
  add_padding(&document, number, bytes);
  add(&document, "", "\"");
  add(&document, spaced ? "  " : "", "}");
  document.sent[document.sent_bytes] = '\0';
  document.stored[document.stored_bytes] = '\0';
  *ret_document = document;
}

void fault_document_free(fault_document *document) {
  free(document->sent);
  free(document->stored);
  memset(document, 0, sizeof *document);
}

uint64_t fault_hash(const void *bytes, size_t count) {
  const unsigned char *p = bytes;
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < count; i++)
    hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
  return hash;
}
