#include "cli.h"
#include "output.h"

static void print_json(hf_cli *cli) {
  hf_cli_json json;
  hf_component component;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_text(&json, "holdfast", HF_VERSION);
  for (size_t i = 0; hf_component_at(i, &component) == 1; i++)
    hf_cli_json_text(&json, component.name, component.version);
  hf_cli_json_name(&json, "lockers");
  hf_cli_out_text(cli, "[");
  for (size_t i = 0; hf_locker_scheme_at(i) != NULL; i++) {
    if (i > 0)
      hf_cli_out_text(cli, ",");
    hf_cli_json_string(cli, hf_locker_scheme_at(i));
  }
  hf_cli_out_text(cli, "]");
  hf_cli_json_end(&json);
}

static int run_version(hf_cli *cli) {
  hf_component component;
  if (cli->args.json) {
    print_json(cli);
    return HF_CLI_DONE;
  }
  hf_cli_out_format(cli, "holdfast %s\n", HF_VERSION);
  for (size_t i = 0; hf_component_at(i, &component) == 1; i++)
    hf_cli_out_format(cli, "%s %s\n", component.name, component.version);
  hf_cli_out_text(cli, "lockers");
  for (size_t i = 0; hf_locker_scheme_at(i) != NULL; i++)
    hf_cli_out_format(cli, " %s", hf_locker_scheme_at(i));
  hf_cli_out_text(cli, "\n");
  return HF_CLI_DONE;
}

const hf_cli_command hf_cli_command_version = {
    .name = "version",
    .synopsis = "version",
    .summary = "versions of the program and of its libraries",
    .details = "Prints the program's version, those of the libraries that it runs with (which may "
               "be newer than the ones it was built with), and the lockers it has. With --json: "
               "holdfast, libholdfast, cjson, libcrypto, lockers (a list).",
    .examples = "holdfast version --json",
    .run = run_version,
};
