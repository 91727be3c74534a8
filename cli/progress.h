/* Progress on a terminal, and stopping by a signal. */
#ifndef HF_CLI_PROGRESS_H
#define HF_CLI_PROGRESS_H

#include "cli.h"

/* Shows progress from now on, if stderr is a terminal and --quiet was not given. */
void hf_cli_progress_start(const hf_cli *cli);

/* An hf_progress_fn (context: unused). Answers 1, which stops the work, once a signal asked for it.
 */
int hf_cli_progress(void *context, const char *what, uint64_t done, uint64_t total);

/* Takes the line of progress away, before something else is printed or at the end. */
void hf_cli_progress_clear(void);

/* From now on the first SIGINT, SIGTERM or SIGHUP only asks to stop; the second one ends the
 * process. */
void hf_cli_signals_catch(void);

/* 1 once a signal asked to stop. */
int hf_cli_signalled(void);

/* Which one it was (the last); 0: none. */
int hf_cli_signal(void);

#endif
