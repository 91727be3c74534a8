#include "notice.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "err.h"
#include "sys.h"

#include "banned.h"

enum {
  EVENTS_BYTES = 4096,
  READS_MAX = 64, /* of one take: what comes meanwhile is told the next time */
};

static const uint32_t wanted =
    IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_DONT_FOLLOW;

static int add(const hf_notice *notice, int fd) {
  struct epoll_event event = {.events = EPOLLIN};
  event.data.fd = fd;
  return epoll_ctl(notice->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int hf_notice_open(hf_notice *notice, hf_error *reterr) {
  notice->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  notice->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (notice->epoll_fd < 0 || notice->timer_fd < 0 || add(notice, notice->timer_fd) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, NULL, "cannot make a timer to wait by");
  return HF_OK;
}

void hf_notice_unwatch(hf_notice *notice) {
  hf_fd_cleanup(&notice->inotify_fd); /* which takes it out of the epoll set, too */
}

void hf_notice_close(hf_notice *notice) {
  hf_notice_unwatch(notice);
  hf_fd_cleanup(&notice->timer_fd);
  hf_fd_cleanup(&notice->epoll_fd);
}

int hf_notice_watch(hf_notice *notice, const char *path) {
  hf_notice_unwatch(notice);
  int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0)
    return 0;
  notice->inotify_fd = fd;
  if (inotify_add_watch(fd, path, wanted) >= 0 && add(notice, fd) == 0)
    return 1;
  hf_notice_unwatch(notice);
  return 0;
}

void hf_notice_every(hf_notice *notice, int64_t ms) {
  struct timespec every = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
  struct itimerspec timer = {every, every};
  (void)timerfd_settime(notice->timer_fd, 0, &timer, NULL); /* fails on wrong arguments alone */
}

static unsigned take_events(int fd) {
  _Alignas(struct inotify_event) char bytes[EVENTS_BYTES];
  unsigned flags = 0;
  for (int i = 0; i < READS_MAX; i++) {
    ssize_t got = read(fd, bytes, sizeof bytes); /* not the store: notices */
    if (got <= 0)
      break;
    for (size_t at = 0; at + sizeof(struct inotify_event) <= (size_t)got;) {
      struct inotify_event event;
      memcpy(&event, bytes + at, sizeof event);
      flags |= (event.mask & ~(uint32_t)IN_MODIFY) != 0 ? HF_NOTICE_OTHER : HF_NOTICE_WRITTEN;
      at += sizeof event + event.len;
    }
  }
  return flags;
}

unsigned hf_notice_take(hf_notice *notice) {
  struct epoll_event events[2];
  unsigned flags = 0;
  int count = epoll_wait(notice->epoll_fd, events, 2, 0);
  for (int i = 0; i < count; i++) {
    uint64_t times;
    if (events[i].data.fd == notice->inotify_fd)
      flags |= take_events(notice->inotify_fd);
    else if (read(notice->timer_fd, &times, sizeof times) > 0) /* not the store: a timer */
      flags |= HF_NOTICE_TIME;
  }
  return flags;
}

int hf_notice_wait(const hf_notice *notice, int64_t timeout_ms) {
  struct epoll_event event;
  int timeout = timeout_ms < 0 ? -1 : timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
  return epoll_wait(notice->epoll_fd, &event, 1, timeout) > 0;
}
