/* A parsed configuration, and its parts: config.c finds and reads the file, config_parse.c checks
 * it, config_names.c knows which names there are. */
#ifndef HF_CORE_CONFIG_H
#define HF_CORE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/config.h>

#include "diff_rules.h"

enum {
  HF_CONFIG_BYTES_MAX = 1024 * 1024,
  HF_CONFIG_NESTING_MAX = 8,
  HF_CONFIG_PAIRS_MAX = 256 /* filesystems, and lockers, that one file may name */
};

#define HF_CONFIG_DOCUMENT_BYTES_MAX ((uint64_t)1024 * 1024 * 1024)

typedef struct hf_config_pair {
  char *name;
  char *value;
} hf_config_pair;

struct hf_config {
  char *path;                  /* NULL: built-in defaults */
  uint64_t document_bytes_max; /* 0: the default */
  int packs_not;               /* packing.automatic is false */
  int counts_not;              /* stats.writers is false */
  hf_config_pair *filesystems; /* a type and its locker's scheme */
  size_t filesystems_count;
  hf_config_pair *lockers; /* a scheme and its options' text */
  size_t lockers_count;
  hf_compare compare; /* the rules of hf_diff */
};

/* Checks the text (of the file config->path) and fills config. redis_url: HOLDFAST_REDIS_URL, or
 * NULL. Errors: HF_ECONFIG, HF_ENOMEM. */
int hf_config_parse(hf_config *config, const char *text, size_t bytes, const char *redis_url,
                    hf_error *reterr);

/* Puts the url into lockers.redis, which is made where it is absent. */
int hf_config_set_redis_url(hf_config *config, const char *url, hf_error *reterr);

/* Is there a locker of this scheme, in this program or in Holdfast at all ("redis")? */
int hf_config_is_scheme(const char *scheme);

/* What to say of a scheme that hf_locker_find does not find, behind its name: "is not in this
 * program", and why where that is known. */
const char *hf_config_scheme_absence(const char *scheme);

/* The one of `names` (which ends with NULL) that `name` is most likely a misspelling of, or NULL.
 */
const char *hf_config_nearest(const char *name, const char *const *names);

/* What the configuration itself says for this type of filesystem, "fuse" standing for "fuse.sshfs";
 * NULL: nothing. */
const char *hf_config_locker_named(const hf_config *config, const char *fs_type);

#endif
