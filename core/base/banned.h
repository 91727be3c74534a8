/* Functions that this code does not use, made into errors: unbounded, unchecked, or with hidden
 * state. Included by every .c file of the library and the command line, after all other headers. */
#ifndef HF_BASE_BANNED_H
#define HF_BASE_BANNED_H

#if defined(__GNUC__) && !defined(__cplusplus)
#undef alloca /* macros in libc: poisoning one is a warning otherwise */
#undef strdupa
#undef strndupa
#undef sprintf /* a macro for clang with _FORTIFY_SOURCE */
#undef vsprintf
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok strtok_r
#pragma GCC poison atoi atol atoll atof tmpnam tempnam mktemp
#pragma GCC poison asctime ctime gmtime localtime usleep
#endif

#endif
