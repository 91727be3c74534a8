/* UTF-8 for people's eyes: width on a terminal, and control characters made visible. */
#ifndef HF_CLI_TEXT_H
#define HF_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Decodes the first character. Its length in bytes, or 0 where the bytes are not well-formed UTF-8
 * (or there are none). */
size_t hf_cli_utf8(const char *text, size_t bytes, uint32_t *ret_point);

/* 1 for what JSON calls white space. */
int hf_cli_is_white(char c);

/* Columns that a character takes: 0 (combining), 1 or 2 (East Asian, pictographs); -1: it must not
 * reach a terminal (a control character, a line separator, a change of the direction of writing).
 */
int hf_cli_char_columns(uint32_t point);

/* The text with everything that must not reach a terminal written as \n, \t, \x1b, \u202e, and
 * broken UTF-8 as \xff. Behind it there is room for an ellipsis. The caller frees it; NULL: out of
 * memory. ret_columns may be NULL. */
char *hf_cli_visible(const char *text, size_t bytes, size_t *ret_columns);

/* Cuts a text of hf_cli_visible to at most `columns` columns, the last of them an ellipsis; answers
 * the columns it now takes. */
size_t hf_cli_cut_columns(char *text, size_t columns);

/* The same with the end kept, and the ellipsis before it. */
size_t hf_cli_cut_front(char *text, size_t columns);

/* How wide a timestamp is to the minute: "2026-01-05 09:00", with its offset where it has one that
 * is not UTC. 0: the text is no timestamp. */
size_t hf_cli_minute_columns(const char *text);

/* Cuts a timestamp to at most `columns` columns so that what is left is a time still: to the
 * minute, without the year ("01-05 09:00"), or the date alone; other texts as
 * hf_cli_cut_columns does. Answers the columns it now takes. */
size_t hf_cli_cut_time(char *text, size_t columns);

/* The text made visible, at most `columns` (2 or more) wide: what is longer is cut in the middle,
 * with an ellipsis there. The caller frees it; NULL: out of memory. ret_columns may be NULL. */
char *hf_cli_visible_middle(const char *text, size_t bytes, size_t columns, size_t *ret_columns);

/* How many single changes (one character inserted, removed, replaced, or two swapped) turn one name
 * into the other. */
size_t hf_cli_distance(const char *a, const char *b);

enum { HF_CLI_SIZE_BYTES = 32 };

/* "512 B", "3.4 KiB", "12 MiB": a size as people read it. Answers text. */
const char *hf_cli_size_text(uint64_t bytes, char text[HF_CLI_SIZE_BYTES]);

#endif
