/* Applies patches by cJSON_Utils: a document and a patch a time, a line each, on stdin; the result
 * as a line on stdout, or "refused N". Built where libcjson_utils is (Debian 12 has it not). */
#include <cJSON.h>
#include <cJSON_Utils.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  char *document_line = NULL, *patch_line = NULL;
  size_t document_allocated = 0, patch_allocated = 0;
  while (getline(&document_line, &document_allocated, stdin) > 0 &&
         getline(&patch_line, &patch_allocated, stdin) > 0) {
    cJSON *document = cJSON_Parse(document_line), *patch = cJSON_Parse(patch_line);
    int refused = document == NULL || patch == NULL
                      ? -1
                      : cJSONUtils_ApplyPatchesCaseSensitive(document, patch);
    char *text = refused == 0 ? cJSON_PrintUnformatted(document) : NULL;
    if (text != NULL)
      (void)printf("%s\n", text);
    else
      (void)printf("refused %d\n", refused);
    (void)fflush(stdout);
    cJSON_free(text);
    cJSON_Delete(document);
    cJSON_Delete(patch);
  }
  free(document_line);
  free(patch_line);
  return 0;
}
