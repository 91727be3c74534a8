/* Records: one line of JSON each, envelope and document, with a CRC-32C at its end
 * (docs/FORMAT.md).
 *
 * A line never changes once it is published, and carries no seq: the file's name and the line's
 * place give it. */
#ifndef HF_CORE_RECORD_H
#define HF_CORE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/baseline.h>

#include "buf.h"
#include "id.h"
#include "key.h"

enum {
  HF_RECORD_VERSION = 1,
  /* the longest envelope (every byte of every string escaped) and the longest inline document */
  HF_LINE_BYTES_MAX = HF_DOC_INLINE_BYTES_MAX + 64 * 1024,
  HF_CRC_TAIL_BYTES = 18,        /* ,"crc":"01234567"} */
  HF_RECORD_VERSION_DROPPED = 2, /* a snapshot whose document gc has taken out (gc_line.h) */
  HF_DROP_BYTES = (HF_TILE_RECORDS + 7) / 8, /* a bit for each line of a tile */
};

/* The numbers stand in indexes. */
typedef enum hf_op {
  HF_OP_SAVE = 0,
  HF_OP_END = 1,     /* the attempt named by "ends" is not saved and never will be */
  HF_OP_MODE = 2,    /* from here on the store has another locker */
  HF_OP_LOST = 3,    /* stands where a repair found a record that cannot be read again */
  HF_OP_UNKNOWN = 4, /* a newer version's: kept and counted by readers, refused by writers */
  /* Index rows have these numbers: none ever changes. */
  HF_OP_BASELINE = 5, /* what comparable runs are measured against from here on */
  HF_OP_RETIRE = 6,   /* hides the snapshot `of`, or (undo) shows it again */
  HF_OP_DROP = 7,     /* these documents of a tile are gone, or are being taken out */
} hf_op;

/* How a baseline was made. */
typedef enum hf_baseline_by {
  HF_BY_ESTABLISH,
  HF_BY_SET,
  HF_BY_UPDATE,
  HF_BY_CLEAR /* there is none from here on */
} hf_baseline_by;

/* What a line is made of. Absent pieces: text NULL. */
typedef struct hf_line {
  hf_op op;
  hf_id id;
  hf_piece op_text; /* without quotation marks */
  hf_piece run;     /* with them, as in hf_keytext */
  hf_piece stage;
  hf_piece dims; /* "{}" where absent */
  hf_piece group;
  hf_piece ts;
  hf_piece at;
  hf_piece host;
  uint64_t pid;
  uint8_t sha256[32];
  int has_sha256;
  uint64_t size;
  int blob;        /* the document is in blob/ */
  hf_piece doc;    /* inline document */
  hf_id ends;      /* HF_OP_END */
  hf_piece locker; /* HF_OP_MODE, with quotation marks: a scheme */
  hf_piece mode;   /* HF_OP_MODE, with them: "publish" or "journal" */
  uint64_t legacy_seq;
  int legacy_clock;
  hf_piece reason; /* HF_OP_LOST, HF_OP_END, HF_OP_BASELINE, HF_OP_RETIRE */
  uint64_t of;     /* the snapshot's seq. HF_OP_RETIRE; HF_OP_BASELINE (0: HF_BY_CLEAR) */

  /* HF_OP_BASELINE, which has run (of that snapshot), stage, dims and group as well */
  hf_baseline_by by;
  hf_piece metric; /* a JSON Pointer, with quotation marks; absent: there is none */
  hf_piece value;  /* a number, as in the document; there where metric is, as the following */
  hf_goal goal;
  uint64_t min_runs; /* HF_BY_ESTABLISH; else 0 */

  int undo;      /* HF_OP_RETIRE: it is taken back */
  uint64_t tile; /* HF_OP_DROP */
  int has_lines;
  uint8_t lines[HF_DROP_BYTES]; /* HF_OP_DROP: the highest bit of the first byte is line 0 */
  int dropped;                  /* the document was taken out by gc */
} hf_line;

/* "establish" and so on. Static. */
const char *hf_baseline_by_name(hf_baseline_by by);

/* Appends the line (without newline) of `line` to out; pieces are copied as they are. */
int hf_line_encode(const hf_line *line, hf_buf *out, hf_error *reterr);

/* Ends the line that begins at `start` of out: ,"crc":"…"}. 0 or HF_ENOMEM. */
int hf_line_add_crc(hf_buf *out, size_t start);

/* Checks the CRC and takes the line apart; the pieces point into text. HF_EDAMAGED with what is
 * wrong (place: ""), else HF_OK. A line of an unknown version or op with a right CRC is HF_OK with
 * HF_OP_UNKNOWN. */
int hf_line_decode(const char *text, size_t bytes, hf_line *ret_line, hf_error *reterr);

/* The same of a line whose CRC was checked when it was read. */
int hf_line_take_apart(const char *text, size_t bytes, hf_line *ret_line, hf_error *reterr);
/* Is line i one of these? */
static inline int hf_drop_has(const uint8_t lines[HF_DROP_BYTES], size_t i) {
  return lines[i / 8] >> (7 - i % 8) & 1;
}

/* Is the mode of an op "mode" one that this program can write in? */
int hf_line_mode_is_known(const hf_line *line);
int hf_line_mode_is_journal(const hf_line *line);

#define HF_MODE_PUBLISH "\"publish\""
#define HF_MODE_JOURNAL "\"journal\""

/* The bytes of the envelope and document without ,"crc":"…"} : what follows is '}'. */
static inline size_t hf_line_body_bytes(size_t line_bytes) {
  return line_bytes - HF_CRC_TAIL_BYTES;
}

/* Makes the public record of a line. doc may be NULL; all is copied. */
int hf_record_make(uint64_t seq, const char *line_text, size_t line_bytes, const hf_line *line,
                   const char *doc, size_t doc_bytes, hf_record **ret_record, hf_error *reterr);

#endif
