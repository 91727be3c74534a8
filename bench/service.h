/* A server that a peer needs: a child of this process, on the loopback. */
#ifndef HF_BENCH_SERVICE_H
#define HF_BENCH_SERVICE_H

#include <sys/types.h>

#include "peer.h"

typedef struct hf_bench_service {
  const char *name; /* for errors, and of its log: FOLDER/NAME.log */
  pid_t pid;        /* 0: none */
} hf_bench_service;

/* A port of the loopback that nobody listens on now. 0: there is none. */
unsigned hf_bench_port(void);

/* Starts `program` with argv (argv[0] may be another name), and waits until `port` answers. It ends
 * with this process, at the latest. 0, or -1 with a text. */
int hf_bench_service_start(hf_bench_service *service, const char *folder, const char *program,
                           char *const argv[], unsigned port, char error[HF_BENCH_TEXT_BYTES_MAX]);

/* Ends it by its pid: asks first, and waits. */
void hf_bench_service_stop(hf_bench_service *service);

#endif
