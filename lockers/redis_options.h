/* lockers.redis of the configuration, checked.
 *
 * url: redis://[user[:password]@]host[:port][/db], rediss://..., unix:///path[?db=N]; with
 * sentinels it may be left out, or give the db and the credentials (redis:///0). A password may
 * stand in the url (HOLDFAST_REDIS_URL, private files), in a file that password_file names, or in
 * the environment variable that password_env names. It is never shown: no error, no place holds it.
 */
#ifndef HF_LOCKERS_REDIS_OPTIONS_H
#define HF_LOCKERS_REDIS_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/locker.h>

enum {
  HF_REDIS_TEXT_BYTES = 512, /* one value, with NUL */
  HF_REDIS_HOST_BYTES = 256,
  HF_REDIS_SENTINELS_MAX = 16,
  HF_REDIS_PREFIX_BYTES = 65,
  HF_REDIS_PORT_DEFAULT = 6379,
  HF_REDIS_SENTINEL_PORT_DEFAULT = 26379,
  HF_REDIS_LEASE_MS_DEFAULT = 10000,
  HF_REDIS_LEASE_MS_MIN = 100,
  HF_REDIS_LEASE_MS_MAX = 24 * 60 * 60 * 1000,
  HF_REDIS_TIMEOUT_MS_DEFAULT = 2000,
  HF_REDIS_TIMEOUT_MS_MAX = 60 * 1000
};

typedef struct hf_redis_host {
  char host[HF_REDIS_HOST_BYTES];
  int port;
} hf_redis_host;

typedef struct hf_redis_options {
  hf_redis_host server; /* host "": by Sentinel, or a unix socket */
  char socket_path[108];
  int db;
  int tls;
  char user[HF_REDIS_TEXT_BYTES];     /* "": the default user */
  char password[HF_REDIS_TEXT_BYTES]; /* "": none. Wiped by hf_redis_options_wipe */
  hf_redis_host sentinels[HF_REDIS_SENTINELS_MAX];
  size_t sentinels_count;
  char master[HF_REDIS_TEXT_BYTES];
  char sentinel_user[HF_REDIS_TEXT_BYTES];
  char sentinel_password[HF_REDIS_TEXT_BYTES];
  char tls_ca_file[HF_REDIS_TEXT_BYTES];
  char tls_cert_file[HF_REDIS_TEXT_BYTES];
  char tls_key_file[HF_REDIS_TEXT_BYTES];
  char tls_server_name[HF_REDIS_HOST_BYTES];
  char prefix[HF_REDIS_PREFIX_BYTES]; /* A-Z a-z 0-9 . _ : - */
  int64_t lease_ms;
  int64_t connect_timeout_ms;
  int64_t command_timeout_ms;
} hf_redis_options;

/* What may stand there (hf_locker_ops.options). */
extern const hf_locker_option hf_redis_option_list[];

/* Checks without reaching for anything: neither the server nor the password's file. options_json
 * may be NULL (not configured: HF_ECONFIG that says what to put where). Errors: HF_ECONFIG, which
 * names the member, and HF_ENOMEM. */
int hf_redis_options_check(const char *options_json, hf_error *reterr);

/* Checks, and reads the passwords from where they are. A password file that its group or others can
 * read is refused. Errors: HF_ECONFIG, HF_EIO, HF_ENOMEM. The caller wipes *ret_options. */
int hf_redis_options_parse(const char *options_json, hf_redis_options *ret_options,
                           hf_error *reterr);

/* Overwrites what is secret. */
void hf_redis_options_wipe(hf_redis_options *options);

/* Takes a url apart into server or socket_path, db, tls, user, password. HF_OK, or HF_ECONFIG whose
 * message shows nothing of the url. */
int hf_redis_url_parse(const char *url, hf_redis_options *options, hf_error *reterr);

/* "host", "host:port", "[v6]:port". 0 or -1. */
int hf_redis_host_parse(const char *text, int port_default, hf_redis_host *ret_host);

#endif
