#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "table.h"
#include "text.h"

static void remember(hf_cli *cli) {
  if (cli->out_errno == 0)
    cli->out_errno = errno != 0 ? errno : EIO;
}

void hf_cli_out(hf_cli *cli, const void *bytes, size_t count) {
  errno = 0;
  if (cli->out_errno == 0 && count > 0 && fwrite(bytes, 1, count, stdout) != count)
    remember(cli);
}

void hf_cli_out_text(hf_cli *cli, const char *text) {
  hf_cli_out(cli, text, strlen(text));
}

void hf_cli_out_format(hf_cli *cli, const char *format, ...) {
  if (cli->out_errno != 0)
    return;
  va_list args;
  va_start(args, format);
  errno = 0;
  if (vfprintf(stdout, format, args) < 0)
    remember(cli);
  va_end(args);
}

void hf_cli_out_flush(hf_cli *cli) {
  errno = 0;
  if (cli->out_errno == 0 && fflush(stdout) != 0)
    remember(cli);
}

void hf_cli_out_no_memory(hf_cli *cli) {
  errno = ENOMEM;
  remember(cli);
}

void hf_cli_out_visible(hf_cli *cli, const char *text) {
  char *visible = hf_cli_visible(text, strlen(text), NULL);
  if (visible != NULL)
    hf_cli_out_text(cli, visible);
  else
    hf_cli_out_no_memory(cli);
  free(visible);
}

static size_t word_columns(const char *word, size_t bytes) {
  size_t columns = 0;
  for (size_t at = 0; at < bytes;) {
    uint32_t point = 0;
    size_t length = hf_cli_utf8(word + at, bytes - at, &point);
    int width = length == 0 ? 1 : hf_cli_char_columns(point);
    columns += width > 0 ? (size_t)width : 0;
    at += length == 0 ? 1 : length;
  }
  return columns;
}

void hf_cli_out_wrapped(hf_cli *cli, const char *text, size_t indent) {
  size_t wide = hf_cli_terminal_columns();
  size_t column = 0;
  while (wide > 0 && *text != '\0') {
    size_t blanks = strspn(text, " ");
    size_t bytes = strcspn(text + blanks, " ");
    size_t columns = word_columns(text + blanks, bytes);
    if (column > indent && column + blanks + columns > wide) {
      hf_cli_out_format(cli, "\n%*s", (int)indent, "");
      column = indent;
    } else {
      hf_cli_out(cli, text, blanks);
      column += blanks;
    }
    hf_cli_out(cli, text + blanks, bytes);
    column += columns;
    text += blanks + bytes;
  }
  hf_cli_out_text(cli, text);
  hf_cli_out_text(cli, "\n");
}

void hf_cli_out_wrapped_format(hf_cli *cli, size_t indent, const char *format, ...) {
  char *text = NULL;
  va_list args;
  va_start(args, format);
  int made = vasprintf(&text, format, args);
  va_end(args);
  char *visible = made >= 0 ? hf_cli_visible(text, (size_t)made, NULL) : NULL;
  if (visible != NULL)
    hf_cli_out_wrapped(cli, visible, indent);
  else
    hf_cli_out_no_memory(cli);
  if (made >= 0)
    free(text);
  free(visible);
}

int hf_cli_out_finish(hf_cli *cli, int status) {
  hf_cli_out_flush(cli);
  errno = 0;
  /* Some filesystems tell only at close that a write had failed. */
  if (fclose(stdout) != 0)
    remember(cli);
  if (cli->out_errno == 0)
    return status;
  const char *note = cli->saved_note;
  hf_cli_error(cli, "standard output", "cannot be written: %s%s%s", strerror(cli->out_errno),
               note[0] != '\0' ? "; " : "", note);
  return status == HF_CLI_DONE ? HF_CLI_FAILED : status;
}

void hf_cli_json_begin(hf_cli_json *json, hf_cli *cli) {
  json->cli = cli;
  json->members = 0;
  hf_cli_out_text(cli, "{");
}

void hf_cli_json_end(hf_cli_json *json) {
  hf_cli_out_text(json->cli, "}\n");
}

void hf_cli_json_name(hf_cli_json *json, const char *name) {
  if (json->members++ > 0)
    hf_cli_out_text(json->cli, ",");
  hf_cli_json_string(json->cli, name);
  hf_cli_out_text(json->cli, ":");
}

void hf_cli_json_text(hf_cli_json *json, const char *name, const char *value) {
  hf_cli_json_name(json, name);
  if (value != NULL)
    hf_cli_json_string(json->cli, value);
  else
    hf_cli_out_text(json->cli, "null");
}

void hf_cli_json_number(hf_cli_json *json, const char *name, uint64_t value) {
  hf_cli_json_name(json, name);
  hf_cli_out_format(json->cli, "%" PRIu64, value);
}

void hf_cli_json_signed(hf_cli_json *json, const char *name, int64_t value) {
  hf_cli_json_name(json, name);
  hf_cli_out_format(json->cli, "%" PRId64, value);
}

void hf_cli_json_bool(hf_cli_json *json, const char *name, int value) {
  hf_cli_json_name(json, name);
  hf_cli_out_text(json->cli, value ? "true" : "false");
}

void hf_cli_json_null(hf_cli_json *json, const char *name) {
  hf_cli_json_text(json, name, NULL);
}

/* How many bytes from the start need no escape. */
static size_t plain_bytes(const char *text, size_t bytes) {
  size_t plain = 0;
  while (plain < bytes) {
    uint32_t point = 0;
    size_t length = hf_cli_utf8(text + plain, bytes - plain, &point);
    if (length == 0 || point == '"' || point == '\\' || point < 0x20 || point == 0x7F)
      break;
    plain += length;
  }
  return plain;
}

int hf_cli_write_json_string(FILE *to, const char *text) {
  size_t bytes = strlen(text);
  int failed = fputc('"', to) == EOF;
  while (bytes > 0) {
    size_t plain = plain_bytes(text, bytes);
    failed |= plain > 0 && fwrite(text, 1, plain, to) != plain;
    text += plain;
    bytes -= plain;
    if (bytes == 0)
      break;
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\')
      failed |= fprintf(to, "\\%c", c) < 0;
    else if (c < 0x80)
      failed |= fprintf(to, "\\u%04x", (unsigned)c) < 0;
    else
      failed |= fputs("\xEF\xBF\xBD", to) == EOF; /* a stray byte */
    text++;
    bytes--;
  }
  failed |= fputc('"', to) == EOF;
  return failed ? -1 : 0;
}

int hf_cli_write_json_dims(FILE *to, const hf_dim *dims, size_t count) {
  int failed = fputc('{', to) == EOF;
  for (size_t i = 0; i < count; i++) {
    failed |= i > 0 && fputc(',', to) == EOF;
    failed |= hf_cli_write_json_string(to, dims[i].name) != 0;
    failed |= fputc(':', to) == EOF;
    failed |= hf_cli_write_json_string(to, dims[i].value) != 0;
  }
  failed |= fputc('}', to) == EOF;
  return failed ? -1 : 0;
}

void hf_cli_json_string(hf_cli *cli, const char *text) {
  errno = 0;
  if (cli->out_errno == 0 && hf_cli_write_json_string(stdout, text) != 0)
    remember(cli);
}

void hf_cli_json_dims(hf_cli_json *json, const char *name, const hf_dim *dims, size_t count) {
  hf_cli_json_name(json, name);
  errno = 0;
  if (json->cli->out_errno == 0 && hf_cli_write_json_dims(stdout, dims, count) != 0)
    remember(json->cli);
}
