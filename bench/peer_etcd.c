/* etcd as a store of snapshots: one member of its own on the loopback, which flushes its log before
 * it answers (fdatasync, its default). A save is one transaction: if the key was never made, the
 * document under its key, and a key in its group's range; etcd's revision is the number.
 *
 * The client speaks JSON over HTTP, through etcd's gateway to its gRPC (Debian has no C client of
 * that): documents go as base64, the server turns them back. What this way takes for a request that
 * changes nothing is told beside the rates (round_trip). */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "service.h"

enum {
  URL_BYTES = 64,
  KEY_BYTES = 600,
  KEY_BASE64_BYTES = (KEY_BYTES + 2) / 3 * 4 + 1,
  BODY_BYTES = 3 * KEY_BASE64_BYTES + (HF_BENCH_DOC_BYTES_MAX + 2) / 3 * 4 + 1024,
  ANSWER_BYTES = 4096,
  HEALTHY_POLLS = 400,
  HEALTHY_POLL_MS = 25
};

typedef struct connection {
  CURL *curl;
  struct curl_slist *headers;
  char body[BODY_BYTES];
  char answer[ANSWER_BYTES]; /* the beginning of it */
  size_t answer_bytes;
  char why[CURL_ERROR_SIZE];
} connection;

static hf_bench_service server = {.name = "etcd"};
static unsigned server_port;

static int failed(const char *what, const char *text, char *error) {
  (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "etcd: %s: %.300s", what, text);
  return -1;
}

static size_t take(char *bytes, size_t size, size_t count, void *context) {
  connection *c = context;
  size_t room = sizeof c->answer - 1 - c->answer_bytes;
  size_t taken = size * count < room ? size * count : room;
  memcpy(c->answer + c->answer_bytes, bytes, taken);
  c->answer_bytes += taken;
  c->answer[c->answer_bytes] = '\0';
  return size * count;
}

/* Sends c->body ("": GET) and takes the answer. */
static int request(connection *c, const char *path, char *error) {
  char url[URL_BYTES];
  long code = 0;
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", server_port, path);
  c->answer_bytes = 0;
  c->answer[0] = '\0';
  c->why[0] = '\0';
  (void)curl_easy_setopt(c->curl, CURLOPT_URL, url);
  if (c->body[0] != '\0') {
    (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(c->body));
    (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, c->body);
  } else {
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
  }
  if (curl_easy_perform(c->curl) != CURLE_OK) {
    return failed(path, c->why, error);
  }
  (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &code);
  return code == 200 ? 0 : failed(path, c->answer, error);
}

static void etcd_close(void **state) {
  connection *c = *state;
  if (c != NULL) {
    curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->headers);
    free(c);
  }
  *state = NULL;
}

static int etcd_open(const char *folder, void **ret_state, char *error) {
  (void)folder;
  connection *c = calloc(1, sizeof *c);
  void *state = c;
  if (c == NULL) {
    return failed("open", "no memory", error);
  }
  c->curl = curl_easy_init();
  c->headers = curl_slist_append(NULL, "Content-Type: application/json");
  struct curl_slist *more = curl_slist_append(c->headers, "Expect:"); /* no asking before */
  if (c->curl == NULL || c->headers == NULL || more == NULL) {
    etcd_close(&state);
    return failed("open", "no memory", error);
  }
  (void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
  (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take);
  (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
  (void)curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->why);
  (void)curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
  (void)curl_easy_setopt(c->curl, CURLOPT_TCP_NODELAY, 1L);
  (void)curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
  *ret_state = c;
  return 0;
}

/* It listens before it has elected itself: healthy is when it takes requests. */
static int wait_healthy(const char *folder, char *error) {
  void *state = NULL;
  if (etcd_open(folder, &state, error) < 0) {
    return -1;
  }
  connection *c = state;
  int result = -1;
  for (int i = 0; i < HEALTHY_POLLS && result < 0; i++) {
    struct timespec t = {.tv_nsec = HEALTHY_POLL_MS * 1000000L};
    c->body[0] = '\0';
    if (request(c, "/health", error) == 0 && strstr(c->answer, "true") != NULL) {
      result = 0;
    } else {
      (void)nanosleep(&t, NULL);
    }
  }
  etcd_close(&state);
  return result == 0 ? 0 : failed("start", "it does not become healthy", error);
}

static void etcd_stop(void) {
  hf_bench_service_stop(&server);
}

static int etcd_start(const char *folder, char *error) {
  char client[URL_BYTES];
  char member[URL_BYTES];
  char cluster[URL_BYTES + 16];
  char data[4200];
  unsigned member_port = hf_bench_port();
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
  do {
    server_port = hf_bench_port();
  } while (server_port != 0 && server_port == member_port);
  (void)snprintf(client, sizeof client, "http://127.0.0.1:%u", server_port);
  (void)snprintf(member, sizeof member, "http://127.0.0.1:%u", member_port);
  (void)snprintf(cluster, sizeof cluster, "bench=%s", member);
  (void)snprintf(data, sizeof data, "%s/etcd", folder);
  const char *argv[] = {"etcd",  "--name",
                        "bench", "--data-dir",
                        data,    "--listen-client-urls",
                        client,  "--advertise-client-urls",
                        client,  "--listen-peer-urls",
                        member,  "--initial-advertise-peer-urls",
                        member,  "--initial-cluster",
                        cluster, "--logger",
                        "zap",   NULL};
  char *words[sizeof argv / sizeof argv[0]];
  memcpy(words, argv, sizeof words);
  if (hf_bench_service_start(&server, folder, "etcd", words, server_port, error) < 0) {
    return -1;
  }
  if (wait_healthy(folder, error) < 0) {
    etcd_stop();
    return -1;
  }
  return 0;
}

static void base64(const char *bytes, size_t count, char *to) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *from = (const unsigned char *)bytes;
  for (size_t i = 0; i < count; i += 3) {
    unsigned second = i + 1 < count ? from[i + 1] : 0;
    unsigned third = i + 2 < count ? from[i + 2] : 0;
    unsigned three = (unsigned)from[i] << 16 | second << 8 | third;
    *to++ = digits[three >> 18];
    *to++ = digits[three >> 12 & 63];
    *to++ = digits[three >> 6 & 63];
    *to++ = digits[three & 63];
  }
  *to = '\0';
  for (size_t short_by = (3 - count % 3) % 3; short_by > 0; short_by--) {
    to[-(ptrdiff_t)short_by] = '=';
  }
}

static int etcd_save(void *state, const hf_bench_document *d, char *error) {
  connection *c = state;
  char text[KEY_BYTES];
  char key[KEY_BASE64_BYTES];
  char group[KEY_BASE64_BYTES];
  char document[(HF_BENCH_DOC_BYTES_MAX + 2) / 3 * 4 + 1];
  int n = snprintf(text, sizeof text, "key/%s/%s/%s/%s", d->run_id, d->stage, d->target, d->view);
  base64(text, (size_t)n, key);
  n = snprintf(text, sizeof text, "group/%s/%s/%s/%s/%s", d->group, d->stage, d->target, d->view,
               d->run_id);
  base64(text, (size_t)n, group);
  base64(d->text, d->text_bytes, document);
  (void)snprintf(c->body, sizeof c->body,
                 "{\"compare\":[{\"key\":\"%s\",\"target\":\"CREATE\",\"create_revision\":\"0\"}],"
                 "\"success\":[{\"request_put\":{\"key\":\"%s\",\"value\":\"%s\"}},"
                 "{\"request_put\":{\"key\":\"%s\",\"value\":\"\"}}]}",
                 key, key, document, group);
  if (request(c, "/v3/kv/txn", error) < 0) {
    return -1;
  }
  return strstr(c->answer, "\"succeeded\":true") != NULL ? 0 : failed("save", c->answer, error);
}

/* A question for a key that is not there, answered from memory. */
static int etcd_round_trip(void *state, char *error) {
  connection *c = state;
  (void)snprintf(c->body, sizeof c->body, "{\"key\":\"bm90aGluZw==\",\"serializable\":true}");
  return request(c, "/v3/kv/range", error);
}

static int etcd_prepare(const char *folder, uint64_t history, int singly, char *error) {
  (void)singly; /* it leaves the same keys */
  void *state = NULL;
  if (etcd_open(folder, &state, error) < 0) {
    return -1;
  }
  hf_bench_document document;
  int result = 0;
  for (uint64_t i = 0; i < history && result == 0; i++) {
    hf_bench_document_make(i, &document);
    result = etcd_save(state, &document, error);
  }
  etcd_close(&state);
  return result;
}

static int etcd_count(const char *folder, uint64_t *ret_count, char *error) {
  static const char count[] = "\"count\":\"";
  void *state = NULL;
  char first[KEY_BASE64_BYTES];
  char behind[KEY_BASE64_BYTES];
  if (etcd_open(folder, &state, error) < 0) {
    return -1;
  }
  connection *c = state;
  base64("key/", 4, first);
  base64("key0", 4, behind);
  (void)snprintf(c->body, sizeof c->body,
                 "{\"key\":\"%s\",\"range_end\":\"%s\",\"count_only\":true}", first, behind);
  int result = request(c, "/v3/kv/range", error);
  const char *at = result == 0 ? strstr(c->answer, count) : NULL;
  *ret_count = at != NULL ? strtoull(at + sizeof count - 1, NULL, 10) : 0;
  etcd_close(&state);
  return result;
}

const hf_bench_peer hf_bench_etcd = {
    .name = "etcd",
    .one_handle = 0,
    .start = etcd_start,
    .stop = etcd_stop,
    .prepare = etcd_prepare,
    .open = etcd_open,
    .close = etcd_close,
    .save = etcd_save,
    .round_trip = etcd_round_trip,
    .count = etcd_count,
};
