#include "redis_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "pace.h"

enum { START_TRIES = 600, START_PAUSE_US = 20000, COMMAND_BYTES = 1024, PORT_TRIES = 20 };

/* HF_TEST_REDIS_SERVER, or what there is. Debian's redis-tools brings the server under another
 * name; it looks at argv[0]. */
static const char *server_program(void) {
  static const char *const paths[] = {"/usr/bin/redis-server", "/usr/local/bin/redis-server",
                                      "/usr/bin/redis-check-rdb", "/usr/bin/valkey-server"};
  const char *wanted = getenv("HF_TEST_REDIS_SERVER");
  if (wanted != NULL && wanted[0] != '\0')
    return wanted;
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
    if (access(paths[i], X_OK) == 0)
      return paths[i];
  return NULL;
}

static int free_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t bytes = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int port = 0;
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
      getsockname(fd, (struct sockaddr *)&address, &bytes) == 0)
    port = ntohs(address.sin_port);
  if (fd >= 0)
    (void)close(fd);
  return port;
}

static int write_settings(const redis_server *server, const char *settings, int is_sentinel) {
  char path[512];
  (void)snprintf(path, sizeof path, "%s/redis.conf", server->folder);
  FILE *file = fopen(path, "w");
  if (file == NULL)
    return -1;
  (void)fprintf(file, "bind 127.0.0.1\nport %d\ndir %s\nlogfile %s/log\nprotected-mode yes\n",
                server->port, server->folder, server->folder);
  (void)fprintf(file, "unixsocket %s\n", server->socket);
  if (server->tls_port != 0)
    (void)fprintf(file, "tls-port %d\n", server->tls_port);
  if (!is_sentinel)
    (void)fprintf(file, "save \"\"\nappendonly no\nenable-debug-command yes\n");
  if (settings != NULL)
    (void)fputs(settings, file);
  return fclose(file);
}

static int launch(redis_server *server, int is_sentinel) {
  char path[512];
  const char *program = server_program();
  (void)snprintf(path, sizeof path, "%s/redis.conf", server->folder);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid != 0) {
    server->pid = pid > 0 ? pid : 0;
    return pid > 0 ? 0 : -1;
  }
  /* it ends with the test, however that ends */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
    _exit(126);
  int null = open("/dev/null", O_RDWR);
  if (null >= 0) {
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
  }
  if (is_sentinel)
    execl(program, "redis-server", path, "--sentinel", (char *)NULL);
  else
    execl(program, "redis-server", path, (char *)NULL);
  _exit(127);
}

int redis_server_say(const redis_server *server, const char *password, char *reply,
                     size_t reply_bytes, const char *format, ...) {
  char command[COMMAND_BYTES];
  char *words[32];
  int count = 0;
  va_list args;
  va_start(args, format);
  (void)vsnprintf(command, sizeof command, format, args);
  va_end(args);
  if (reply != NULL)
    reply[0] = '\0';
  char *rest = command;
  for (char *word = strsep(&rest, " "); word != NULL && count < 32; word = strsep(&rest, " "))
    words[count++] = word;
  redisContext *context = redisConnectUnix(server->socket);
  int good = context != NULL && context->err == 0;
  if (good && password != NULL) {
    redisReply *answer = redisCommand(context, "AUTH %s", password);
    good = answer != NULL && answer->type != REDIS_REPLY_ERROR;
    freeReplyObject(answer);
  }
  if (good) {
    redisReply *answer = redisCommandArgv(context, count, (const char **)words, NULL);
    good = answer != NULL && answer->type != REDIS_REPLY_ERROR;
    if (answer != NULL && reply != NULL && answer->type == REDIS_REPLY_INTEGER)
      (void)snprintf(reply, reply_bytes, "%lld", answer->integer);
    else if (answer != NULL && reply != NULL && answer->str != NULL)
      (void)snprintf(reply, reply_bytes, "%s", answer->str);
    freeReplyObject(answer);
  }
  if (context != NULL)
    redisFree(context);
  return good;
}

/* Any answer will do: with a password it is an error. 1, 0 (not yet), -1 (it has ended). */
static int answers(redis_server *server) {
  int status;
  if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
    server->pid = 0;
    return -1;
  }
  redisContext *context = redisConnectUnix(server->socket);
  redisReply *reply = context != NULL && context->err == 0 ? redisCommand(context, "PING") : NULL;
  int good =
      reply != NULL && (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "LOADING", 7) != 0);
  freeReplyObject(reply);
  if (context != NULL)
    redisFree(context);
  return good;
}

static void print_log(const redis_server *server) {
  char path[512];
  char line[512];
  (void)snprintf(path, sizeof path, "%s/log", server->folder);
  FILE *file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    (void)fputs(line, stderr);
  if (file != NULL)
    (void)fclose(file);
}

static int run(redis_server *server, const char *settings, int is_sentinel) {
  if (write_settings(server, settings, is_sentinel) != 0 || launch(server, is_sentinel) != 0) {
    perror("redis-server");
    return 1;
  }
  for (int i = 0; i < START_TRIES; i++) {
    int answer = answers(server);
    if (answer == 1)
      return 0;
    if (answer < 0)
      break;
    pace_sleep_us(START_PAUSE_US);
  }
  (void)fprintf(stderr, "redis-server does not answer on port %d:\n", server->port);
  print_log(server);
  return 1;
}

static int start(redis_server *server, const char *settings, int is_sentinel) {
  const char *below = getenv("TMPDIR");
  memset(server, 0, sizeof *server);
  if (server_program() == NULL)
    return 77;
  (void)snprintf(server->folder, sizeof server->folder, "%.200s/hf-redis-XXXXXX",
                 below != NULL ? below : "/tmp");
  if (mkdtemp(server->folder) == NULL) {
    perror(server->folder);
    server->folder[0] = '\0';
    return 1;
  }
  (void)snprintf(server->socket, sizeof server->socket, "%s/socket", server->folder);
  int failed = 1;
  for (int i = 0; i < PORT_TRIES && failed != 0; i++) { /* another may take the port meanwhile */
    redis_server_kill(server);
    server->port = free_port();
    server->tls_port =
        settings != NULL && strstr(settings, "tls-cert-file ") != NULL ? free_port() : 0;
    failed = run(server, settings, is_sentinel);
  }
  return failed;
}

int redis_server_start(redis_server *server, const char *settings) {
  return start(server, settings, 0);
}

int redis_server_restart(redis_server *server, const char *settings) {
  redis_server_kill(server);
  (void)unlink(server->socket);
  return run(server, settings, 0);
}

int redis_server_start_sentinel(redis_server *server, const char *master_name, int master_port) {
  char settings[512];
  (void)snprintf(settings, sizeof settings,
                 "sentinel monitor %s 127.0.0.1 %d 1\n"
                 "sentinel down-after-milliseconds %s 500\n"
                 "sentinel failover-timeout %s 5000\n",
                 master_name, master_port, master_name, master_name);
  return start(server, settings, 1);
}

void redis_server_kill(redis_server *server) {
  if (server->pid > 0) {
    (void)kill(server->pid, SIGKILL);
    while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
      continue;
  }
  server->pid = 0;
}

void redis_server_stop(redis_server *server) {
  static const char *const names[] = {"redis.conf", "log", "socket", "dump.rdb"};
  char path[512];
  redis_server_kill(server);
  if (server->folder[0] == '\0')
    return;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    (void)snprintf(path, sizeof path, "%s/%s", server->folder, names[i]);
    (void)unlink(path);
  }
  (void)rmdir(server->folder);
  server->folder[0] = '\0';
}
