#include <holdfast/holdfast.h>

#include <pthread.h>

#include <cjson/cJSON.h>
#include <openssl/crypto.h>

#include "banned.h"

const char *hf_version(void) {
  return HF_VERSION;
}

/* cJSON_Version prints into a buffer of its own: once is enough, and then no two threads do it. */
static pthread_once_t cjson_once = PTHREAD_ONCE_INIT;
static const char *cjson_version;

static void ask_cjson(void) {
  cjson_version = cJSON_Version();
}

enum { OWN_COMPONENTS = 3 };

/* Number `index` of the libraries that lockers speak by. */
static int locker_library(size_t index, hf_component *ret_component) {
  const char *scheme;
  for (size_t i = 0; (scheme = hf_locker_scheme_at(i)) != NULL; i++) {
    const hf_locker_ops *ops = hf_locker_find(scheme);
    if (ops == NULL || ops->library == NULL || index-- > 0)
      continue;
    *ret_component = (hf_component){ops->library, ops->library_version};
    return 1;
  }
  return 0;
}

int hf_component_at(size_t index, hf_component *ret_component) {
  switch (index) {
  case 0:
    *ret_component = (hf_component){"libholdfast", hf_version()};
    return 1;
  case 1:
    (void)pthread_once(&cjson_once, ask_cjson);
    *ret_component = (hf_component){"cjson", cjson_version};
    return 1;
  case 2:
    *ret_component = (hf_component){"libcrypto", OpenSSL_version(OPENSSL_VERSION)};
    return 1;
  default:
    return locker_library(index - OWN_COMPONENTS, ret_component);
  }
}
