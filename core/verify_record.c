/* Intact records: what the crc cannot tell. Their limits, their documents; and the ids of all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "json.h"
#include "verify.h"

#include "banned.h"

enum { ENVELOPE_NESTING_MAX = 8, IDS_FIRST = 1024 };

static void say(hf_verify_work *work, const char *kind, uint64_t seq, const char *path,
                const char *what, const char *detail) {
  hf_verify_say(work, HF_SAY_DAMAGE, kind, seq, path,
                "%s%s%s; its crc is right, so it was written like this: it is kept as it is", what,
                detail[0] != '\0' ? ": " : "", detail);
}

typedef int (*text_fn)(const char *text, hf_buf *out, hf_error *reterr);

/* A string must be what this library writes for it: within the limits, and in the one way in which
 * it is written. 1, 0 (it is not; *ret_why) or HF_ENOMEM. */
static int is_proper(hf_piece piece, text_fn make, hf_error *why) {
  hf_autobuf decoded = {0};
  hf_autobuf text = {0};
  hf_json string = {piece.text, piece.bytes, HF_JSON_STRING};
  if (piece.text == NULL)
    return 1;
  if (hf_json_decode_string(&string, &decoded) != 0 || hf_buf_add(&decoded, "", 0) != 0)
    return HF_ENOMEM;
  int status = make(decoded.data, &text, why);
  if (status != HF_OK)
    return status == HF_ENOMEM ? status : 0;
  if (text.used == piece.bytes && memcmp(text.data, piece.text, text.used) == 0)
    return 1;
  (void)hf_err(why, HF_EINVAL, NULL, "it is written otherwise than Holdfast writes it");
  return 0;
}

static int are_proper_dims(hf_piece dims, hf_error *why) {
  hf_autobuf decoded = {0};
  hf_autobuf text = {0};
  hf_dim parts[HF_DIMS_MAX];
  size_t offsets[2 * HF_DIMS_MAX];
  size_t count = 0;
  hf_json object = {dims.text, dims.bytes, HF_JSON_OBJECT};
  hf_json name;
  hf_json value;
  size_t position = 0;
  while (hf_json_next(&object, &position, &name, &value) == 1) {
    if (count == HF_DIMS_MAX || value.type != HF_JSON_STRING) {
      (void)hf_err(why, HF_ELIMIT, NULL, "there are too many, or one is no string");
      return 0;
    }
    offsets[2 * count] = decoded.used;
    (void)hf_json_decode_string(&name, &decoded);
    (void)hf_buf_add_char(&decoded, '\0');
    offsets[2 * count + 1] = decoded.used;
    (void)hf_json_decode_string(&value, &decoded);
    if (hf_buf_add_char(&decoded, '\0') != 0)
      return HF_ENOMEM;
    count++;
  }
  for (size_t i = 0; i < count; i++)
    parts[i] = (hf_dim){decoded.data + offsets[2 * i], decoded.data + offsets[2 * i + 1]};
  int status = hf_key_dims_text(parts, count, &text, why);
  if (status != HF_OK)
    return status == HF_ENOMEM ? status : 0;
  if (text.used == dims.bytes && memcmp(text.data, dims.text, text.used) == 0)
    return 1;
  (void)hf_err(why, HF_EINVAL, NULL, "they are not sorted, or written otherwise");
  return 0;
}

/* The line up to its document, as a JSON text of its own. */
static int check_json(const char *text, const hf_line *line, size_t bytes, hf_error *why) {
  hf_autobuf envelope = {0};
  size_t end = line->doc.text != NULL ? (size_t)(line->doc.text - text) - strlen(",\"doc\":")
                                      : hf_line_body_bytes(bytes);
  (void)hf_buf_add(&envelope, text, end);
  if (hf_buf_add_char(&envelope, '}') != 0)
    return HF_ENOMEM;
  int status = hf_json_check(envelope.data, envelope.used, HF_JSON_OBJECT_ONLY,
                             ENVELOPE_NESTING_MAX, NULL, NULL, why);
  return status == HF_OK ? 1 : status == HF_ENOMEM ? status : 0;
}

static int check_envelope(hf_verify_work *work, uint64_t seq, const char *path, const char *text,
                          size_t bytes, const hf_line *line, hf_error *reterr) {
  const struct {
    const char *what;
    hf_piece piece;
    text_fn make;
  } strings[] = {{"run_id", line->run, hf_key_run_text},
                 {"stage", line->stage, hf_key_stage_text},
                 {"group", line->group, hf_key_group_text}};
  hf_error why = HF_ERROR_INIT;
  const char *what = "the envelope is no JSON";
  int proper = check_json(text, line, bytes, &why);
  for (size_t i = 0; i < sizeof strings / sizeof strings[0] && proper == 1; i++) {
    what = strings[i].what;
    proper = is_proper(strings[i].piece, strings[i].make, &why);
  }
  if (proper == 1) {
    what = "dims";
    proper = are_proper_dims(line->dims, &why);
  }
  if (proper == 1 && line->ts.bytes > 6 * HF_TIMESTAMP_BYTES_MAX + 2) {
    what = "ts is too long";
    proper = 0;
  }
  if (proper < 0)
    return hf_err_nomem(reterr);
  if (proper == 0)
    say(work, "envelope", seq, path, what, why.message);
  return HF_OK;
}

int hf_verify_document(hf_verify_work *work, uint64_t seq, const char *path, const hf_line *line,
                       const char *doc, size_t bytes, hf_error *reterr) {
  uint8_t digest[32];
  hf_error why = HF_ERROR_INIT;
  int status = hf_sha256(doc, bytes, digest, reterr);
  if (status != HF_OK)
    return status;
  if (memcmp(digest, line->sha256, sizeof digest) != 0) {
    say(work, "document", seq, path, "the document's SHA-256 is not the one in its envelope", "");
    return HF_OK;
  }
  status = hf_json_check(doc, bytes, HF_JSON_OBJECT_ONLY, HF_DOC_NESTING_MAX, NULL, NULL, &why);
  if (status == HF_ENOMEM)
    return hf_err_nomem(reterr);
  if (status != HF_OK) {
    char detail[HF_ERROR_PLACE_BYTES + HF_ERROR_MESSAGE_BYTES + 4];
    (void)snprintf(detail, sizeof detail, "%s: %s", why.place, why.message);
    say(work, "document", seq, path, "the document is not strict JSON", detail);
  }
  return HF_OK;
}

static void say_lost(hf_verify_work *work, uint64_t seq, const char *path, const hf_line *line) {
  hf_verify_say(work, HF_SAY_REMARK, "lost", seq, path,
                "a repair at %.*s found no record here that could be read: %.*s",
                (int)line->at.bytes, line->at.text != NULL ? line->at.text : "",
                (int)line->reason.bytes, line->reason.text != NULL ? line->reason.text : "");
}

/* Its members were checked with the line: a scheme, and a mode. */
static void take_mode(hf_verify_work *work, uint64_t seq, const char *path, const hf_line *line) {
  work->mode_seq = seq;
  (void)snprintf(work->mode_locker, sizeof work->mode_locker, "%.*s", (int)line->locker.bytes - 2,
                 line->locker.text + 1);
  if (!hf_line_mode_is_known(line))
    hf_verify_say(work, HF_SAY_REMARK, "unknown", seq, path,
                  "it gives the store the mode %.*s, which this program does not know: it can read "
                  "the store, and not save into it",
                  (int)(line->mode.bytes < 64 ? line->mode.bytes : 64), line->mode.text);
}

/* A snapshot before it: what is damaged there, or lost, is named there. */
static int check_baseline(hf_verify_work *work, uint64_t seq, const char *path, const char *text,
                          size_t bytes, const hf_line *line, hf_error *reterr) {
  char detail[64];
  (void)snprintf(detail, sizeof detail, "it names seq %llu", (unsigned long long)line->of);
  if (line->by != HF_BY_CLEAR && line->of >= seq)
    say(work, "envelope", seq, path, "a baseline must stand behind its snapshot", detail);
  else if (line->by != HF_BY_CLEAR && hf_seqs_has(&work->others, line->of))
    say(work, "envelope", seq, path, "the baseline is no snapshot", detail);
  return check_envelope(work, seq, path, text, bytes, line, reterr);
}

int hf_verify_record(hf_verify_work *work, uint64_t seq, const char *path, const char *text,
                     size_t bytes, hf_error *reterr) {
  hf_line line;
  int status = hf_line_decode(text, bytes, &line, reterr);
  if (status != HF_OK)
    return status;
  work->report->records++;
  status = hf_verify_id_add(work, &line.id, seq, reterr);
  if (status == HF_OK && line.op == HF_OP_END)
    status = hf_verify_id_add(work, &line.ends, seq | HF_ID_ENDED, reterr);
  if (status == HF_OK && line.op != HF_OP_SAVE && line.op != HF_OP_LOST)
    status = hf_seqs_add(&work->others, seq, reterr);
  if (status != HF_OK)
    return status;
  switch (line.op) {
  case HF_OP_UNKNOWN:
    hf_verify_say(work, HF_SAY_REMARK, "unknown", seq, path,
                  "written by a newer Holdfast (op %.*s): kept, and not looked into",
                  (int)(line.op_text.bytes < 64 ? line.op_text.bytes : 64),
                  line.op_text.text != NULL ? line.op_text.text : "");
    return HF_OK;
  case HF_OP_LOST:
    say_lost(work, seq, path, &line);
    return HF_OK;
  case HF_OP_MODE:
    take_mode(work, seq, path, &line);
    return check_envelope(work, seq, path, text, bytes, &line, reterr);
  case HF_OP_BASELINE:
    return check_baseline(work, seq, path, text, bytes, &line, reterr);
  case HF_OP_DROP:
    status = hf_verify_drop_add(work, &line, reterr);
    return status != HF_OK ? status : check_envelope(work, seq, path, text, bytes, &line, reterr);
  case HF_OP_END:
  case HF_OP_RETIRE:
    return check_envelope(work, seq, path, text, bytes, &line, reterr);
  case HF_OP_SAVE:
    break;
  }
  work->report->snapshots++;
  status = check_envelope(work, seq, path, text, bytes, &line, reterr);
  if (status == HF_OK && line.dropped)
    return hf_seqs_add(&work->taken, seq, reterr);
  if (status == HF_OK && line.blob)
    status = hf_verify_blob(work, seq, &line, reterr);
  else if (status == HF_OK && work->options->deep)
    status = hf_verify_document(work, seq, path, &line, line.doc.text, line.doc.bytes, reterr);
  return status;
}

/* ---- ids ---- */

int hf_verify_id_add(hf_verify_work *work, const hf_id *id, uint64_t seq, hf_error *reterr) {
  if (work->ids_count == work->ids_allocated) {
    size_t allocated = work->ids_allocated == 0 ? IDS_FIRST : work->ids_allocated * 2;
    hf_seen_id *ids = realloc(work->ids, allocated * sizeof *ids);
    if (ids == NULL)
      return hf_err_nomem(reterr);
    work->ids = ids;
    work->ids_allocated = allocated;
  }
  work->ids[work->ids_count++] = (hf_seen_id){*id, seq};
  return HF_OK;
}

static int compare_ids(const void *a, const void *b) {
  const hf_seen_id *left = a;
  const hf_seen_id *right = b;
  int order = memcmp(&left->id, &right->id, sizeof left->id);
  return order != 0 ? order : (left->seq > right->seq) - (left->seq < right->seq);
}

int hf_verify_ids(hf_verify_work *work, hf_error *reterr) {
  char id[HF_ID_CHARS + 1];
  (void)reterr;
  if (work->ids_count > 1)
    qsort(work->ids, work->ids_count, sizeof work->ids[0], compare_ids);
  size_t first = 0; /* of those with the same id */
  for (size_t i = 1; i < work->ids_count; i++) {
    const hf_seen_id *one = &work->ids[first];
    const hf_seen_id *other = &work->ids[i];
    if (memcmp(&one->id, &other->id, sizeof one->id) != 0) {
      first = i;
      continue;
    }
    hf_id_format(&other->id, id);
    if ((one->seq & HF_ID_ENDED) != 0)
      continue; /* ended twice: nothing is claimed by that */
    if ((other->seq & HF_ID_ENDED) != 0)
      hf_verify_say(work, HF_SAY_DAMAGE, "ended", one->seq, "log",
                    "the attempt %s is saved as seq %llu, and seq %llu says that it never will be; "
                    "both are kept",
                    id, (unsigned long long)one->seq,
                    (unsigned long long)(other->seq & ~HF_ID_ENDED));
    else
      hf_verify_say(work, HF_SAY_DAMAGE, "double-id", other->seq, "log",
                    "the id %s stands at seq %llu and at seq %llu: one attempt was recorded twice; "
                    "both are kept",
                    id, (unsigned long long)one->seq, (unsigned long long)other->seq);
  }
  return HF_OK;
}
