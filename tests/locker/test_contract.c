/* The one suite that every locker must pass. See contract.h.
 *
 *     test_contract [RUN]      the lockers of this run; without it, those that need no server */
#include "contract.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int contract_begin;
int contract_end;

static int is_of(int row, const char *run) {
  const char *its = contract_schemes[row].run;
  return its == NULL || run == NULL ? its == run : strcmp(its, run) == 0;
}

static int choose(const char *run) {
  while (contract_begin < contract_schemes_count && !is_of(contract_begin, run))
    contract_begin++;
  contract_end = contract_begin;
  while (contract_end < contract_schemes_count && is_of(contract_end, run))
    contract_end++;
  return contract_end > contract_begin;
}

static void remove_folder(const char *path) {
  DIR *dir = opendir(path);
  if (dir == NULL)
    return;
  for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
    (void)unlinkat(dirfd(dir), entry->d_name, 0);
  closedir(dir);
  (void)rmdir(path);
}

static int make_places(void) {
  const char *below = getenv("TMPDIR");
  for (int i = contract_begin; i < contract_end; i++) {
    contract_place *place = &contract_places[i];
    snprintf(place->store, sizeof place->store, "%s/hf-locker-XXXXXX",
             below != NULL ? below : "/tmp");
    if (mkdtemp(place->store) == NULL) {
      perror(place->store);
      return 1;
    }
    int failed = contract_schemes[i].set_up != NULL ? contract_schemes[i].set_up(place) : 0;
    if (failed != 0) {
      fprintf(stderr, "%s: cannot be set up (%d)\n", contract_schemes[i].scheme, failed);
      return failed == 77 ? 77 : 1;
    }
  }
  return 0;
}

static void remove_places(void) {
  for (int i = contract_begin; i < contract_end; i++) {
    if (contract_schemes[i].tear_down != NULL)
      contract_schemes[i].tear_down(&contract_places[i]);
    remove_folder(contract_places[i].store);
  }
}

int main(int argc, char **argv) {
  if (!choose(argc > 1 ? argv[1] : NULL)) {
    fprintf(stderr, "there is no run %s\n", argc > 1 ? argv[1] : "");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  int failed = make_places();
  if (failed == 0) {
    Suite *suite = suite_create("locker contract");
    contract_add_exclusion(suite);
    contract_add_waiting(suite);
    contract_add_death(suite);
    contract_add_holder(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner) != 0;
    srunner_free(runner);
  }
  remove_places();
  return failed;
}
