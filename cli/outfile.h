/* A file that appears whole or not at all: written under a name of its own beside it, fsynced,
 * renamed, and its folder fsynced. What is no regular file (a device, a pipe) is written as it is.
 */
#ifndef HF_CLI_OUTFILE_H
#define HF_CLI_OUTFILE_H

#include <stdio.h>

#include "cli.h"

typedef struct hf_cli_outfile {
  FILE *stream;
  char *path;      /* the file, symbolic links resolved */
  char *temporary; /* NULL: written as it is */
} hf_cli_outfile;

/* Answer exit statuses, after saying what is wrong. */
int hf_cli_outfile_open(const hf_cli *cli, const char *path, hf_cli_outfile *file);
int hf_cli_outfile_commit(const hf_cli *cli, hf_cli_outfile *file);

/* Takes it back, unless it was committed; frees what file holds. */
void hf_cli_outfile_close(hf_cli_outfile *file);

#endif
