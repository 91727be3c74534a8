#include "document.h"

#include <inttypes.h>
#include <stdlib.h>

#include "errors.h"
#include "output.h"

int hf_cli_check_print(const hf_cli *cli) {
  if (cli->args.meta && cli->args.pointer != NULL)
    return hf_cli_usage(cli, "--meta", "and --pointer exclude each other");
  return HF_CLI_DONE;
}

static int print_meta(hf_cli *cli, const hf_record *record) {
  char *text = NULL;
  size_t bytes = 0;
  hf_error err = HF_ERROR_INIT;
  if (hf_record_json(record, &text, &bytes, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  hf_cli_out(cli, text, bytes);
  hf_cli_out_text(cli, "\n");
  free(text);
  return HF_CLI_DONE;
}

static int print_pointer(hf_cli *cli, const hf_record *record) {
  const char *pointer = cli->args.pointer;
  const char *value = NULL;
  size_t bytes = 0;
  hf_error err = HF_ERROR_INIT;
  int found = hf_json_pointer(record->doc, record->doc_bytes, pointer, &value, &bytes, &err);
  if (found == HF_EINVAL)
    return hf_cli_library_error(cli, "--pointer", &err);
  if (found < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (found == 0) {
    hf_cli_error(cli, cli->store_path, "seq %" PRIu64 " has nothing at \"%s\"", record->seq,
                 pointer);
    return HF_CLI_NOT_FOUND;
  }
  hf_cli_out(cli, value, bytes);
  hf_cli_out_text(cli, "\n");
  return HF_CLI_DONE;
}

int hf_cli_print_record(hf_cli *cli, const hf_record *record) {
  if (cli->args.meta)
    return print_meta(cli, record);
  if (record->doc == NULL) {
    hf_cli_error(cli, cli->store_path,
                 "seq %" PRIu64 " is no snapshot (its op is \"%s\"); --meta shows it", record->seq,
                 record->op);
    return HF_CLI_NOT_FOUND;
  }
  if (cli->args.pointer != NULL)
    return print_pointer(cli, record);
  hf_cli_out(cli, record->doc, record->doc_bytes);
  hf_cli_out_text(cli, "\n");
  return HF_CLI_DONE;
}

static void tell_unread(const hf_cli *cli, const hf_unread *unread, const char *what) {
  if (unread->count == 1)
    hf_cli_warning(cli, cli->store_path,
                   "seq %" PRIu64 " cannot be read and was passed over: it may have been %s; run "
                   "holdfast verify",
                   unread->last_seq, what);
  else if (unread->count > 1)
    hf_cli_warning(cli, cli->store_path,
                   "%" PRIu64
                   " records cannot be read and were passed over, the last one seq %" PRIu64
                   ": one of them may have been %s; run holdfast verify",
                   unread->count, unread->last_seq, what);
}

int hf_cli_get_find(hf_cli *cli, const hf_key *key, uint64_t at, hf_record **ret_record,
                    hf_error *reterr) {
  hf_unread unread = {0, 0};
  int got = hf_get_find(cli->store, key, at, ret_record, &unread, reterr);
  if (got >= 0)
    tell_unread(cli, &unread, got == 1 ? "a later revision" : "this one");
  return got;
}

int hf_cli_prev_find(hf_cli *cli, const hf_prev_query *query, hf_record **ret_record,
                     hf_error *reterr) {
  hf_unread unread = {0, 0};
  int got = hf_prev_find(cli->store, query, ret_record, &unread, reterr);
  if (got >= 0)
    tell_unread(cli, &unread, "the previous one");
  return got;
}
