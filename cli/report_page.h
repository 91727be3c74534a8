/* The page of a report. */
#ifndef HF_CLI_REPORT_PAGE_H
#define HF_CLI_REPORT_PAGE_H

#include "report.h"

/* Made by cmake/report_page.cmake: the page with @TITLE@, @VERSION@ and @DATA@ to be filled in. */
extern const unsigned char hf_cli_report_template[];
extern const size_t hf_cli_report_template_bytes;

/* Writes the page. 0, or -1: the stream tells why. */
int hf_cli_report_write_page(const hf_cli_report *report, const char *title, FILE *to);

#endif
