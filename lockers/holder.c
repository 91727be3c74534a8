#include "holder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "json.h"

#include "banned.h"

static const char token_prefix[] = "{\"token\":";

enum { HOLDER_NESTING_MAX = 4 };

/* Keeps what may stand in a JSON string without being escaped. */
static void copy_plain(char *to, size_t to_bytes, const char *from) {
  size_t used = 0;
  for (; from[used] != '\0' && used + 1 < to_bytes; used++) {
    char c = from[used];
    to[used] = c >= ' ' && c <= '~' && c != '"' && c != '\\' ? c : '?';
  }
  to[used] = '\0';
}

void hf_holder_self_init(hf_holder_self *ret_self, const char *purpose) {
  char host[256];
  if (gethostname(host, sizeof host) != 0)
    host[0] = '\0';
  host[sizeof host - 1] = '\0';
  copy_plain(ret_self->host, sizeof ret_self->host, host[0] != '\0' ? host : "unknown");
  copy_plain(ret_self->purpose, sizeof ret_self->purpose, purpose != NULL ? purpose : "save");
  ret_self->pid = (int64_t)getpid();
}

void hf_holder_format(const hf_holder_self *self, uint64_t token, int64_t since_us,
                      char line[HF_HOLDER_LINE_BYTES]) {
  char since[HF_RFC3339_BYTES];
  hf_rfc3339_from_us(since_us, since);
  int used = snprintf(line, HF_HOLDER_LINE_BYTES,
                      "%s%" PRIu64 ",\"pid\":%" PRId64
                      ",\"host\":\"%s\",\"purpose\":\"%s\",\"since\":\"%s\"}",
                      token_prefix, token, self->pid, self->host, self->purpose, since);
  memset(line + used, ' ', HF_HOLDER_LINE_BYTES - (size_t)used);
  line[HF_HOLDER_LINE_BYTES - 1] = '\n';
}

uint64_t hf_holder_token(const char *line, size_t count) {
  size_t at = sizeof token_prefix - 1;
  if (count <= at || memcmp(line, token_prefix, at) != 0)
    return 0;
  uint64_t token = 0;
  for (; at < count && line[at] >= '0' && line[at] <= '9'; at++) {
    token = token * 10 + (uint64_t)(line[at] - '0');
    if (token > HF_HOLDER_TOKEN_MAX)
      return 0;
  }
  return at < count && line[at] == ',' ? token : 0;
}

/* Copies a member's string, cut to fit. */
static void take_string(const hf_json *object, const char *name, char *text, size_t text_bytes) {
  hf_json value;
  hf_autobuf decoded = {0};
  text[0] = '\0';
  if (!hf_json_member(object, name, &value) || value.type != HF_JSON_STRING)
    return;
  if (hf_json_decode_string(&value, &decoded) != 0 || decoded.data == NULL)
    return;
  copy_plain(text, text_bytes, decoded.data);
}

static void fill_text(hf_lock_holder *holder, const char *purpose) {
  if (holder->pid == 0) {
    (void)snprintf(holder->text, sizeof holder->text, "a process that has not said who it is");
    return;
  }
  char since[HF_RFC3339_BYTES] = "?";
  if (holder->since_unix_ms != 0) {
    hf_rfc3339_from_us(holder->since_unix_ms / 1000 * 1000000, since);
    char *fraction = strchr(since, '.');
    if (fraction != NULL)
      memcpy(fraction, "Z", 2);
  }
  (void)snprintf(holder->text, sizeof holder->text, "pid %" PRId64 " on %.*s (%s), since %s",
                 holder->pid, HF_HOLDER_HOST_BYTES, holder->host, purpose, since);
}

void hf_holder_parse(const char *line, size_t count, hf_lock_holder *ret_holder) {
  char purpose[HF_HOLDER_PURPOSE_BYTES] = "";
  char since[HF_RFC3339_BYTES] = "";
  hf_json number;
  uint64_t pid = 0;
  int64_t since_us = 0;
  memset(ret_holder, 0, sizeof *ret_holder);
  ret_holder->token = hf_holder_token(line, count);
  if (hf_json_check(line, count, HF_JSON_OBJECT_ONLY, HOLDER_NESTING_MAX, NULL, NULL, NULL) == 0) {
    hf_json object = hf_json_value(line, count);
    if (hf_json_member(&object, "pid", &number) && hf_json_uint64(&number, &pid) == 0 &&
        pid <= INT32_MAX)
      ret_holder->pid = (int64_t)pid;
    take_string(&object, "host", ret_holder->host, HF_HOLDER_HOST_BYTES);
    take_string(&object, "purpose", purpose, sizeof purpose);
    take_string(&object, "since", since, sizeof since);
    if (hf_timestamp_parse(since, strlen(since), &since_us) == 0)
      ret_holder->since_unix_ms = since_us / 1000;
  }
  fill_text(ret_holder, purpose);
}
