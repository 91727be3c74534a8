/* Errors, warnings and notes on stderr, one line each, and the exit statuses. */
#ifndef HF_CLI_ERRORS_H
#define HF_CLI_ERRORS_H

#include "cli.h"

/* The exit status for a status of the library. */
int hf_cli_exit_status(int status);

/* "holdfast: COMMAND: PLACE: message". place may be NULL or "". Control characters are made
 * visible. */
void hf_cli_error(const hf_cli *cli, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with "warning: " before the message; silent with --quiet. */
void hf_cli_warning(const hf_cli *cli, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Wrong use: hf_cli_error with "; see holdfast help COMMAND" behind it. Answers HF_CLI_USAGE. */
int hf_cli_usage(const hf_cli *cli, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A plain failure. Answers HF_CLI_FAILED. */
int hf_cli_failed(const hf_cli *cli, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int hf_cli_no_memory(const hf_cli *cli);

/* Prints the library's error; where it names no place, `place` (or, if that is NULL, the store).
 * For HF_EUNSURE the command that settles it is added. Answers the exit status. */
int hf_cli_library_error(const hf_cli *cli, const char *place, const hf_error *err);

/* The library's error about an expression or a place that was given: wrong use, with the place in
 * it. option: "--where"; number: which of several, from 1 (0: there is one). Answers the exit
 * status.
 */
int hf_cli_expr_error(const hf_cli *cli, const char *option, size_t number, const hf_error *err);

/* The library's own messages: warnings unless --quiet, all of them with --verbose. An hf_log_fn;
 * context: the hf_cli. */
void hf_cli_log(void *context, hf_log_level level, const char *message);

#endif
