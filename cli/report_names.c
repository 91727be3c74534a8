#include "report_names.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

typedef struct name {
  const char *text;
  size_t number;
} name;

static int compare_names(const void *a, const void *b) {
  return strcmp(((const name *)a)->text, ((const name *)b)->text);
}

int hf_cli_names_add(hf_cli_names *names, const char *text, size_t *ret_number) {
  name sought = {text, 0};
  name **found = tfind(&sought, &names->tree, compare_names);
  if (found != NULL) {
    *ret_number = (*found)->number;
    return 0;
  }
  if (names->count == names->room) {
    size_t room = names->room > 0 ? 2 * names->room : 64;
    char **texts = reallocarray(names->texts, room, sizeof *texts);
    if (texts == NULL)
      return -1;
    names->texts = texts;
    names->room = room;
  }
  char *copy = strdup(text);
  name *made = malloc(sizeof *made);
  if (copy != NULL && made != NULL) {
    *made = (name){copy, names->count};
    if (tsearch(made, &names->tree, compare_names) != NULL) {
      names->texts[names->count] = copy;
      *ret_number = names->count++;
      return 0;
    }
  }
  free(copy);
  free(made);
  return -1;
}

void hf_cli_names_free(hf_cli_names *names) {
  tdestroy(names->tree, free);
  for (size_t i = 0; i < names->count; i++)
    free(names->texts[i]);
  free(names->texts);
  memset(names, 0, sizeof *names);
}
