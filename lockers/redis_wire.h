/* A socket to a Redis or a Sentinel: bytes with a deadline, nothing of what they mean.
 *
 * hiredis writes with write(2), and a peer that has gone would end the program by SIGPIPE: the
 * signal is kept away from the caller's thread meanwhile. In a child of fork() the socket is closed
 * at once (pthread_atfork), so that the server sees its end when the parent dies. */
#ifndef HF_LOCKERS_REDIS_WIRE_H
#define HF_LOCKERS_REDIS_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <hiredis/hiredis.h>

#include "redis_options.h"

enum { HF_REDIS_WIRE_ERROR_BYTES = 256 };

typedef struct hf_redis_wire {
  redisContext *context; /* NULL: not open */
  pid_t pid;             /* of the process that opened it */
  int fd_in_child;       /* what a child closes; -1: nothing. Under the list's mutex */
  char error[HF_REDIS_WIRE_ERROR_BYTES]; /* why the last call has failed */
  int is_final;  /* it has failed since one side refuses the other's TLS: no use to try again */
  void *session; /* of TLS; the context's; NULL: none */
  struct hf_redis_wire *previous;
  struct hf_redis_wire *next;
} hf_redis_wire;

void hf_redis_wire_init(hf_redis_wire *wire);

/* Connects, until deadline_ms at most (but for the look-up of a name, which libc bounds). tls NULL:
 * none. socket_path "": by TCP. 0, or -1 with wire->error. */
int hf_redis_wire_open(hf_redis_wire *wire, const hf_redis_host *host, const char *socket_path,
                       void *tls, const char *server_name, int64_t deadline_ms);

/* Puts one command into the buffer. 0 or -1 (no memory). */
int hf_redis_wire_append(hf_redis_wire *wire, int argc, const char *const *argv,
                         const size_t *lengths);

/* Sends what is in the buffer. 0 or -1: the wire is of no use any more. */
int hf_redis_wire_flush(hf_redis_wire *wire, int64_t deadline_ms);

/* The next reply. 1: *ret_reply, which the caller frees; 0: none until until_ms; -1: the wire is of
 * no use any more. */
int hf_redis_wire_receive(hf_redis_wire *wire, int64_t until_ms, redisReply **ret_reply);

/* Has the peer closed it, or said something unasked? (A look, without waiting.) */
int hf_redis_wire_is_stale(hf_redis_wire *wire);

/* Closes it; what was in its buffers is gone. In a child of fork() it only frees memory. */
void hf_redis_wire_close(hf_redis_wire *wire);

#endif
