/* gc and retire, and everything that may happen to who runs them and to who saves and reads
 * meanwhile:
 *
 *     gc [--case NAME] [--seed N]
 *
 *   killed    gcs are killed by SIGKILL again and again, at random instants and at each of their
 *             steps, while others save, retire, read and verify
 *   judged    a snapshot is shown again, or made a baseline, while a gc that planned to drop it is
 *             stopped: it stays
 *   dedupe    a dropped document is saved again before its tile is written anew: it is there after
 *   moved     handles that were open before a tile was written anew find every record
 *   slept     a gc that slept renames an older tile over a newer one: nothing comes back
 *   told      each document that is gone has a record that says so
 *   collide   hashes that collide
 *   blob      a writer takes a blob that gc has looked at, and is killed behind its link
 *   meanwhile a gc comes between a reader's look at the log and its look at the tile
 *   aside     a writer saves a document whose blob gc has taken aside
 *
 * Each snapshot that should stay is there with its document, each seq stays, and verify finds no
 * damage. */
#include <stdio.h>
#include <string.h>

#include "lib_gc.h"

int main(int argc, char **argv) {
  const char *sleeper = fault_option_text(argc, argv, "--sleeper", NULL);
  const char *wanted = fault_option_text(argc, argv, "--case", NULL);
  size_t run = 0;
  if (sleeper != NULL)
    gc_run_sleeper(sleeper, fault_option(argc, argv, "--keep", 0));
  gc_seed = fault_option(argc, argv, "--seed", 1);
  for (const gc_case *one = gc_cases; one->name != NULL; one++) {
    if (wanted != NULL && strcmp(wanted, one->name) != 0)
      continue;
    fault_context("%s", one->name);
    one->run();
    run++;
  }
  if (wanted == NULL || strcmp(wanted, "killed") == 0) {
    gc_killed();
    run++;
  }
  FAULT_CHECK(run > 0, "there is no case %s", wanted);
  return 0;
}
