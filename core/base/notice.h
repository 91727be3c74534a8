/* Being told that a file has changed: inotify, with a timer for what inotify does not tell, behind
 * one descriptor that can be polled.
 *
 * What it tells is only a reason to look. It may tell of nothing, and where a filesystem is changed
 * by another host, or mounted over, it tells nothing at all: then the timer is what is left. So
 * whoever waits first asks for notices, then looks, then waits: what changes before the look is
 * seen by it, what changes behind it is told. */
#ifndef HF_BASE_NOTICE_H
#define HF_BASE_NOTICE_H

#include <stdint.h>

#include <holdfast/error.h>

enum hf_notice_flags {
  HF_NOTICE_WRITTEN = 1, /* bytes of the file were written */
  HF_NOTICE_OTHER = 2,   /* removed, moved, unmounted ...; or notices were lost */
  HF_NOTICE_TIME = 4,    /* the timer */
};

typedef struct hf_notice {
  int epoll_fd; /* readable while there is something to take */
  int timer_fd;
  int inotify_fd; /* -1: nothing is watched */
} hf_notice;

#define HF_NOTICE_INIT                                                                             \
  { -1, -1, -1 }

/* The caller closes it, also after an error. HF_EIO: no descriptors are left. */
int hf_notice_open(hf_notice *notice, hf_error *reterr);
void hf_notice_close(hf_notice *notice);

/* Watches this file, and no other one any more. 1; 0: it cannot be watched (errno). */
int hf_notice_watch(hf_notice *notice, const char *path);
void hf_notice_unwatch(hf_notice *notice);

/* The timer tells every so many milliseconds, from now on. */
void hf_notice_every(hf_notice *notice, int64_t ms);

/* What was told since the last time, 0: nothing. Does not wait. */
unsigned hf_notice_take(hf_notice *notice);

/* Waits until there is something to take, timeout_ms at most (negative: as long as it takes). 1, or
 * 0: the time is up, or a signal came. */
int hf_notice_wait(const hf_notice *notice, int64_t timeout_ms);

#endif
