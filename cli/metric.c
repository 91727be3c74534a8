#include "metric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

int hf_cli_check_metric(const hf_cli *cli, const char *pointer) {
  const char *value = NULL;
  size_t bytes = strlen(pointer);
  hf_error err = HF_ERROR_INIT;
  if (bytes > HF_METRIC_BYTES_MAX)
    return hf_cli_usage(cli, "--metric", "the value is %zu bytes long; the limit is %d", bytes,
                        HF_METRIC_BYTES_MAX);
  if (bytes == 0)
    return hf_cli_usage(cli, "--metric", "is empty; it wants a JSON Pointer like /outputs/auc");
  if (hf_json_pointer("{}", 2, pointer, &value, &bytes, &err) < 0)
    return hf_cli_usage(cli, "--metric", "wants a JSON Pointer like /outputs/auc, not \"%.80s\"",
                        pointer);
  return HF_CLI_DONE;
}

int hf_cli_read_tolerance(const hf_cli *cli, const char *given, char *buffer,
                          hf_check_options *check) {
  static const hf_baseline any = {.metric = "/x", .value = "0", .goal = HF_GOAL_MAX};
  hf_error err = HF_ERROR_INIT;
  if (given == NULL)
    return HF_CLI_DONE;
  size_t bytes = strlen(given);
  int is_percent = bytes > 0 && given[bytes - 1] == '%';
  (void)snprintf(buffer, HF_CLI_TOLERANCE_BYTES, "%.*s", (int)(bytes - (size_t)is_percent), given);
  *(is_percent ? &check->tolerance_percent : &check->tolerance) = buffer;
  hf_checked *checked = malloc(sizeof *checked);
  if (checked == NULL)
    return hf_cli_no_memory(cli);
  int rc = hf_baseline_compare(&any, "0", 1, check, checked, &err);
  free(checked);
  if (rc == HF_OK)
    return HF_CLI_DONE;
  return hf_cli_usage(cli, "--tolerance",
                      "\"%s\" is no tolerance: write 0.01, or 2%% of the baseline", given);
}
