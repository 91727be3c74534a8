#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <holdfast/holdfast.h>

#include "buf.h"
#include "err.h"
#include "fs.h"
#include "sys.h"

#include "banned.h"

/* A configuration is not a part of a store: symbolic links are followed (a mounted ConfigMap is
 * full of them). 1; 0: there is no such file; negative. */
static int read_file(const char *path, hf_buf *out, hf_error *reterr) {
  struct stat st;
  hf_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not the store */
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
    return 0;
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, path, "cannot open the configuration");
  if (hf_sys_fstat(fd, &st) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, path, "cannot examine the configuration");
  if (!S_ISREG(st.st_mode))
    return hf_err(reterr, HF_ECONFIG, path, "the configuration must be a file of JSON");
  if (st.st_size > HF_CONFIG_BYTES_MAX)
    return hf_err(reterr, HF_ECONFIG, path, "the configuration may have %d bytes at most",
                  HF_CONFIG_BYTES_MAX);
  if (hf_buf_reserve(out, (size_t)st.st_size) != 0)
    return hf_err_nomem(reterr);
  ssize_t got = hf_sys_pread_full(fd, out->data, (size_t)st.st_size, 0);
  if (got < 0)
    return hf_err_sys(reterr, HF_EIO, errno, path, "cannot read the configuration");
  out->used = (size_t)got;
  out->data[out->used] = '\0';
  return 1;
}

static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

/* The user's own file, or NULL where the environment does not tell a home. The caller frees. */
static int users_path(char **ret_path, hf_error *reterr) {
  hf_autobuf path = {0};
  const char *base = environment("XDG_CONFIG_HOME");
  const char *home = environment("HOME");
  *ret_path = NULL;
  if (base != NULL && base[0] == '/') /* the specification: relative ones are to be ignored */
    (void)hf_buf_printf(&path, "%s/holdfast/config.json", base);
  else if (home != NULL)
    (void)hf_buf_printf(&path, "%s/.config/holdfast/config.json", home);
  else
    return HF_OK;
  *ret_path = hf_buf_take(&path);
  return *ret_path != NULL ? HF_OK : hf_err_nomem(reterr);
}

/* Reads what stands at this path. 1 with config->path set; 0: nothing is there; negative. */
static int try_path(hf_config *config, const char *path, hf_buf *text, hf_error *reterr) {
  int got = read_file(path, text, reterr);
  if (got <= 0)
    return got;
  config->path = strdup(path);
  return config->path != NULL ? 1 : hf_err_nomem(reterr);
}

static int find_file(hf_config *config, const char *path, hf_buf *text, hf_error *reterr) {
  const char *named = path != NULL ? path : environment("HOLDFAST_CONFIG");
  if (named != NULL) {
    int got = try_path(config, named, text, reterr);
    if (got == 0)
      return hf_err(reterr, HF_ECONFIG, named, "there is no configuration of this name; look at %s",
                    path != NULL ? "the path" : "HOLDFAST_CONFIG");
    return got;
  }
  hf_autofree char *users = NULL;
  int got = users_path(&users, reterr);
  if (got == 0 && users != NULL)
    got = try_path(config, users, text, reterr);
  return got != 0 ? got : try_path(config, "/etc/holdfast/config.json", text, reterr);
}

int hf_config_load(const char *path, hf_config **ret_config, hf_error *reterr) {
  const char *redis_url = environment("HOLDFAST_REDIS_URL");
  hf_autobuf text = {0};
  __attribute__((cleanup(hf_config_free))) hf_config *config = calloc(1, sizeof *config);
  if (config == NULL)
    return hf_err_nomem(reterr);
  int status = find_file(config, path, &text, reterr);
  if (status == 1)
    status =
        hf_config_parse(config, text.data != NULL ? text.data : "", text.used, redis_url, reterr);
  else if (status == 0 && redis_url != NULL)
    status = hf_config_set_redis_url(config, redis_url, reterr);
  if (status < 0)
    return status;
  *ret_config = hf_take(config);
  return HF_OK;
}

static void free_pairs(hf_config_pair *pairs, size_t count) {
  for (size_t i = 0; i < count; i++) {
    free(pairs[i].name);
    free(pairs[i].value);
  }
  free(pairs);
}

void hf_config_free(hf_config **config) {
  if (config == NULL || *config == NULL)
    return;
  free_pairs((*config)->filesystems, (*config)->filesystems_count);
  free_pairs((*config)->lockers, (*config)->lockers_count);
  hf_compare_free(&(*config)->compare);
  free((*config)->path);
  free(*config);
  *config = NULL;
}

const char *hf_config_path(const hf_config *config) {
  return config != NULL ? config->path : NULL;
}

int hf_config_packs(const hf_config *config) {
  return config == NULL || !config->packs_not;
}

int hf_config_counts(const hf_config *config) {
  return config == NULL || !config->counts_not;
}

uint64_t hf_config_document_bytes_max(const hf_config *config) {
  return config != NULL && config->document_bytes_max != 0 ? config->document_bytes_max
                                                           : HF_DOC_BYTES_MAX_DEFAULT;
}

static const char *find_pair(const hf_config_pair *pairs, size_t count, const char *name,
                             size_t name_bytes) {
  for (size_t i = 0; i < count; i++)
    if (strlen(pairs[i].name) == name_bytes && memcmp(pairs[i].name, name, name_bytes) == 0)
      return pairs[i].value;
  return NULL;
}

const char *hf_config_locker_named(const hf_config *config, const char *fs_type) {
  if (config == NULL || fs_type == NULL)
    return NULL;
  size_t count = config->filesystems_count;
  const char *scheme = find_pair(config->filesystems, count, fs_type, strlen(fs_type));
  if (scheme == NULL) /* "fuse" stands for "fuse.sshfs", unless that is named */
    scheme = find_pair(config->filesystems, count, fs_type, strcspn(fs_type, "."));
  return scheme;
}

const char *hf_config_locker_for(const hf_config *config, const char *fs_type) {
  const char *scheme = hf_config_locker_named(config, fs_type);
  if (scheme != NULL)
    return scheme;
  return fs_type != NULL && hf_fs_type_is_local(fs_type) ? "flock" : "redis";
}

const char *hf_config_locker_options(const hf_config *config, const char *scheme) {
  if (config == NULL || scheme == NULL)
    return NULL;
  return find_pair(config->lockers, config->lockers_count, scheme, strlen(scheme));
}
