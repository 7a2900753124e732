/*
 * The client of scripts/bench: ordinary kernel sockets, the same for every server. One job per call, one JSON line on
 * standard output; exit 1 with a sentence on standard error when no figure could be taken.
 *
 *   client upload    fills a connection for -t seconds; counts what the server has acknowledged
 *   client download  empties a connection for -t seconds
 *   client pingpong  sends one octet and waits for it to come back, -n times
 *   client connect   connects, sends an octet, waits for it, closes; -n times or for -t seconds, -c of them in flight
 *   client hold      opens -n connections and holds them until standard input ends
 *   client exact     sends -n octets through echo on each of -c connections at once, and compares what comes back
 *
 *   -h ADDRESS  -p PORT  -C NAME (congestion control)  -s ADDRESS (source)  -P PID (server, for its processor time)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { UPLOAD_CHUNK = 128 * 1024, DOWNLOAD_CHUNK = 256 * 1024, PINGPONG_WARMUP = 500, MAX_FLIGHT = 1024 };
/* Beyond these a server is taken for dead, seconds. */
static const double STALLED = 2, PINGPONG_LIMIT = 30;

static struct sockaddr_in server = {.sin_family = AF_INET};
static struct sockaddr_in source = {.sin_family = AF_INET};
static int has_source;
static const char *congestion;
static int server_pid;
static double seconds = 2;
static long count = 20000;
static int flight = 1;

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

/* ---- Processor time: our own, the server's, and everybody's ---- */

static double own_cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* utime and stime of /proc/PID/stat; the name before them may hold blanks and parentheses. */
static double server_cpu(void) {
  char path[32], text[1024];
  if (server_pid == 0) return 0;
  snprintf(path, sizeof path, "/proc/%d/stat", server_pid);
  FILE *f = fopen(path, "r");
  if (f == NULL) return 0;
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  unsigned long user = 0, system = 0;
  char *rest = strrchr(text, ')');
  if (rest != NULL) sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
  return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

/* Of the whole machine: user, nice, system, hard and soft interrupts. */
static double machine_cpu(void) {
  unsigned long long user = 0, nice = 0, system = 0, idle, wait, hard = 0, soft = 0;
  FILE *f = fopen("/proc/stat", "r");
  if (f == NULL) return 0;
  if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &hard, &soft) != 7) user = 0;
  fclose(f);
  return (double)(user + nice + system + hard + soft) / sysconf(_SC_CLK_TCK);
}

static struct { double at, own, server, machine; } start;

static void begin(void) {
  start.own = own_cpu();
  start.server = server_cpu();
  start.machine = machine_cpu();
  start.at = now();
}

/* The end of every answer: seconds of the clock, and of a processor for us, for the server and for all others. */
static void finish(double elapsed) {
  double own = own_cpu() - start.own, served = server_cpu() - start.server;
  printf(",\"seconds\":%.4f,\"clientCpu\":%.3f,\"serverCpu\":%.3f,\"otherCpu\":%.3f}\n", elapsed, own, served, machine_cpu() - start.machine - own - served);
}

/* ---- Sockets ---- */

static int make_socket(int flags) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | flags, 0);
  if (fd < 0) die("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (congestion != NULL && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion)) != 0) die(congestion);
  if (has_source) {
    /* The port is chosen at connect(), where the kernel may use one again that leads elsewhere. */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&source, sizeof source) != 0) die("bind");
  }
  return fd;
}

static void set_timeout(int fd, int option, double secs) {
  struct timeval t = {(time_t)secs, (suseconds_t)((secs - (time_t)secs) * 1e6)};
  setsockopt(fd, SOL_SOCKET, option, &t, sizeof t);
}

static int dial(void) {
  int fd = make_socket(0);
  set_timeout(fd, SO_SNDTIMEO, STALLED);
  set_timeout(fd, SO_RCVTIMEO, STALLED);
  if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0) die("connect");
  return fd;
}

/* By RST: what is in flight after the measurement is nobody's concern. */
static void drop(int fd) {
  struct linger l = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
  close(fd);
}

static struct tcp_info info_of(int fd) {
  struct tcp_info info;
  socklen_t length = sizeof info;
  memset(&info, 0, sizeof info);
  getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
  return info;
}

/* ---- Jobs ---- */

static void upload(void) {
  char *chunk = malloc(UPLOAD_CHUNK);
  memset(chunk, 'x', UPLOAD_CHUNK);
  int fd = dial();
  begin();
  for (double end = start.at + seconds; now() < end;)
    if (send(fd, chunk, UPLOAD_CHUNK, 0) < 0) die("send");
  struct tcp_info info = info_of(fd);
  double elapsed = now() - start.at;
  printf("{\"gbps\":%.4f,\"retransmits\":%u,\"mss\":%u,\"cwnd\":%u", info.tcpi_bytes_acked * 8 / elapsed / 1e9, info.tcpi_total_retrans, info.tcpi_snd_mss, info.tcpi_snd_cwnd);
  finish(elapsed);
  drop(fd);
}

static void download(void) {
  char *chunk = malloc(DOWNLOAD_CHUNK);
  double octets = 0;
  int fd = dial();
  begin();
  for (double end = start.at + seconds; now() < end;) {
    ssize_t n = recv(fd, chunk, DOWNLOAD_CHUNK, 0);
    if (n == 0) errno = ECONNRESET;
    if (n <= 0) die("recv");
    octets += n;
  }
  double elapsed = now() - start.at;
  struct tcp_info info = info_of(fd);
  printf("{\"gbps\":%.4f,\"outOfOrder\":%u,\"mss\":%u", octets * 8 / elapsed / 1e9, info.tcpi_rcv_ooopack, info.tcpi_rcv_mss);
  finish(elapsed);
  drop(fd);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void echo_octet(int fd) {
  char octet = 'a';
  if (send(fd, &octet, 1, 0) != 1) die("send");
  if (recv(fd, &octet, 1, 0) != 1) die("recv");
}

static void pingpong(void) {
  double *micros = malloc(count * sizeof *micros);
  int fd = dial();
  for (int i = 0; i < PINGPONG_WARMUP; i++) echo_octet(fd);
  begin();
  long done = 0;
  for (double before = start.at; done < count && before - start.at < PINGPONG_LIMIT; done++) {
    echo_octet(fd);
    double after = now();
    micros[done] = (after - before) * 1e6;
    before = after;
  }
  double elapsed = now() - start.at;
  qsort(micros, done, sizeof *micros, ascending);
  printf("{\"n\":%ld,\"p50\":%.2f,\"p99\":%.2f,\"max\":%.1f,\"mean\":%.2f", done, micros[done / 2], micros[(long)(done * 0.99)], micros[done - 1], elapsed / done * 1e6);
  finish(elapsed);
  close(fd);
}

static long connect_in_turn(double end) {
  long done = 0;
  while (done < count && now() < end) {
    int fd = dial();
    echo_octet(fd);
    close(fd);
    done++;
  }
  return done;
}

struct call { int fd; int sent; double since; };

/* Many at once: each slot connects, sends when connected, closes when answered, and begins again. */
static long connect_together(double end) {
  static struct call calls[MAX_FLIGHT];
  int poller = epoll_create1(0), open = 0;
  long done = 0;
  for (int i = 0; i < flight; i++) calls[i].fd = -1;
  for (;;) {
    double t = now();
    int over = t >= end || done + open >= count;
    if (over && open == 0) return done;
    for (int i = 0; i < flight && t < end && done + open < count; i++) {
      if (calls[i].fd >= 0) continue;
      int fd = make_socket(SOCK_NONBLOCK);
      if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) die("connect");
      calls[i] = (struct call){fd, 0, t};
      open++;
      struct epoll_event wanted = {.events = EPOLLOUT, .data.u32 = i};
      epoll_ctl(poller, EPOLL_CTL_ADD, fd, &wanted);
    }
    struct epoll_event events[64];
    int ready = epoll_wait(poller, events, 64, 100);
    for (int k = 0; k < ready; k++) {
      struct call *c = &calls[events[k].data.u32];
      char octet = 'a';
      if (!c->sent) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0) { errno = error; die("connect"); }
        if (send(c->fd, &octet, 1, 0) != 1) die("send");
        c->sent = 1;
        struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = events[k].data.u32};
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &wanted);
      } else {
        if (recv(c->fd, &octet, 1, 0) != 1) die("recv");
        close(c->fd);
        c->fd = -1;
        open--;
        done++;
      }
    }
    for (int i = 0; ready == 0 && i < flight; i++)
      if (calls[i].fd >= 0 && now() - calls[i].since > STALLED) { errno = ETIMEDOUT; die("connection"); }
  }
}

static void connections(void) {
  begin();
  double end = start.at + seconds;
  long done = flight == 1 ? connect_in_turn(end) : connect_together(end);
  double elapsed = now() - start.at;
  printf("{\"rate\":%.1f,\"n\":%ld", done / elapsed, done);
  finish(elapsed);
}

static void hold(void) {
  struct rlimit files = {count + 64, count + 64};
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) die("setrlimit NOFILE");
  int *fds = malloc(count * sizeof *fds);
  begin();
  for (long i = 0; i < count; i++) {
    fds[i] = make_socket(0);
    if (connect(fds[i], (struct sockaddr *)&server, sizeof server) != 0) die("connect");
  }
  printf("{\"n\":%ld", count);
  finish(now() - start.at);
  fflush(stdout);
  while (getchar() != EOF) {}
  for (long i = 0; i < count; i++) drop(fds[i]);
}

/* Octets of stream `id` from `at` on: no two blocks alike, so that one in the wrong place shows. `at` is a multiple of 8. */
static void fill(uint64_t id, uint64_t at, uint64_t *into, size_t words) {
  for (size_t i = 0; i < words; i++) {
    uint64_t x = (at / 8 + i + 1) * 0x9e3779b97f4a7c15u ^ id << 56;
    into[i] = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
  }
}

struct stream { int fd; uint64_t sent, received; };

static int is_over(const struct stream *s) { return s->received == (uint64_t)count; }

/* A block of the stream around `at`, and how much of it may move at once. */
static size_t block_at(int id, uint64_t at, uint64_t *block, size_t size, size_t *skip) {
  uint64_t base = at & ~(uint64_t)7;
  *skip = at - base;
  size_t rest = (uint64_t)count - at, room = size - *skip;
  fill(id, base, block, size / 8);
  return rest < room ? rest : room;
}

static void exact(void) {
  static struct stream streams[64];
  static uint64_t expected[8192], arrived[8192];
  if (flight > 64) { errno = EINVAL; die("-c"); }
  int poller = epoll_create1(0), running = flight;
  begin();
  for (int i = 0; i < flight; i++) {
    streams[i].fd = make_socket(0);
    if (connect(streams[i].fd, (struct sockaddr *)&server, sizeof server) != 0) die("connect");
    fcntl(streams[i].fd, F_SETFL, O_NONBLOCK);
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLOUT, .data.u32 = i};
    epoll_ctl(poller, EPOLL_CTL_ADD, streams[i].fd, &wanted);
  }
  while (running > 0) {
    struct epoll_event events[64];
    int ready = epoll_wait(poller, events, 64, 10000);
    if (ready == 0) { errno = ETIMEDOUT; die("echo"); }
    for (int k = 0; k < ready; k++) {
      int id = events[k].data.u32;
      struct stream *s = &streams[id];
      size_t skip;
      if (events[k].events & EPOLLIN) {
        size_t want = block_at(id, s->received, expected, sizeof expected, &skip);
        ssize_t n = recv(s->fd, arrived, want, 0);
        if (n == 0) errno = ECONNRESET;
        if (n <= 0 && errno != EAGAIN) die("recv");
        if (n > 0 && memcmp(arrived, (char *)expected + skip, n) != 0) {
          fprintf(stderr, "stream %d differs within the %zd octets after %llu\n", id, n, (unsigned long long)s->received);
          exit(1);
        }
        if (n > 0) s->received += n;
        if (is_over(s)) {
          close(s->fd);
          running--;
          continue;
        }
      }
      if (!(events[k].events & EPOLLOUT)) continue;
      size_t some = block_at(id, s->sent, expected, sizeof expected, &skip);
      ssize_t n = send(s->fd, (char *)expected + skip, some, MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) die("send");
      if (n > 0) s->sent += n;
      if (s->sent == (uint64_t)count) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = id};
        epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &wanted);
      }
    }
  }
  double elapsed = now() - start.at;
  printf("{\"gbps\":%.4f,\"octets\":%ld", (double)count * flight * 8 / elapsed / 1e9, count * flight);
  finish(elapsed);
}

int main(int argc, char **argv) {
  static const struct { const char *name; void (*run)(void); } jobs[] = {
    {"upload", upload}, {"download", download}, {"pingpong", pingpong}, {"connect", connections}, {"hold", hold}, {"exact", exact},
  };
  if (argc < 2) return 2;
  optind = 2;
  for (int option; (option = getopt(argc, argv, "h:p:t:n:c:s:P:C:")) != -1;) switch (option) {
    case 'h': if (inet_pton(AF_INET, optarg, &server.sin_addr) != 1) return 2; break;
    case 'p': server.sin_port = htons(atoi(optarg)); break;
    case 't': seconds = atof(optarg); break;
    case 'n': count = atol(optarg); break;
    case 'c': flight = atoi(optarg); break;
    case 's': has_source = inet_pton(AF_INET, optarg, &source.sin_addr); if (!has_source) return 2; break;
    case 'P': server_pid = atoi(optarg); break;
    case 'C': congestion = optarg; break;
    default: return 2;
  }
  if (flight < 1 || flight > MAX_FLIGHT || count < 1) return 2;
  for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++)
    if (strcmp(argv[1], jobs[i].name) == 0) {
      jobs[i].run();
      return 0;
    }
  fprintf(stderr, "no such job: %s\n", argv[1]);
  return 2;
}
