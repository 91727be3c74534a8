#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "redis_options.h"

#include "banned.h"

enum { PORT_MAX = 65535, DB_MAX = 1 << 20, DIGITS_MAX = 7 };

/* A whole decimal number up to max, of all bytes; -1 otherwise. */
static int number_of(const char *text, size_t bytes, int max) {
  int value = 0;
  if (bytes == 0 || bytes > DIGITS_MAX)
    return -1;
  for (size_t i = 0; i < bytes; i++) {
    if (text[i] < '0' || text[i] > '9')
      return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value <= max ? value : -1;
}

static int copy_piece(const char *text, size_t bytes, char *to, size_t to_bytes) {
  if (bytes >= to_bytes)
    return -1;
  memcpy(to, text, bytes);
  to[bytes] = '\0';
  return 0;
}

static int host_parse(const char *text, size_t bytes, int port_default, hf_redis_host *ret_host) {
  const char *end = text + bytes;
  const char *host = text;
  const char *host_end;
  if (bytes > 0 && text[0] == '[') { /* an IPv6 address */
    host = text + 1;
    host_end = memchr(host, ']', (size_t)(end - host));
    if (host_end == NULL)
      return -1;
    text = host_end + 1;
  } else {
    host_end = memchr(text, ':', bytes);
    host_end = host_end != NULL ? host_end : end;
    text = host_end;
  }
  ret_host->port = port_default;
  if (text < end)
    ret_host->port = *text == ':' ? number_of(text + 1, (size_t)(end - text - 1), PORT_MAX) : -1;
  for (const char *c = host; c < host_end; c++)
    if ((unsigned char)*c <= ' ' || *c == '/' || *c == '@' || *c == 0x7f)
      return -1;
  if (host == host_end || ret_host->port <= 0)
    return -1;
  return copy_piece(host, (size_t)(host_end - host), ret_host->host, sizeof ret_host->host);
}

int hf_redis_host_parse(const char *text, int port_default, hf_redis_host *ret_host) {
  return host_parse(text, strlen(text), port_default, ret_host);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX (RFC 3986). 0 or -1. */
static int percent_decode(const char *text, size_t bytes, char *to, size_t to_bytes) {
  size_t used = 0;
  for (size_t i = 0; i < bytes; i++) {
    int value = (unsigned char)text[i];
    if (text[i] == '%') {
      int high = i + 2 < bytes ? hex_digit(text[i + 1]) : -1;
      int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
      value = low >= 0 ? high * 16 + low : 0;
      i += 2;
    }
    if (value == 0 || used + 1 >= to_bytes)
      return -1;
    to[used++] = (char)value;
  }
  to[used] = '\0';
  return 0;
}

static int credentials_parse(const char *text, size_t bytes, hf_redis_options *options) {
  const char *colon = memchr(text, ':', bytes);
  size_t user_bytes = colon != NULL ? (size_t)(colon - text) : bytes;
  if (percent_decode(text, user_bytes, options->user, sizeof options->user) != 0)
    return -1;
  if (colon == NULL)
    return 0;
  return percent_decode(colon + 1, bytes - user_bytes - 1, options->password,
                        sizeof options->password);
}

static int unix_parse(const char *rest, hf_redis_options *options, hf_error *reterr) {
  const char *query = strchr(rest, '?');
  size_t bytes = query != NULL ? (size_t)(query - rest) : strlen(rest);
  if (rest[0] != '/' ||
      percent_decode(rest, bytes, options->socket_path, sizeof options->socket_path) != 0)
    return hf_err(reterr, HF_ECONFIG, "lockers.redis.url",
                  "a socket is given as unix:///path, of at most %zu bytes",
                  sizeof options->socket_path - 1);
  if (query == NULL)
    return HF_OK;
  options->db =
      strncmp(query, "?db=", 4) == 0 ? number_of(query + 4, strlen(query + 4), DB_MAX) : -1;
  if (options->db < 0)
    return hf_err(reterr, HF_ECONFIG, "lockers.redis.url",
                  "behind the path of a socket may stand ?db=NUMBER only");
  return HF_OK;
}

int hf_redis_url_parse(const char *url, hf_redis_options *options, hf_error *reterr) {
  const char *place = "lockers.redis.url";
  if (strncmp(url, "unix://", 7) == 0)
    return unix_parse(url + 7, options, reterr);
  options->tls = strncmp(url, "rediss://", 9) == 0;
  if (!options->tls && strncmp(url, "redis://", 8) != 0)
    return hf_err(reterr, HF_ECONFIG, place,
                  "it must begin with redis://, rediss:// or unix://, as in "
                  "redis://127.0.0.1:6379/0");
  const char *rest = url + (options->tls ? 9 : 8);
  const char *path = rest + strcspn(rest, "/?#");
  /* the last @: an unescaped one may stand in a password */
  const char *at = memrchr(rest, '@', (size_t)(path - rest));
  if (at != NULL && credentials_parse(rest, (size_t)(at - rest), options) != 0)
    return hf_err(reterr, HF_ECONFIG, place,
                  "the user or the password before the @ cannot be read; write special characters "
                  "as %%XX, at most %zu bytes",
                  sizeof options->password - 1);
  const char *host = at != NULL ? at + 1 : rest;
  if (host != path &&
      host_parse(host, (size_t)(path - host), HF_REDIS_PORT_DEFAULT, &options->server) != 0)
    return hf_err(reterr, HF_ECONFIG, place,
                  "its host and port cannot be read; write redis://HOST:PORT/DB");
  if (path[0] == '/' && path[1] != '\0')
    options->db = number_of(path + 1, strlen(path + 1), DB_MAX);
  if (options->db < 0 || path[0] == '?' || path[0] == '#')
    return hf_err(reterr, HF_ECONFIG, place,
                  "behind the host may stand the number of a database only, as in /0");
  return HF_OK;
}
