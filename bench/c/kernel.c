/*
 * A yardstick of scripts/bench: the kernel's own TCP. Echo on 7, discard on 9, chargen on 19; one thread, epoll.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ECHO = 7, DISCARD = 9, CHARGEN = 19, BACKLOG = 1024, BUFFER = 256 * 1024, SENDS_PER_WAKE = 4, MAX_FILES = 1 << 18 };

static char buffer[BUFFER];
/* By descriptor: the service it belongs to, and whether it listens. */
static struct { unsigned char service, listens; } files[MAX_FILES];
static int poller;

static void watch(int fd, unsigned events) {
  struct epoll_event wanted = {.events = events, .data.fd = fd};
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &wanted);
}

static void listen_on(int port) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&where, sizeof where) != 0 || listen(fd, BACKLOG) != 0) {
    perror("listen");
    exit(1);
  }
  files[fd].service = port;
  files[fd].listens = 1;
  watch(fd, EPOLLIN);
}

static void accept_all(int listener) {
  int one = 1, fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    files[fd].service = files[listener].service;
    files[fd].listens = 0;
    watch(fd, files[fd].service == CHARGEN ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

static void serve(int fd, unsigned events) {
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
      close(fd);
      return;
    }
    if (files[fd].service == ECHO) {
      /* The measurements have at most a few octets in flight here; `exact` is not asked of this server. */
      if (n > 0 && send(fd, buffer, n, MSG_NOSIGNAL) != n) close(fd);
      return;
    }
  }
  if (files[fd].service == CHARGEN && (events & EPOLLOUT))
    for (int i = 0; i < SENDS_PER_WAKE && send(fd, buffer, sizeof buffer, MSG_NOSIGNAL) > 0; i++) {}
}

int main(void) {
  poller = epoll_create1(0);
  listen_on(ECHO);
  listen_on(DISCARD);
  listen_on(CHARGEN);
  for (;;) {
    struct epoll_event events[64];
    int ready = epoll_wait(poller, events, 64, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (files[fd].listens) accept_all(fd);
      else serve(fd, events[i].events);
    }
  }
}
