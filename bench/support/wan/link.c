/*
 * A link between two network namespaces in user space, for `npm run bench -- wan`: wan-link NAMESPACE NAMESPACE and, in
 * any order,
 *   delay-us=N     one way
 *   mbit=N         each way
 *   queue-kib=N    what may wait in front of the link, each way; what comes then is dropped (tail drop, as in a router)
 *   loss=N         lost at random before the queue, each way, in parts of a million
 *   late=N         delayed by `late-us` more, so that others overtake, in parts of a million
 *   late-us=N
 *   seed=N         of the dice: the n-th packet of a way has the same fate in each run
 *
 * Makes a TUN device "wan0" in each namespace (without the virtio header: the kernel hands over whole packets with
 * their checksums, no longer than the MTU), prints "ready", and carries packets until something comes from its standard
 * input, or that ends. Prints what happened as a line of JSON then.
 *
 * A way is a virtual clock: a packet leaves when the one before it has left plus its own length over the rate, and
 * comes out `delay-us` later. While there is traffic the program wakes every 100 us and moves all that is due: an error
 * of that much in a delay of some ms.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC 1000000000ull
#define PACKET_BYTES 2048
/* A power of two; more than 200 ms of a gigabit in small packets. */
#define MOST_PACKETS (1u << 17)
#define TICK_NS 100000ull
#define ROUND 64
/* What is so long carries blocks. */
#define DATA_BYTES 1400

struct packet {
  uint64_t due_ns;
  uint32_t length;
  unsigned char bytes[PACKET_BYTES];
};

/* What was sent in this order comes out in this order. */
struct line {
  struct packet *packets[MOST_PACKETS];
  uint32_t first, next;
};

struct way {
  int from, to;
  uint64_t dice;
  /* Until then the link is busy with what waits in front of it. */
  uint64_t busy_ns;
  struct line straight, late;
  uint64_t passed, lost, dropped, delayed, refused, worst_ns, queued_ns;
  /* When the first and the last full packet came out, and the longest time between two of them. */
  uint64_t data_first_ns, data_last_ns, data_gap_ns;
};

static uint64_t delay_ns, late_ns, loss_ppm, late_ppm, queue_bytes;
static double ns_per_byte;
static struct packet *spare[2 * MOST_PACKETS];
static uint32_t spares;
static struct way ways[2];
static uint64_t first_ns;

static void fail(const char *what) {
  fprintf(stderr, "wan-link: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* splitmix64 */
static uint64_t roll(struct way *way) {
  uint64_t z = (way->dice += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return (z ^ (z >> 31)) % 1000000;
}

static struct packet *take(void) {
  if (spares > 0) return spare[--spares];
  struct packet *packet = malloc(sizeof *packet);
  if (packet == NULL) fail("malloc");
  return packet;
}

static void give_back(struct packet *packet) {
  if (spares < 2 * MOST_PACKETS) spare[spares++] = packet;
  else free(packet);
}

static int open_end(const char *namespace) {
  char path[256];
  snprintf(path, sizeof path, "/var/run/netns/%s", namespace);
  int place = open(path, O_RDONLY | O_CLOEXEC);
  if (place < 0 || setns(place, CLONE_NEWNET) != 0) fail(path);
  close(place);
  int end = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (end < 0) fail("/dev/net/tun");
  struct ifreq request = {0};
  strcpy(request.ifr_name, "wan0");
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(end, TUNSETIFF, &request) != 0) fail("TUNSETIFF");
  return end;
}

/* The packet was read at this time: it is lost, dropped, or put into line. */
static void enter(struct way *way, struct packet *packet, uint64_t at_ns) {
  uint64_t fate = roll(way);
  uint64_t turn = roll(way);
  if (fate < loss_ppm) {
    way->lost++;
    give_back(packet);
    return;
  }
  uint64_t wait_ns = way->busy_ns > at_ns ? way->busy_ns - at_ns : 0;
  int is_late = turn < late_ppm;
  struct line *line = is_late ? &way->late : &way->straight;
  int is_full = (double)wait_ns / ns_per_byte + packet->length > (double)queue_bytes;
  if (is_full || line->next - line->first == MOST_PACKETS) {
    way->dropped++;
    give_back(packet);
    return;
  }
  way->queued_ns += wait_ns;
  way->busy_ns = at_ns + wait_ns + (uint64_t)(packet->length * ns_per_byte);
  packet->due_ns = way->busy_ns + delay_ns + (is_late ? late_ns : 0);
  way->delayed += (uint64_t)is_late;
  line->packets[line->next++ % MOST_PACKETS] = packet;
}

/* Takes up to `ROUND` packets. Returns how many there were. */
static int take_in(struct way *way) {
  int count = 0;
  while (count < ROUND) {
    struct packet *packet = take();
    ssize_t length = read(way->from, packet->bytes, PACKET_BYTES);
    if (length <= 0) {
      give_back(packet);
      if (length < 0 && errno != EAGAIN && errno != EINTR && errno != EIO) fail("read");
      break;
    }
    packet->length = (uint32_t)length;
    uint64_t at_ns = now_ns();
    if (first_ns == 0) first_ns = at_ns;
    enter(way, packet, at_ns);
    count++;
  }
  return count;
}

/* The one that is due first, or NULL. */
static struct line *earliest(struct way *way) {
  struct line *a = &way->straight, *b = &way->late;
  if (a->first == a->next) return b->first == b->next ? NULL : b;
  if (b->first == b->next) return a;
  return b->packets[b->first % MOST_PACKETS]->due_ns < a->packets[a->first % MOST_PACKETS]->due_ns ? b : a;
}

static void note_data(struct way *way, uint64_t at_ns) {
  if (way->data_first_ns == 0) way->data_first_ns = at_ns;
  else if (at_ns - way->data_last_ns > way->data_gap_ns) way->data_gap_ns = at_ns - way->data_last_ns;
  way->data_last_ns = at_ns;
}

/* Lets go of what is due. Returns when the next one is, or UINT64_MAX. */
static uint64_t let_out(struct way *way, uint64_t at_ns) {
  for (struct line *line = earliest(way); line != NULL; line = earliest(way)) {
    struct packet *packet = line->packets[line->first % MOST_PACKETS];
    if (packet->due_ns > at_ns) return packet->due_ns;
    line->first++;
    if (at_ns - packet->due_ns > way->worst_ns) way->worst_ns = at_ns - packet->due_ns;
    /* The other side is not up yet, or out of memory: that is a loss too. */
    if (write(way->to, packet->bytes, packet->length) < 0) way->refused++;
    else way->passed++;
    if (packet->length >= DATA_BYTES) note_data(way, at_ns);
    give_back(packet);
  }
  return UINT64_MAX;
}

static void carry(void) {
  struct pollfd ends[3] = {{ways[0].from, POLLIN, 0}, {ways[1].from, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  for (;;) {
    int moved = take_in(&ways[0]) + take_in(&ways[1]);
    uint64_t at_ns = now_ns();
    uint64_t next_ns = let_out(&ways[0], at_ns);
    uint64_t other_ns = let_out(&ways[1], at_ns);
    if (other_ns < next_ns) next_ns = other_ns;
    if (moved == 2 * ROUND) continue;
    uint64_t wait_ns = next_ns == UINT64_MAX ? NS_PER_SEC : next_ns > at_ns ? next_ns - at_ns : 0;
    if (wait_ns < TICK_NS) wait_ns = TICK_NS;
    struct timespec pause = {(time_t)(wait_ns / NS_PER_SEC), (long)(wait_ns % NS_PER_SEC)};
    struct timespec tick = {0, (long)TICK_NS};
    /* Packets that follow each other closely are taken together. */
    if (moved > 0) nanosleep(&tick, NULL);
    else if (ppoll(ends, 3, &pause, NULL) > 0 && ends[2].revents != 0) return;
  }
}

static void options(int count, char **words) {
  for (int i = 0; i < count; i++) {
    char *sign = strchr(words[i], '=');
    if (sign == NULL) continue;
    *sign = 0;
    double value = atof(sign + 1);
    if (strcmp(words[i], "delay-us") == 0) delay_ns = (uint64_t)(value * 1000);
    if (strcmp(words[i], "mbit") == 0) ns_per_byte = 8000 / value;
    if (strcmp(words[i], "queue-kib") == 0) queue_bytes = (uint64_t)(value * 1024);
    if (strcmp(words[i], "loss") == 0) loss_ppm = (uint64_t)value;
    if (strcmp(words[i], "late") == 0) late_ppm = (uint64_t)value;
    if (strcmp(words[i], "late-us") == 0) late_ns = (uint64_t)(value * 1000);
    if (strcmp(words[i], "seed") == 0)
      for (int j = 0; j < 2; j++) ways[j].dice = (uint64_t)value * 2 + (uint64_t)j;
  }
  if (ns_per_byte <= 0 || queue_bytes == 0) {
    fprintf(stderr, "wan-link: mbit and queue-kib are needed\n");
    exit(2);
  }
}

static void report(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  long micros = use.ru_utime.tv_usec + use.ru_stime.tv_usec;
  double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)micros / 1e6;
  printf("{\"cpuSec\":%.3f,\"firstMs\":%.3f,\"ways\":[", cpu, (double)first_ns / 1e6);
  for (int i = 0; i < 2; i++) {
    struct way *way = &ways[i];
    uint64_t entered = way->passed + way->refused;
    printf("%s{\"passed\":%lu,\"lost\":%lu,\"dropped\":%lu,\"late\":%lu,\"refused\":%lu,", i == 0 ? "" : ",",
           way->passed, way->lost, way->dropped, way->delayed, way->refused);
    printf("\"worstMs\":%.3f,\"meanQueueMs\":%.3f,\"dataFirstMs\":%.3f,\"dataLastMs\":%.3f,\"dataGapMs\":%.3f}",
           (double)way->worst_ns / 1e6, entered == 0 ? 0 : (double)way->queued_ns / 1e6 / (double)entered,
           (double)way->data_first_ns / 1e6, (double)way->data_last_ns / 1e6, (double)way->data_gap_ns / 1e6);
  }
  printf("]}\n");
}

int main(int count, char **words) {
  if (count < 3) {
    fprintf(stderr, "wan-link: two namespaces are needed\n");
    return 2;
  }
  options(count - 3, words + 3);
  int ends[2] = {open_end(words[1]), open_end(words[2])};
  ways[0].from = ways[1].to = ends[0];
  ways[1].from = ways[0].to = ends[1];
  prctl(PR_SET_TIMERSLACK, 1);
  /* Whoever is measured must not be the reason for the delay. Without the right to it the figures are rougher. */
  struct sched_param order = {.sched_priority = 1};
  sched_setscheduler(0, SCHED_FIFO, &order);
  printf("ready\n");
  fflush(stdout);
  carry();
  report();
  return 0;
}
