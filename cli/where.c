#include "where.h"

#include <stdio.h>
#include <string.h>

#include "errors.h"

static int add_where(const hf_cli *cli, hf_expr **expr) {
  const hf_cli_texts *where = &cli->args.where;
  for (size_t i = 0; i < where->count; i++) {
    hf_error err = HF_ERROR_INIT;
    const char *text = where->text[i];
    int status = *expr == NULL ? hf_expr_parse(text, strlen(text), expr, &err)
                               : hf_expr_and(*expr, text, strlen(text), &err);
    if (status != HF_OK)
      return hf_cli_expr_error(cli, "--where", where->count > 1 ? i + 1 : 0, &err);
  }
  return HF_CLI_DONE;
}

int hf_cli_filters(const hf_cli *cli, hf_list_options *options, hf_expr **ret_where) {
  const hf_cli_args *args = &cli->args;
  options->run_id = args->run_id;
  options->stage = args->stage;
  options->group = args->group;
  options->dims = args->dims;
  options->dims_count = args->dims_count;
  options->since = args->since.value;
  options->until = args->until.value;
  options->host = args->host;
  options->after = args->after;
  options->before = args->before;
  int status = add_where(cli, ret_where);
  options->where = *ret_where;
  return status;
}

int hf_cli_list_error(const hf_cli *cli, const hf_error *err) {
  char place[32];
  if (err->code != HF_EINVAL ||
      (strcmp(err->place, "after") != 0 && strcmp(err->place, "before") != 0))
    return hf_cli_library_error(cli, NULL, err);
  (void)snprintf(place, sizeof place, "--%.20s", err->place);
  return hf_cli_usage(cli, place, "%s", err->message);
}

int hf_cli_asks_for_nothing(const hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  return (args->until.given && args->until.value == 0) ||
         (args->limit.given && args->limit.value == 0);
}
