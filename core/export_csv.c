#include <string.h>

#include "err.h"
#include "export_index.h"
#include "json.h"

#include "banned.h"

static const char head[] =
    "seq,run_id,stage,dims,group,ts,at,host,pid,id,sha256,size,legacy_seq,legacy_order\r\n";

/* RFC 4180: quoted where it must be, quotation marks doubled. NULL: an empty field. */
static void add_field(hf_buf *out, const char *text) {
  (void)hf_buf_add_char(out, ',');
  if (text == NULL)
    return;
  if (strpbrk(text, ",\"\r\n") == NULL) {
    (void)hf_buf_add_text(out, text);
    return;
  }
  (void)hf_buf_add_char(out, '"');
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '"')
      (void)hf_buf_add_char(out, '"');
    (void)hf_buf_add_char(out, *c);
  }
  (void)hf_buf_add_char(out, '"');
}

/* As a JSON object: names and values may hold any character. Empty where there are none. */
static void add_dims(hf_buf *out, const hf_record *record) {
  hf_autobuf dims = {0};
  for (size_t i = 0; i < record->dims_count; i++) {
    (void)hf_buf_add_char(&dims, i == 0 ? '{' : ',');
    (void)hf_json_add_string(&dims, record->dims[i].name, strlen(record->dims[i].name));
    (void)hf_buf_add_char(&dims, ':');
    (void)hf_json_add_string(&dims, record->dims[i].value, strlen(record->dims[i].value));
  }
  if (record->dims_count > 0)
    (void)hf_buf_add_char(&dims, '}');
  if (dims.failed != 0)
    out->failed = dims.failed;
  add_field(out, dims.data);
}

int hf_export_csv_line(const hf_record *record, hf_buf *out, hf_error *reterr) {
  if (record == NULL)
    return hf_buf_add_text(out, head) != 0 ? hf_err_nomem(reterr) : HF_OK;
  (void)hf_buf_printf(out, "%llu", (unsigned long long)record->seq);
  add_field(out, record->run_id);
  add_field(out, record->stage);
  add_dims(out, record);
  add_field(out, record->group);
  add_field(out, record->ts);
  add_field(out, record->at);
  add_field(out, record->host);
  (void)hf_buf_printf(out, ",%lld", (long long)record->pid);
  add_field(out, record->id);
  add_field(out, record->sha256);
  (void)hf_buf_printf(out, ",%llu,", (unsigned long long)record->size);
  if (record->legacy_seq != 0)
    (void)hf_buf_printf(out, "%llu", (unsigned long long)record->legacy_seq);
  if (record->legacy_seq != 0 || record->legacy_clock)
    add_field(out, record->legacy_clock ? "clock" : "seq");
  else
    (void)hf_buf_add_char(out, ',');
  return hf_buf_add_text(out, "\r\n") != 0 ? hf_err_nomem(reterr) : HF_OK;
}
