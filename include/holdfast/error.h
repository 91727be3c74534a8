/* Holdfast: status codes and the error object.
 *
 * Every function that can fail returns an int: HF_OK (0) or a negative hf_status. A function that
 * looks for something returns 1 (got it), 0 (there is none) or a negative hf_status. Results come
 * last: ret_..., then reterr; each is written only in the outcome that it belongs to (reterr only
 * on a negative status).
 *
 * The caller owns the hf_error: put one on the stack (HF_ERROR_INIT), pass its address, or pass
 * NULL where only the status matters. It holds no pointers, so it needs no destructor and may be
 * copied. One hf_error must not be written by two threads at once.
 */
#ifndef HOLDFAST_ERROR_H
#define HOLDFAST_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HF_API __attribute__((visibility("default")))
#else
#define HF_API
#endif

/* X(name, value, text). The one list of status codes: their names and texts are made from it. */
#define HF_STATUS_LIST(X)                                                                          \
  X(HF_OK, 0, "done")                                                                              \
  X(HF_EINVAL, -1, "an argument is not valid")                                                     \
  X(HF_ENOMEM, -2, "out of memory")                                                                \
  X(HF_EIO, -3, "a system call failed")                                                            \
  X(HF_EDOC, -4, "the document is not valid JSON (RFC 8259)")                                      \
  X(HF_ELIMIT, -5, "a documented limit is exceeded")                                               \
  X(HF_ENOTFOUND, -6, "there is no such thing")                                                    \
  X(HF_ECONFLICT, -7, "a condition (if-absent, if-seq) does not hold; nothing was saved")          \
  X(HF_ELOCK, -8, "the lock was not granted in time; nothing was saved")                           \
  X(HF_EBACKEND, -9, "the locker's backend cannot be reached; nothing was saved")                  \
  X(HF_EUNSURE, -10, "published, but its durability could not be confirmed; resolve the id")       \
  X(HF_EENDED, -11, "the attempt was ended: not saved, and its id never will be")                  \
  X(HF_EDAMAGED, -12, "the store is damaged; run verify")                                          \
  X(HF_EVERSION, -13, "made by a newer or unknown version of the format")                          \
  X(HF_EWRONGSTORE, -14, "this is another store than the one expected")                            \
  X(HF_ENOTSTORE, -15, "there is no store here")                                                   \
  X(HF_EEXIST, -16, "it exists already")                                                           \
  X(HF_EFORKED, -17, "a handle was used in a child of the process that opened it")                 \
  X(HF_ECONFIG, -18, "the configuration is not valid or not complete")                             \
  X(HF_EUNSUPPORTED, -19, "the filesystem cannot do what a store needs")                           \
  X(HF_ECANCELLED, -20, "stopped by a callback of the caller")                                     \
  X(HF_EINTERNAL, -21, "a defect of Holdfast itself")                                              \
  X(HF_EDROPPED, -22, "the document was dropped by gc; its envelope stays")

typedef enum hf_status {
#define HF_STATUS_ENUM(name, value, text) name = (value),
  HF_STATUS_LIST(HF_STATUS_ENUM)
#undef HF_STATUS_ENUM
} hf_status;

enum {
  HF_ID_CHARS = 26,             /* a ULID in Crockford's base 32 */
  HF_ERROR_PLACE_BYTES = 512,   /* including the terminating NUL */
  HF_ERROR_MESSAGE_BYTES = 1024 /* including the terminating NUL */
};

/* What went wrong, where, and what to do about it. */
typedef struct hf_error {
  hf_status code;
  int sys_errno;                    /* the errno of the failed system call, or 0 */
  char id[HF_ID_CHARS + 1];         /* HF_EUNSURE, HF_EENDED: the attempt's id; else "" */
  char place[HF_ERROR_PLACE_BYTES]; /* a path, or "PATH: line 3, column 7"; may be "" */
  /* one line of UTF-8, without the place, without a final full stop */
  char message[HF_ERROR_MESSAGE_BYTES];
} hf_error;

#define HF_ERROR_INIT                                                                              \
  {                                                                                                \
    HF_OK, 0, {0}, {0}, {                                                                          \
      0                                                                                            \
    }                                                                                              \
  }

/* The constant's name, as "HF_EIO"; "HF_?" for a number that is none. Never NULL. Thread-safe. */
HF_API const char *hf_status_name(int status);

/* The code's text, as in the list above. Never NULL. Thread-safe. */
HF_API const char *hf_status_text(int status);

#ifdef __cplusplus
}
#endif
#endif
