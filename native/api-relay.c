/*
 * causeway-api-relay: copies bytes between its standard input and output and the agent's unix socket, until either side ends.
 *
 * The command line executes it in the container of an agent through the Kubernetes API server, and speaks HTTP over it:
 * docs/cluster-access.md. It is a program of its own so that asking costs next to no memory in the agent's container.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What poll(2) calls writable takes PIPE_BUF bytes without waiting: the relay waits nowhere else, so that it always sees who has gone. */
enum { BUFFER = 64 << 10, ATOMIC = 4096 };

/* Bytes on their way from one descriptor to another. */
struct way {
	int from, to;
	size_t start, end;
	int is_over; /* `from` has ended, or `to` takes nothing any more */
	char bytes[BUFFER];
};

static struct way request = {.from = STDIN_FILENO}, answer = {.to = STDOUT_FILENO};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "causeway-api-relay: %s: %s\n", what, why);
	return 1;
}

static int connected(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	/* of an agent that takes no more connections it hears at once */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -1;
	return fd;
}

static int is_empty(const struct way *way)
{
	return way->start == way->end;
}

static void take(struct way *way)
{
	ssize_t size = read(way->from, way->bytes, BUFFER);
	if (size > 0)
		way->start = 0, way->end = size;
	else if (size == 0 || (errno != EINTR && errno != EAGAIN))
		way->is_over = 1;
}

static void give(struct way *way)
{
	size_t left = way->end - way->start;
	ssize_t size = write(way->to, way->bytes + way->start, left < ATOMIC ? left : ATOMIC);
	if (size > 0)
		way->start += size;
	else if (size < 0 && errno != EINTR && errno != EAGAIN)
		way->start = way->end, way->is_over = 1;
}

/* What to wait for: a way that holds bytes must get rid of them before it takes more, so that a slow reader slows the writer. */
static void await(const struct way *way, struct pollfd polled[2])
{
	polled[0] = (struct pollfd){.fd = is_empty(way) && !way->is_over ? way->from : -1, .events = POLLIN};
	polled[1] = (struct pollfd){.fd = is_empty(way) ? -1 : way->to, .events = POLLOUT};
}

static void move(struct way *way, const struct pollfd polled[2])
{
	if (polled[0].fd >= 0 && polled[0].revents)
		take(way);
	if (polled[1].fd >= 0 && polled[1].revents)
		give(way);
}

int main(void)
{
	const char *folder = getenv("CAUSEWAY_RUN_DIR");
	char path[4096];
	snprintf(path, sizeof path, "%s/agent.sock", folder && *folder ? folder : "/run/causeway");
	/* a client that is gone is an error of write(2), not the end of the process */
	signal(SIGPIPE, SIG_IGN);
	int fd = connected(path);
	if (fd < 0)
		return fail(path, strerror(errno));
	request.to = answer.from = fd;
	/* The end of the request's side is the end of the client: it never closes that before it has its answer. */
	while (!request.is_over && !(answer.is_over && is_empty(&answer))) {
		struct pollfd polled[5];
		await(&request, polled);
		await(&answer, polled + 2);
		/* a reader that is gone is told by pipes as an error, by sockets as a hang-up, also while nothing is to be written */
		polled[4] = (struct pollfd){.fd = STDOUT_FILENO};
		if (poll(polled, 5, -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail("poll", strerror(errno));
		}
		if (polled[4].revents & (POLLERR | POLLHUP | POLLNVAL))
			return 0;
		move(&request, polled);
		move(&answer, polled + 2);
	}
	return 0;
}
