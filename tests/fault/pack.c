/* Packing, and everything that may happen to who packs and to who is packed away meanwhile:
 *
 *     pack [--case NAME] [--seed N]
 *
 *   killed    packers are killed by SIGKILL again and again, at random instants and at each of
 *             their steps, while others save, read and verify; in publish and in journal mode
 *   paused    a writer is stopped before its link (after it) while 300 saves and a packing pass it
 *             by, without a lock and with one that is taken from it, and then goes on; in journal
 *             mode one that has appended, and has not flushed: it goes on, or is killed
 *   sleeper   a packer is stopped between its comparison and its unlinks, for as long as it takes
 *             others to pack further tiles and to kill a packer
 *   differs   something else stands where the tile belongs: nothing is moved
 *   hidden    a loose file stands under a name that a tile covers: no reader sees it
 *   merges    a packer is killed at each of its calls while it merges the indexes of 16 tiles
 *
 * Each save that was acknowledged is there once, at its seq, and verify finds no damage. */
#include <stdio.h>
#include <string.h>

#include "lib_pack.h"

int main(int argc, char **argv) {
  const char *sleeper = fault_option_text(argc, argv, "--sleeper", NULL);
  const char *wanted = fault_option_text(argc, argv, "--case", NULL);
  size_t run = 0;
  if (sleeper != NULL) /* started by "paused" */
    pack_sleep_and_save(sleeper);
  pack_seed = fault_option(argc, argv, "--seed", 1);
  for (const pack_case *one = pack_cases; one->name != NULL; one++) {
    if (wanted != NULL && strcmp(wanted, one->name) != 0)
      continue;
    fault_context("%s", one->name);
    one->run();
    run++;
  }
  FAULT_CHECK(run > 0, "there is no case %s", wanted);
  return 0;
}
