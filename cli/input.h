/* Input: a document as a whole, or JSON lines one by one; "-" is stdin. Each answers an exit
 * status, after saying what is wrong. */
#ifndef HF_CLI_INPUT_H
#define HF_CLI_INPUT_H

#include "cli.h"

/* What FILE is called in messages. */
const char *hf_cli_input_name(const char *path);

/* Reads all of it, at most bytes_max bytes (white space at its end not counted). The caller frees
 * *ret_text. */
int hf_cli_read_document(const hf_cli *cli, const char *path, uint64_t bytes_max, char **ret_text,
                         size_t *ret_bytes);

/* Lines of a file. Zero-initialise, with fd = -1. */
typedef struct hf_cli_lines {
  const char *name;
  int fd;
  char *buffer;
  size_t start; /* of what was not answered yet */
  size_t used;
  size_t allocated;
  size_t line_bytes_max;
  int at_end;
  uint64_t number; /* of the line answered last; the first is 1 */
} hf_cli_lines;

int hf_cli_lines_open(const hf_cli *cli, hf_cli_lines *lines, const char *path,
                      uint64_t line_bytes_max);
void hf_cli_lines_close(hf_cli_lines *lines);

/* 1 if hf_cli_lines_next will answer without waiting for whoever writes. */
int hf_cli_lines_ready(hf_cli_lines *lines);

/* The next line, without its end, in memory that the caller frees; *ret_text is NULL at the end. */
int hf_cli_lines_next(const hf_cli *cli, hf_cli_lines *lines, char **ret_text, size_t *ret_bytes);

#endif
