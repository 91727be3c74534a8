/* Redis servers and Sentinels for tests: real ones, on free ports of the loopback or on a unix
 * socket in a folder of the test's, ended by their pids (and by the kernel where the test dies).
 *
 * HF_TEST_REDIS_SERVER in the environment names the program; else it is looked for. */
#ifndef HF_TESTLIB_REDIS_SERVER_H
#define HF_TESTLIB_REDIS_SERVER_H

#include <sys/types.h>

typedef struct redis_server {
  pid_t pid;        /* 0: not running */
  int port;         /* 0: only the socket */
  int tls_port;     /* where the settings have a tls-cert-file; 0: none */
  char folder[256]; /* its own; removed by redis_server_stop */
  char socket[300]; /* "folder/socket" */
} redis_server;

/* Starts one and waits until it answers. settings: further lines for its configuration, NULL or as
 * in "requirepass secret\nmaxmemory 4mb\n". 0; 77: there is no Redis on this machine; else failed,
 * with words on stderr. */
int redis_server_start(redis_server *server, const char *settings);

/* The same on the port and in the folder that it had: what a restart finds is what is there. */
int redis_server_restart(redis_server *server, const char *settings);

/* A Sentinel for one master (quorum 1, failover after 500 ms). master_name: as the clients say. */
int redis_server_start_sentinel(redis_server *server, const char *master_name, int master_port);

/* SIGKILL; the folder stays, for a restart. */
void redis_server_kill(redis_server *server);

/* Ends it and removes its folder. Accepts one that is not running. */
void redis_server_stop(redis_server *server);

/* One command to the server by its socket, words separated by blanks; prints errors. 1: an answer
 * that is no error, whose text or number is in reply (may be NULL). */
int redis_server_say(const redis_server *server, const char *password, char *reply,
                     size_t reply_bytes, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
