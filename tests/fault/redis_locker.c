/* What a redis locker must never do, in a build with the planted bugs:
 *
 *     fault_redis_locker --case NAME
 *
 *   stranger     releases or breaks what is another's, when its own lease has run out
 *   renewal      renews a lease that it has lost
 *   dead-waiter  lets waiters wait for one that has died in the queue
 *   counter      lets a counter that has forgotten, or run ahead, choose a number
 *
 * Exits with 0 where all is well, with 1 and a line "FAILED: ..." where it is not. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <holdfast/holdfast.h>

#include "pace.h"
#include "redis_server.h"
#include "scratch.h"

enum { LEASE_MS = 400, LONG_LEASE_MS = 10000, DEAD = 3, PROMPT_MS = 500 };

static redis_server server;
static const hf_locker_ops *ops;

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *open_locker(int lease_ms) {
  char options[160];
  snprintf(options, sizeof options, "{\"url\":\"redis://127.0.0.1:%d\",\"lease_ms\":%d}",
           server.port, lease_ms);
  hf_locker_open_args args = {.store_path = "/tmp",
                              .store_uuid = "11111111-2222-4333-8444-555555555555",
                              .options_json = options};
  void *state = NULL;
  hf_error error = HF_ERROR_INIT;
  if (ops->open(&args, &state, &error) != 0) {
    fprintf(stderr, "open: %s: %s\n", error.place, error.message);
    exit(2);
  }
  return state;
}

static void must_take(void *state, hf_grant *grant) {
  hf_error error = HF_ERROR_INIT;
  if (ops->acquire(state, "lock", now_ms() + 20000, grant, &error) == 1)
    return;
  fprintf(stderr, "acquire: %s: %s\n", error.place, error.message);
  exit(2);
}

static int failed(const char *what) {
  printf("FAILED: %s\n", what);
  return 1;
}

/* One whose lease has run out while it was paused, and one that has the lock now. */
static void lose_to_another(void *state, void *other, hf_grant *lost, hf_grant *held) {
  must_take(state, lost);
  pace_sleep_us((LEASE_MS + 100) * 1000);
  must_take(other, held);
}

static int is_still_held(void *other, const hf_grant *held) {
  hf_lock_holder holder;
  return ops->describe(other, "lock", &holder, NULL) == 1 && holder.token == held->token;
}

static int case_stranger(void) {
  void *state = open_locker(LEASE_MS), *other = open_locker(LONG_LEASE_MS);
  hf_grant lost = HF_GRANT_INIT, held = HF_GRANT_INIT;
  lose_to_another(state, other, &lost, &held);
  int released = ops->release(state, &lost, 0, NULL);
  if (released != 0)
    return failed("a release of a lock that was lost says that it was held");
  if (!is_still_held(other, &held))
    return failed("a release took away what another holds");
  if (ops->release(other, &held, 0, NULL) != 1)
    return failed("the holder is told that its lock was lost");
  ops->close(&state);
  ops->close(&other);
  return 0;
}

static int case_renewal(void) {
  void *state = open_locker(LEASE_MS), *other = open_locker(LONG_LEASE_MS);
  hf_grant lost = HF_GRANT_INIT, held = HF_GRANT_INIT;
  lose_to_another(state, other, &lost, &held);
  if (ops->verify(state, &lost, NULL) != 0)
    return failed("verify says that a lock is ours that another holds");
  if (!is_still_held(other, &held))
    return failed("a renewal took away what another holds");
  (void)ops->release(state, &lost, 0, NULL);
  (void)ops->release(other, &held, 0, NULL);
  ops->close(&state);
  ops->close(&other);
  return 0;
}

static pid_t start_dying_waiter(void) {
  pid_t pid = fork();
  if (pid == 0) {
    hf_grant grant = HF_GRANT_INIT;
    void *state = open_locker(LONG_LEASE_MS);
    (void)ops->acquire(state, "lock", now_ms() + 30000, &grant, NULL);
    _exit(0);
  }
  return pid;
}

/* Waiters in the queue that are killed, before one that lives. */
static int case_dead_waiter(void) {
  void *state = open_locker(LONG_LEASE_MS);
  hf_grant grant = HF_GRANT_INIT;
  int pipes[2];
  must_take(state, &grant);
  pid_t dead[DEAD];
  for (int i = 0; i < DEAD; i++)
    dead[i] = start_dying_waiter();
  pace_sleep_us(400000);
  if (pipe(pipes) != 0)
    exit(2);
  pid_t living = fork();
  if (living == 0) {
    hf_grant mine = HF_GRANT_INIT;
    void *own = open_locker(LONG_LEASE_MS);
    must_take(own, &mine);
    int64_t at_ms = now_ms();
    (void)!write(pipes[1], &at_ms, sizeof at_ms);
    (void)ops->release(own, &mine, 0, NULL);
    _exit(0);
  }
  pace_sleep_us(400000);
  for (int i = 0; i < DEAD; i++) {
    (void)kill(dead[i], SIGKILL);
    (void)waitpid(dead[i], NULL, 0);
  }
  pace_sleep_us(50000); /* the server sees their sockets close */
  int64_t released_ms = now_ms(), at_ms = 0;
  (void)ops->release(state, &grant, 0, NULL);
  (void)!read(pipes[0], &at_ms, sizeof at_ms);
  (void)waitpid(living, NULL, 0);
  ops->close(&state);
  printf("the lock came %d ms after the release, past %d that had died\n",
         (int)(at_ms - released_ms), DEAD);
  return at_ms - released_ms > PROMPT_MS ? failed("a waiter waited for one that had died") : 0;
}

/* A save within two seconds; its seq, or 0. */
static uint64_t save(hf_store *store, const char *run_id) {
  hf_save_request request = {.key = {.run_id = run_id, .stage = "s"}, .doc = "{}", .doc_bytes = 2};
  hf_saved saved = {0};
  hf_error error = HF_ERROR_INIT;
  if (hf_save(store, &request, 2000, &saved, &error) == HF_OK)
    return saved.seq;
  printf("save: %s: %s\n", error.place, error.message);
  return 0;
}

static int check_counter(hf_store *store, const char *uuid) {
  if (save(store, "a") != 1 || save(store, "b") != 2)
    return failed("the first two saves did not get 1 and 2");
  if (!redis_server_say(&server, NULL, NULL, 0, "FLUSHALL") || save(store, "c") != 3)
    return failed("behind a FLUSHALL the next save did not get the storage's head + 1");
  if (!redis_server_say(&server, NULL, NULL, 0, "INCRBY holdfast:{%s}:seq:lock 40", uuid) ||
      save(store, "d") != 4)
    return failed("a counter that had run ahead chose the number");
  uint64_t head = 0;
  if (hf_head(store, &head, NULL) != HF_OK || head != 4)
    return failed("the head is not 4");
  return 0;
}

static int case_counter(void) {
  scratch here;
  char url[64];
  char path[SCRATCH_PATH_BYTES + 16];
  hf_config *config = NULL;
  hf_store *store = NULL;
  hf_info info;
  hf_error error = HF_ERROR_INIT;
  scratch_begin(&here);
  snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
  snprintf(path, sizeof path, "%s/config.json", here.folder);
  scratch_write_file(path, "{}", 2);
  (void)setenv("HOLDFAST_REDIS_URL", url, 1);
  if (hf_config_load(path, &config, &error) != HF_OK ||
      hf_init(here.store, &(hf_init_options){.config = config, .locker = "redis", .force = 1},
              &info, &error) != HF_OK ||
      hf_open(here.store, &(hf_open_options){.config = config}, &store, &error) != HF_OK) {
    fprintf(stderr, "%s: %s\n", error.place, error.message);
    exit(2);
  }
  int status = check_counter(store, info.uuid);
  hf_close(&store);
  hf_config_free(&config);
  scratch_end(&here);
  return status;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(void);
  } cases[] = {{"stranger", case_stranger},
               {"renewal", case_renewal},
               {"dead-waiter", case_dead_waiter},
               {"counter", case_counter}};
  const char *wanted = argc == 3 && strcmp(argv[1], "--case") == 0 ? argv[2] : NULL;
  int status = argc == 1 ? 0 : 2;
  ops = hf_locker_find("redis");
  if (ops == NULL || redis_server_start(&server, NULL) == 77) {
    puts("there is no redis here");
    return 77;
  }
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (wanted != NULL && strcmp(wanted, cases[i].name) != 0)
      continue;
    status = cases[i].run();
    printf("%s: %s\n", cases[i].name, status == 0 ? "holds" : "broken");
    if (status != 0)
      break;
  }
  redis_server_stop(&server);
  return status;
}
