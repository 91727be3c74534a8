/* What mounts do, and what others do at the worst instant: replies that are lost, names that exist
 * and are not seen, and writers that are overtaken, ended or packed away between two of their
 * steps. Each case is a fresh store; most run as on a local and as on a shared filesystem.
 *
 *     shared [--case NAME] */
#include <stdio.h>
#include <string.h>

#include "lib_shared.h"

static const shared_case *const groups[] = {shared_mount_cases, shared_other_cases,
                                            shared_mark_cases};

int main(int argc, char **argv) {
  const char *only = fault_option_text(argc, argv, "--case", NULL);
  size_t ran = 0;
  for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
    for (const shared_case *one = groups[i]; one->name != NULL; one++)
      for (int which = 0; which < SHARED_PLACES; which++)
        if ((only == NULL || strcmp(only, one->name) == 0) &&
            (one->modes & (which == SHARED_AS_LOCAL ? SHARED_LOCAL : SHARED_SHARED)) != 0) {
          shared_run(one, which);
          ran++;
        }
  FAULT_CHECK(ran > 0, "there is no case %s", only);
  (void)printf("shared: %zu cases\n", ran);
  return 0;
}
