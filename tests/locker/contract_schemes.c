/* The lockers that the contract is tried on, and the folders where. */
#include "contract.h"

#include <stdio.h>

#include "redis_server.h"
#ifdef HF_WITH_REDIS_TLS
#include "redis_tls_files.h"
#endif

/* A program's own locker: flock under another name. It shows that what hf_locker_register takes is
 * used as it is. */
static int register_custom(contract_place *place) {
  static hf_locker_ops custom;
  (void)place;
  custom = *hf_locker_find("flock");
  custom.scheme = "a-programs-own";
  return hf_locker_register(&custom, NULL);
}

#ifdef HF_WITH_REDIS
/* The ways to a Redis: by TCP, by a unix socket, with a password and an ACL user, by Sentinel, over
 * TLS. */
enum { LEASE_MS = 2600 };

static redis_server plain, locked, master, sentinel;

static void stop_all(contract_place *place) {
  (void)place;
  redis_server_stop(&sentinel);
  redis_server_stop(&master);
  redis_server_stop(&locked);
  redis_server_stop(&plain);
}

static int set_up_tcp(contract_place *place) {
  int failed = redis_server_start(&plain, NULL);
  snprintf(place->options, sizeof place->options,
           "{\"url\":\"redis://127.0.0.1:%d/0\",\"lease_ms\":%d}", plain.port, LEASE_MS);
  return failed;
}

static int set_up_socket(contract_place *place) {
  int failed = redis_server_start(&plain, NULL);
  snprintf(place->options, sizeof place->options,
           "{\"url\":\"unix://%s?db=1\",\"lease_ms\":%d,\"prefix\":\"other\"}", plain.socket,
           LEASE_MS);
  return failed;
}

/* The user may do what docs/LOCKERS.md says, and nothing else. */
static int set_up_user(contract_place *place) {
  int failed = redis_server_start(
      &locked,
      "user default off\n"
      "user writer on >two-words ~holdfast:* &holdfast:* -@all +@connection +@scripting "
      "+hget +hset +hmget +hincrby +incr +incrby +decrby +set +get +del +exists +pexpire +pttl "
      "+zadd +zrem +zcard +zpopmin +publish +subscribe +time +info +role\n");
  snprintf(place->options, sizeof place->options,
           "{\"url\":\"redis://writer:two%%2dwords@127.0.0.1:%d\",\"lease_ms\":%d}", locked.port,
           LEASE_MS);
  return failed;
}

static int set_up_sentinel(contract_place *place) {
  int failed = redis_server_start(&master, NULL);
  if (failed == 0)
    failed = redis_server_start_sentinel(&sentinel, "runs", master.port);
  snprintf(place->options, sizeof place->options,
           "{\"sentinels\":[\"127.0.0.1:1\",\"127.0.0.1:%d\"],\"master\":\"runs\","
           "\"lease_ms\":%d}",
           sentinel.port, LEASE_MS);
  return failed;
}

#ifdef HF_WITH_REDIS_TLS
static tls_files files;

/* Both sides show certificates. */
static int set_up_tls(contract_place *place) {
  char settings[1024];
  if (tls_files_make(&files) != 0)
    return 1;
  tls_files_settings(&files, "server", "tls-auth-clients yes\n", settings, sizeof settings);
  int failed = redis_server_start(&plain, settings);
  snprintf(place->options, sizeof place->options,
           "{\"url\":\"rediss://127.0.0.1:%d\",\"lease_ms\":%d,\"tls_ca_file\":\"%s/ca.crt\","
           "\"tls_cert_file\":\"%s/client.crt\",\"tls_key_file\":\"%s/client.key\"}",
           plain.tls_port, LEASE_MS, files.folder, files.folder, files.folder);
  return failed;
}

static void stop_tls(contract_place *place) {
  stop_all(place);
  tls_files_remove(&files);
}
#endif
#endif

const contract_scheme contract_schemes[] = {
    {.scheme = "flock", .death_ms_max = 2000, .break_ms_max = 4000},
    {.scheme = "none", .death_ms_max = 2000, .break_ms_max = 4000},
    {.scheme = "a-programs-own",
     .death_ms_max = 2000,
     .break_ms_max = 4000,
     .set_up = register_custom},
#ifdef HF_WITH_REDIS
    {.scheme = "redis",
     .run = "redis-tcp",
     .death_ms_max = 6000,
     .break_ms_max = 4000,
     .set_up = set_up_tcp,
     .tear_down = stop_all},
    {.scheme = "redis",
     .run = "redis-socket",
     .death_ms_max = 6000,
     .break_ms_max = 4000,
     .set_up = set_up_socket,
     .tear_down = stop_all},
    {.scheme = "redis",
     .run = "redis-user",
     .death_ms_max = 6000,
     .break_ms_max = 4000,
     .set_up = set_up_user,
     .tear_down = stop_all},
    {.scheme = "redis",
     .run = "redis-sentinel",
     .death_ms_max = 6000,
     .break_ms_max = 4000,
     .set_up = set_up_sentinel,
     .tear_down = stop_all},
#ifdef HF_WITH_REDIS_TLS
    {.scheme = "redis",
     .run = "redis-tls",
     .death_ms_max = 6000,
     .break_ms_max = 4000,
     .set_up = set_up_tls,
     .tear_down = stop_tls},
#endif
#endif
};

const int contract_schemes_count = sizeof contract_schemes / sizeof contract_schemes[0];

contract_place contract_places[sizeof contract_schemes / sizeof contract_schemes[0]];
