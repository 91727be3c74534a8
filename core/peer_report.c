#include "peer_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "json.h"

#include "banned.h"

int hf_peer_report_encode(const hf_peer_report *report, hf_buf *out, hf_error *reterr) {
#define ADD_NUMBER(name)                                                                           \
  (void)hf_buf_printf(out, "%s\"" #name "\":%" PRId64, separator, report->name);                   \
  separator = ",";
#define ADD_TEXT(name, bytes) (void)hf_buf_printf(out, ",\"" #name "\":\"%s\"", report->name);
  const char *separator = "{";
  HF_PEER_NUMBERS(ADD_NUMBER)
  HF_PEER_TEXTS(ADD_TEXT)
#undef ADD_NUMBER
#undef ADD_TEXT
  return hf_buf_add_char(out, '}') != 0 ? hf_err_nomem(reterr) : HF_OK;
}

static int take_number(const hf_json *object, const char *name, int64_t *ret_number) {
  hf_json value;
  char digits[24];
  if (hf_json_member(object, name, &value) != 1 || value.type != HF_JSON_NUMBER ||
      value.bytes >= sizeof digits)
    return -1;
  memcpy(digits, value.text, value.bytes);
  digits[value.bytes] = '\0';
  *ret_number = (int64_t)strtoll(digits, NULL, 10);
  return 0;
}

static int take_text(const hf_json *object, const char *name, char *out, size_t bytes) {
  hf_json value;
  if (hf_json_member(object, name, &value) != 1 || value.type != HF_JSON_STRING ||
      value.bytes - 2 >= bytes)
    return -1;
  memcpy(out, value.text + 1, value.bytes - 2); /* none of them needs an escape */
  out[value.bytes - 2] = '\0';
  return 0;
}

int hf_peer_report_decode(const char *text, size_t bytes, hf_peer_report *ret_report,
                          hf_error *reterr) {
  hf_peer_report report;
  memset(&report, 0, sizeof report);
  int failed = hf_json_check(text, bytes, HF_JSON_OBJECT_ONLY, 2, NULL, NULL, NULL) != HF_OK;
  hf_json root = {NULL, 0, HF_JSON_OBJECT};
  if (!failed)
    root = hf_json_value(text, bytes);
#define TAKE_NUMBER(name) failed = failed || take_number(&root, #name, &report.name) != 0;
#define TAKE_TEXT(name, size) failed = failed || take_text(&root, #name, report.name, size) != 0;
  HF_PEER_NUMBERS(TAKE_NUMBER)
  HF_PEER_TEXTS(TAKE_TEXT)
#undef TAKE_NUMBER
#undef TAKE_TEXT
  if (failed)
    return hf_err(reterr, HF_EVERSION, NULL,
                  "a peer's report cannot be read: run the same version of holdfast everywhere");
  *ret_report = report;
  return HF_OK;
}

void hf_peer_plain(char *to, size_t to_bytes, const char *from) {
  size_t count = 0;
  for (; from[count] != '\0' && count + 1 < to_bytes; count++) {
    unsigned char c = (unsigned char)from[count];
    to[count] = (char)(c < 0x20 || c >= 0x7F || c == '"' || c == '\\' ? '?' : c);
  }
  to[count] = '\0';
}
