/* The history of a process: JSON, a line an event, each by one write(2). */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"

enum { LINE_BYTES_FIRST = 1024, BOOT_ID_BYTES = 64, HOST_BYTES = 256 };

int64_t history_now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void add(history_line *line, const char *text, size_t bytes) {
  if (line->used + bytes + 1 > line->size) {
    line->size = 2 * (line->used + bytes) + LINE_BYTES_FIRST;
    line->text = realloc(line->text, line->size);
    if (line->text == NULL)
      driver_fail("out of memory");
  }
  memcpy(line->text + line->used, text, bytes);
  line->used += bytes;
  line->text[line->used] = '\0';
}

void history_raw(history_line *line, const char *text) {
  add(line, text, strlen(text));
}

static void add_name(history_line *line, const char *name) {
  char last = line->text[line->used - 1];
  if (last != '{' && last != '[')
    history_raw(line, ",");
  history_raw(line, "\"");
  history_raw(line, name);
  history_raw(line, "\":");
}

void history_number(history_line *line, const char *name, uint64_t value) {
  char text[24];
  (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
  add_name(line, name);
  history_raw(line, text);
}

void history_signed(history_line *line, const char *name, int64_t value) {
  char text[24];
  (void)snprintf(text, sizeof text, "%lld", (long long)value);
  add_name(line, name);
  history_raw(line, text);
}

void history_text(history_line *line, const char *name, const char *value) {
  add_name(line, name);
  if (value == NULL) {
    history_raw(line, "null");
    return;
  }
  history_raw(line, "\"");
  for (; *value != '\0'; value++) {
    char text[8];
    unsigned char one = (unsigned char)*value;
    if (one < 0x20 || one == '"' || one == '\\')
      (void)snprintf(text, sizeof text, "\\u%04x", one);
    else
      (void)snprintf(text, sizeof text, "%c", one);
    history_raw(line, text);
  }
  history_raw(line, "\"");
}

void history_begin(history_line *line, const char *event, int64_t now_ns) {
  memset(line, 0, sizeof *line);
  history_raw(line, "{");
  history_text(line, "event", event);
  history_signed(line, "t", now_ns);
}

void history_write(const driver *me, history_line *line) {
  history_raw(line, "}\n");
  ssize_t done = write(me->history_fd, line->text, line->used);
  if (done < 0 || (size_t)done != line->used)
    driver_fail("cannot write the history: %s", strerror(errno));
  free(line->text);
  line->text = NULL;
}

static void read_boot_id(char text[BOOT_ID_BYTES]) {
  FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
  if (file == NULL || fgets(text, BOOT_ID_BYTES, file) == NULL)
    driver_fail("no boot id");
  (void)fclose(file);
  text[strcspn(text, "\n")] = '\0';
}

void history_open(driver *me) {
  history_line line;
  char boot[BOOT_ID_BYTES];
  char host[HOST_BYTES] = "";
  int flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC;
  me->history_fd = open(me->options.history, me->options.durable ? flags | O_DSYNC : flags, 0666);
  if (me->history_fd < 0)
    driver_fail("%s: %s", me->options.history, strerror(errno));
  read_boot_id(boot);
  (void)gethostname(host, sizeof host - 1);
  history_begin(&line, "begin", history_now_ns());
  history_text(&line, "name", me->options.name);
  history_text(&line, "node", me->options.node);
  history_text(&line, "boot", boot);
  history_text(&line, "host", host);
  history_signed(&line, "pid", getpid());
  history_number(&line, "seed", me->options.seed);
  history_signed(&line, "offset_ns", me->options.clock_offset_ns);
  history_signed(&line, "error_ns", me->options.clock_error_ns);
  history_write(me, &line);
}

void history_call(driver *me, history_line *line, const char *operation) {
  history_begin(line, "call", history_now_ns());
  history_number(line, "n", ++me->ops);
  history_text(line, "op", operation);
  disk_mark(me, 'c');
}

void history_answer(driver *me, history_line *line, int status, const hf_error *error) {
  disk_mark(me, 'a');
  history_begin(line, "answer", history_now_ns());
  history_number(line, "n", me->ops);
  history_text(line, "status", hf_status_name(status < 0 ? status : HF_OK));
  if (status >= 0)
    return;
  if (error->id[0] != '\0')
    history_text(line, "error_id", error->id);
  history_text(line, "place", error->place);
  history_text(line, "message", error->message);
}

void history_key(history_line *line, const driver_key *key, const char *group) {
  history_text(line, "run", key->run_id);
  history_text(line, "stage", key->stage);
  history_text(line, "view", key->view);
  history_text(line, "group", group);
}

void history_log(void *context, hf_log_level level, const char *message) {
  static const char *const levels[] = {"debug", "info", "warning"};
  const driver *me = context;
  history_line line;
  history_begin(&line, "log", history_now_ns());
  history_text(&line, "level", levels[level]);
  history_text(&line, "message", message);
  history_write(me, &line);
}
