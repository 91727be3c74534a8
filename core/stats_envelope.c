/* The beginning of a record: what stands before its document. */
#include <ctype.h>
#include <string.h>

#include "json.h"
#include "log.h"
#include "stats.h"

#include "banned.h"

enum { BEGINNING_BYTES = 512 };

static const char digest_begin[] = ",\"sha256\":\"";
static const char size_begin[] = "\",\"size\":";

/* Where the envelope's last members begin, behind all that is asked for: a digest and a number,
 * which no string and no dim can look like. NULL: not in these bytes. */
static const char *find_digest(const char *text, size_t bytes) {
  size_t behind = strlen(digest_begin) + HF_SHA256_CHARS;
  const char *end = text + bytes;
  for (const char *at = text;; at++) {
    at = memmem(at, (size_t)(end - at), digest_begin, strlen(digest_begin));
    if (at == NULL || (size_t)(end - at) < behind + strlen(size_begin) + 1)
      return NULL;
    if (memcmp(at + behind, size_begin, strlen(size_begin)) == 0 &&
        isdigit((unsigned char)at[behind + strlen(size_begin)]))
      return at;
  }
}

static hf_piece piece_of(const hf_json *object, const char *name) {
  hf_json value;
  if (hf_json_member(object, name, &value) != 1 || value.type != HF_JSON_STRING)
    return (hf_piece){NULL, 0};
  return (hf_piece){value.text, value.bytes};
}

static int take_apart(const hf_buf *text, hf_envelope *ret_envelope) {
  hf_json object = {text->data, text->used, HF_JSON_OBJECT};
  *ret_envelope = (hf_envelope){.op = piece_of(&object, "op"),
                                .stage = piece_of(&object, "stage"),
                                .group = piece_of(&object, "group"),
                                .at = piece_of(&object, "at")};
  if (ret_envelope->op.text == NULL)
    return 0;
  ret_envelope->op.text++;
  ret_envelope->op.bytes -= 2;
  return 1;
}

int hf_envelope_read(hf_store *store, uint64_t seq, const hf_row *row, hf_buf *text,
                     hf_envelope *ret_envelope, hf_error *reterr) {
  static const uint32_t tries[] = {BEGINNING_BYTES, HF_LINE_BYTES_MAX};
  for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
    hf_buf_clear(text);
    int got = hf_log_load_beginning(store, seq, row, tries[i], text, reterr);
    if (got != 1)
      return got;
    const char *digest = find_digest(text->data, text->used);
    if (digest != NULL) {
      text->used = (size_t)(digest - text->data);
      if (hf_buf_add_char(text, '}') != 0)
        return HF_ENOMEM;
      return take_apart(text, ret_envelope);
    }
    if (text->used >= row->line_bytes)
      return hf_json_check(text->data, text->used, HF_JSON_OBJECT_ONLY, HF_DOC_NESTING_MAX, NULL,
                           NULL, NULL) == HF_OK
                 ? take_apart(text, ret_envelope)
                 : 0;
  }
  return 0;
}
