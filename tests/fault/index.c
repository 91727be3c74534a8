/* Indexes: whatever happens to them, and to who makes them, each answer is the one that a search
 * through all records gives.
 *
 *     index [--case NAME]
 *
 *   collide     keys, groups and ids whose hashes are the same: a hit is checked
 *   merge       sixteen files have become one
 *   gap         a file is gone between two others
 *   unreadable  a walk meets a file that cannot be read, at each of its reads: it ends with an
 *               error, or goes on without a gap
 *   anew        the log cannot be read anew while a walk is open
 *   forgotten   all are forgotten (verify --repair) while another process makes them, at each of
 *               its calls, and the other way round: index/mark tells of nothing that is gone
 *   mapped      a tile that a handle has mapped is cut: an error, and the process lives
 *   replaced    gc on another host puts new files in the place of indexes and a tile (NFS) */
#include <string.h>

#include "lib_index.h"

int main(int argc, char **argv) {
  const char *wanted = fault_option_text(argc, argv, "--case", NULL);
  size_t run = 0;
  for (const index_case *one = index_cases; one->name != NULL; one++) {
    if (wanted != NULL && strcmp(wanted, one->name) != 0)
      continue;
    fault_context("%s", one->name);
    one->run();
    run++;
  }
  FAULT_CHECK(run > 0, "there is no case %s", wanted);
  return 0;
}
