/* Who holds a lock, as the one line of JSON that a holder leaves for others:
 *
 *     {"token":12,"pid":4711,"host":"host7","purpose":"save","since":"2026-01-02T03:04:05.678901Z"}
 *
 * followed by blanks, so that every line has the same length and replaces the one before it with a
 * single write. */
#ifndef HF_LOCKERS_HOLDER_H
#define HF_LOCKERS_HOLDER_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/locker.h>

enum {
  HF_HOLDER_LINE_BYTES = 512, /* with the newline at its end */
  HF_HOLDER_HOST_BYTES = 65,  /* with NUL; longer names are cut */
  HF_HOLDER_PURPOSE_BYTES = 33
};

/* A larger token is taken for damage: at one grant a nanosecond it would be reached after 146
 * years. */
#define HF_HOLDER_TOKEN_MAX ((uint64_t)1 << 62)

typedef struct hf_holder_self {
  int64_t pid;
  char host[HF_HOLDER_HOST_BYTES];
  char purpose[HF_HOLDER_PURPOSE_BYTES];
} hf_holder_self;

/* This process. purpose may be NULL ("save"). What is not printable ASCII becomes '?'. */
void hf_holder_self_init(hf_holder_self *ret_self, const char *purpose);

void hf_holder_format(const hf_holder_self *self, uint64_t token, int64_t since_us,
                      char line[HF_HOLDER_LINE_BYTES]);

/* The token of a line; 0 where there is none that makes sense. */
uint64_t hf_holder_token(const char *line, size_t count);

/* Reads a line; what it does not tell stays 0 or "". holder->text is always filled. */
void hf_holder_parse(const char *line, size_t count, hf_lock_holder *ret_holder);

#endif
