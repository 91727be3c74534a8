#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

static const char kernel_place[] = "/proc/sys/kernel/random/boot_id";
static const char boot_place[] = "tile/" HF_BOOT_NAME;

int hf_boot_id(char boot[HF_BOOT_ID_BYTES], hf_error *reterr) {
  hf_autofd int fd = hf_sys_openat(AT_FDCWD, kernel_place, O_RDONLY, 0);
  ssize_t got = fd >= 0 ? hf_sys_pread_full(fd, boot, HF_BOOT_ID_BYTES - 1, 0) : -1;
  if (got <= 0)
    return hf_err_sys(reterr, HF_EIO, errno, kernel_place,
                      "cannot read the id of this boot, which journal mode needs");
  boot[got] = '\0';
  boot[strcspn(boot, "\n")] = '\0';
  return HF_OK;
}

static int read_boot_id(char boot[HF_BOOT_ID_BYTES], hf_error *reterr) {
#ifdef HF_TEST_PLANTS
  if (hf_test_boot() != NULL) {
    (void)snprintf(boot, HF_BOOT_ID_BYTES, "%s", hf_test_boot());
    return HF_OK;
  }
#endif
  return hf_boot_id(boot, reterr);
}

int hf_boot_is_told(hf_store *store, hf_error *reterr) {
  char boot[HF_BOOT_ID_BYTES];
  char told[HF_BOOT_ID_BYTES] = "";
  if (store->boot_is_told)
    return 1;
  hf_autofd int fd = hf_sys_openat(store->tile_fd, HF_BOOT_NAME, O_RDONLY, 0);
  if (fd < 0)
    return errno == ENOENT ? 0 : hf_err_sys(reterr, HF_EIO, errno, boot_place, "cannot be opened");
  if (hf_sys_pread_full(fd, told, sizeof told - 1, 0) < 0)
    return hf_err_sys(reterr, HF_EIO, errno, boot_place, "cannot be read");
  int status = read_boot_id(boot, reterr);
  if (status != HF_OK)
    return status;
  store->boot_is_told = strcmp(boot, told) == 0;
  return store->boot_is_told;
}

int hf_boot_tell(hf_store *store, hf_error *reterr) {
  char boot[HF_BOOT_ID_BYTES];
  int status = read_boot_id(boot, reterr);
  if (status != HF_OK)
    return status;
  hf_autofd int fd = hf_sys_openat(store->tile_fd, HF_BOOT_NAME, O_RDWR | O_CREAT, 0666);
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, boot_place, "cannot be made");
  if (hf_sys_pwrite_full(fd, boot, strlen(boot), 0) != 0 || hf_sys_ftruncate(fd, strlen(boot)) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, boot_place, "cannot be written");
  store->boot_is_told = 1;
  return HF_OK;
}
