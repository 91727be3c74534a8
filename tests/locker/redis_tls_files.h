/* Certificates for a Redis that speaks TLS, in a folder of the test's own:
 *
 *   ca.crt                     signs those that follow
 *   server.crt, server.key     for 127.0.0.1 and redis.test
 *   expired.crt                the same with the same key, until yesterday
 *   client.crt, client.key     for a client
 *   locked.key                 client.key under a passphrase
 *   other-ca.crt               another CA
 *   stranger.crt, stranger.key a client that the other CA has signed
 */
#ifndef HF_TESTS_LOCKER_REDIS_TLS_FILES_H
#define HF_TESTS_LOCKER_REDIS_TLS_FILES_H

#include <stddef.h>

typedef struct tls_files {
  char folder[200]; /* "": not made */
} tls_files;

/* 0, or -1 with words on stderr. */
int tls_files_make(tls_files *files);
void tls_files_remove(tls_files *files);

/* The settings of a server with this certificate ("server", "expired") and these further lines. */
void tls_files_settings(const tls_files *files, const char *certificate, const char *more,
                        char *settings, size_t settings_bytes);

#endif
