/* Prints so many lines for `holdfast save --batch`: the documents of bench_history, in 1,000
 * groups.
 *
 * batch_lines COUNT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "document.h"

enum { GROUPS = 1000 };

int main(int argc, char **argv) {
  hf_bench_document d;
  uint64_t count = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
  if (count == 0) {
    (void)fprintf(stderr, "usage: batch_lines COUNT\n");
    return 2;
  }
  for (uint64_t i = 0; i < count; i++) {
    hf_bench_document_make(i, &d);
    (void)printf("{\"run_id\":\"%s\",\"stage\":\"train\",\"group\":\"group-%d\",\"doc\":%s}\n",
                 d.run_id, (int)(i % GROUPS), d.text);
  }
  return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 1;
}
