#include "config.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/locker.h>

#include "buf.h"
#include "err.h"
#include "json.h"

#include "banned.h"

/* No error here prints a value of lockers: a url may hold a password. */

enum { PATH_BYTES = 256, OPTIONS_MAX = 64, LOCKERS_LISTED_MAX = 32 };

static void delete_json(cJSON **json) {
  cJSON_Delete(*json);
}
#define autojson __attribute__((cleanup(delete_json))) cJSON

static const char *type_name(const cJSON *value) {
  if (cJSON_IsObject(value))
    return "an object";
  if (cJSON_IsArray(value))
    return "an array";
  if (cJSON_IsString(value))
    return "a string";
  if (cJSON_IsNumber(value))
    return "a number";
  if (cJSON_IsBool(value))
    return "true or false";
  return "null";
}

/* A member's path, for messages: "lockers.redis" + "url". One that is too long ends in "...". */
static const char *join(char path[PATH_BYTES], const char *parent, const char *name) {
  int bytes = snprintf(path, PATH_BYTES, "%s%s%s", parent, parent[0] != '\0' ? "." : "", name);
  if (bytes < 0 || bytes >= PATH_BYTES)
    memcpy(path + PATH_BYTES - sizeof "...", "...", sizeof "...");
  return path;
}

static int wrong_type(const hf_config *config, const char *parent, const cJSON *value,
                      const char *wanted, hf_error *reterr) {
  char path[PATH_BYTES];
  return hf_err(reterr, HF_ECONFIG, config->path, "%s must be %s, not %s",
                join(path, parent, value->string), wanted, type_name(value));
}

/* Each member's name stands once, and is one of `names` (NULL: any). */
static int check_members(const hf_config *config, const cJSON *object, const char *parent,
                         const char *const *names, hf_error *reterr) {
  char path[PATH_BYTES];
  for (const cJSON *member = object->child; member != NULL; member = member->next) {
    join(path, parent, member->string);
    for (const cJSON *other = object->child; other != member; other = other->next)
      if (strcmp(other->string, member->string) == 0)
        return hf_err(reterr, HF_ECONFIG, config->path, "%s stands twice; remove one", path);
    size_t i = 0;
    while (names != NULL && names[i] != NULL && strcmp(names[i], member->string) != 0)
      i++;
    if (names == NULL || names[i] != NULL)
      continue;
    const char *nearest = hf_config_nearest(member->string, names);
    if (nearest != NULL)
      return hf_err(reterr, HF_ECONFIG, config->path, "there is no setting %s; is %s meant?", path,
                    nearest);
    hf_autobuf known = {0};
    for (size_t j = 0; names[j] != NULL; j++)
      (void)hf_buf_printf(&known, "%s%s", j > 0 ? ", " : "", names[j]);
    return hf_err(reterr, HF_ECONFIG, config->path, "there is no setting %s; here may stand: %s",
                  path, known.failed == 0 && known.data != NULL ? known.data : "nothing");
  }
  return HF_OK;
}

/* The schemes that may be named, for messages; ends with NULL. */
static void list_schemes(const char *names[LOCKERS_LISTED_MAX + 2]) {
  size_t count = 0;
  for (; count < LOCKERS_LISTED_MAX && hf_locker_scheme_at(count) != NULL; count++)
    names[count] = hf_locker_scheme_at(count);
  if (hf_locker_find("redis") == NULL)
    names[count++] = "redis";
  names[count] = NULL;
}

static int add_pair(hf_config_pair **pairs, size_t *count, const char *name, const char *value,
                    size_t value_bytes) {
  if (*pairs == NULL)
    *pairs = calloc(HF_CONFIG_PAIRS_MAX, sizeof **pairs);
  if (*pairs == NULL)
    return HF_ENOMEM;
  if (*count == HF_CONFIG_PAIRS_MAX)
    return HF_ELIMIT;
  hf_autofree char *name_copy = strdup(name);
  hf_autofree char *value_copy = strndup(value, value_bytes);
  if (name_copy == NULL || value_copy == NULL)
    return HF_ENOMEM;
  (*pairs)[(*count)++] = (hf_config_pair){.name = hf_take(name_copy), .value = hf_take(value_copy)};
  return HF_OK;
}

static int pair_failed(const hf_config *config, int status, const char *what, hf_error *reterr) {
  if (status == HF_ENOMEM)
    return hf_err_nomem(reterr);
  return hf_err(reterr, HF_ECONFIG, config->path, "%s names more than %d", what,
                HF_CONFIG_PAIRS_MAX);
}

/* ---- filesystems ---- */

static int take_filesystems(hf_config *config, const cJSON *object, hf_error *reterr) {
  const char *schemes[LOCKERS_LISTED_MAX + 2];
  hf_fs limits;
  int status = check_members(config, object, "filesystems", NULL, reterr);
  list_schemes(schemes);
  for (const cJSON *member = object->child; status == HF_OK && member != NULL;
       member = member->next) {
    size_t bytes = strlen(member->string);
    if (bytes == 0 || bytes >= sizeof limits.type)
      return hf_err(reterr, HF_ECONFIG, config->path,
                    "filesystems: a type is 1 to %zu characters, as in /proc/self/mountinfo",
                    sizeof limits.type - 1);
    if (!cJSON_IsString(member))
      return wrong_type(config, "filesystems", member, "a locker's name", reterr);
    if (!hf_config_is_scheme(member->valuestring)) {
      const char *nearest = hf_config_nearest(member->valuestring, schemes);
      return hf_err(reterr, HF_ECONFIG, config->path,
                    "filesystems.%s: there is no locker \"%.64s\"; %s%s", member->string,
                    member->valuestring,
                    nearest != NULL ? "is meant: " : "there are flock, redis, none",
                    nearest != NULL ? nearest : "");
    }
    int added = add_pair(&config->filesystems, &config->filesystems_count, member->string,
                         member->valuestring, strlen(member->valuestring));
    if (added != HF_OK)
      status = pair_failed(config, added, "filesystems", reterr);
  }
  return status;
}

/* ---- lockers ---- */

static int is_whole(const cJSON *value, double low, double high) {
  return cJSON_IsNumber(value) && value->valuedouble >= low && value->valuedouble <= high &&
         (double)(int64_t)value->valuedouble == value->valuedouble;
}

static int is_texts(const cJSON *value) {
  int are_strings = cJSON_IsArray(value);
  for (const cJSON *one = are_strings ? value->child : NULL; one != NULL; one = one->next)
    are_strings = are_strings && cJSON_IsString(one) && one->valuestring[0] != '\0';
  return are_strings;
}

static int check_option(const hf_config *config, const char *parent, const cJSON *member,
                        const hf_locker_option *option, hf_error *reterr) {
  char path[PATH_BYTES];
  join(path, parent, member->string);
  switch (option->kind) {
  case HF_LOCKER_OPTION_TEXT:
    if (!cJSON_IsString(member))
      return wrong_type(config, parent, member, "a string", reterr);
    break;
  case HF_LOCKER_OPTION_NUMBER:
    if (!is_whole(member, (double)option->low, (double)option->high))
      return hf_err(reterr, HF_ECONFIG, config->path,
                    "%s must be a whole number of %s, %lld to %lld", path, option->meaning,
                    (long long)option->low, (long long)option->high);
    break;
  case HF_LOCKER_OPTION_TEXTS:
    if (!is_texts(member))
      return hf_err(reterr, HF_ECONFIG, config->path, "%s must be an array of strings, each \"%s\"",
                    path, option->meaning);
    break;
  }
  return HF_OK;
}

/* The members that the locker knows, each of its kind. */
static int check_options(const hf_config *config, const cJSON *object,
                         const hf_locker_option *options, hf_error *reterr) {
  char parent[PATH_BYTES];
  const char *names[OPTIONS_MAX + 1];
  size_t count = 0;
  join(parent, "lockers", object->string);
  while (count < OPTIONS_MAX && options[count].name != NULL) {
    names[count] = options[count].name;
    count++;
  }
  names[count] = NULL;
  int status = check_members(config, object, parent, names, reterr);
  for (const cJSON *member = object->child; status == HF_OK && member != NULL;
       member = member->next) {
    size_t i = 0;
    while (strcmp(names[i], member->string) != 0)
      i++; /* check_members has found it */
    status = check_option(config, parent, member, &options[i], reterr);
  }
  return status;
}

/* The options' text as it was written: a locker of a program may want numbers that no double
 * holds. */
static int take_options(hf_config *config, const hf_json *lockers, const char *scheme,
                        hf_error *reterr) {
  hf_json options;
  if (!hf_json_member(lockers, scheme, &options))
    return hf_err(reterr, HF_ECONFIG, config->path, "lockers.%s cannot be read", scheme);
  int added =
      add_pair(&config->lockers, &config->lockers_count, scheme, options.text, options.bytes);
  return added == HF_OK ? HF_OK : pair_failed(config, added, "lockers", reterr);
}

static int take_lockers(hf_config *config, const cJSON *object, const hf_json *text,
                        hf_error *reterr) {
  const char *schemes[LOCKERS_LISTED_MAX + 2];
  list_schemes(schemes);
  int status = check_members(config, object, "lockers", schemes, reterr);
  for (const cJSON *member = object->child; status == HF_OK && member != NULL;
       member = member->next) {
    if (!cJSON_IsObject(member))
      return wrong_type(config, "lockers", member, "an object", reterr);
    const hf_locker_ops *ops = hf_locker_find(member->string);
    if (ops != NULL && ops->options != NULL)
      status = check_options(config, member, ops->options, reterr);
    else if (ops == NULL && strcmp(member->string, "redis") == 0)
      continue; /* a build without it: its stores cannot be saved into, and say so */
    else if (member->child == NULL)
      continue; /* an empty object says nothing */
    else if (ops == NULL || ops->check_options == NULL)
      status = hf_err(reterr, HF_ECONFIG, config->path,
                      "lockers.%s: this locker has no options; remove lockers.%s", member->string,
                      member->string);
    if (status == HF_OK)
      status = take_options(config, text, member->string, reterr);
  }
  return status;
}

/* ---- limits ---- */

static int take_limits(hf_config *config, const cJSON *object, hf_error *reterr) {
  static const char *const names[] = {"document_bytes_max", NULL};
  int status = check_members(config, object, "limits", names, reterr);
  if (status < 0)
    return status;
  const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(object, "document_bytes_max");
  if (bytes == NULL)
    return HF_OK;
  if (!is_whole(bytes, 1, (double)HF_CONFIG_DOCUMENT_BYTES_MAX))
    return hf_err(reterr, HF_ECONFIG, config->path,
                  "limits.document_bytes_max must be a whole number of bytes, 1 to %llu",
                  (unsigned long long)HF_CONFIG_DOCUMENT_BYTES_MAX);
  config->document_bytes_max = (uint64_t)bytes->valuedouble;
  return HF_OK;
}

/* ---- packing ---- */

static int take_packing(hf_config *config, const cJSON *object, hf_error *reterr) {
  static const char *const names[] = {"automatic", NULL};
  int status = check_members(config, object, "packing", names, reterr);
  if (status < 0)
    return status;
  const cJSON *automatic = cJSON_GetObjectItemCaseSensitive(object, "automatic");
  if (automatic != NULL && !cJSON_IsBool(automatic))
    return wrong_type(config, "packing", automatic, "true or false", reterr);
  config->packs_not = cJSON_IsFalse(automatic);
  return HF_OK;
}

/* ---- stats ---- */

static int take_stats(hf_config *config, const cJSON *object, hf_error *reterr) {
  static const char *const names[] = {"writers", NULL};
  int status = check_members(config, object, "stats", names, reterr);
  if (status < 0)
    return status;
  const cJSON *writers = cJSON_GetObjectItemCaseSensitive(object, "writers");
  if (writers != NULL && !cJSON_IsBool(writers))
    return wrong_type(config, "stats", writers, "true or false", reterr);
  config->counts_not = cJSON_IsFalse(writers);
  return HF_OK;
}

/* ---- the whole ---- */

/* JSON that is not JSON, with its line and column behind the file's name. */
static int check_json(const hf_config *config, const char *text, size_t bytes, hf_error *reterr) {
  hf_error broken = HF_ERROR_INIT;
  char place[HF_ERROR_PLACE_BYTES];
  int status =
      hf_json_check(text, bytes, HF_JSON_OBJECT_ONLY, HF_CONFIG_NESTING_MAX, NULL, NULL, &broken);
  if (status == HF_OK)
    return HF_OK;
  if (status == HF_ENOMEM)
    return hf_err_nomem(reterr);
  (void)snprintf(place, sizeof place, "%.350s: %.150s", config->path, broken.place);
  return hf_err(reterr, HF_ECONFIG, place, "%s", broken.message);
}

static int take_all(hf_config *config, const cJSON *root, const hf_json *text, hf_error *reterr) {
  static const char *const names[] = {"filesystems", "lockers", "limits", "packing",
                                      "stats",       "compare", NULL};
  hf_json lockers = {0}, compare = {0};
  int status = check_members(config, root, "", names, reterr);
  (void)hf_json_member(text, "lockers", &lockers);
  (void)hf_json_member(text, "compare", &compare);
  for (const cJSON *member = root->child; status == HF_OK && member != NULL;
       member = member->next) {
    if (!cJSON_IsObject(member))
      status = wrong_type(config, "", member, "an object", reterr);
    else if (strcmp(member->string, "filesystems") == 0)
      status = take_filesystems(config, member, reterr);
    else if (strcmp(member->string, "lockers") == 0)
      status = take_lockers(config, member, &lockers, reterr);
    else if (strcmp(member->string, "limits") == 0)
      status = take_limits(config, member, reterr);
    else if (strcmp(member->string, "stats") == 0)
      status = take_stats(config, member, reterr);
    else if (strcmp(member->string, "compare") == 0)
      status = hf_compare_parse(&config->compare, config->path, &compare, reterr);
    else
      status = take_packing(config, member, reterr);
  }
  return status;
}

int hf_config_parse(hf_config *config, const char *text, size_t bytes, const char *redis_url,
                    hf_error *reterr) {
  int status = check_json(config, text, bytes, reterr);
  if (status < 0)
    return status;
  autojson *root = cJSON_ParseWithLength(text, bytes);
  if (root == NULL)
    return hf_err_nomem(reterr); /* what it cannot parse did not pass the check */
  hf_json whole = hf_json_value(text, bytes);
  status = take_all(config, root, &whole, reterr);
  if (status == HF_OK && redis_url != NULL)
    status = hf_config_set_redis_url(config, redis_url, reterr);
  return status;
}

int hf_config_set_redis_url(hf_config *config, const char *url, hf_error *reterr) {
  hf_config_pair *redis = NULL;
  for (size_t i = 0; i < config->lockers_count; i++)
    if (strcmp(config->lockers[i].name, "redis") == 0)
      redis = &config->lockers[i];
  autojson *options = redis != NULL ? cJSON_Parse(redis->value) : cJSON_CreateObject();
  if (options == NULL)
    return hf_err_nomem(reterr);
  cJSON_DeleteItemFromObjectCaseSensitive(options, "url");
  hf_autofree char *text =
      cJSON_AddStringToObject(options, "url", url) != NULL ? cJSON_PrintUnformatted(options) : NULL;
  if (text == NULL)
    return hf_err_nomem(reterr);
  if (redis == NULL) {
    int added = add_pair(&config->lockers, &config->lockers_count, "redis", text, strlen(text));
    return added == HF_OK ? HF_OK : pair_failed(config, added, "lockers", reterr);
  }
  free(redis->value);
  redis->value = hf_take(text);
  return HF_OK;
}
