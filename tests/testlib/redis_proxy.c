#include "redis_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 32, BYTES = 65536, POLL_MS = 20 };

typedef struct connection {
  int client; /* -1: free */
  int server;
  int is_lost;
} connection;

struct redis_proxy {
  int server_port;
  int port;
  int listener;
  pthread_t thread;
  atomic_int stop;
  atomic_int mode;
  atomic_int loses_connections; /* at the thread's next step */
  _Atomic(const char *) answer;
  atomic_long requests;
  connection connections[CONNECTIONS_MAX]; /* the thread's */
};

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static void close_both(connection *one) {
  close(one->client);
  close(one->server);
  one->client = one->server = -1;
}

static void take_client(redis_proxy *proxy) {
  struct sockaddr_in address = loopback(proxy->server_port);
  int client = accept(proxy->listener, NULL, NULL);
  int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  connection *free_one = NULL;
  for (int i = 0; i < CONNECTIONS_MAX && free_one == NULL; i++)
    if (proxy->connections[i].client < 0)
      free_one = &proxy->connections[i];
  if (client < 0 || server < 0 || free_one == NULL ||
      connect(server, (struct sockaddr *)&address, sizeof address) != 0) {
    close(client);
    close(server);
    return;
  }
  *free_one = (connection){client, server, 0};
}

static void send_answer(const redis_proxy *proxy, int client) {
  char line[512];
  const char *answer = atomic_load(&proxy->answer);
  int bytes = snprintf(line, sizeof line, "%s\r\n", answer != NULL ? answer : "-ERR no answer");
  (void)!send(client, line, (size_t)bytes, MSG_NOSIGNAL);
}

static void from_client(redis_proxy *proxy, connection *one) {
  char bytes[BYTES];
  ssize_t got = recv(one->client, bytes, sizeof bytes, 0);
  int mode = atomic_load(&proxy->mode);
  if (got <= 0) {
    close_both(one);
    return;
  }
  atomic_fetch_add(&proxy->requests, 1);
  if (mode == REDIS_PROXY_ANSWER)
    send_answer(proxy, one->client);
  else if (mode != REDIS_PROXY_LOSE_REQUESTS &&
           send(one->server, bytes, (size_t)got, MSG_NOSIGNAL) != got)
    close_both(one);
}

static void from_server(redis_proxy *proxy, connection *one) {
  char bytes[BYTES];
  ssize_t got = recv(one->server, bytes, sizeof bytes, 0);
  int mode = atomic_load(&proxy->mode);
  if (got <= 0 || mode == REDIS_PROXY_CUT_AT_REPLY)
    close_both(one);
  if (got > 1 && mode == REDIS_PROXY_HALVE_REPLIES)
    got /= 2;
  int passes = mode == REDIS_PROXY_PASS || mode == REDIS_PROXY_HALVE_REPLIES;
  if (one->client >= 0 && passes && send(one->client, bytes, (size_t)got, MSG_NOSIGNAL) != got)
    close_both(one);
}

static void *run(void *argument) {
  redis_proxy *proxy = argument;
  while (!atomic_load(&proxy->stop)) {
    struct pollfd fds[1 + 2 * CONNECTIONS_MAX];
    int loses = atomic_exchange(&proxy->loses_connections, 0);
    fds[0] = (struct pollfd){proxy->listener, POLLIN, 0};
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
      connection *one = &proxy->connections[i];
      one->is_lost = one->is_lost || (loses && one->client >= 0);
      fds[1 + 2 * i] = (struct pollfd){one->is_lost ? -1 : one->client, POLLIN, 0};
      fds[2 + 2 * i] = (struct pollfd){one->is_lost ? -1 : one->server, POLLIN, 0};
    }
    if (poll(fds, 1 + 2 * CONNECTIONS_MAX, POLL_MS) <= 0)
      continue;
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
      connection *one = &proxy->connections[i];
      if (one->client >= 0 && fds[1 + 2 * i].revents != 0)
        from_client(proxy, one);
      if (one->client >= 0 && fds[2 + 2 * i].revents != 0)
        from_server(proxy, one);
    }
    if (fds[0].revents != 0)
      take_client(proxy);
  }
  return NULL;
}

redis_proxy *redis_proxy_start(int server_port) {
  struct sockaddr_in address = loopback(0);
  socklen_t bytes = sizeof address;
  redis_proxy *proxy = calloc(1, sizeof *proxy);
  if (proxy == NULL)
    return NULL;
  proxy->server_port = server_port;
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    proxy->connections[i] = (connection){-1, -1, 0};
  proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (proxy->listener < 0 ||
      bind(proxy->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(proxy->listener, CONNECTIONS_MAX) != 0 ||
      getsockname(proxy->listener, (struct sockaddr *)&address, &bytes) != 0 ||
      pthread_create(&proxy->thread, NULL, run, proxy) != 0) {
    perror("redis_proxy");
    close(proxy->listener);
    free(proxy);
    return NULL;
  }
  proxy->port = ntohs(address.sin_port);
  return proxy;
}

int redis_proxy_port(const redis_proxy *proxy) {
  return proxy->port;
}

void redis_proxy_set(redis_proxy *proxy, redis_proxy_mode mode, const char *answer) {
  atomic_store(&proxy->answer, answer);
  atomic_store(&proxy->mode, mode);
}

void redis_proxy_lose_connections(redis_proxy *proxy) {
  atomic_store(&proxy->loses_connections, 1);
}

long redis_proxy_requests(const redis_proxy *proxy) {
  return atomic_load(&proxy->requests);
}

void redis_proxy_stop(redis_proxy **proxy) {
  if (*proxy == NULL)
    return;
  atomic_store(&(*proxy)->stop, 1);
  (void)pthread_join((*proxy)->thread, NULL);
  for (int i = 0; i < CONNECTIONS_MAX; i++)
    if ((*proxy)->connections[i].client >= 0)
      close_both(&(*proxy)->connections[i]);
  close((*proxy)->listener);
  free(*proxy);
  *proxy = NULL;
}
