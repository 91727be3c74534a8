/* Loaded into a program (LD_PRELOAD), it waits right before main until all are let go at once: it
 * says that it is there by a byte into the pipe AT_ONCE_READY_FD, and goes on when the other end of
 * AT_ONCE_GO_FD is closed. Starting a process takes a node longer than what it does then. */
#include <unistd.h>

enum { AT_ONCE_READY_FD = 10, AT_ONCE_GO_FD = 11 }; /* as in asking_node.py */

__attribute__((constructor)) static void wait_for_all(void) {
  char byte = 0;
  if (write(AT_ONCE_READY_FD, &byte, 1) == 1)
    (void)!read(AT_ONCE_GO_FD, &byte, 1);
  (void)close(AT_ONCE_READY_FD);
  (void)close(AT_ONCE_GO_FD);
}
