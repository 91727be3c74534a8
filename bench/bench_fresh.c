/* How fresh reads are between hosts: one host saves, others read (bench/nfs starts it on each, and
 * compares).
 *
 *     bench_fresh --role write|read --dir DIR --config FILE --seconds S --offset-ns N
 *
 * write: saves in bursts, one document after the other. read: asks for the head and reads the
 * record there, again and again, with one handle. Prints a JSON object: "times", for each call when
 * it began and when it had answered, in ns of the clock that CLOCK_MONOTONIC plus N tells (so that
 * hosts can be compared), and the seq that was saved or seen. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <holdfast/config.h>
#include <holdfast/holdfast.h>

#include "document.h"

enum { CALLS_MAX = 20000, BURST = 8, BURST_PAUSE_MS = 30 };

typedef struct call {
  int64_t began_ns;
  int64_t ended_ns;
  uint64_t seq;
} call;

static struct {
  const char *role;
  const char *dir;
  const char *config;
  int64_t seconds;
  int64_t offset_ns;
} options = {.seconds = 5};

static _Noreturn void fail(const char *what, const hf_error *error) {
  (void)fprintf(stderr, "bench_fresh: %s: %s\n", what, error != NULL ? error->message : "wrong");
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t save_one(hf_store *store, uint64_t number) {
  hf_error error = HF_ERROR_INIT;
  hf_bench_document document;
  hf_saved saved;
  hf_bench_document_make(number, &document);
  hf_save_request request = {.key = {.run_id = document.run_id, .stage = document.stage},
                             .timestamp = document.timestamp,
                             .doc = document.text,
                             .doc_bytes = document.text_bytes};
  if (hf_save(store, &request, -1, &saved, &error) != HF_OK)
    fail("save", &error);
  return saved.seq;
}

/* The head, and the record there must be readable. */
static uint64_t read_one(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  uint64_t head = 0;
  if (hf_head(store, &head, &error) != HF_OK)
    fail("head", &error);
  if (head > 0 && hf_get_seq(store, head, &record, &error) != 1)
    fail("get", &error);
  hf_record_free(&record);
  return head;
}

static void work(hf_store *store, int writes) {
  static call calls[CALLS_MAX];
  size_t count = 0;
  int64_t until_ns = now_ns() + options.seconds * 1000000000;
  for (; count < CALLS_MAX && now_ns() < until_ns; count++) {
    struct timespec pause = {0, BURST_PAUSE_MS * 1000000L};
    if (writes && count % BURST == BURST - 1)
      (void)nanosleep(&pause, NULL);
    int64_t began_ns = now_ns();
    uint64_t seq = writes ? save_one(store, count) : read_one(store);
    calls[count] = (call){began_ns + options.offset_ns, now_ns() + options.offset_ns, seq};
  }
  (void)printf("{\"times\":[");
  for (size_t i = 0; i < count; i++)
    (void)printf("%s[%" PRId64 ",%" PRId64 ",%" PRIu64 "]", i > 0 ? "," : "", calls[i].began_ns,
                 calls[i].ended_ns, calls[i].seq);
  (void)printf("]}\n");
}

static void read_options(int argc, char **argv) {
  const struct {
    const char *name;
    const char **text;
    int64_t *number;
  } known[] = {{"--role", &options.role, NULL},
               {"--dir", &options.dir, NULL},
               {"--config", &options.config, NULL},
               {"--seconds", NULL, &options.seconds},
               {"--offset-ns", NULL, &options.offset_ns}};
  for (int i = 1; i < argc; i += 2) {
    size_t at = 0;
    while (at < sizeof known / sizeof known[0] && strcmp(argv[i], known[at].name) != 0)
      at++;
    if (at == sizeof known / sizeof known[0] || i + 1 == argc)
      fail(argv[i], NULL);
    if (known[at].text != NULL)
      *known[at].text = argv[i + 1];
    else
      *known[at].number = strtoll(argv[i + 1], NULL, 10);
  }
  if (options.dir == NULL || options.role == NULL || options.config == NULL)
    fail("--role, --dir and --config are needed", NULL);
}

int main(int argc, char **argv) {
  hf_error error = HF_ERROR_INIT;
  hf_config *config = NULL;
  hf_store *store = NULL;
  read_options(argc, argv);
  if (hf_config_load(options.config, &config, &error) != HF_OK)
    fail("configuration", &error);
  hf_open_options with_config = {.config = config};
  if (hf_open(options.dir, &with_config, &store, &error) != HF_OK)
    fail("open", &error);
  work(store, strcmp(options.role, "write") == 0);
  hf_close(&store);
  hf_config_free(&config);
  return 0;
}
