/* See driver.h. */
#include "driver.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  EXIT_FAILED = 1,
  EXIT_USAGE = 2,
  REOPEN_ONE_IN = 400, /* operations, if not given: an old handle and a new one must agree */
  RESOLVE_ONE_IN = 60,
  FAILURE_SLEEP_MS = 10, /* after an answer that says "not now" */
  FAILURE_SLEEP_MS_MAX = 200,
  SETTLE_TRIES = 100,
};

volatile sig_atomic_t driver_stopped;

void driver_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)fputs("driver: ", stderr);
  (void)vfprintf(stderr, format, arguments);
  (void)fputs("\n", stderr);
  va_end(arguments);
  exit(EXIT_FAILED);
}

void driver_saw(driver *me, uint64_t seq) {
  if (me->head < seq)
    me->head = seq;
}

static void stop(int signal_number) {
  (void)signal_number;
  driver_stopped = 1;
}

static void sleep_us(uint64_t us) {
  struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  (void)nanosleep(&time, NULL);
}

static void open_store(driver *me) {
  history_line line;
  hf_error error = HF_ERROR_INIT;
  hf_open_options options = {
      .config = me->config, .purpose = "driver", .log = history_log, .log_context = me};
  if (hf_open(me->options.store, &options, &me->store, &error) != HF_OK)
    driver_fail("hf_open: %s: %s: %s", hf_status_name(error.code), error.place, error.message);
  history_begin(&line, "open", history_now_ns());
  history_write(me, &line);
}

static int is_enough(const driver *me, int64_t began_ns) {
  const driver_options *options = &me->options;
  return driver_stopped || (options->saves > 0 && me->saves >= options->saves) ||
         (options->ops > 0 && me->ops >= options->ops) ||
         (options->seconds > 0 &&
          history_now_ns() - began_ns > (int64_t)options->seconds * 1000000000);
}

static void work_once(driver *me) {
  if (me->unsure_count > 0)
    (void)driver_settle_unsure(me);
  if (!me->is_shared && driver_below(me, me->options.reopen) == 0) {
    hf_close(&me->store);
    open_store(me);
  }
  if (me->options.switches > 0 && driver_below(me, me->options.switches) == 0)
    driver_change_mode(me);
  else if (driver_below(me, 100) < me->options.reads)
    driver_read_something(me);
  else if (driver_below(me, RESOLVE_ONE_IN) == 0)
    driver_resolve_something(me);
  else
    driver_save_something(me);
  if (me->failures > 0) {
    uint64_t ms = FAILURE_SLEEP_MS * me->failures;
    ms = ms < FAILURE_SLEEP_MS_MAX ? ms : FAILURE_SLEEP_MS_MAX;
    sleep_us(1000 * ms / 2 + driver_below(me, 1000 * ms));
  } else if (me->options.think_us > 0)
    sleep_us(driver_below(me, me->options.think_us));
}

static void work(driver *me) {
  int64_t began_ns = history_now_ns();
  while (!is_enough(me, began_ns))
    work_once(me);
  for (int i = 0; i < SETTLE_TRIES && !driver_settle_unsure(me); i++)
    sleep_us(1000 * FAILURE_SLEEP_MS_MAX);
}

/* ---- options ---- */

static uint64_t to_number(const char *text) {
  char *end = NULL;
  uint64_t value = strtoull(text, &end, 10);
  if (end == text || *end != '\0') {
    (void)fprintf(stderr, "driver: %s is not a number\n", text);
    exit(EXIT_USAGE);
  }
  return value;
}

static _Noreturn void usage(const char *what) {
  (void)fprintf(stderr, "driver: %s: is no option, has no value or is wrong (see driver.h)\n",
                what);
  exit(EXIT_USAGE);
}

static int64_t to_signed(const char *text) {
  return text[0] == '-' ? -(int64_t)to_number(text + 1) : (int64_t)to_number(text);
}

static void read_options(int argc, char **argv, driver_options *options) {
  const struct {
    const char *name;
    const char **text;
    uint64_t *number;
    int64_t *with_sign;
  } all[] = {{"--store", &options->store, NULL, NULL},
             {"--config", &options->config, NULL, NULL},
             {"--history", &options->history, NULL, NULL},
             {"--name", &options->name, NULL, NULL},
             {"--node", &options->node, NULL, NULL},
             {"--seed", NULL, &options->seed, NULL},
             {"--run", NULL, &options->run, NULL},
             {"--saves", NULL, &options->saves, NULL},
             {"--ops", NULL, &options->ops, NULL},
             {"--seconds", NULL, &options->seconds, NULL},
             {"--keys", NULL, &options->keys, NULL},
             {"--groups", NULL, &options->groups, NULL},
             {"--reads", NULL, &options->reads, NULL},
             {"--reopen", NULL, &options->reopen, NULL},
             {"--timeout-ms", NULL, NULL, &options->timeout_ms},
             {"--think-us", NULL, &options->think_us, NULL},
             {"--durable", NULL, &options->durable, NULL},
             {"--threads", NULL, &options->threads, NULL},
             {"--switch", NULL, &options->switches, NULL},
             {"--disk-log", &options->disk_log, NULL, NULL},
             {"--clock-offset-ns", NULL, NULL, &options->clock_offset_ns},
             {"--clock-error-ns", NULL, NULL, &options->clock_error_ns}};
  for (int i = 1; i < argc; i += 2) {
    size_t at = 0;
    while (at < sizeof all / sizeof all[0] && strcmp(argv[i], all[at].name) != 0)
      at++;
    if (at == sizeof all / sizeof all[0] || i + 1 == argc)
      usage(argv[i]);
    if (all[at].text != NULL)
      *all[at].text = argv[i + 1];
    else if (all[at].number != NULL)
      *all[at].number = to_number(argv[i + 1]);
    else
      *all[at].with_sign = to_signed(argv[i + 1]);
  }
  if (options->store == NULL || options->history == NULL || options->name == NULL)
    usage("--store, --history and --name are needed");
  if (options->threads == 0 || options->threads > DRIVER_THREADS_MAX)
    usage("--threads from 1 to 16");
  if (options->keys == 0 || options->groups == 0 || options->reopen == 0 || options->reads > 100 ||
      strlen(options->name) + 4 > DRIVER_NAME_BYTES)
    usage("--keys, --groups and --reopen from 1, --reads to 100");
}

/* Numbers follow from the name: each thread has its own. */
static void seed(driver *me) {
  me->random = me->options.seed * 1000003 + me->options.run;
  for (const char *c = me->options.name; *c != '\0'; c++)
    me->random = me->random * 131 + (unsigned char)*c;
}

static void end(driver *me) {
  history_line line;
  history_begin(&line, "end", history_now_ns());
  history_number(&line, "ops", me->ops);
  history_write(me, &line);
  if (close(me->history_fd) != 0)
    driver_fail("%s: %s", me->options.history, strerror(errno));
}

static void *thread_main(void *argument) {
  driver *me = argument;
  work(me);
  end(me);
  return NULL;
}

/* Threads that share the handle of `first`, each with a name and a history of its own. */
static void work_by_threads(const driver *first) {
  static driver all[DRIVER_THREADS_MAX];
  static char names[DRIVER_THREADS_MAX][DRIVER_NAME_BYTES];
  static char histories[DRIVER_THREADS_MAX][PATH_MAX];
  pthread_t threads[DRIVER_THREADS_MAX];
  for (unsigned i = 0; i < first->options.threads; i++) {
    all[i] = *first;
    all[i].is_shared = 1;
    (void)snprintf(names[i], sizeof names[i], "%s.%u", first->options.name, i + 1);
    (void)snprintf(histories[i], sizeof histories[i], "%s.%u", first->options.history, i + 1);
    all[i].options.name = names[i];
    all[i].options.history = histories[i];
    seed(&all[i]);
    history_open(&all[i]);
    if (pthread_create(&threads[i], NULL, thread_main, &all[i]) != 0)
      driver_fail("no thread");
  }
  for (unsigned i = 0; i < first->options.threads; i++)
    (void)pthread_join(threads[i], NULL);
}

int main(int argc, char **argv) {
  static driver me;
  hf_error error = HF_ERROR_INIT;
  struct sigaction action = {.sa_handler = stop};
  me.options = (driver_options){.node = "",
                                .seed = 1,
                                .keys = 12,
                                .groups = 3,
                                .reads = 30,
                                .reopen = REOPEN_ONE_IN,
                                .threads = 1,
                                .timeout_ms = 20000};
  read_options(argc, argv, &me.options);
  (void)sigaction(SIGTERM, &action, NULL);
  (void)sigaction(SIGINT, &action, NULL);
  if (me.options.config != NULL && hf_config_load(me.options.config, &me.config, &error) != HF_OK)
    driver_fail("%s: %s", error.place, error.message);
  seed(&me);
  disk_marks_open(&me);
  history_open(&me);
  open_store(&me);
  if (me.options.threads > 1)
    work_by_threads(&me);
  else
    work(&me);
  hf_close(&me.store);
  hf_config_free(&me.config);
  end(&me);
  return 0;
}
