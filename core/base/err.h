/* Filling the caller's hf_error. Every function accepts reterr == NULL and returns the code, so
 * that an error is one statement: return hf_err(reterr, HF_EINVAL, path, "..."). */
#ifndef HF_BASE_ERR_H
#define HF_BASE_ERR_H

#include <holdfast/error.h>

/* place may be NULL. Over-long texts are cut at a whole UTF-8 character. sys_errno is set to 0. */
int hf_err(hf_error *reterr, int code, const char *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a failed system call: `sys_errno` is kept, and ": " and its text are appended to the
 * message, with the next step where the errno has a usual one (ENOSPC: free space; EROFS, EACCES:
 * permissions ...). */
int hf_err_sys(hf_error *reterr, int code, int sys_errno, const char *place, const char *format,
               ...) __attribute__((format(printf, 5, 6)));

/* Out of memory. */
int hf_err_nomem(hf_error *reterr);

/* Puts "prefix/" before the place (a relative path becomes one below the store). */
void hf_err_place_below(hf_error *reterr, const char *prefix);

#endif
