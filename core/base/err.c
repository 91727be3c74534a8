#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "banned.h"

const char *hf_status_name(int status) {
  switch ((hf_status)status) {
#define HF_CASE(name, value, text)                                                                 \
  case name:                                                                                       \
    return #name;
    HF_STATUS_LIST(HF_CASE)
#undef HF_CASE
  }
  return "HF_?";
}

const char *hf_status_text(int status) {
  switch ((hf_status)status) {
#define HF_CASE(name, value, text)                                                                 \
  case name:                                                                                       \
    return text;
    HF_STATUS_LIST(HF_CASE)
#undef HF_CASE
  }
  return "unknown status";
}

/* Ends a text that vsnprintf cut: not in the middle of a UTF-8 character. */
static void cut_at_character(char *text, size_t bytes) {
  size_t used = strnlen(text, bytes);
  if (used + 1 < bytes)
    return; /* it was not cut */
  size_t start = used;
  while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
    start--;
  if (start == 0)
    return;
  unsigned char lead = (unsigned char)text[start - 1];
  size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (used - (start - 1) < want)
    text[start - 1] = '\0';
}

/* One line: a message may quote what a user handed in. */
static void flatten(char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char)*text < 0x20 || *text == 0x7F)
      *text = ' ';
}

__attribute__((format(printf, 5, 0))) static void fill(hf_error *reterr, int code, int sys_errno,
                                                       const char *place, const char *format,
                                                       va_list args) {
  char message[HF_ERROR_MESSAGE_BYTES]; /* apart: an argument may point into *reterr */
  char where[HF_ERROR_PLACE_BYTES];
  (void)vsnprintf(message, sizeof message, format, args);
  (void)snprintf(where, sizeof where, "%s", place != NULL ? place : "");
  cut_at_character(message, sizeof message);
  cut_at_character(where, sizeof where);
  flatten(message);
  flatten(where);
  memset(reterr, 0, sizeof *reterr);
  reterr->code = (hf_status)code;
  reterr->sys_errno = sys_errno;
  memcpy(reterr->message, message, sizeof message);
  memcpy(reterr->place, where, sizeof where);
}

int hf_err(hf_error *reterr, int code, const char *place, const char *format, ...) {
  int saved_errno = errno;
  if (reterr != NULL) {
    va_list args;
    va_start(args, format);
    fill(reterr, code, 0, place, format, args);
    va_end(args);
  }
  errno = saved_errno;
  return code;
}

/* What to do about it, where that is the same whatever was tried. */
static const char *next_step(int sys_errno) {
  switch (sys_errno) {
  case ENOSPC:
    return "; free some space (or inodes: df -i) and try again";
  case EDQUOT:
    return "; the quota is used up: free some space or ask for more";
  case EACCES:
  case EPERM:
    return "; ask the owner for the right to do this";
  case EROFS:
    return "; it is mounted read-only";
  case EMFILE:
    return "; raise the limit on open files (ulimit -n)";
  case ENFILE:
    return "; the system's limit on open files is reached";
  case ESTALE:
    return "; the server no longer knows it: remount, or open the store again";
  case ELOOP:
    return "; a symbolic link is there, which Holdfast does not follow inside a store";
  case EIO:
    return "; look at the kernel's log: the disk or the mount has failed";
  default:
    return "";
  }
}

int hf_err_sys(hf_error *reterr, int code, int sys_errno, const char *place, const char *format,
               ...) {
  int saved_errno = errno;
  if (reterr != NULL) {
    va_list args;
    va_start(args, format);
    fill(reterr, code, sys_errno, place, format, args);
    va_end(args);
    char text[128];
    const char *reason = strerror_r(sys_errno, text, sizeof text); /* GNU: answers the text */
    size_t used = strlen(reterr->message);
    (void)snprintf(reterr->message + used, sizeof reterr->message - used, ": %s%s", reason,
                   next_step(sys_errno));
    cut_at_character(reterr->message, sizeof reterr->message);
  }
  errno = saved_errno;
  return code;
}

int hf_err_nomem(hf_error *reterr) {
  return hf_err(reterr, HF_ENOMEM, NULL, "out of memory; nothing was changed by this step");
}

void hf_err_place_below(hf_error *reterr, const char *prefix) {
  if (reterr == NULL)
    return;
  char joined[2 * HF_ERROR_PLACE_BYTES];
  if (reterr->place[0] == '\0')
    (void)snprintf(joined, sizeof joined, "%s", prefix);
  else
    (void)snprintf(joined, sizeof joined, "%s/%s", prefix, reterr->place);
  joined[HF_ERROR_PLACE_BYTES - 1] = '\0';
  cut_at_character(joined, HF_ERROR_PLACE_BYTES);
  memcpy(reterr->place, joined, HF_ERROR_PLACE_BYTES);
}
