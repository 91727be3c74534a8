#include "record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "json.h"
#include "plant.h"

#include "banned.h"

static const struct {
  const char *name;
  hf_op op;
} ops[] = {{"save", HF_OP_SAVE},        {"end", HF_OP_END},       {"mode", HF_OP_MODE},
           {"lost", HF_OP_LOST},        {"retire", HF_OP_RETIRE}, {"drop", HF_OP_DROP},
           {"baseline", HF_OP_BASELINE}};

static const char *const by_names[] = {[HF_BY_ESTABLISH] = "establish",
                                       [HF_BY_SET] = "set",
                                       [HF_BY_UPDATE] = "update",
                                       [HF_BY_CLEAR] = "clear"};

const char *hf_baseline_by_name(hf_baseline_by by) {
  return by_names[by];
}

static const char *op_name(hf_op op) {
  for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
    if (ops[i].op == op)
      return ops[i].name;
  return "unknown";
}

/* A literal, and what follows it; printf would take longer than all the rest of a line. */
#define ADD_LITERAL(out, literal) (void)hf_buf_add(out, literal, sizeof(literal) - 1)

/* before, such as ,"run_id": and the piece — where there is one */
#define ADD_PIECE(out, before, piece)                                                              \
  do {                                                                                             \
    if ((piece).text != NULL) {                                                                    \
      ADD_LITERAL(out, before);                                                                    \
      (void)hf_buf_add(out, (piece).text, (piece).bytes);                                          \
    }                                                                                              \
  } while (0)

static void add_number(hf_buf *out, uint64_t number) {
  char digits[20]; /* 2^64 - 1 has as many */
  size_t first = sizeof digits;
  do
    digits[--first] = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  (void)hf_buf_add(out, digits + first, sizeof digits - first);
}

static void add_id(hf_buf *out, const hf_id *id) {
  char text[HF_ID_CHARS + 1];
  hf_id_format(id, text);
  (void)hf_buf_add(out, text, HF_ID_CHARS);
}

static void add_digest(hf_buf *out, const hf_line *line) {
  char hex[HF_SHA256_CHARS + 1];
  hf_hex(line->sha256, sizeof line->sha256, hex);
  ADD_LITERAL(out, ",\"sha256\":\"");
  (void)hf_buf_add(out, hex, HF_SHA256_CHARS);
  ADD_LITERAL(out, "\",\"size\":");
  add_number(out, line->size);
}

static void add_of(hf_buf *out, const hf_line *line) {
  ADD_LITERAL(out, ",\"of\":");
  add_number(out, line->of);
  if (line->undo)
    ADD_LITERAL(out, ",\"undo\":true");
}

static void add_lines(hf_buf *out, const hf_line *line) {
  char hex[2 * HF_DROP_BYTES + 1];
  hf_hex(line->lines, sizeof line->lines, hex);
  ADD_LITERAL(out, ",\"tile\":");
  add_number(out, line->tile);
  ADD_LITERAL(out, ",\"lines\":\"");
  (void)hf_buf_add(out, hex, 2 * HF_DROP_BYTES);
  ADD_LITERAL(out, "\"");
}

static void add_legacy(hf_buf *out, const hf_line *line) {
  ADD_LITERAL(out, ",\"legacy\":{\"seq\":");
  add_number(out, line->legacy_seq);
  (void)hf_buf_add_text(out, line->legacy_clock ? ",\"order\":\"clock\"}" : ",\"order\":\"seq\"}");
}

static void add_crc(hf_buf *out, uint32_t crc) {
  uint8_t bytes[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
                      (uint8_t)crc};
  char hex[2 * sizeof bytes + 1];
  hf_hex(bytes, sizeof bytes, hex);
  ADD_LITERAL(out, ",\"crc\":\"");
  (void)hf_buf_add(out, hex, 2 * sizeof bytes);
  ADD_LITERAL(out, "\"}");
}

static void add_baseline(hf_buf *out, const hf_line *line) {
  ADD_LITERAL(out, ",\"by\":\"");
  (void)hf_buf_add_text(out, hf_baseline_by_name(line->by));
  ADD_LITERAL(out, "\"");
  if (line->of != 0) {
    ADD_LITERAL(out, ",\"of\":");
    add_number(out, line->of);
  }
  if (line->metric.text != NULL) {
    ADD_PIECE(out, ",\"metric\":", line->metric);
    ADD_PIECE(out, ",\"value\":", line->value);
    (void)hf_buf_add_text(out,
                          line->goal == HF_GOAL_MIN ? ",\"goal\":\"min\"" : ",\"goal\":\"max\"");
  }
  if (line->min_runs != 0) {
    ADD_LITERAL(out, ",\"min_runs\":");
    add_number(out, line->min_runs);
  }
}

int hf_line_add_crc(hf_buf *out, size_t start) {
  if (out->failed == 0)
    add_crc(out, hf_crc32c(0, out->data + start, out->used - start));
  return out->failed != 0 ? HF_ENOMEM : HF_OK;
}

/* Which record it is, and what it is about: everything up to "group". */
static void add_subject(hf_buf *out, const hf_line *line) {
  ADD_LITERAL(out, "{\"v\":1,\"op\":\"");
  static_assert(HF_RECORD_VERSION == 1, "it stands in the literal above");
  (void)hf_buf_add_text(out, op_name(line->op));
  ADD_LITERAL(out, "\",\"id\":\"");
  add_id(out, &line->id);
  ADD_LITERAL(out, "\"");
  if (line->op == HF_OP_END) {
    ADD_LITERAL(out, ",\"ends\":\"");
    add_id(out, &line->ends);
    ADD_LITERAL(out, "\"");
  }
  if (line->op == HF_OP_RETIRE)
    add_of(out, line);
  if (line->op == HF_OP_DROP)
    add_lines(out, line);
  ADD_PIECE(out, ",\"run_id\":", line->run);
  ADD_PIECE(out, ",\"stage\":", line->stage);
  if (line->dims.bytes > 2)
    ADD_PIECE(out, ",\"dims\":", line->dims);
  ADD_PIECE(out, ",\"group\":", line->group);
}

int hf_line_encode(const hf_line *line, hf_buf *out, hf_error *reterr) {
  size_t start = out->used;
  add_subject(out, line);
  ADD_PIECE(out, ",\"ts\":", line->ts);
  ADD_PIECE(out, ",\"at\":", line->at);
  ADD_PIECE(out, ",\"host\":", line->host);
  ADD_LITERAL(out, ",\"pid\":");
  add_number(out, line->pid);
  if (line->legacy_seq != 0 || line->legacy_clock)
    add_legacy(out, line);
  ADD_PIECE(out, ",\"locker\":", line->locker);
  ADD_PIECE(out, ",\"mode\":", line->mode);
  if (line->op == HF_OP_BASELINE)
    add_baseline(out, line);
  ADD_PIECE(out, ",\"reason\":", line->reason);
  if (line->has_sha256)
    add_digest(out, line);
  if (line->blob)
    ADD_LITERAL(out, ",\"blob\":true");
  ADD_PIECE(out, ",\"doc\":", line->doc);
  if (hf_line_add_crc(out, start) != HF_OK)
    return hf_err_nomem(reterr);
  if (out->used - start > HF_LINE_BYTES_MAX)
    return hf_err(reterr, HF_EINTERNAL, NULL, "a record of %zu bytes is longer than any can be",
                  out->used - start);
  return HF_OK;
}

static int damaged(hf_error *reterr, const char *what) {
  return hf_err(reterr, HF_EDAMAGED, NULL, "%s", what);
}

static int check_crc(const char *text, size_t bytes, hf_error *reterr) {
  static const char before[] = ",\"crc\":\"";
  if (bytes < HF_CRC_TAIL_BYTES + 2 || text[0] != '{')
    return damaged(reterr, "the line is cut short");
  const char *tail = text + bytes - HF_CRC_TAIL_BYTES;
  uint8_t stored[4];
  if (memcmp(tail, before, sizeof before - 1) != 0 || memcmp(tail + 16, "\"}", 2) != 0 ||
      hf_unhex(tail + 8, 8, stored) != 0)
    return damaged(reterr, "the line does not end in a crc: it is cut short or overwritten");
  uint32_t want = (uint32_t)stored[0] << 24 | (uint32_t)stored[1] << 16 | (uint32_t)stored[2] << 8 |
                  (uint32_t)stored[3];
  if (hf_crc32c(0, text, bytes - HF_CRC_TAIL_BYTES) != want)
    return damaged(reterr, "the crc does not match: a bit has changed");
  return HF_OK;
}

static hf_piece piece_of(const hf_json *value) {
  hf_piece piece = {value->text, value->bytes};
  return piece;
}

static int is_name(const hf_json *name, const char *text) {
  size_t bytes = strlen(text);
  return name->bytes == bytes + 2 && memcmp(name->text + 1, text, bytes) == 0;
}

static int take_id(const hf_json *value, hf_id *ret_id) {
  return value->type == HF_JSON_STRING && value->bytes == HF_ID_CHARS + 2
             ? hf_id_parse(value->text + 1, HF_ID_CHARS, ret_id)
             : -1;
}

static int take_sha256(const hf_json *value, hf_line *line) {
  if (value->type != HF_JSON_STRING || value->bytes != HF_SHA256_CHARS + 2)
    return -1;
  line->has_sha256 = 1;
  return hf_unhex(value->text + 1, HF_SHA256_CHARS, line->sha256);
}

static int take_legacy(const hf_json *value, hf_line *line) {
  hf_json part;
  if (value->type != HF_JSON_OBJECT)
    return -1;
  if (hf_json_member(value, "seq", &part) == 1 && hf_json_uint64(&part, &line->legacy_seq) != 0)
    return -1;
  if (hf_json_member(value, "order", &part) == 1)
    line->legacy_clock = hf_json_string_equals(&part, "clock", 5);
  return 0;
}

static int take_lines(const hf_json *value, hf_line *line) {
  if (value->type != HF_JSON_STRING || value->bytes != 2 * HF_DROP_BYTES + 2)
    return -1;
  line->has_lines = 1;
  return hf_unhex(value->text + 1, 2 * HF_DROP_BYTES, line->lines);
}

static int take_true(const hf_json *value, int *ret_is) {
  *ret_is = value->type == HF_JSON_TRUE;
  return *ret_is ? 0 : -1;
}

static int take_string(const hf_json *value, hf_piece *ret_piece) {
  *ret_piece = piece_of(value);
  return value->type == HF_JSON_STRING ? 0 : -1;
}

static hf_op op_of(hf_piece text) {
  for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
    if (text.bytes == strlen(ops[i].name) && memcmp(text.text, ops[i].name, text.bytes) == 0)
      return ops[i].op;
  return HF_OP_UNKNOWN;
}

static int take_by(const hf_json *value, hf_line *line) {
  for (size_t i = 0; i < sizeof by_names / sizeof by_names[0]; i++)
    if (hf_json_string_equals(value, by_names[i], strlen(by_names[i]))) {
      line->by = (hf_baseline_by)i;
      return 0;
    }
  line->op = HF_OP_UNKNOWN; /* a newer version's way */
  return 0;
}

/* Of op "baseline", which stands before them. */
static int take_baseline(const hf_json *name, const hf_json *value, hf_line *line) {
  if (is_name(name, "by"))
    return value->type == HF_JSON_STRING ? take_by(value, line) : -1;
  if (is_name(name, "of"))
    return hf_json_uint64(value, &line->of);
  if (is_name(name, "metric"))
    return take_string(value, &line->metric);
  if (is_name(name, "value")) {
    line->value = piece_of(value);
    return value->type == HF_JSON_NUMBER ? 0 : -1;
  }
  if (is_name(name, "goal")) {
    if (value->type != HF_JSON_STRING)
      return -1;
    line->goal = hf_json_string_equals(value, "max", 3)   ? HF_GOAL_MAX
                 : hf_json_string_equals(value, "min", 3) ? HF_GOAL_MIN
                                                          : HF_GOAL_NONE;
    return line->goal != HF_GOAL_NONE ? 0 : -1;
  }
  if (is_name(name, "min_runs"))
    return hf_json_uint64(value, &line->min_runs);
  return 0;
}

/* 0, or -1 where the member has another type than it must. Members that are not known are passed
 * over. */
static int take_member(const hf_json *name, const hf_json *value, hf_line *line,
                       uint64_t *version) {
  if (is_name(name, "v"))
    return hf_json_uint64(value, version);
  if (is_name(name, "op")) {
    if (value->type != HF_JSON_STRING)
      return -1;
    line->op_text = (hf_piece){value->text + 1, value->bytes - 2};
    line->op = op_of(line->op_text);
    return 0;
  }
  if (is_name(name, "id"))
    return take_id(value, &line->id);
  if (is_name(name, "ends"))
    return take_id(value, &line->ends);
  if (is_name(name, "run_id"))
    return take_string(value, &line->run);
  if (is_name(name, "stage"))
    return take_string(value, &line->stage);
  if (is_name(name, "dims")) {
    line->dims = piece_of(value);
    return value->type == HF_JSON_OBJECT ? 0 : -1;
  }
  if (is_name(name, "group"))
    return take_string(value, &line->group);
  if (is_name(name, "ts"))
    return take_string(value, &line->ts);
  if (is_name(name, "at"))
    return take_string(value, &line->at);
  if (is_name(name, "host"))
    return take_string(value, &line->host);
  if (is_name(name, "pid"))
    return hf_json_uint64(value, &line->pid);
  if (is_name(name, "legacy"))
    return take_legacy(value, line);
  if (is_name(name, "locker"))
    return take_string(value, &line->locker);
  if (is_name(name, "mode"))
    return take_string(value, &line->mode);
  if (is_name(name, "reason"))
    return take_string(value, &line->reason);
  if (is_name(name, "sha256"))
    return take_sha256(value, line);
  if (is_name(name, "size"))
    return hf_json_uint64(value, &line->size);
  if (is_name(name, "blob"))
    return take_true(value, &line->blob);
  return 0;
}

/* Those of one op alone: members of the same name of a newer op may be anything. */
static int take_own_member(const hf_json *name, const hf_json *value, hf_line *line) {
  if (line->op == HF_OP_BASELINE)
    return take_baseline(name, value, line);
  if (line->op == HF_OP_SAVE && is_name(name, "dropped"))
    return take_true(value, &line->dropped);
  if (line->op == HF_OP_RETIRE && is_name(name, "of"))
    return hf_json_uint64(value, &line->of);
  if (line->op == HF_OP_RETIRE && is_name(name, "undo"))
    return take_true(value, &line->undo);
  if (line->op == HF_OP_DROP && is_name(name, "tile"))
    return hf_json_uint64(value, &line->tile);
  if (line->op == HF_OP_DROP && is_name(name, "lines"))
    return take_lines(value, line);
  return 0;
}

/* Has a baseline all that it needs? */
static int is_baseline(const hf_line *line) {
  int clears = line->by == HF_BY_CLEAR;
  int has_metric = line->metric.text != NULL;
  return line->group.text != NULL && line->stage.text != NULL && (line->of == 0) == clears &&
         (line->run.text == NULL) == clears && (line->value.text != NULL) == has_metric &&
         (line->goal != HF_GOAL_NONE) == has_metric && !(clears && has_metric) &&
         line->value.bytes <= HF_BASELINE_VALUE_BYTES_MAX;
}

static int is_mode(const hf_line *line, const char *quoted) {
  return line->mode.bytes == strlen(quoted) &&
         memcmp(line->mode.text, quoted, line->mode.bytes) == 0;
}

int hf_line_mode_is_known(const hf_line *line) {
  return is_mode(line, HF_MODE_PUBLISH) || hf_line_mode_is_journal(line);
}

int hf_line_mode_is_journal(const hf_line *line) {
  return is_mode(line, HF_MODE_JOURNAL);
}

/* The name of a locker, between quotation marks. */
static int is_scheme(hf_piece text) {
  if (text.bytes < 3 || text.bytes > HF_LOCKER_NAME_BYTES_MAX + 2)
    return 0;
  for (size_t i = 1; i + 1 < text.bytes; i++) {
    char c = text.text[i];
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
      return 0;
  }
  return 1;
}

/* "doc" comes last before "crc": its value is the rest, and need not be walked through. */
static int take_document(const char *text, size_t bytes, const hf_json *root, size_t position,
                         hf_line *line) {
  static const char name[] = ",\"doc\":";
  (void)root;
  size_t end = bytes - HF_CRC_TAIL_BYTES;
  const char *here = text + position;
  if (position + sizeof name - 1 > end || memcmp(here, name, sizeof name - 1) != 0)
    return 0;
  line->doc = (hf_piece){here + sizeof name - 1, end - position - (sizeof name - 1)};
  return 1;
}

/* In the line, in blob/, or nowhere any more. */
static int has_its_document(const hf_line *line) {
  if (line->dropped)
    return !line->blob && line->doc.text == NULL;
  return line->blob ? line->doc.text == NULL : line->doc.bytes == line->size;
}

int hf_line_decode(const char *text, size_t bytes, hf_line *ret_line, hf_error *reterr) {
  int status = check_crc(text, bytes, reterr);
  return status == HF_OK ? hf_line_take_apart(text, bytes, ret_line, reterr) : status;
}

int hf_line_take_apart(const char *text, size_t bytes, hf_line *ret_line, hf_error *reterr) {
  hf_line line;
  memset(&line, 0, sizeof line);
  line.op = HF_OP_UNKNOWN;
  line.dims = (hf_piece){"{}", 2};
  hf_json root = {text, bytes, HF_JSON_OBJECT};
  hf_json name;
  hf_json value;
  size_t position = 0;
  uint64_t version = 0;
  for (;;) {
    if (position > 0 && take_document(text, bytes, &root, position, &line))
      break;
    if (hf_json_next(&root, &position, &name, &value) != 1)
      break;
    if (is_name(&name, "crc"))
      break;
    if (take_member(&name, &value, &line, &version) != 0 ||
        take_own_member(&name, &value, &line) != 0)
      return hf_err(reterr, HF_EDAMAGED, NULL, "the member %.*s has a value that it cannot have",
                    (int)(name.bytes < 64 ? name.bytes : 64), name.text);
  }
  if (version !=
      (line.op == HF_OP_SAVE && line.dropped ? HF_RECORD_VERSION_DROPPED : HF_RECORD_VERSION))
    line.op = HF_OP_UNKNOWN;
  if (line.op == HF_OP_SAVE && (line.run.text == NULL || line.stage.text == NULL ||
                                !line.has_sha256 || !has_its_document(&line)))
    return damaged(reterr, "the record lacks run_id, stage, sha256 or its document");
  if ((line.op == HF_OP_RETIRE && line.of == 0) || (line.op == HF_OP_DROP && !line.has_lines))
    return damaged(reterr, "the record does not say which snapshots it is about");
  if (line.op == HF_OP_MODE && (!is_scheme(line.locker) || line.mode.text == NULL))
    return damaged(reterr, "the record names no locker, or no mode");
  if (line.op == HF_OP_BASELINE && !is_baseline(&line))
    return damaged(reterr, "the record of a baseline lacks its group, stage, snapshot or metric");
  *ret_line = line;
  return HF_OK;
}
