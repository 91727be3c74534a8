#include "input.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errors.h"
#include "text.h"

enum { READ_BYTES = 128 * 1024 };

const char *hf_cli_input_name(const char *path) {
  return strcmp(path, "-") == 0 ? "standard input" : path;
}

static int open_input(const hf_cli *cli, const char *path, int *ret_fd) {
  if (strcmp(path, "-") == 0) {
    *ret_fd = STDIN_FILENO;
    return HF_CLI_DONE;
  }
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return hf_cli_failed(cli, path, "cannot be opened: %s", strerror(errno));
  struct stat st;
  if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
    (void)close(fd);
    return hf_cli_failed(cli, path, "is a folder, not a file");
  }
  *ret_fd = fd;
  return HF_CLI_DONE;
}

/* Some more bytes; 0 at the end. */
static int read_some(const hf_cli *cli, const char *name, int fd, char *to, size_t count,
                     size_t *ret_count) {
  ssize_t got;
  do
    got = read(fd, to, count);
  while (got < 0 && errno == EINTR);
  if (got < 0)
    return hf_cli_failed(cli, name, "cannot be read: %s", strerror(errno));
  *ret_count = (size_t)got;
  return HF_CLI_DONE;
}

static size_t without_white_end(const char *text, size_t bytes) {
  while (bytes > 0 && hf_cli_is_white(text[bytes - 1]))
    bytes--;
  return bytes;
}

/* Room for `more` bytes behind `used`; *buffer may be NULL before, never after. */
static int grow(const hf_cli *cli, char **buffer, size_t used, size_t *allocated, size_t more) {
  if (*buffer != NULL && *allocated - used >= more)
    return HF_CLI_DONE;
  size_t size = *allocated * 2 > used + more ? *allocated * 2 : used + more;
  char *bigger = realloc(*buffer, size + 1); /* never 0 bytes */
  if (bigger == NULL)
    return hf_cli_no_memory(cli);
  *buffer = bigger;
  *allocated = size;
  return HF_CLI_DONE;
}

static int document_too_long(const hf_cli *cli, const char *name, uint64_t bytes_max) {
  return hf_cli_failed(cli, name,
                       "the document is longer than the limit of %" PRIu64 " bytes; "
                       "limits.document_bytes_max of the configuration raises it",
                       bytes_max);
}

static int read_all(const hf_cli *cli, const char *name, int fd, uint64_t bytes_max, char **text,
                    size_t *ret_bytes) {
  size_t allocated = 0;
  size_t used = 0;
  int full = 0; /* the limit was passed, by white space only: nothing else may follow */
  for (;;) {
    size_t got = 0;
    int status = grow(cli, text, used, &allocated, READ_BYTES);
    if (status == HF_CLI_DONE)
      status = read_some(cli, name, fd, *text + used, READ_BYTES, &got);
    if (status != HF_CLI_DONE)
      return status;
    if (got == 0)
      break;
    assert(*text != NULL); /* grow promises it */
    if (full && without_white_end(*text + used, got) > 0)
      return document_too_long(cli, name, bytes_max);
    if (full)
      continue;
    used += got;
    if (used > bytes_max) {
      used = without_white_end(*text, used);
      full = 1;
      if (used > bytes_max)
        return document_too_long(cli, name, bytes_max);
    }
  }
  *ret_bytes = without_white_end(*text, used);
  return HF_CLI_DONE;
}

int hf_cli_read_document(const hf_cli *cli, const char *path, uint64_t bytes_max, char **ret_text,
                         size_t *ret_bytes) {
  const char *name = hf_cli_input_name(path);
  char *text = NULL;
  int fd = -1;
  int status = open_input(cli, path, &fd);
  if (status != HF_CLI_DONE)
    return status;
  status = read_all(cli, name, fd, bytes_max, &text, ret_bytes);
  if (fd != STDIN_FILENO)
    (void)close(fd); /* it was only read */
  if (status == HF_CLI_DONE && *ret_bytes == 0)
    status = hf_cli_failed(cli, name, "is empty; a document is a JSON object");
  if (status == HF_CLI_DONE)
    *ret_text = text;
  else
    free(text);
  return status;
}

int hf_cli_lines_open(const hf_cli *cli, hf_cli_lines *lines, const char *path,
                      uint64_t line_bytes_max) {
  lines->name = hf_cli_input_name(path);
  lines->line_bytes_max = (size_t)line_bytes_max;
  return open_input(cli, path, &lines->fd);
}

void hf_cli_lines_close(hf_cli_lines *lines) {
  if (lines->fd >= 0 && lines->fd != STDIN_FILENO)
    (void)close(lines->fd);
  lines->fd = -1;
  free(lines->buffer);
  lines->buffer = NULL;
}

int hf_cli_lines_ready(hf_cli_lines *lines) {
  const char *waiting = lines->buffer != NULL ? lines->buffer + lines->start : NULL;
  if (lines->at_end ||
      (waiting != NULL && memchr(waiting, '\n', lines->used - lines->start) != NULL))
    return 1;
  struct pollfd poll_fd = {.fd = lines->fd, .events = POLLIN};
  return poll(&poll_fd, 1, 0) != 0; /* an error is for read to tell */
}

static int answer_line(const hf_cli *cli, hf_cli_lines *lines, size_t bytes, size_t skip,
                       char **ret_text, size_t *ret_bytes) {
  char *line = malloc(bytes + 1);
  if (line == NULL)
    return hf_cli_no_memory(cli);
  memcpy(line, lines->buffer + lines->start, bytes);
  line[bytes] = '\0';
  lines->start += bytes + skip;
  lines->number++;
  *ret_text = line;
  *ret_bytes = bytes;
  return HF_CLI_DONE;
}

int hf_cli_lines_next(const hf_cli *cli, hf_cli_lines *lines, char **ret_text, size_t *ret_bytes) {
  size_t searched = 0; /* of what waits: there is no end of a line in it */
  *ret_text = NULL;
  for (;;) {
    int status = grow(cli, &lines->buffer, lines->used, &lines->allocated, 0);
    if (status != HF_CLI_DONE)
      return status;
    size_t waiting = lines->used - lines->start;
    const char *from = lines->buffer + lines->start;
    const char *end = memchr(from + searched, '\n', waiting - searched);
    size_t bytes = end != NULL ? (size_t)(end - from) : waiting;
    if (bytes > lines->line_bytes_max)
      return hf_cli_failed(cli, lines->name, "line %" PRIu64 ": longer than %zu bytes",
                           lines->number + 1, lines->line_bytes_max);
    if (end != NULL)
      return answer_line(cli, lines, bytes, 1, ret_text, ret_bytes);
    if (lines->at_end)
      return waiting > 0 ? answer_line(cli, lines, waiting, 0, ret_text, ret_bytes) : HF_CLI_DONE;
    searched = waiting;
    if (lines->start > 0) {
      memmove(lines->buffer, from, waiting);
      lines->start = 0;
      lines->used = waiting;
    }
    size_t got = 0;
    status = grow(cli, &lines->buffer, lines->used, &lines->allocated, READ_BYTES);
    if (status == HF_CLI_DONE)
      status =
          read_some(cli, lines->name, lines->fd, lines->buffer + lines->used, READ_BYTES, &got);
    if (status != HF_CLI_DONE)
      return status;
    lines->used += got;
    lines->at_end = got == 0;
  }
}
