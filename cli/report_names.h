/* Texts, each once, with a number: 0, 1, 2 ... in the order in which they came. */
#ifndef HF_CLI_REPORT_NAMES_H
#define HF_CLI_REPORT_NAMES_H

#include <stddef.h>

typedef struct hf_cli_names {
  void *tree; /* by tsearch */
  char **texts;
  size_t count;
  size_t room;
} hf_cli_names;

/* *ret_number is the text's. 0, or -1: out of memory. */
int hf_cli_names_add(hf_cli_names *names, const char *text, size_t *ret_number);
void hf_cli_names_free(hf_cli_names *names);

#endif
