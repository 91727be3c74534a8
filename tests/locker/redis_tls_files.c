#include "redis_tls_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { DAY_S = 24 * 60 * 60, PATH_BYTES = 300 };

static const char *const names[] = {"ca.crt",       "server.crt",  "server.key", "expired.crt",
                                    "client.crt",   "client.key",  "locked.key", "other-ca.crt",
                                    "stranger.crt", "stranger.key"};

static EVP_PKEY *make_key(void) {
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
  if (context == NULL || EVP_PKEY_keygen_init(context) != 1 ||
      EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) != 1 ||
      EVP_PKEY_keygen(context, &key) != 1)
    key = NULL;
  EVP_PKEY_CTX_free(context);
  return key;
}

static FILE *open_file(const tls_files *files, const char *name) {
  char path[PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/%s", files->folder, name);
  return fopen(path, "w");
}

static int write_certificate(const tls_files *files, const char *name, X509 *certificate) {
  FILE *file = open_file(files, name);
  int good = file != NULL && PEM_write_X509(file, certificate) == 1;
  return (file != NULL && fclose(file) == 0 && good) ? 0 : -1;
}

/* passphrase NULL: none. */
static int write_key(const tls_files *files, const char *name, EVP_PKEY *key, char *passphrase) {
  FILE *file = open_file(files, name);
  int good = file != NULL && PEM_write_PrivateKey(
                                 file, key, passphrase != NULL ? EVP_aes_256_cbc() : NULL,
                                 (unsigned char *)passphrase,
                                 passphrase != NULL ? (int)strlen(passphrase) : 0, NULL, NULL) == 1;
  return (file != NULL && fclose(file) == 0 && good) ? 0 : -1;
}

static int add_extension(X509 *certificate, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  int good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return good;
}

typedef struct issuer {
  X509 *certificate;
  EVP_PKEY *key;
} issuer;

/* A certificate for a key; by NULL: it signs itself, and others. */
static X509 *make_certificate(const char *name, EVP_PKEY *key, const issuer *by,
                              const char *alternatives, long ends_in_s) {
  static long serial;
  X509 *one = X509_new();
  if (one == NULL)
    return NULL;
  X509_NAME *subject = X509_get_subject_name(one);
  int good =
      X509_set_version(one, 2) == 1 &&
      ASN1_INTEGER_set(X509_get_serialNumber(one), ++serial) == 1 &&
      X509_gmtime_adj(X509_getm_notBefore(one), -30L * DAY_S) != NULL &&
      X509_gmtime_adj(X509_getm_notAfter(one), ends_in_s) != NULL &&
      X509_set_pubkey(one, key) == 1 &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                                 0) == 1 &&
      X509_set_issuer_name(one, by != NULL ? X509_get_subject_name(by->certificate) : subject) == 1;
  if (by == NULL)
    good = good && add_extension(one, NID_basic_constraints, "critical,CA:TRUE") &&
           add_extension(one, NID_key_usage, "critical,keyCertSign");
  if (alternatives != NULL)
    good = good && add_extension(one, NID_subject_alt_name, alternatives);
  good = good && X509_sign(one, by != NULL ? by->key : key, EVP_sha256()) != 0;
  if (good)
    return one;
  X509_free(one);
  return NULL;
}

/* Makes name.crt. 0 or -1. */
static int issue(const tls_files *files, const char *name, EVP_PKEY *key, const issuer *by,
                 const char *alternatives, long ends_in_s) {
  char file[64];
  X509 *one = make_certificate(name, key, by, alternatives, ends_in_s);
  (void)snprintf(file, sizeof file, "%s.crt", name);
  int failed = one != NULL ? write_certificate(files, file, one) : -1;
  X509_free(one);
  return failed;
}

static int make_all(const tls_files *files) {
  static const char served[] = "IP:127.0.0.1,DNS:redis.test";
  static char passphrase[] = "nobody types this";
  EVP_PKEY *server = make_key(), *client = make_key(), *stranger = make_key();
  issuer ca = {NULL, make_key()}, other = {NULL, make_key()};
  int failed =
      server == NULL || client == NULL || stranger == NULL || ca.key == NULL || other.key == NULL;
  ca.certificate = failed ? NULL : make_certificate("ca", ca.key, NULL, NULL, 30L * DAY_S);
  other.certificate = failed ? NULL : make_certificate("other", other.key, NULL, NULL, 30L * DAY_S);
  failed = failed || ca.certificate == NULL || other.certificate == NULL ||
           write_certificate(files, "ca.crt", ca.certificate) != 0 ||
           write_certificate(files, "other-ca.crt", other.certificate) != 0 ||
           issue(files, "server", server, &ca, served, 30L * DAY_S) != 0 ||
           issue(files, "expired", server, &ca, served, -1L * DAY_S) != 0 ||
           issue(files, "client", client, &ca, NULL, 30L * DAY_S) != 0 ||
           issue(files, "stranger", stranger, &other, NULL, 30L * DAY_S) != 0 ||
           write_key(files, "server.key", server, NULL) != 0 ||
           write_key(files, "client.key", client, NULL) != 0 ||
           write_key(files, "locked.key", client, passphrase) != 0 ||
           write_key(files, "stranger.key", stranger, NULL) != 0;
  X509_free(ca.certificate);
  X509_free(other.certificate);
  EVP_PKEY_free(ca.key);
  EVP_PKEY_free(other.key);
  EVP_PKEY_free(server);
  EVP_PKEY_free(client);
  EVP_PKEY_free(stranger);
  return failed ? -1 : 0;
}

int tls_files_make(tls_files *files) {
  const char *below = getenv("TMPDIR");
  (void)snprintf(files->folder, sizeof files->folder, "%.150s/hf-tls-XXXXXX",
                 below != NULL ? below : "/tmp");
  if (mkdtemp(files->folder) == NULL) {
    perror(files->folder);
    files->folder[0] = '\0';
    return -1;
  }
  if (make_all(files) == 0)
    return 0;
  ERR_print_errors_fp(stderr);
  tls_files_remove(files);
  return -1;
}

void tls_files_remove(tls_files *files) {
  char path[PATH_BYTES];
  if (files->folder[0] == '\0')
    return;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    (void)snprintf(path, sizeof path, "%s/%s", files->folder, names[i]);
    (void)unlink(path);
  }
  (void)rmdir(files->folder);
  files->folder[0] = '\0';
}

void tls_files_settings(const tls_files *files, const char *certificate, const char *more,
                        char *settings, size_t settings_bytes) {
  const char *folder = files->folder;
  (void)snprintf(settings, settings_bytes,
                 "tls-cert-file %s/%s.crt\ntls-key-file %s/server.key\ntls-ca-cert-file %s/ca.crt\n"
                 "%s",
                 folder, certificate, folder, folder, more);
}
