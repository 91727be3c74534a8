/* main.c STORE: what a program outside the project does with the library: makes a store, saves,
 * reads. */
#include <stdio.h>
#include <string.h>

#include <holdfast/holdfast.h>

static int failed(const char *what, const hf_error *error) {
  fprintf(stderr, "%s: %s: %s (%s)\n", what, error->place, error->message,
          hf_status_name(error->code));
  return 1;
}

int main(int argc, char **argv) {
  static const char document[] = "{ \"x\": 0.10 }";
  hf_error error = HF_ERROR_INIT;
  hf_init_options init = {NULL, "none", 1}; /* any filesystem will do */
  if (argc != 2 || strcmp(hf_version(), HF_VERSION) != 0)
    return 2;
  if (hf_init(argv[1], &init, NULL, &error) != HF_OK)
    return failed("init", &error);
  hf_store *store = NULL;
  if (hf_open(argv[1], NULL, &store, &error) != HF_OK)
    return failed("open", &error);

  hf_save_request request;
  memset(&request, 0, sizeof request);
  request.key.run_id = "run-1";
  request.key.stage = "final";
  request.doc = document;
  request.doc_bytes = sizeof document - 1;
  hf_saved saved;
  int status = hf_save(store, &request, -1, &saved, &error);
  hf_record *record = NULL;
  if (status == HF_OK)
    status = hf_get_seq(store, saved.seq, &record, &error);
  if (status == 1)
    printf("seq %llu: %s\n", (unsigned long long)record->seq, record->doc);
  hf_record_free(&record);
  hf_close(&store);
  return status == 1 ? 0 : failed("save and get", &error);
}
