#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "errors.h"
#include "text.h"

enum {
  OPTIONS_MAX = 48,    /* of a command, with the global ones */
  LONG_VALUE = 0x1000, /* getopt's value of a long option: this + its index */
  NEAREST_MAX = 3      /* changes: beyond that no name is suggested */
};

const hf_cli_option hf_cli_global_options[] = {
    HF_CLI_OPT_TEXT("store", store, "DIR", 0, "the store"),
    HF_CLI_OPT_TEXT("config", config, "FILE", 0, "the configuration"),
    {"quiet", 'q', HF_CLI_FLAG, NULL, "errors only: no warnings, no progress",
     offsetof(hf_cli_args, quiet), 0, NULL},
    {"verbose", 'v', HF_CLI_FLAG, NULL, "tell on stderr what the library does",
     offsetof(hf_cli_args, verbose), 0, NULL},
    HF_CLI_OPT_FLAG("json", json, "results as one JSON object, or as one a line for lists"),
    {"help", 'h', HF_CLI_FLAG, NULL, "the help of the command, and nothing else",
     offsetof(hf_cli_args, help), 0, NULL},
    {"version", 0, HF_CLI_FLAG, NULL, "versions, and nothing else", offsetof(hf_cli_args, version),
     0, NULL},
};
const size_t hf_cli_global_options_count = HF_CLI_COUNT(hf_cli_global_options);

/* ---- values ---- */

int hf_cli_parse_number(const char *text, uint64_t *ret_value) {
  uint64_t value = 0;
  if (text[0] == '\0')
    return -1;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9')
      return -1;
    uint64_t digit = (uint64_t)(*text - '0');
    if (value > (UINT64_MAX - digit) / 10)
      return -1;
    value = value * 10 + digit;
  }
  *ret_value = value;
  return 0;
}

int hf_cli_parse_duration(const char *text, int64_t *ret_ms) {
  static const struct {
    const char *unit;
    uint64_t ms;
  } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
  char digits[20];
  size_t count = strspn(text, "0123456789");
  uint64_t value;
  if (count == 0 || count >= sizeof digits)
    return -1;
  memcpy(digits, text, count);
  digits[count] = '\0';
  if (hf_cli_parse_number(digits, &value) != 0)
    return -1;
  for (size_t i = 0; i < HF_CLI_COUNT(units); i++)
    if (strcmp(text + count, units[i].unit) == 0) {
      if (value > (uint64_t)INT64_MAX / units[i].ms)
        return -1;
      *ret_ms = (int64_t)(value * units[i].ms);
      return 0;
    }
  return -1;
}

static int too_long(const hf_cli *cli, const char *place, const char *what, size_t bytes,
                    size_t bytes_max) {
  return hf_cli_usage(cli, place, "%s is %zu bytes long; the limit is %zu", what, bytes, bytes_max);
}

/* value is argv's: it is cut in two at its first '='. */
static int set_dim(hf_cli *cli, const char *place, char *value) {
  hf_cli_args *args = &cli->args;
  char *equals = strchr(value, '=');
  if (equals == NULL || equals == value)
    return hf_cli_usage(cli, place, "wants NAME=VALUE, not \"%.80s\"", value);
  *equals = '\0';
  const char *dim_value = equals + 1;
  if (strlen(value) > HF_DIM_NAME_BYTES_MAX)
    return too_long(cli, place, "a name", strlen(value), HF_DIM_NAME_BYTES_MAX);
  if (strlen(dim_value) > HF_DIM_VALUE_BYTES_MAX)
    return too_long(cli, place, "a value", strlen(dim_value), HF_DIM_VALUE_BYTES_MAX);
  for (size_t i = 0; i < args->dims_count; i++)
    if (strcmp(args->dims[i].name, value) == 0)
      return hf_cli_usage(cli, place, "\"%s\" is given twice", value);
  if (args->dims_count == HF_DIMS_MAX)
    return hf_cli_usage(cli, place, "more than %d dims are given; that is the limit", HF_DIMS_MAX);
  args->dims[args->dims_count].name = value;
  args->dims[args->dims_count].value = dim_value;
  args->dims_count++;
  return HF_CLI_DONE;
}

static int is_choice(const char *choices, const char *value) {
  size_t bytes = strlen(value);
  for (const char *at = choices; *at != '\0';) {
    size_t length = strcspn(at, "|");
    if (length == bytes && memcmp(at, value, bytes) == 0)
      return 1;
    at += length + (at[length] == '|');
  }
  return 0;
}

static int set_option(hf_cli *cli, const hf_cli_option *option, char *value) {
  void *member = (char *)&cli->args + option->offset;
  char place[64];
  (void)snprintf(place, sizeof place, "--%s", option->name);
  switch (option->kind) {
  case HF_CLI_FLAG:
    *(int *)member = 1;
    return HF_CLI_DONE;
  case HF_CLI_TEXT:
    if (option->bytes_max > 0 && strlen(value) > option->bytes_max)
      return too_long(cli, place, "the value", strlen(value), option->bytes_max);
    if (option->choices != NULL && !is_choice(option->choices, value))
      return hf_cli_usage(cli, place, "\"%.80s\" is none of %s", value, option->choices);
    *(const char **)member = value;
    return HF_CLI_DONE;
  case HF_CLI_TEXTS: {
    hf_cli_texts *texts = member;
    if (texts->count == HF_CLI_TEXTS_MAX)
      return hf_cli_usage(cli, place, "is given more than %d times; that is the limit",
                          HF_CLI_TEXTS_MAX);
    texts->text[texts->count++] = value;
    return HF_CLI_DONE;
  }
  case HF_CLI_NUMBER:
    if (hf_cli_parse_number(value, &((hf_cli_number *)member)->value) != 0)
      return hf_cli_usage(cli, place, "wants a number, not \"%.80s\"", value);
    ((hf_cli_number *)member)->given = 1;
    return HF_CLI_DONE;
  case HF_CLI_DURATION:
    if (hf_cli_parse_duration(value, member) != 0)
      return hf_cli_usage(cli, place, "wants a duration like 500ms, 30s, 5m or 90d, not \"%.80s\"",
                          value);
    return HF_CLI_DONE;
  case HF_CLI_DIM:
    return set_dim(cli, place, value);
  }
  return HF_CLI_FAILED;
}

/* ---- getopt ---- */

typedef struct option_set {
  const hf_cli_option *options[OPTIONS_MAX];
  struct option longs[OPTIONS_MAX + 1];
  char shorts[2 * OPTIONS_MAX + 4];
  size_t count;
} option_set;

static int set_add(option_set *set, const hf_cli_option *options, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (set->count == OPTIONS_MAX)
      return -1;
    const hf_cli_option *option = &options[i];
    set->options[set->count] = option;
    set->longs[set->count] =
        (struct option){option->name, option->kind == HF_CLI_FLAG ? no_argument : required_argument,
                        NULL, LONG_VALUE + (int)set->count};
    set->count++;
    if (option->letter != 0) {
      size_t used = strlen(set->shorts);
      set->shorts[used] = option->letter;
      set->shorts[used + 1] = '\0';
    }
  }
  return 0;
}

static const hf_cli_option *set_find(const option_set *set, int value) {
  if (value >= LONG_VALUE && (size_t)(value - LONG_VALUE) < set->count)
    return set->options[value - LONG_VALUE];
  for (size_t i = 0; i < set->count; i++)
    if (set->options[i]->letter != 0 && set->options[i]->letter == value)
      return set->options[i];
  return NULL;
}

static int unknown_long(const hf_cli *cli, const option_set *set, const char *given) {
  char name[80];
  (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(given, "="), given);
  const char *bare = name[0] == '-' && name[1] == '-' ? name + 2 : name;
  const char *nearest = NULL;
  size_t nearest_distance = NEAREST_MAX + 1;
  size_t beginning = 0;
  for (size_t i = 0; i < set->count; i++) {
    size_t distance = hf_cli_distance(bare, set->options[i]->name);
    beginning += strncmp(bare, set->options[i]->name, strlen(bare)) == 0;
    if (distance < nearest_distance) {
      nearest = set->options[i]->name;
      nearest_distance = distance;
    }
  }
  if (beginning > 1 && bare[0] != '\0')
    return hf_cli_usage(cli, name, "is the beginning of several options");
  if (nearest != NULL && nearest_distance < strlen(bare))
    return hf_cli_usage(cli, name, "unknown option (did you mean --%s?)", nearest);
  return hf_cli_usage(cli, name, "unknown option");
}

/* Says what is wrong with the option that getopt did not take. `given` is what stands before
 * argv[optind]. */
static int bad_option(const hf_cli *cli, const option_set *set, const char *given) {
  char name[80];
  if (optopt == 0) /* getopt's sign for a long option that it does not know, or not for sure */
    return unknown_long(cli, set, given);
  const hf_cli_option *known = set_find(set, optopt);
  if (optopt >= LONG_VALUE && known != NULL) {
    (void)snprintf(name, sizeof name, "--%s", known->name);
    return hf_cli_usage(cli, name, "takes no value");
  }
  (void)snprintf(name, sizeof name, "-%c", optopt);
  return hf_cli_usage(cli, name, "unknown option");
}

static int read_set(hf_cli *cli, const option_set *set, int argc, char **argv) {
  opterr = 0;
  optind = 0; /* GNU: begin anew */
  for (;;) {
    int value = getopt_long(argc, argv, set->shorts, set->longs, NULL);
    if (value == -1)
      return HF_CLI_DONE;
    const char *given = optind > 0 ? argv[optind - 1] : "";
    if (value == ':')
      return hf_cli_usage(cli, given, "wants a value");
    const hf_cli_option *option = value == '?' ? NULL : set_find(set, value);
    if (option == NULL)
      return bad_option(cli, set, given);
    int status = set_option(cli, option, optarg);
    if (status != HF_CLI_DONE)
      return status;
  }
}

static int check_together(const hf_cli *cli) {
  if (cli->args.quiet && cli->args.verbose)
    return hf_cli_usage(cli, "--quiet", "and --verbose exclude each other");
  if (cli->args.store != NULL && cli->args.store[0] == '\0')
    return hf_cli_usage(cli, "--store", "wants a folder; it is empty");
  if (cli->args.config != NULL && cli->args.config[0] == '\0')
    return hf_cli_usage(cli, "--config", "wants a file; it is empty");
  return HF_CLI_DONE;
}

int hf_cli_read_globals(hf_cli *cli, int argc, char **argv, int *ret_next) {
  option_set set = {.shorts = "+:"}; /* '+': stop at the command */
  if (set_add(&set, hf_cli_global_options, hf_cli_global_options_count) != 0)
    return hf_cli_failed(cli, NULL, "too many options in the table");
  int status = read_set(cli, &set, argc, argv);
  *ret_next = optind;
  return status;
}

int hf_cli_read_options(hf_cli *cli, int argc, char **argv) {
  option_set set = {.shorts = ":"};
  if (set_add(&set, hf_cli_global_options, hf_cli_global_options_count) != 0 ||
      set_add(&set, cli->command->options, cli->command->options_count) != 0)
    return hf_cli_failed(cli, NULL, "too many options in the table");
  int status = read_set(cli, &set, argc, argv);
  if (status != HF_CLI_DONE)
    return status;
  cli->args.operands = argv + optind;
  cli->args.operands_count = argc - optind;
  return check_together(cli);
}
