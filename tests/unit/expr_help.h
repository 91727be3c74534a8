/* What the tests of expressions and of fields share: a record. */
#ifndef HF_TESTS_EXPR_HELP_H
#define HF_TESTS_EXPR_HELP_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/holdfast.h>

static const char document[] =
    "{\"n\":1,\"x\":0.10,\"big\":9007199254740993,\"huge\":1e400,\"zero\":-0.0,\"s\":\"abc\","
    "\"u\":\"\\u0061bc\",\"t\":true,\"f\":false,\"z\":null,\"e\":\"\",\"when\":\"2026-01-02 "
    "04:00\","
    "\"a b\":1,\"a/b\":2,\"m~n\":3,\"\":4,\"q\\\"\\\\\":5,\"list\":[10,[20],{\"k\":30}],"
    "\"o\":{\"y\":1,\"x\":{\"deep\":\"d\"}},\"p\":{\"x\":{\"deep\":\"d\"},\"y\":1.0},"
    "\"twice\":{\"in\":1},\"twice\":{\"out\":2},\"emoji\":\"\\ud83d\\ude00\",\"high\":"
    "\"\xEF\xBF\xBD\"}";

static inline hf_record *make_record(const char *doc, const char *ts) {
  hf_line line;
  hf_autobuf text = {0};
  hf_record *record = NULL;
  memset(&line, 0, sizeof line);
  line.op = HF_OP_SAVE;
  ck_assert_int_eq(hf_id_parse("01JGX2M8Q6T4ZV0C9K7W3R5YHB", HF_ID_CHARS, &line.id), 0);
  line.run = (hf_piece){"\"r \\\"1\\\"\"", strlen("\"r \\\"1\\\"\"")};
  line.stage = (hf_piece){"\"final\"", 7};
  line.dims = (hf_piece){"{\"a b\":\"v w\",\"view\":\"test\"}",
                         strlen("{\"a b\":\"v w\",\"view\":\"test\"}")};
  line.ts = (hf_piece){ts, ts != NULL ? strlen(ts) : 0};
  line.at =
      (hf_piece){"\"2026-01-02T03:04:05.678901Z\"", strlen("\"2026-01-02T03:04:05.678901Z\"")};
  line.host = (hf_piece){"\"node7\"", 7};
  line.pid = 4711;
  line.has_sha256 = 1;
  line.size = strlen(doc);
  line.doc = (hf_piece){doc, strlen(doc)};
  ck_assert_int_eq(hf_line_encode(&line, &text, NULL), HF_OK);
  ck_assert_int_eq(hf_line_decode(text.data, text.used, &line, NULL), HF_OK);
  ck_assert_int_eq(hf_record_make(18, text.data, text.used, &line, NULL, 0, &record, NULL), HF_OK);
  record->is_current = 1;
  return record;
}

#endif
