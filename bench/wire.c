/* A wire with a length: takes Ethernet frames from one network device to another, both ways, each
 * later by a fixed time.
 *
 *     wire DELAY_US INNER=OUTER...
 *
 * INNER is a tap that a user-mode kernel holds, OUTER a tap that this program holds and that is a
 * port of a bridge. Each frame goes with its virtio_net_hdr: a kernel leaves checksums, and cutting
 * large frames, to whoever has the frame last. Frames keep their order; a queue that is full loses
 * them, as a switch would. Prints "ready" and goes on until its standard input ends. For kernels
 * without netem. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  PAIRS_MAX = 16,
  FRAME_BYTES_MAX = 65536 + 64,
  QUEUE_FRAMES = 512,
  TAKEN_AT_ONCE_MAX = 64,
  TIMER_SLACK_NS = 1000
};

typedef struct frame {
  int64_t due_ns;
  size_t bytes;
  unsigned char data[FRAME_BYTES_MAX];
} frame;

/* One way. */
typedef struct one_way {
  int from;
  int to;
  int from_socket; /* what this program itself has sent comes back there, and is passed over */
  frame *queue;
  size_t first;
  size_t count;
} one_way;

static one_way lanes[2 * PAIRS_MAX];
static size_t lanes_count;
static uint64_t lost;

static void fail(const char *what, const char *name) {
  fprintf(stderr, "wire: %s: %s: %s\n", name, what, strerror(errno));
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int open_socket(const char *name) {
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
  int index = (int)if_nametoindex(name);
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
  int with_header = 1;
  struct packet_mreq all = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};
  if (fd < 0 || index == 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &with_header, sizeof with_header) != 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) != 0)
    fail("cannot listen", name);
  return fd;
}

static int open_tap(const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0)
    fail("cannot hold this tap", name);
  return fd;
}

static void add_lane(int from, int to, int from_socket) {
  frame *queue = calloc(QUEUE_FRAMES, sizeof *queue);
  if (queue == NULL)
    fail("no memory", "queue");
  lanes[lanes_count++] =
      (one_way){.from = from, .to = to, .from_socket = from_socket, .queue = queue};
}

static void add_pair(char *pair) {
  char *outer = strchr(pair, '=');
  if (outer == NULL || lanes_count == 2 * (size_t)PAIRS_MAX) {
    fprintf(stderr, "wire: %s: INNER=OUTER is wanted, at most %d times\n", pair, PAIRS_MAX);
    exit(2);
  }
  *outer++ = '\0';
  int inner_fd = open_socket(pair);
  int outer_fd = open_tap(outer);
  add_lane(inner_fd, outer_fd, 1);
  add_lane(outer_fd, inner_fd, 0);
}

static ssize_t take_frame(const one_way *lane, frame *into) {
  if (!lane->from_socket)
    return read(lane->from, into->data, sizeof into->data);
  struct sockaddr_ll sender = {0};
  socklen_t sender_bytes = sizeof sender;
  ssize_t got = recvfrom(lane->from, into->data, sizeof into->data, 0, (struct sockaddr *)&sender,
                         &sender_bytes);
  return got > 0 && sender.sll_pkttype == PACKET_OUTGOING ? 0 : got;
}

static void take(one_way *lane, int64_t delay_ns) {
  static frame spare;
  for (int taken = 0; taken < TAKEN_AT_ONCE_MAX; taken++) {
    int is_full = lane->count == QUEUE_FRAMES;
    frame *place = is_full ? &spare : &lane->queue[(lane->first + lane->count) % QUEUE_FRAMES];
    ssize_t got = take_frame(lane, place);
    if (got < 0)
      return;
    if (got == 0)
      continue;
    place->bytes = (size_t)got;
    place->due_ns = now_ns() + delay_ns;
    if (is_full)
      lost++;
    else
      lane->count++;
  }
}

/* Hands on what is due; when the next will be, or -1. */
static int64_t hand_on(one_way *lane, int64_t now) {
  while (lane->count > 0 && lane->queue[lane->first].due_ns <= now) {
    const frame *out = &lane->queue[lane->first];
    if (write(lane->to, out->data, out->bytes) < 0)
      lost++; /* the device is down, or its own queue full */
    lane->first = (lane->first + 1) % QUEUE_FRAMES;
    lane->count--;
  }
  return lane->count > 0 ? lane->queue[lane->first].due_ns : -1;
}

static void carry(int64_t delay_ns) {
  struct pollfd polled[2 * PAIRS_MAX + 1];
  for (size_t i = 0; i < lanes_count; i++)
    polled[i] = (struct pollfd){.fd = lanes[i].from, .events = POLLIN};
  polled[lanes_count] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
  while ((polled[lanes_count].revents & (POLLIN | POLLHUP)) == 0) {
    int64_t now = now_ns();
    int64_t next = -1;
    for (size_t i = 0; i < lanes_count; i++) {
      int64_t due = hand_on(&lanes[i], now);
      if (due >= 0 && (next < 0 || due < next))
        next = due;
    }
    int64_t wait = next < 0 ? INT64_C(1000000000) : next > now ? next - now : 0;
    struct timespec timeout = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    if (ppoll(polled, lanes_count + 1, &timeout, NULL) < 0 && errno != EINTR)
      fail("cannot wait", "poll");
    for (size_t i = 0; i < lanes_count; i++)
      if ((polled[i].revents & POLLIN) != 0)
        take(&lanes[i], delay_ns);
  }
}

int main(int argc, char **argv) {
  char *end = NULL;
  long delay_us = argc > 2 ? strtol(argv[1], &end, 10) : -1;
  if (delay_us < 0 || delay_us > 1000000 || *end != '\0') {
    fprintf(stderr, "usage: wire DELAY_US INNER=OUTER...\n");
    return 2;
  }
  for (int i = 2; i < argc; i++)
    add_pair(argv[i]);
  (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
  printf("ready\n");
  (void)fflush(stdout);
  carry(delay_us * INT64_C(1000));
  if (lost > 0)
    fprintf(stderr, "wire: %llu frames lost\n", (unsigned long long)lost);
  return 0;
}
