/* A change of locker by a record in the log:
 *
 *     mode [--case NAME]
 *
 *   behind    a writer whose handle still has the old locker saves after the change
 *   waiting   a writer waits for the old lock while the locker is changed under it
 *   threads   four threads share a handle, another handle changes the locker again and again
 *   setters   two handles set different lockers at once, again and again
 *   crash     the manifest was not told: the log decides
 *   lost      the present locker cannot be had any more: --force. It sets none that cannot be had
 *   stale     a handle that was not told follows when the locker that it knows is away, or busy
 *   asked     the lock's state is asked for while another thread waits for the old lock
 *   refused   the configuration names another locker: whatever else the handle has done before
 *   beyond    the setter died before it marked its record
 *   storm     processes that are killed while the locker is changed
 *
 * Nobody links a record behind a change without holding the new locker. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib_mode.h"

enum { THREADS = 4, SAVES = 60, CHANGES = 30, TIMEOUT_MS = 60000, SOON_US = 100000 };

static char path[FAULT_PATH_BYTES];

static void save(hf_store *store) {
  mode_save_next(store, TIMEOUT_MS);
}

/* want: 1 changed, 0 it was that one, negative: either. */
static uint64_t set(hf_store *store, const char *scheme, int want) {
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  int changed = hf_set_locker(store, scheme, NULL, &seq, &error);
  FAULT_CHECK(changed == want || (want < 0 && changed >= 0), "locker set %s answered %d: %s",
              scheme, changed, error.message);
  return seq;
}

static hf_locker_choice choice_of(hf_store *store) {
  hf_locker_choice choice;
  hf_error error = HF_ERROR_INIT;
  fault_must(hf_get_locker(store, &choice, &error), &error, "hf_get_locker");
  return choice;
}

static void check_choice(hf_store *store, const char *scheme, const char *manifest) {
  hf_locker_choice choice = choice_of(store);
  FAULT_CHECK(strcmp(choice.scheme, scheme) == 0 && strcmp(choice.manifest, manifest) == 0,
              "the locker is %s since seq %llu, the manifest says %s", choice.scheme,
              (unsigned long long)choice.seq, choice.manifest);
}

static void check_told(void) {
  hf_store *store = fault_open(path);
  hf_locker_choice choice = choice_of(store);
  check_choice(store, choice.scheme, choice.scheme);
  hf_close(&store);
}

/* ---- alpha, held by the test ---- */

static void *alpha_state;
static hf_grant alpha_grant;

static void hold_alpha(void) {
  hf_error error = HF_ERROR_INIT;
  hf_locker_open_args args = {.store_path = path, .store_uuid = ""};
  const hf_locker_ops *alpha = mode_locker("alpha");
  fault_must(alpha->open(&args, &alpha_state, &error), &error, "open");
  FAULT_CHECK(alpha->acquire(alpha_state, "lock", INT64_MAX, &alpha_grant, &error) == 1, "%s",
              error.message);
}

static void give_alpha(void) {
  (void)mode_locker("alpha")->release(alpha_state, &alpha_grant, 0, NULL);
  mode_locker("alpha")->close(&alpha_state);
}

/* ---- cases ---- */

static void case_behind(void) {
  hf_store *one = fault_open(path), *other = fault_open(path);
  save(one);
  save(other);
  (void)set(other, "beta", 1);
  save(one); /* its handle has alpha open */
  (void)set(one, "beta", 0);
  save(other);
  hf_close(&one);
  hf_close(&other);
}

static void *wait_and_save(void *store) {
  save(store);
  return NULL;
}

static void *set_beta(void *store) {
  (void)set(store, "beta", 1);
  return NULL;
}

static void case_waiting(void) {
  pthread_t writer, setter;
  hf_store *one = fault_open(path), *other = fault_open(path);
  save(one);
  save(other);
  hold_alpha();
  FAULT_CHECK(pthread_create(&setter, NULL, set_beta, other) == 0, "no thread");
  fault_sleep_us(SOON_US); /* it is before the writer in the queue */
  FAULT_CHECK(pthread_create(&writer, NULL, wait_and_save, one) == 0, "no thread");
  fault_sleep_us(SOON_US);
  give_alpha();
  (void)pthread_join(setter, NULL);
  (void)pthread_join(writer, NULL);
  hf_close(&one);
  hf_close(&other);
}

static void *save_many(void *store) {
  for (int i = 0; i < SAVES; i++)
    save(store);
  return NULL;
}

static void case_threads(void) {
  pthread_t threads[THREADS];
  hf_store *shared = fault_open(path), *other = fault_open(path);
  for (int i = 0; i < THREADS; i++)
    FAULT_CHECK(pthread_create(&threads[i], NULL, save_many, shared) == 0, "no thread");
  for (int i = 0; i < CHANGES; i++) {
    hf_lock_holder holder;
    hf_info info;
    (void)set(i % 3 == 0 ? shared : other, i % 2 == 0 ? "beta" : "alpha", 1);
    (void)hf_lock_status(shared, &holder, NULL); /* while its leader follows */
    fault_must(hf_store_info(shared, &info, NULL), &(hf_error)HF_ERROR_INIT, "hf_store_info");
    FAULT_CHECK(strcmp(info.locker, i % 2 == 0 ? "beta" : "alpha") == 0, "the info says %s",
                info.locker);
    fault_sleep_us(2000);
  }
  for (int i = 0; i < THREADS; i++)
    (void)pthread_join(threads[i], NULL);
  hf_close(&shared);
  hf_close(&other);
  check_told();
}

static void *set_many(void *scheme) {
  hf_store *store = fault_open(path);
  for (int i = 0; i < CHANGES; i++) {
    (void)set(store, scheme, -1);
    save(store);
  }
  hf_close(&store);
  return NULL;
}

static void case_setters(void) {
  pthread_t threads[2];
  static char names[2][8] = {"alpha", "beta"};
  for (int i = 0; i < 2; i++)
    FAULT_CHECK(pthread_create(&threads[i], NULL, set_many, names[i]) == 0, "no thread");
  for (int i = 0; i < 2; i++)
    (void)pthread_join(threads[i], NULL);
  check_told();
}

/* The manifest as it was before: a crash between the record and the manifest. */
static void case_crash(void) {
  char manifest[FAULT_PATH_BYTES];
  char text[1024] = "";
  fault_path(manifest, path, "holdfast.json");
  FILE *file = fopen(manifest, "r");
  FAULT_CHECK(file != NULL && fgets(text, sizeof text, file) != NULL, "no manifest");
  (void)fclose(file);
  hf_store *one = fault_open(path);
  save(one);
  uint64_t seq = set(one, "beta", 1);
  check_choice(one, "beta", "beta");
  file = fopen(manifest, "w");
  FAULT_CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, "no manifest");
  check_choice(one, "beta", "alpha");
  hf_close(&one);
  one = fault_open(path);
  FAULT_CHECK(choice_of(one).seq == seq, "since seq %llu", (unsigned long long)choice_of(one).seq);
  save(one);
  (void)set(one, "beta", 0); /* tells the manifest */
  check_choice(one, "beta", "beta");
  hf_close(&one);
}

static int try_set(hf_store *store, const char *scheme, int force, uint64_t *ret_seq) {
  hf_set_locker_options options = {.timeout_ms = 1000, .force = force};
  return hf_set_locker(store, scheme, &options, ret_seq, NULL);
}

static void case_lost(void) {
  uint64_t seq = 0;
  hf_store *one = fault_open(path);
  save(one);
  int changed = try_set(one, "away", 0, &seq);
  FAULT_CHECK(changed == HF_EBACKEND, "a locker that is away was set: %d", changed);
  changed = try_set(one, "away", 1, &seq);
  FAULT_CHECK(changed == HF_EBACKEND, "a locker that is away was set by force: %d", changed);
  changed = try_set(one, "nobody-has-it", 1, &seq);
  FAULT_CHECK(changed == HF_ECONFIG, "a locker that is none was set by force: %d", changed);
  (void)set(one, "beta", 1);
  mode_put_away("beta", 1);
  changed = try_set(one, "alpha", 0, &seq);
  FAULT_CHECK(changed == HF_EBACKEND, "without its lock it was changed: %d", changed);
  changed = try_set(one, "alpha", 1, &seq);
  FAULT_CHECK(changed == 1, "with force: %d", changed);
  /* under none, on purpose */
  (void)snprintf(mode_all->under[seq], MODE_SCHEME_BYTES, "beta");
  save(one);
  hf_close(&one);
}

static void case_stale(void) {
  hf_store *one = fault_open(path), *busy = fault_open(path), *other = fault_open(path);
  save(one);
  save(busy);
  (void)set(other, "beta", 1);
  mode_put_away("alpha", 1); /* who was not told meets it */
  save(one);
  mode_put_away("alpha", 0);
  hold_alpha();
  mode_save_next(busy, 300); /* its time is up when it learns it: it asks once */
  give_alpha();
  hf_close(&one);
  hf_close(&busy);
  hf_close(&other);
}

static void case_asked(void) {
  pthread_t writer;
  hf_error error = HF_ERROR_INIT;
  hf_lock_holder holder;
  uint64_t seq = 0;
  uint64_t head = 0;
  hf_store *one = fault_open(path), *other = fault_open(path);
  save(one);
  hold_alpha();
  FAULT_CHECK(pthread_create(&writer, NULL, wait_and_save, one) == 0, "no thread");
  fault_sleep_us(SOON_US);
  mode_put_away("alpha", 1);
  int changed = try_set(other, "beta", 1, &seq);
  FAULT_CHECK(changed == 1, "with force: %d", changed);
  (void)snprintf(mode_all->under[seq], MODE_SCHEME_BYTES, "alpha"); /* under none, on purpose */
  fault_must(hf_head(one, &head, &error), &error, "hf_head");       /* reads the change */
  int held = hf_lock_status(one, &holder, &error);
  FAULT_CHECK(held == 0, "beta is said to be held: %d: %s", held, error.message);
  give_alpha();
  (void)pthread_join(writer, NULL);
  hf_close(&one);
  hf_close(&other);
}

static hf_store *open_configured(const char *locker, hf_config **ret_config) {
  char file[FAULT_PATH_BYTES];
  hf_fs fs;
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  fault_must(hf_fs_detect(path, &fs, &error), &error, "hf_fs_detect");
  fault_path(file, fault_folder(), "config.json");
  FILE *out = fopen(file, "w");
  FAULT_CHECK(out != NULL &&
                  fprintf(out, "{\"filesystems\":{\"%s\":\"%s\"}}", fs.acting_type, locker) > 0 &&
                  fclose(out) == 0,
              "no configuration");
  fault_must(hf_config_load(file, ret_config, &error), &error, "hf_config_load");
  hf_open_options options = {.config = *ret_config};
  fault_must(hf_open(path, &options, &store, &error), &error, "hf_open");
  return store;
}

static void must_refuse(hf_store *store, const char *words) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  hf_save_request request = {
      .key = {.run_id = "refused", .stage = "mode"}, .doc = "{}", .doc_bytes = 2};
  int status = hf_save(store, &request, TIMEOUT_MS, &saved, &error);
  FAULT_CHECK(status == HF_ECONFIG && strstr(error.message, words) != NULL,
              "against its configuration it answered %s: %s", hf_status_name(status),
              error.message);
}

static void case_refused(void) {
  hf_config *config = NULL;
  hf_lock_holder holder;
  hf_error error = HF_ERROR_INIT;
  hf_store *one = open_configured("beta", &config), *other = fault_open(path);
  must_refuse(one, "locker is alpha");
  FAULT_CHECK(hf_lock_status(one, &holder, &error) == 0, "%s", error.message);
  must_refuse(one, "locker is alpha"); /* alpha is open by now */
  int changed = hf_set_locker(one, "none", NULL, &(uint64_t){0}, &error);
  FAULT_CHECK(changed == HF_ECONFIG && strstr(error.message, "says beta") != NULL,
              "none was set: %d: %s", changed, error.message);
  (void)set(one, "beta", 1);
  save(one);
  (void)set(other, "alpha", 1);
  must_refuse(one, "locker is alpha");
  (void)set(other, "beta", 1);
  save(one);
  hf_close(&one);
  hf_close(&other);
  hf_config_free(&config);
}

static void case_beyond(void) {
  char mark[FAULT_PATH_BYTES];
  struct stat st;
  hf_store *one = fault_open(path);
  save(one);
  uint64_t seq = set(one, "beta", 1);
  hf_close(&one);
  fault_path(mark, path, "log/mark");
  FAULT_CHECK(stat(mark, &st) == 0 && truncate(mark, st.st_size - 1) == 0, "no mark");
  mode_put_away("alpha", 1); /* local: nobody asks it; shared: it cannot be known */
  one = fault_open(path);
  if (getenv("HF_TEST_SHARED") == NULL)
    FAULT_CHECK(choice_of(one).seq == seq, "the locker is %s", choice_of(one).scheme);
  else
    mode_put_away("alpha", 0);
  save(one);
  hf_close(&one);
}

static void case_storm(void) {
  mode_storm(path);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } cases[] = {{"behind", case_behind},   {"waiting", case_waiting}, {"threads", case_threads},
               {"setters", case_setters}, {"crash", case_crash},     {"lost", case_lost},
               {"stale", case_stale},     {"asked", case_asked},     {"refused", case_refused},
               {"beyond", case_beyond},   {"storm", case_storm}};
  const char *wanted = fault_option_text(argc, argv, "--case", NULL);
  mode_begin();
  size_t run = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (wanted != NULL && strcmp(wanted, cases[i].name) != 0)
      continue;
    fault_context("%s", cases[i].name);
    fault_path(path, fault_folder(), "store");
    mode_forget();
    fault_init(path, "alpha");
    cases[i].run();
    size_t changes = mode_check(path, strcmp(cases[i].name, "storm") == 0);
    (void)printf("mode %-8s: %llu saves, %zu changes of locker\n", cases[i].name,
                 (unsigned long long)atomic_load(&mode_all->next), changes);
    fault_remove_tree(path);
    run++;
  }
  FAULT_CHECK(run > 0, "there is no case %s", wanted);
  return 0;
}
