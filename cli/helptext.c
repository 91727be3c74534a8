#include "helptext.h"

#include <stdio.h>

const char hf_cli_about[] =
    "Holdfast keeps the record of runs. Many processes save JSON snapshots of their runs into one "
    "directory, the store. Every save gets the next number of one sequence, the seq, is durable "
    "before it is acknowledged, and is never lost, doubled or reordered, whatever is killed or "
    "paused meanwhile.\n"
    "\n"
    "A snapshot is saved under a key: run_id, stage, and dims (optional name=value pairs). The "
    "same "
    "key saved again with another document gets a new seq; the highest one is current, older ones "
    "stay in the history. Snapshots are comparable if they have the same group, stage and dims, "
    "and "
    "different run_ids.\n"
    "\n"
    "Results go to standard output, everything else to standard error. The global options may "
    "stand "
    "before or after the command. Durations are written as 500ms, 30s, 5m or 2h.\n"
    "\n"
    "Limits: run_id 1 to 512 bytes of UTF-8 without control characters, stage 1 to 128, 16 dims "
    "with names up to 64 bytes and values up to 256, group 1,024, a document 64 MiB "
    "(limits.document_bytes_max of the configuration), nested up to 512 deep. The "
    "configuration is one JSON object: filesystems (a type and its locker), lockers (options), "
    "limits (document_bytes_max), packing (automatic: false leaves packing to holdfast pack), "
    "stats (writers: false keeps what writers count out of the store), "
    "compare (the rules of holdfast diff).";

const hf_cli_text_row hf_cli_exit_rows[] = {
    {"0", "done"},
    {"1", "failed: I/O, a damaged store, a bad document"},
    {"2", "wrong use of the command line or of the configuration"},
    {"3",
     "not found: no such snapshot, no previous one, no baseline yet; or what was waited for did "
     "not come"},
    {"4",
     "conflict: it exists (--if-absent), the seq is another one (--if-seq), or the attempt with "
     "this --id was ended; nothing was saved. Of diff: the snapshots are not comparable"},
    {"5", "the lock was not granted in time, or its backend cannot be reached; nothing was saved"},
    {"6", "unknown: published, but its durability could not be confirmed; holdfast resolve ID "
          "settles it"},
    {"7", "compared, and more than what is allowed: a change as grave as diff --fail-on says, or a "
          "run that baseline check finds worse"},
};
const size_t hf_cli_exit_rows_count = HF_CLI_COUNT(hf_cli_exit_rows);

const hf_cli_text_row hf_cli_environment_rows[] = {
    {"HOLDFAST_STORE", "the store, where --store is not given"},
    {"HOLDFAST_CONFIG", "the configuration, where --config is not given"},
    {"HOLDFAST_REDIS_URL", "stands in for lockers.redis.url of the configuration"},
};
const size_t hf_cli_environment_rows_count = HF_CLI_COUNT(hf_cli_environment_rows);

const hf_cli_text_row hf_cli_file_rows[] = {
    {"holdfast.json", "in a folder: it is a store. Without --store and HOLDFAST_STORE the nearest "
                      "one at or above the current folder is used"},
    {"~/.config/holdfast/config.json",
     "the configuration, where neither --config nor HOLDFAST_CONFIG names one (XDG_CONFIG_HOME in "
     "place of ~/.config, where it is set)"},
    {"/etc/holdfast/config.json", "the configuration, where that one does not exist either"},
};
const size_t hf_cli_file_rows_count = HF_CLI_COUNT(hf_cli_file_rows);

void hf_cli_option_text(const hf_cli_option *option, char *text, size_t bytes) {
  char letter[8] = "";
  if (option->letter != 0)
    (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
  (void)snprintf(text, bytes, "%s--%s%s%s", letter, option->name, option->arg != NULL ? " " : "",
                 option->arg != NULL ? option->arg : "");
}
