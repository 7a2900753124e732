/*
 * A yardstick of scripts/bench: the limit of the TUN path. It answers on a TUN with next to no TCP: no retransmission, no
 * reassembly, no timers, no congestion control, no verification of checksums, so whatever it cannot do, no TCP here can.
 * Echo on 7, discard on 9, chargen on 19, at 10.77.0.2 on tun0.
 *
 *   responder            super-segments and partial checksums (vnet header), an ACK for each frame
 *   responder plain      frames of the MTU, an ACK for each 64 of them, or when no frame is left
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  ECHO = 7, CHARGEN = 19,
  MTU = 1500, IP_HEADER = 20, TCP_HEADER = 20, MSS = MTU - IP_HEADER - TCP_HEADER,
  WINDOW = 4 << 20, WINDOW_SHIFT = 10, IN_FLIGHT = 4 << 20,
  LARGEST_FRAME = 65535, VNET = sizeof(struct virtio_net_hdr), WAITING = 256,
  PLAIN_FRAMES_PER_ACK = 64,
};
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum state { CLOSED, HALF_OPEN, ESTABLISHED, CLOSING };

struct connection {
  enum state state;
  uint32_t peer;                            /* address, network order */
  uint16_t peer_port, port;
  uint32_t next_sent, acknowledged, next_expected, peer_window;
  uint8_t peer_shift, owed, waits;          /* frames not yet acknowledged; whether it stands in `waiting` */
};

/* By the client's port alone: one client at a time, so this is a table that cannot be looked up any faster. */
static struct connection connections[65536];
static struct connection *waiting[WAITING];
static int waiting_count;
static int tun, offload = 1, frames_per_ack = 1;
static uint32_t own_address;
static uint8_t zeros[LARGEST_FRAME + 1];

static uint16_t get16(const uint8_t *p) { return p[0] << 8 | p[1]; }
static uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }
static void put16(uint8_t *p, uint16_t v) { p[0] = v >> 8; p[1] = v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v); }

static uint32_t sum(const uint8_t *p, int length, uint32_t so_far) {
  for (; length > 1; p += 2, length -= 2) so_far += get16(p);
  return length > 0 ? so_far + (p[0] << 8) : so_far;
}

static uint16_t fold(uint32_t s) {
  while (s >> 16) s = (s & 0xffff) + (s >> 16);
  return s;
}

static void open_tun(void) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0)};
  strcpy(request.ifr_name, "tun0");
  tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (tun < 0 || ioctl(tun, TUNSETIFF, &request) != 0 || (offload && ioctl(tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0)) {
    perror("/dev/net/tun");
    exit(1);
  }
}

static void transmit(struct connection *c, int flags, const uint8_t *text, int length) {
  uint8_t header[VNET + IP_HEADER + TCP_HEADER + 8] = {0};
  struct virtio_net_hdr *vnet = (struct virtio_net_hdr *)header;
  uint8_t *ip = header + VNET, *tcp = ip + IP_HEADER;
  int tcp_length = TCP_HEADER + (flags & SYN ? 8 : 0);

  ip[0] = 0x45;
  put16(ip + 2, IP_HEADER + tcp_length + length);
  ip[6] = 0x40;
  ip[8] = 64;
  ip[9] = IPPROTO_TCP;
  memcpy(ip + 12, &own_address, 4);
  memcpy(ip + 16, &c->peer, 4);
  put16(ip + 10, ~fold(sum(ip, IP_HEADER, 0)));

  put16(tcp, c->port);
  put16(tcp + 2, c->peer_port);
  put32(tcp + 4, c->next_sent);
  put32(tcp + 8, c->next_expected);
  tcp[12] = tcp_length / 4 << 4;
  tcp[13] = flags;
  put16(tcp + 14, flags & SYN ? 65535 : WINDOW >> WINDOW_SHIFT);
  if (flags & SYN) {
    const uint8_t options[8] = {2, 4, MSS >> 8, MSS & 255, 3, 3, WINDOW_SHIFT, 1};
    memcpy(tcp + TCP_HEADER, options, sizeof options);
  }

  uint32_t pseudo = sum(ip + 12, 8, 0) + IPPROTO_TCP + tcp_length + length;
  if (offload && length > 0) {
    vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    vnet->csum_start = IP_HEADER;
    vnet->csum_offset = 16;
    put16(tcp + 16, fold(pseudo));
    if (length > MSS) {
      vnet->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
      vnet->gso_size = MSS;
      vnet->hdr_len = IP_HEADER + tcp_length;
    }
  } else {
    /* Zeros add nothing to the sum. */
    uint32_t s = sum(tcp, tcp_length, pseudo);
    put16(tcp + 16, ~fold(text == zeros ? s : sum(text, length, s)));
  }

  int skip = offload ? 0 : VNET;
  struct iovec parts[2] = {{header + skip, sizeof header - 8 - skip + tcp_length - TCP_HEADER}, {(void *)text, length}};
  while (writev(tun, parts, length > 0 ? 2 : 1) < 0 && errno == EAGAIN) {}
  c->next_sent += length + (flags & (SYN | FIN) ? 1 : 0);
  c->owed = 0;
}

static void acknowledge(struct connection *c) { transmit(c, ACK, NULL, 0); }

/* Whole segments while the peer's window has room; a part of one only when nothing is in flight. */
static void generate(struct connection *c) {
  uint32_t window = c->peer_window < IN_FLIGHT ? c->peer_window : IN_FLIGHT;
  int most = offload ? (LARGEST_FRAME - IP_HEADER - TCP_HEADER) / MSS * MSS : MSS;
  for (;;) {
    uint32_t flying = c->next_sent - c->acknowledged;
    if (flying >= window) return;
    uint32_t room = window - flying;
    if (room < MSS && flying > 0) return;
    if (room > MSS) room -= room % MSS;
    transmit(c, ACK, zeros, room < (uint32_t)most ? (int)room : most);
  }
}

static void opens(struct connection *c, const uint8_t *ip, const uint8_t *tcp, int header) {
  memset(c, 0, sizeof *c);
  memcpy(&c->peer, ip + 12, 4);
  c->peer_port = get16(tcp);
  c->port = get16(tcp + 2);
  c->next_expected = get32(tcp + 4) + 1;
  c->next_sent = c->acknowledged = get32(tcp + 4) * 2654435761u;
  c->state = HALF_OPEN;
  for (int i = TCP_HEADER; i + 2 < header && tcp[i] != 0; i += tcp[i] == 1 ? 1 : tcp[i + 1])
    if (tcp[i] == 3) c->peer_shift = tcp[i + 2];
  transmit(c, SYN | ACK, NULL, 0);
}

static void arrives(const uint8_t *ip, int length) {
  if (length < IP_HEADER + TCP_HEADER || ip[0] >> 4 != 4 || ip[9] != IPPROTO_TCP) return;
  const uint8_t *tcp = ip + (ip[0] & 15) * 4;
  int header = (tcp[12] >> 4) * 4, flags = tcp[13];
  int text = length - (int)(tcp - ip) - header;
  uint32_t sequence = get32(tcp + 4);
  struct connection *c = &connections[get16(tcp)];

  if (flags & SYN) return opens(c, ip, tcp, header);
  if (c->state == CLOSED || c->port != get16(tcp + 2)) return;
  if (flags & RST) {
    c->state = CLOSED;
    return;
  }
  if (flags & ACK) {
    c->acknowledged = get32(tcp + 8);
    c->peer_window = (uint32_t)get16(tcp + 14) << c->peer_shift;
    if (c->state == HALF_OPEN) c->state = ESTABLISHED;
    if (c->state == CLOSING && c->acknowledged == c->next_sent) {
      c->state = CLOSED;
      return;
    }
  }
  if (text > 0 && sequence != c->next_expected) acknowledge(c);
  else if (text > 0) {
    c->next_expected += text;
    if (c->port == ECHO) transmit(c, ACK | PSH, tcp + header, text);
    else c->owed++;
  }
  if ((flags & FIN) && sequence + text == c->next_expected) {
    c->next_expected++;
    transmit(c, ACK | FIN, NULL, 0);
    c->state = CLOSING;
    return;
  }
  if (c->port == CHARGEN && c->state == ESTABLISHED) generate(c);
  if (c->owed >= frames_per_ack) acknowledge(c);
  else if (c->owed > 0 && !c->waits && waiting_count < WAITING) {
    c->waits = 1;
    waiting[waiting_count++] = c;
  }
}

static void nothing_left(void) {
  for (int i = 0; i < waiting_count; i++) {
    waiting[i]->waits = 0;
    if (waiting[i]->owed > 0) acknowledge(waiting[i]);
  }
  waiting_count = 0;
}

int main(int argc, char **argv) {
  static uint8_t frame[VNET + LARGEST_FRAME + 1];
  if (argc > 1 && strcmp(argv[1], "plain") == 0) {
    offload = 0;
    frames_per_ack = PLAIN_FRAMES_PER_ACK;
  }
  inet_pton(AF_INET, "10.77.0.2", &own_address);
  open_tun();
  struct pollfd readable = {.fd = tun, .events = POLLIN};
  int before = offload ? VNET : 0;
  for (;;) {
    ssize_t n = read(tun, frame, sizeof frame);
    if (n > before) arrives(frame + before, (int)n - before);
    else if (n < 0 && errno == EAGAIN) {
      nothing_left();
      poll(&readable, 1, -1);
    } else if (n < 0 && errno != EINTR) usleep(1000); /* EIO until the link is up */
  }
}
