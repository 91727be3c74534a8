#include "redis_tls.h"

#include "err.h"

#ifdef HF_WITH_REDIS_TLS
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#endif

#include "banned.h"

#ifdef HF_WITH_REDIS_TLS

int hf_redis_tls_check(hf_error *reterr) {
  (void)reterr;
  return HF_OK;
}

/* ---- settings -------------------------------------------------------------------------------- */

/* OpenSSL would ask at the terminal. */
static int no_passphrase(char *buffer, int bytes, int is_writing, void *context) {
  (void)buffer, (void)bytes, (void)is_writing, (void)context;
  return -1;
}

static int load(SSL_CTX *context, const hf_redis_options *options, hf_error *reterr) {
  const char *place = "lockers.redis";
  int loaded = options->tls_ca_file[0] != '\0'
                   ? SSL_CTX_load_verify_locations(context, options->tls_ca_file, NULL)
                   : SSL_CTX_set_default_verify_paths(context);
  if (loaded != 1)
    return hf_err(reterr, HF_ECONFIG, place, "tls_ca_file: there is no certificate in %s",
                  options->tls_ca_file[0] != '\0' ? options->tls_ca_file : "the system's folder");
  if (options->tls_cert_file[0] == '\0')
    return HF_OK;
  if (SSL_CTX_use_certificate_chain_file(context, options->tls_cert_file) != 1)
    return hf_err(reterr, HF_ECONFIG, place, "tls_cert_file: there is no certificate in %s",
                  options->tls_cert_file);
  if (SSL_CTX_use_PrivateKey_file(context, options->tls_key_file, SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1)
    return hf_err(reterr, HF_ECONFIG, place,
                  "tls_key_file: %s is not the certificate's key, cannot be read, or is kept under "
                  "a passphrase (which nobody could type)",
                  options->tls_key_file);
  return HF_OK;
}

int hf_redis_tls_make(const hf_redis_options *options, void **ret_tls, hf_error *reterr) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (context == NULL)
    return hf_err_nomem(reterr);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  /* so that reading never wants to write but to answer a new key, and writing never to read */
  (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  int status = load(context, options, reterr);
  ERR_clear_error();
  if (status == HF_OK)
    *ret_tls = context;
  else
    SSL_CTX_free(context);
  return status;
}

void hf_redis_tls_free(void **tls) {
  SSL_CTX_free(*tls);
  *tls = NULL;
}

/* ---- a session ------------------------------------------------------------------------------- */

/* hiredis's own context verifies the chain and not the name (1.2): here both are. */
static int expect_name(SSL *ssl, const char *server_name) {
  unsigned char address[16];
  if (inet_pton(AF_INET, server_name, address) == 1 ||
      inet_pton(AF_INET6, server_name, address) == 1)
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name) == 1 ? 0 : -1;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, server_name) == 1 && SSL_set_tlsext_host_name(ssl, server_name) == 1
             ? 0
             : -1;
}

void *hf_redis_tls_begin(redisContext *context, void *tls, const char *server_name) {
  SSL *ssl = SSL_new(tls);
  if (ssl == NULL)
    return NULL;
  /* it takes ssl over where it succeeds; here, without blocking, that is: has begun */
  if (expect_name(ssl, server_name) != 0 || redisInitiateSSL(context, ssl) != REDIS_OK) {
    SSL_free(ssl);
    return NULL;
  }
  return ssl;
}

int hf_redis_tls_step(void *session, short *ret_events) {
  ERR_clear_error();
  int done = SSL_do_handshake(session);
  int wanted = SSL_get_error(session, done);
  if (done == 1)
    return 1;
  if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE)
    return -1;
  *ret_events = wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
  return 0;
}

int hf_redis_tls_has_text(void *session) {
  return session != NULL && SSL_pending(session) > 0;
}

void hf_redis_tls_clear(void *session) {
  if (session != NULL)
    ERR_clear_error();
}

static const char *advice_for(long verdict) {
  switch (verdict) {
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return "use the name that it is for (in the url, or as tls_server_name)";
  case X509_V_ERR_CERT_HAS_EXPIRED:
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return "renew it, or set this host's clock";
  default:
    return "give the certificate of the CA that signed it (tls_ca_file)";
  }
}

/* 0: it may pass; 1. */
static int explain_error(unsigned long error, char *text, size_t text_bytes) {
  int reason = ERR_GET_REASON(error);
  const char *words = ERR_reason_error_string(error);
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING /* OpenSSL 3 */
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    (void)snprintf(text, text_bytes, "the connection has ended");
    return 0;
  }
#endif
  if (words == NULL) /* a system call's */
    return 0;
  if (reason > SSL_AD_REASON_OFFSET) /* what the server said at the end */
    (void)snprintf(text, text_bytes,
                   "the server refuses TLS (%s); does it want a certificate from us that its CA "
                   "has signed (tls_cert_file, tls_key_file)?",
                   words);
  else
    (void)snprintf(text, text_bytes, "TLS cannot be agreed on (%s); is that its port for TLS?",
                   words);
  return 1;
}

int hf_redis_tls_explain(void *session, char *text, size_t text_bytes) {
  char last;
  long verdict = SSL_get_verify_result(session);
  unsigned long error = ERR_peek_error();
  if (verdict != X509_V_OK) {
    (void)snprintf(text, text_bytes, "the server's certificate is refused (%s); %s",
                   X509_verify_cert_error_string(verdict), advice_for(verdict));
    ERR_clear_error();
    return 1;
  }
  /* With TLS 1.3 a server refuses us when we think that all is well. It says why, and closes: what
   * we were about to send may meet that first. */
  if (error == 0 && SSL_is_init_finished(session) && SSL_read(session, &last, 1) <= 0)
    error = ERR_peek_error();
  int is_final = error != 0 ? explain_error(error, text, text_bytes) : 0;
  ERR_clear_error();
  return is_final;
}

#else

int hf_redis_tls_check(hf_error *reterr) {
  return hf_err(
      reterr, HF_ECONFIG, "lockers.redis.url",
      "rediss:// wants TLS, and this build's hiredis %d.%d.%d has none: hiredis 1.0.0 and "
      "later bring it (with hiredis_ssl; build Holdfast with it), or use redis:// through "
      "a tunnel",
      HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
}

int hf_redis_tls_make(const hf_redis_options *options, void **ret_tls, hf_error *reterr) {
  (void)options;
  *ret_tls = NULL;
  return hf_redis_tls_check(reterr);
}

void hf_redis_tls_free(void **tls) {
  *tls = NULL;
}

void *hf_redis_tls_begin(redisContext *context, void *tls, const char *server_name) {
  (void)context, (void)tls, (void)server_name;
  return NULL;
}

int hf_redis_tls_step(void *session, short *ret_events) {
  (void)session;
  *ret_events = 0;
  return -1;
}

int hf_redis_tls_has_text(void *session) {
  (void)session;
  return 0;
}

void hf_redis_tls_clear(void *session) {
  (void)session;
}

int hf_redis_tls_explain(void *session, char *text, size_t text_bytes) {
  (void)session;
  if (text_bytes > 0)
    text[0] = '\0';
  return 0;
}

#endif
