// Traffic that the usual tools do not make: one TCP connection after the other, and datagrams that are counted where they arrive.
//
//   traffic serve-connections ADDR PORT        traffic connections ADDR PORT SECONDS
//   traffic serve-datagrams ADDR PORT          traffic datagrams ADDR PORT SECONDS
//
// A client prints how many there were in a second. Server and client are meant to share one core, which is then busy all the time.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
  message_bytes = 14,
  // The client has its ports to itself and takes them in turn, so connection tracking has no more entries than this. The server closes
  // first, so that a port is free again at once.
  first_port = 10000,
  ports = 2000,
  // Datagrams sent before one answer is waited for: few enough to fit any receive buffer, many enough that the answer hardly counts.
  window = 32,
};

static void fail(const char *what) {
  fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int new_socket(int type, const struct sockaddr_in *own) {
  int fd = socket(AF_INET, type, 0), yes = 1;
  if (fd < 0) fail("socket");
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0) fail("SO_REUSEADDR");
  if (own != NULL && bind(fd, (const struct sockaddr *)own, sizeof *own) < 0) fail("bind");
  return fd;
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void serve_connections(const struct sockaddr_in *own) {
  int listener = new_socket(SOCK_STREAM, own);
  if (listen(listener, 16) < 0) fail("listen");
  for (;;) {
    char message[message_bytes];
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) fail("accept");
    if (recv(fd, message, sizeof message, MSG_WAITALL) == sizeof message) send(fd, message, sizeof message, MSG_NOSIGNAL);
    close(fd);
  }
}

static double connections(const struct sockaddr_in *to, double seconds) {
  const double start = seconds_now();
  long count = 0;
  while (seconds_now() < start + seconds) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(first_port + count % ports)};
    char message[message_bytes] = {0};
    int fd = new_socket(SOCK_STREAM, &own);
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0) fail("connect");
    if (send(fd, message, sizeof message, MSG_NOSIGNAL) < 0) fail("send");
    if (recv(fd, message, sizeof message, MSG_WAITALL) != sizeof message) fail("recv");
    if (recv(fd, message, 1, 0) != 0) fail("recv of the end");
    close(fd);
    count++;
  }
  return (double)count / (seconds_now() - start);
}

/** The first byte of a datagram says whether it is the last of its window, which is answered with how many of the window have come. */
static void serve_datagrams(const struct sockaddr_in *own) {
  int fd = new_socket(SOCK_DGRAM, own);
  unsigned arrived = 0;
  for (;;) {
    unsigned char message[message_bytes];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    if (recvfrom(fd, message, sizeof message, 0, (struct sockaddr *)&from, &length) < 0) fail("recvfrom");
    arrived++;
    if (!message[0]) continue;
    if (sendto(fd, &arrived, sizeof arrived, 0, (struct sockaddr *)&from, length) < 0) fail("sendto");
    arrived = 0;
  }
}

static double datagrams(const struct sockaddr_in *to, double seconds) {
  int fd = new_socket(SOCK_DGRAM, NULL);
  struct timeval timeout = {.tv_sec = 1};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0) fail("SO_RCVTIMEO");
  if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0) fail("connect");
  const double start = seconds_now();
  long count = 0;
  while (seconds_now() < start + seconds) {
    unsigned arrived;
    for (int index = 1; index <= window; index++) {
      unsigned char message[message_bytes] = {index == window};
      if (send(fd, message, sizeof message, 0) < 0) fail("send");
    }
    if (recv(fd, &arrived, sizeof arrived, 0) < 0) fail("no answer");
    count += arrived;
  }
  return (double)count / (seconds_now() - start);
}

int main(int count, char **words) {
  struct sockaddr_in addr = {.sin_family = AF_INET};
  if (count < 4 || inet_pton(AF_INET, words[2], &addr.sin_addr) != 1) {
    fprintf(stderr, "usage: traffic [serve-]connections|[serve-]datagrams ADDR PORT [SECONDS]\n");
    return 2;
  }
  addr.sin_port = htons((unsigned short)atoi(words[3]));
  const double seconds = count > 4 ? atof(words[4]) : 1;
  if (strcmp(words[1], "serve-connections") == 0) serve_connections(&addr);
  if (strcmp(words[1], "serve-datagrams") == 0) serve_datagrams(&addr);
  if (strcmp(words[1], "connections") == 0) printf("%.1f\n", connections(&addr, seconds));
  if (strcmp(words[1], "datagrams") == 0) printf("%.1f\n", datagrams(&addr, seconds));
  return 0;
}
