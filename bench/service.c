#include "service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 5, START_POLLS = 4000, STOP_POLLS = 2000, PATH_BYTES = 4200 };

static void nap(void) {
  struct timespec t = {.tv_nsec = POLL_MS * 1000000L};
  (void)nanosleep(&t, NULL);
}

static struct sockaddr_in loopback(unsigned port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

unsigned hf_bench_port(void) {
  struct sockaddr_in address = loopback(0);
  socklen_t bytes = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  unsigned port = 0;
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, bytes) == 0 &&
      getsockname(fd, (struct sockaddr *)&address, &bytes) == 0) {
    port = ntohs(address.sin_port);
  }
  if (fd >= 0) {
    (void)close(fd);
  }
  return port;
}

static int answers(unsigned port) {
  struct sockaddr_in address = loopback(port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  if (fd >= 0) {
    (void)close(fd);
  }
  return result;
}

/* In the child. */
static void run(const char *log, const char *program, char *const argv[], pid_t parent) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  int in = open("/dev/null", O_RDONLY);
  int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (getppid() == parent && in >= 0 && out >= 0 && dup2(in, STDIN_FILENO) >= 0 &&
      dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0) {
    (void)execvp(program, argv);
  }
  _exit(127);
}

int hf_bench_service_start(hf_bench_service *service, const char *folder, const char *program,
                           char *const argv[], unsigned port, char error[HF_BENCH_TEXT_BYTES_MAX]) {
  char log[PATH_BYTES];
  pid_t parent = getpid();
  int n = snprintf(log, sizeof log, "%s/%s.log", folder, service->name);
  if (n < 0 || (size_t)n >= sizeof log || port == 0) {
    (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "%s: the path is too long, or no port is free",
                   service->name);
    return -1;
  }
  service->pid = fork();
  if (service->pid == 0) {
    run(log, program, argv, parent);
  }
  if (service->pid < 0) {
    service->pid = 0;
    (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "%s: fork: %s", service->name, strerror(errno));
    return -1;
  }
  for (int i = 0; i < START_POLLS; i++) {
    if (waitpid(service->pid, NULL, WNOHANG) == service->pid) {
      service->pid = 0;
      (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX,
                     "%s: %s has ended at once (is it installed? scripts/install-packages bench)",
                     service->name, program);
      return -1;
    }
    if (answers(port)) {
      return 0;
    }
    nap();
  }
  hf_bench_service_stop(service);
  (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "%s: does not answer", service->name);
  return -1;
}

void hf_bench_service_stop(hf_bench_service *service) {
  if (service->pid == 0) {
    return;
  }
  (void)kill(service->pid, SIGTERM);
  for (int i = 0; i < STOP_POLLS; i++) {
    if (waitpid(service->pid, NULL, WNOHANG) == service->pid) {
      service->pid = 0;
      return;
    }
    nap();
  }
  (void)kill(service->pid, SIGKILL);
  (void)waitpid(service->pid, NULL, 0);
  service->pid = 0;
}
