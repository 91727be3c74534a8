/* A file of stats/: 256 bytes, numbers with the lowest byte first.
 *
 *     0    "HFSTATS1"
 *     8    the host's name, filled up with zeros
 *     72   when it was made, and when it was added to last: microseconds since 1970
 *     88   handles, then the members of hf_handle_stats in their order, 8 bytes each
 *     200  zeros
 *     252  CRC-32C of the bytes before
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "id.h"
#include "index_format.h"
#include "plant.h"
#include "sys.h"
#include "tally.h"

#include "banned.h"

#define MAGIC "HFSTATS"
#define VERSION '1'

enum {
  AT_VERSION = sizeof MAGIC - 1,
  AT_HOST = 8,
  AT_SINCE = AT_HOST + HF_STATS_HOST_BYTES,
  AT_LAST = AT_SINCE + 8,
  AT_HANDLES = AT_LAST + 8,
  AT_NUMBERS = AT_HANDLES + 8,
  AT_CRC = HF_TALLY_BYTES - 4,
  LOOKS_MAX = 5,
  LOOK_PAUSE_NS = 2000000,
};

/* Their order is that of the file: new ones come last. */
#define NUMBERS(X)                                                                                 \
  X(saves)                                                                                         \
  X(unchanged)                                                                                     \
  X(refused)                                                                                       \
  X(failed)                                                                                        \
  X(unsure)                                                                                        \
  X(commits)                                                                                       \
  X(flushes)                                                                                       \
  X(collisions)                                                                                    \
  X(lock_waits)                                                                                    \
  X(lock_wait_us)                                                                                  \
  X(lock_wait_us_max)                                                                              \
  X(lock_failures)                                                                                 \
  X(counter_repairs)

void hf_tally_put(const hf_host_stats *tally, char bytes[HF_TALLY_BYTES]) {
  const hf_handle_stats *from = &tally->counted;
  char *at = bytes + AT_NUMBERS;
  memset(bytes, 0, HF_TALLY_BYTES);
  memcpy(bytes, MAGIC, AT_VERSION);
  bytes[AT_VERSION] = VERSION;
  memcpy(bytes + AT_HOST, tally->host, strnlen(tally->host, HF_STATS_HOST_BYTES - 1));
  hf_index_number_put(bytes + AT_SINCE, (uint64_t)tally->since_unix_us, 8);
  hf_index_number_put(bytes + AT_LAST, (uint64_t)tally->last_unix_us, 8);
  hf_index_number_put(bytes + AT_HANDLES, tally->handles, 8);
#define PUT(member)                                                                                \
  hf_index_number_put(at, from->member, 8);                                                        \
  at += 8;
  NUMBERS(PUT)
#undef PUT
  hf_index_number_put(bytes + AT_CRC, hf_crc32c(0, bytes, AT_CRC), 4);
}

hf_tally_is hf_tally_take(const char *bytes, size_t count, hf_host_stats *ret_tally) {
  static const char zeros[HF_TALLY_BYTES];
  const char *at = bytes + AT_NUMBERS;
  hf_handle_stats *to = &ret_tally->counted;
  memset(ret_tally, 0, sizeof *ret_tally);
  if (count == 0 || (count == HF_TALLY_BYTES && memcmp(bytes, zeros, count) == 0))
    return HF_TALLY_EMPTY;
  if (count > AT_VERSION && memcmp(bytes, MAGIC, AT_VERSION) == 0 && bytes[AT_VERSION] != VERSION)
    return HF_TALLY_NEWER;
  if (count != HF_TALLY_BYTES || memcmp(bytes, MAGIC, AT_VERSION) != 0 ||
      (hf_index_number_take(bytes + AT_CRC, 4) != hf_crc32c(0, bytes, AT_CRC) &&
       !HF_PLANTED(TALLY_UNCHECKED)))
    return HF_TALLY_WRONG;
  memcpy(ret_tally->host, bytes + AT_HOST, HF_STATS_HOST_BYTES - 1);
  ret_tally->since_unix_us = (int64_t)hf_index_number_take(bytes + AT_SINCE, 8);
  ret_tally->last_unix_us = (int64_t)hf_index_number_take(bytes + AT_LAST, 8);
  ret_tally->handles = hf_index_number_take(bytes + AT_HANDLES, 8);
#define TAKE(member)                                                                               \
  to->member = hf_index_number_take(at, 8);                                                        \
  at += 8;
  NUMBERS(TAKE)
#undef TAKE
  return HF_TALLY_GOOD;
}

void hf_tally_add(hf_handle_stats *a, const hf_handle_stats *b) {
  uint64_t longest =
      a->lock_wait_us_max > b->lock_wait_us_max ? a->lock_wait_us_max : b->lock_wait_us_max;
#define ADD(member) a->member += b->member;
  NUMBERS(ADD)
#undef ADD
  a->lock_wait_us_max = longest;
}

void hf_tally_subtract(hf_handle_stats *a, const hf_handle_stats *b) {
#define SUBTRACT(member) a->member -= b->member;
  NUMBERS(SUBTRACT)
#undef SUBTRACT
}

int hf_tally_read(int fd, hf_host_stats *ret_tally, hf_tally_is *ret_is) {
  hf_sys_file file;
  char bytes[HF_TALLY_BYTES + 1];
  if (hf_sys_identify(fd, "", &file) != 0)
    return -1;
  if (!S_ISREG(file.mode)) {
    errno = EINVAL;
    return -1;
  }
  size_t count = file.bytes < sizeof bytes ? (size_t)file.bytes : sizeof bytes;
  ssize_t got = hf_sys_pread_full(fd, bytes, count, 0);
  if (got < 0)
    return -1;
  *ret_is = hf_tally_take(bytes, (size_t)got, ret_tally);
  return 0;
}

int hf_tally_look(int folder_fd, const char *name, hf_host_stats *ret_tally, hf_tally_is *ret_is) {
  struct timespec pause = {0, LOOK_PAUSE_NS};
  for (int i = 0; i < LOOKS_MAX; i++) {
    hf_autofd int fd = hf_sys_openat(folder_fd, name, O_RDONLY, 0);
    if (fd < 0 || hf_tally_read(fd, ret_tally, ret_is) != 0)
      return -1;
    if (*ret_is != HF_TALLY_WRONG)
      break;
    (void)nanosleep(&pause, NULL);
  }
  return 0;
}

int hf_tally_is_name(const char *name) {
  uint8_t bytes[HF_TALLY_NAME_CHARS / 2];
  if (strlen(name) != HF_TALLY_NAME_CHARS)
    return 0;
  for (const char *at = name; *at != '\0'; at++)
    if (*at >= 'A' && *at <= 'F')
      return 0;
  return hf_unhex(name, HF_TALLY_NAME_CHARS, bytes) == 0;
}
