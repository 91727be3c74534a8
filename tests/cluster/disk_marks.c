/* Marks in the log of a disk below dm-log-writes: where in the order of what the disk was told an
 * operation began, and where it was answered (disk_log.py says why that order can be trusted). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dm-ioctl.h>

#include "driver.h"

enum { MESSAGE_BYTES = DRIVER_NAME_BYTES + 64 };

#define CONTROL "/dev/mapper/control"

void disk_marks_open(driver *me) {
  if (me->options.disk_log == NULL)
    return;
  me->marks_fd = open(CONTROL, O_RDWR | O_CLOEXEC);
  if (me->marks_fd < 0)
    driver_fail("%s: %s", CONTROL, strerror(errno));
}

void disk_mark(const driver *me, char what) {
  union {
    struct dm_ioctl head;
    char bytes[sizeof(struct dm_ioctl) + sizeof(struct dm_target_msg) + MESSAGE_BYTES];
  } call;
  if (me->options.disk_log == NULL)
    return;
  memset(&call, 0, sizeof call); /* the target's header, too: its sector is 0 */
  call.head.version[0] = DM_VERSION_MAJOR;
  call.head.data_size = sizeof call;
  call.head.data_start = sizeof call.head;
  (void)snprintf(call.head.name, sizeof call.head.name, "%s", me->options.disk_log);
  char *message = call.bytes + sizeof call.head + offsetof(struct dm_target_msg, message);
  (void)snprintf(message, MESSAGE_BYTES, "mark %c:%s:%llu", what, me->options.name,
                 (unsigned long long)me->ops);
  if (ioctl(me->marks_fd, DM_TARGET_MSG, &call) != 0)
    driver_fail("no mark in the log of %s: %s", me->options.disk_log, strerror(errno));
}
