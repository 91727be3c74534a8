#include "redis_options.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "redis_tls.h"
#include "sys.h"

#include "banned.h"

enum { SECRET_FILE_BYTES_MAX = 64 * 1024 };

#define TEXT(name)                                                                                 \
  { name, HF_LOCKER_OPTION_TEXT, 0, 0, NULL }
#define MILLISECONDS(name, low, high)                                                              \
  { name, HF_LOCKER_OPTION_NUMBER, low, high, "milliseconds" }

const hf_locker_option hf_redis_option_list[] = {
    TEXT("url"),
    MILLISECONDS("lease_ms", HF_REDIS_LEASE_MS_MIN, HF_REDIS_LEASE_MS_MAX),
    TEXT("user"),
    TEXT("password_file"),
    TEXT("password_env"),
    {"sentinels", HF_LOCKER_OPTION_TEXTS, 0, 0, "HOST:PORT"},
    TEXT("master"),
    TEXT("sentinel_user"),
    TEXT("sentinel_password_file"),
    TEXT("sentinel_password_env"),
    TEXT("prefix"),
    MILLISECONDS("connect_timeout_ms", 1, HF_REDIS_TIMEOUT_MS_MAX),
    MILLISECONDS("command_timeout_ms", 1, HF_REDIS_TIMEOUT_MS_MAX),
    TEXT("tls_ca_file"),
    TEXT("tls_cert_file"),
    TEXT("tls_key_file"),
    TEXT("tls_server_name"),
    {NULL, HF_LOCKER_OPTION_TEXT, 0, 0, NULL},
};

static void delete_json(cJSON **json) {
  cJSON_Delete(*json);
}
#define autojson __attribute__((cleanup(delete_json))) cJSON

static const char *text_of(const cJSON *json, const char *name) {
  const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, name);
  return cJSON_IsString(member) ? member->valuestring : NULL;
}

static int copy_text(const cJSON *json, const char *name, char *to, size_t to_bytes,
                     hf_error *reterr) {
  char place[128];
  const char *text = text_of(json, name);
  if (text == NULL)
    return HF_OK;
  size_t bytes = strlen(text);
  if (bytes < to_bytes) {
    memcpy(to, text, bytes + 1);
    return HF_OK;
  }
  (void)snprintf(place, sizeof place, "lockers.redis.%s", name);
  return hf_err(reterr, HF_ECONFIG, place, "it may have %zu bytes at most", to_bytes - 1);
}

static int64_t number_of(const cJSON *json, const char *name, int64_t otherwise) {
  const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, name);
  return cJSON_IsNumber(member) ? (int64_t)member->valuedouble : otherwise;
}

/* ---- passwords ------------------------------------------------------------------------------- */

static int read_secret_file(const char *path, char *to, size_t to_bytes, hf_error *reterr) {
  struct stat st;
  /* not the store; symbolic links are followed: a mounted secret is one */
  hf_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return hf_err_sys(reterr, errno == EACCES || errno == ENOENT ? HF_ECONFIG : HF_EIO, errno, path,
                      "cannot open the password's file");
  if (hf_sys_fstat(fd, &st) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, path, "cannot examine the password's file");
  if (!S_ISREG(st.st_mode) || st.st_size > SECRET_FILE_BYTES_MAX)
    return hf_err(reterr, HF_ECONFIG, path, "the password's file must be a small regular file");
  if ((st.st_mode & (S_IRGRP | S_IROTH)) != 0)
    return hf_err(reterr, HF_ECONFIG, path,
                  "others than its owner can read the password's file; chmod 600 it");
  char text[HF_REDIS_TEXT_BYTES + 2];
  ssize_t got = hf_sys_pread_full(fd, text, sizeof text - 1, 0);
  if (got < 0)
    return hf_err_sys(reterr, HF_EIO, errno, path, "cannot read the password's file");
  text[got] = '\0';
  size_t bytes = strcspn(text, "\r\n");
  int fits = bytes > 0 && bytes < to_bytes;
  if (fits)
    memcpy(to, text, bytes);
  to[fits ? bytes : 0] = '\0';
  explicit_bzero(text, sizeof text);
  if (!fits)
    return hf_err(reterr, HF_ECONFIG, path,
                  "the password is the file's first line, of 1 to %zu bytes", to_bytes - 1);
  return HF_OK;
}

static int read_secret_env(const char *name, char *to, size_t to_bytes, hf_error *reterr) {
  const char *value = getenv(name);
  size_t bytes = value != NULL ? strlen(value) : 0;
  if (bytes == 0 || bytes >= to_bytes)
    return hf_err(reterr, HF_ECONFIG, "lockers.redis",
                  "the password is looked for in the environment variable %.64s, which %s", name,
                  bytes == 0 ? "is not set" : "is too long");
  memcpy(to, value, bytes + 1);
  return HF_OK;
}

/* A password stands in one place: `to` is not empty where the url gave one. */
static int check_secret(const cJSON *json, const char *file_member, const char *env_member,
                        const char *to, hf_error *reterr) {
  const char *file = text_of(json, file_member);
  const char *variable = text_of(json, env_member);
  if ((file != NULL) + (variable != NULL) + (to[0] != '\0') > 1)
    return hf_err(reterr, HF_ECONFIG, "lockers.redis",
                  "the password is given twice; keep one of %s, %s and the url's", file_member,
                  env_member);
  return HF_OK;
}

static int read_secret(const cJSON *json, const char *file_member, const char *env_member, char *to,
                       size_t to_bytes, hf_error *reterr) {
  const char *file = text_of(json, file_member);
  const char *variable = text_of(json, env_member);
  if (file != NULL)
    return read_secret_file(file, to, to_bytes, reterr);
  if (variable != NULL)
    return read_secret_env(variable, to, to_bytes, reterr);
  return HF_OK;
}

/* ---- members that belong together ------------------------------------------------------------ */

static int take_prefix(const cJSON *json, hf_redis_options *options, hf_error *reterr) {
  memcpy(options->prefix, "holdfast", sizeof "holdfast");
  int status = copy_text(json, "prefix", options->prefix, sizeof options->prefix, reterr);
  size_t good = strspn(options->prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                        "0123456789._:-");
  if (status == HF_OK && (options->prefix[0] == '\0' || options->prefix[good] != '\0'))
    status = hf_err(reterr, HF_ECONFIG, "lockers.redis.prefix",
                    "it is made of letters, digits and . _ : - (it begins the names of the keys)");
  return status;
}

static int take_sentinels(const cJSON *json, hf_redis_options *options, hf_error *reterr) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "sentinels");
  const cJSON *one;
  cJSON_ArrayForEach(one, list) {
    if (options->sentinels_count == HF_REDIS_SENTINELS_MAX)
      return hf_err(reterr, HF_ECONFIG, "lockers.redis.sentinels", "there may be %d at most",
                    HF_REDIS_SENTINELS_MAX);
    const char *text = cJSON_IsString(one) ? one->valuestring : "";
    if (hf_redis_host_parse(text, HF_REDIS_SENTINEL_PORT_DEFAULT,
                            &options->sentinels[options->sentinels_count]) != 0)
      return hf_err(reterr, HF_ECONFIG, "lockers.redis.sentinels",
                    "\"%.64s\" is no HOST:PORT, as in 10.0.0.1:26379", text);
    options->sentinels_count++;
  }
  int status = copy_text(json, "master", options->master, sizeof options->master, reterr);
  if (status != HF_OK)
    return status;
  if ((options->sentinels_count > 0) != (options->master[0] != '\0'))
    return hf_err(reterr, HF_ECONFIG, "lockers.redis",
                  "sentinels and master (the name that they know it by) go together");
  return HF_OK;
}

static int check_server(const hf_redis_options *options, const char *url, hf_error *reterr) {
  int is_direct = options->server.host[0] != '\0' || options->socket_path[0] != '\0';
  if (options->sentinels_count > 0 && is_direct)
    return hf_err(reterr, HF_ECONFIG, "lockers.redis",
                  "the url names a server, and sentinels tell which one is the master: with "
                  "sentinels write redis:///DB, or no url");
  if (options->sentinels_count == 0 && !is_direct)
    return hf_err(reterr, HF_ECONFIG, "lockers.redis",
                  url == NULL ? "it is not configured: put {\"lockers\":{\"redis\":{\"url\":"
                                "\"redis://HOST:6379/0\"}}} into the configuration, or the url "
                                "into HOLDFAST_REDIS_URL"
                              : "the url has no host; write redis://HOST:PORT/DB");
  return HF_OK;
}

static int take_tls(const cJSON *json, hf_redis_options *options, hf_error *reterr) {
  int status =
      copy_text(json, "tls_ca_file", options->tls_ca_file, sizeof options->tls_ca_file, reterr);
  if (status == HF_OK)
    status = copy_text(json, "tls_cert_file", options->tls_cert_file, sizeof options->tls_cert_file,
                       reterr);
  if (status == HF_OK)
    status = copy_text(json, "tls_key_file", options->tls_key_file, sizeof options->tls_key_file,
                       reterr);
  if (status == HF_OK)
    status = copy_text(json, "tls_server_name", options->tls_server_name,
                       sizeof options->tls_server_name, reterr);
  if (status != HF_OK)
    return status;
  if ((options->tls_cert_file[0] != '\0') != (options->tls_key_file[0] != '\0'))
    return hf_err(reterr, HF_ECONFIG, "lockers.redis",
                  "tls_cert_file and tls_key_file go together");
  int has_files = options->tls_ca_file[0] != '\0' || options->tls_cert_file[0] != '\0' ||
                  options->tls_server_name[0] != '\0';
  if (has_files && !options->tls)
    return hf_err(reterr, HF_ECONFIG, "lockers.redis",
                  "there are members for TLS, and the url does not begin with rediss://");
  return options->tls ? hf_redis_tls_check(reterr) : HF_OK;
}

/* All but the passwords' contents. */
static int take_all(const cJSON *json, hf_redis_options *options, hf_error *reterr) {
  const char *url = text_of(json, "url");
  int status = url != NULL ? hf_redis_url_parse(url, options, reterr) : HF_OK;
  if (status == HF_OK && options->user[0] != '\0' && text_of(json, "user") != NULL)
    status = hf_err(reterr, HF_ECONFIG, "lockers.redis",
                    "the user is given twice; keep the one of the url or the member user");
  if (status == HF_OK)
    status = copy_text(json, "user", options->user, sizeof options->user, reterr);
  if (status == HF_OK)
    status = copy_text(json, "sentinel_user", options->sentinel_user, sizeof options->sentinel_user,
                       reterr);
  if (status == HF_OK)
    status = take_prefix(json, options, reterr);
  if (status == HF_OK)
    status = take_sentinels(json, options, reterr);
  if (status == HF_OK)
    status = check_server(options, url, reterr);
  if (status == HF_OK)
    status = take_tls(json, options, reterr);
  if (status == HF_OK)
    status = check_secret(json, "password_file", "password_env", options->password, reterr);
  if (status == HF_OK)
    status = check_secret(json, "sentinel_password_file", "sentinel_password_env",
                          options->sentinel_password, reterr);
  options->lease_ms = number_of(json, "lease_ms", HF_REDIS_LEASE_MS_DEFAULT);
  options->connect_timeout_ms = number_of(json, "connect_timeout_ms", HF_REDIS_TIMEOUT_MS_DEFAULT);
  options->command_timeout_ms = number_of(json, "command_timeout_ms", HF_REDIS_TIMEOUT_MS_DEFAULT);
  return status;
}

static int parse(const char *options_json, int with_secrets, hf_redis_options *options,
                 hf_error *reterr) {
  memset(options, 0, sizeof *options);
  autojson *json = cJSON_Parse(options_json != NULL ? options_json : "{}");
  if (!cJSON_IsObject(json)) /* the configuration was checked when it was read */
    return hf_err_nomem(reterr);
  int status = take_all(json, options, reterr);
  if (status == HF_OK && with_secrets)
    status = read_secret(json, "password_file", "password_env", options->password,
                         sizeof options->password, reterr);
  if (status == HF_OK && with_secrets)
    status = read_secret(json, "sentinel_password_file", "sentinel_password_env",
                         options->sentinel_password, sizeof options->sentinel_password, reterr);
  if (status == HF_OK && with_secrets && options->user[0] != '\0' && options->password[0] == '\0')
    status = hf_err(reterr, HF_ECONFIG, "lockers.redis",
                    "there is a user and no password; give password_file or password_env");
  return status;
}

int hf_redis_options_check(const char *options_json, hf_error *reterr) {
  hf_redis_options options;
  int status = parse(options_json, 0, &options, reterr);
  hf_redis_options_wipe(&options);
  return status;
}

int hf_redis_options_parse(const char *options_json, hf_redis_options *ret_options,
                           hf_error *reterr) {
  int status = parse(options_json, 1, ret_options, reterr);
  if (status != HF_OK)
    hf_redis_options_wipe(ret_options);
  return status;
}

void hf_redis_options_wipe(hf_redis_options *options) {
  explicit_bzero(options->password, sizeof options->password);
  explicit_bzero(options->sentinel_password, sizeof options->sentinel_password);
}
