#include "builtin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "err.h"

#include "banned.h"

static const hf_locker_ops *const builtin[] = {
    &hf_locker_flock,
    &hf_locker_none,
#ifdef HF_WITH_REDIS
    &hf_locker_redis,
#endif
};

enum { BUILTIN_COUNT = sizeof builtin / sizeof builtin[0] };

/* Entries below added_count never change: readers need no mutex, and so none can be left locked by
 * a fork. */
static const hf_locker_ops *added[HF_LOCKER_SCHEMES_MAX];
static atomic_size_t added_count;
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

static const hf_locker_ops *ops_at(size_t index) {
  if (index < BUILTIN_COUNT)
    return builtin[index];
  index -= BUILTIN_COUNT;
  size_t count = atomic_load_explicit(&added_count, memory_order_acquire);
  return index < count ? added[index] : NULL;
}

const hf_locker_ops *hf_locker_find(const char *scheme) {
  if (scheme == NULL)
    return NULL;
  for (size_t i = 0; i < BUILTIN_COUNT + HF_LOCKER_SCHEMES_MAX; i++) {
    const hf_locker_ops *ops = ops_at(i);
    if (ops == NULL)
      break;
    if (strcmp(ops->scheme, scheme) == 0)
      return ops;
  }
  return NULL;
}

const char *hf_locker_scheme_at(size_t index) {
  const hf_locker_ops *ops = ops_at(index);
  return ops != NULL ? ops->scheme : NULL;
}

static int is_scheme(const char *text) {
  size_t count = strnlen(text, HF_LOCKER_NAME_BYTES_MAX + 1);
  return count >= 1 && count <= HF_LOCKER_NAME_BYTES_MAX &&
         strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == count;
}

static const char *missing_member(const hf_locker_ops *ops) {
  if (ops->open == NULL)
    return "open";
  if (ops->close == NULL)
    return "close";
  if (ops->acquire == NULL)
    return "acquire";
  if (ops->release == NULL)
    return "release";
  if (ops->describe == NULL)
    return "describe";
  if (ops->break_lock == NULL)
    return "break_lock";
  if (ops->verify == NULL && (ops->traits & HF_LOCKER_GRANT_CAN_END) != 0)
    return "verify (its grants can end)";
  return NULL;
}

static int check_ops(const hf_locker_ops *ops, hf_error *reterr) {
  const unsigned known = HF_LOCKER_EXCLUDES_PROCESSES | HF_LOCKER_EXCLUDES_HOSTS |
                         HF_LOCKER_GRANT_CAN_END | HF_LOCKER_FENCES;
  if (ops == NULL || ops->scheme == NULL)
    return hf_err(reterr, HF_EINVAL, NULL, "a locker needs a table with a scheme");
  if (!is_scheme(ops->scheme))
    return hf_err(reterr, HF_EINVAL, ops->scheme,
                  "a locker's scheme is 1 to %d characters of a-z, 0-9 and '-'",
                  HF_LOCKER_NAME_BYTES_MAX);
  if (strcmp(ops->scheme, "auto") == 0)
    return hf_err(reterr, HF_EINVAL, ops->scheme,
                  "'auto' means that Holdfast chooses; name the locker otherwise");
  const char *missing = missing_member(ops);
  if (missing != NULL)
    return hf_err(reterr, HF_EINVAL, ops->scheme, "the locker's table lacks %s", missing);
  if ((ops->traits & ~known) != 0)
    return hf_err(reterr, HF_EINVAL, ops->scheme, "the locker claims traits that do not exist");
  return HF_OK;
}

int hf_locker_register(const hf_locker_ops *ops, hf_error *reterr) {
  int status = check_ops(ops, reterr);
  if (status < 0)
    return status;
  (void)pthread_mutex_lock(&adding);
  size_t count = atomic_load_explicit(&added_count, memory_order_relaxed);
  if (hf_locker_find(ops->scheme) != NULL) {
    status = hf_err(reterr, HF_EEXIST, ops->scheme, "there is a locker of this scheme already");
  } else if (count == HF_LOCKER_SCHEMES_MAX) {
    status = hf_err(reterr, HF_ELIMIT, ops->scheme, "no more than %d lockers can be registered",
                    HF_LOCKER_SCHEMES_MAX);
  } else {
    added[count] = ops;
    atomic_store_explicit(&added_count, count + 1, memory_order_release);
  }
  (void)pthread_mutex_unlock(&adding);
  return status;
}
