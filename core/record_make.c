#include "record.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "json.h"

#include "banned.h"

/* hf_record and all of its strings in one piece of memory: the struct, the dims, then the bytes. */
typedef struct owned {
  hf_record record; /* first: the pointer to it is the pointer to all */
  char id[HF_ID_CHARS + 1];
  char sha256[HF_SHA256_CHARS + 1];
  hf_dim dims[HF_DIMS_MAX];
  char *bytes;
} owned;

void hf_record_free(hf_record **record) {
  if (record == NULL || *record == NULL)
    return;
  owned *all = (owned *)*record;
  free(all->bytes);
  free(all);
  *record = NULL;
}

/* Strings are appended one after the other; offsets become pointers once the buffer no longer
 * moves. 0 = absent. */
static size_t put_decoded(hf_buf *out, hf_piece piece) {
  if (piece.text == NULL)
    return 0;
  size_t offset = out->used;
  hf_json string = {piece.text, piece.bytes, HF_JSON_STRING};
  (void)hf_json_decode_string(&string, out);
  (void)hf_buf_add_char(out, '\0');
  return offset;
}

static size_t put_bytes(hf_buf *out, const char *text, size_t bytes) {
  if (text == NULL)
    return 0;
  size_t offset = out->used;
  (void)hf_buf_add(out, text, bytes);
  (void)hf_buf_add_char(out, '\0');
  return offset;
}

static const char *at(const char *base, size_t offset) {
  return offset == 0 ? NULL : base + offset;
}

static size_t put_dims(hf_buf *out, hf_piece dims, size_t names[HF_DIMS_MAX],
                       size_t values[HF_DIMS_MAX]) {
  hf_json object = {dims.text, dims.bytes, HF_JSON_OBJECT};
  hf_json name;
  hf_json value;
  size_t position = 0;
  size_t count = 0;
  while (count < HF_DIMS_MAX && hf_json_next(&object, &position, &name, &value) == 1) {
    names[count] = put_decoded(out, (hf_piece){name.text, name.bytes});
    values[count] = put_decoded(out, (hf_piece){value.text, value.bytes});
    count++;
  }
  return count;
}

int hf_record_make(uint64_t seq, const char *line_text, size_t line_bytes, const hf_line *line,
                   const char *doc, size_t doc_bytes, hf_record **ret_record, hf_error *reterr) {
  owned *all = calloc(1, sizeof *all);
  if (all == NULL)
    return hf_err_nomem(reterr);
  hf_buf out = {0};
  size_t names[HF_DIMS_MAX];
  size_t values[HF_DIMS_MAX];
  (void)hf_buf_add_char(&out, '\0'); /* so that no offset is 0 */
  size_t op = put_bytes(&out, line->op_text.text, line->op_text.bytes);
  size_t run = put_decoded(&out, line->run);
  size_t stage = put_decoded(&out, line->stage);
  size_t group = put_decoded(&out, line->group);
  size_t ts = put_decoded(&out, line->ts);
  size_t when = put_decoded(&out, line->at);
  size_t host = put_decoded(&out, line->host);
  size_t count = put_dims(&out, line->dims, names, values);
  size_t text = put_bytes(&out, line_text, line_bytes);
  size_t document = put_bytes(&out, doc, doc_bytes);
  if (out.failed != 0) {
    hf_buf_free(&out);
    free(all);
    return hf_err_nomem(reterr);
  }
  char *base = hf_buf_take(&out);
  hf_record *record = &all->record;
  all->bytes = base;
  record->seq = seq;
  record->op = op != 0 ? base + op : "";
  hf_id_format(&line->id, all->id);
  record->id = all->id;
  record->run_id = at(base, run);
  record->stage = at(base, stage);
  record->group = at(base, group);
  record->ts = at(base, ts);
  record->at = at(base, when);
  record->host = at(base, host);
  record->pid = (int64_t)line->pid;
  for (size_t i = 0; i < count; i++)
    all->dims[i] = (hf_dim){base + names[i], base + values[i]};
  record->dims = all->dims;
  record->dims_count = count;
  if (line->has_sha256) {
    hf_hex(line->sha256, sizeof line->sha256, all->sha256);
    record->sha256 = all->sha256;
  }
  record->size = line->size;
  record->doc = at(base, document);
  record->doc_bytes = doc != NULL ? doc_bytes : 0;
  record->legacy_seq = line->legacy_seq;
  record->legacy_clock = line->legacy_clock;
  record->line = base + text;
  record->line_bytes = line_bytes;
  *ret_record = record;
  return HF_OK;
}

int hf_record_json(const hf_record *record, char **ret_text, size_t *ret_bytes, hf_error *reterr) {
  hf_buf out = {0};
  size_t body = hf_line_body_bytes(record->line_bytes);
  (void)hf_buf_printf(&out, "{\"seq\":%llu,", (unsigned long long)record->seq);
  if (record->retired > 0)
    (void)hf_buf_printf(&out, "\"retired\":%llu,", (unsigned long long)record->retired);
  hf_line line;
  int status = hf_line_decode(record->line, record->line_bytes, &line, reterr);
  if (status != HF_OK)
    return status;
  if (line.blob)
    body -= strlen(",\"blob\":true"); /* the document stands in its place */
  else if (record->doc == NULL && line.doc.text != NULL)
    body -= line.doc.bytes + strlen(",\"doc\":");
  (void)hf_buf_add(&out, record->line + 1, body - 1);
  if (line.blob && record->doc != NULL) {
    (void)hf_buf_add_text(&out, ",\"doc\":");
    (void)hf_buf_add(&out, record->doc, record->doc_bytes);
  }
  (void)hf_buf_add_char(&out, '}');
  size_t bytes = out.used;
  char *text = hf_buf_take(&out);
  if (text == NULL) {
    hf_buf_free(&out);
    return hf_err_nomem(reterr);
  }
  *ret_text = text;
  if (ret_bytes != NULL)
    *ret_bytes = bytes;
  return HF_OK;
}
