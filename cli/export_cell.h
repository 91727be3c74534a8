/* A scalar value of a document as a cell of a typed column: a number becomes a number only where
 * nothing is lost by that, else it stays the text that it is. */
#ifndef HF_CLI_EXPORT_CELL_H
#define HF_CLI_EXPORT_CELL_H

#include <holdfast/leaf.h>

#include "bytes.h"

typedef enum hf_cli_cell_type {
  HF_CLI_CELL_NULL,
  HF_CLI_CELL_BOOLEAN,
  HF_CLI_CELL_INTEGER, /* within 64 bits, without fraction and exponent */
  /* a number of at most 17 digits which the nearest double, printed with as many, gives back */
  HF_CLI_CELL_REAL,
  HF_CLI_CELL_TEXT
} hf_cli_cell_type;

typedef struct hf_cli_cell {
  hf_cli_cell_type type;
  int64_t integer;  /* BOOLEAN: 0 or 1; INTEGER */
  double real;      /* REAL */
  const char *text; /* TEXT: of the document, or in the scratch that was given */
  size_t text_bytes;
} hf_cli_cell;

/* What a leaf is by itself. A number that is neither INTEGER nor REAL is a TEXT. */
hf_cli_cell_type hf_cli_leaf_cell_type(const hf_leaf *leaf);

/* 1: an INTEGER that is a REAL as well. */
int hf_cli_leaf_is_real(const hf_leaf *leaf);

/* The leaf as a cell of this type, which it must have, or TEXT: a string's text (as JSON where it
 * has none: see hf_leaf_text), of anything else the JSON text. Null stays null. The leaf's text
 * must go on behind it, as a member's does. 0, or -1: out of memory. */
int hf_cli_leaf_cell(const hf_leaf *leaf, hf_cli_cell_type type, hf_cli_bytes *scratch,
                     hf_cli_cell *ret_cell);

#endif
