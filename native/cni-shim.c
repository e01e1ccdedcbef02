/*
 * causeway-cni: the program a container runtime executes for every CNI operation.
 *
 * It has no logic of its own: it hands its CNI_* environment, its standard input and the pod's open namespace to the agent
 * over a unix socket and prints what comes back. It only knows what to do when there is no agent: wait a little (ADD, CHECK), leave the
 * request where the next agent finds it (DEL), or say so in the words of the CNI specification.
 * docs/cni.md has the framing, the spool and the reasons. No JSON is parsed here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 33, ENV_MAX = 256 << 10, STDIN_MAX = 1 << 20, ANSWER_MAX = 1 << 20, SPOOL_MAX = 4096, SENDS_MAX = 3 };
enum { INVALID_ENVIRONMENT = 4, IO_FAILURE = 5, INVALID_CONFIG = 7, TRY_AGAIN_LATER = 11, NOT_AVAILABLE = 50 };
enum outcome { ANSWERED, ABSENT, CUT_OFF };

/* The version list of src/wire/cni/version.ts; a test compares the two. */
static const char version_answer[] =
    "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n";

extern char **environ;
static int was_ready; /* STATUS: the agent was ready a short while ago */
static const char *verb, *socket_path, *spool_path;
static char request[HEADER + ENV_MAX + STDIN_MAX + 1], answer[HEADER + ANSWER_MAX];
static size_t request_size, answer_size;
static int files[2], file_count; /* what goes with the request: the pod's namespace, and the folder that it is in */
static char failure[PATH_MAX + 1024]; /* the error that fail() and the alarm print */

static const char *env(const char *name, const char *otherwise)
{
	const char *value = getenv(name);
	return value && *value ? value : otherwise;
}

static long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0 takes the alarm back. */
static void alarm_in(long ms)
{
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {ms / 1000, ms % 1000 * 1000}}, NULL);
}

static int print(const char *bytes, size_t size, int status)
{
	alarm_in(0);
	while (size > 0) {
		ssize_t written = write(STDOUT_FILENO, bytes, size);
		if (written < 0 && errno != EINTR)
			return 1;
		if (written > 0)
			bytes += written, size -= written;
	}
	return status;
}

/* libcni reads code, msg and details of an error and ignores its cniVersion, so the newest one stands for all. */
static void word_failure(int code, const char *msg, const char *subject, const char *reason)
{
	int at = snprintf(failure, sizeof failure, "{\"cniVersion\":\"1.1.0\",\"code\":%d,\"msg\":\"%s\",\"details\":\"",
			  code, msg);
	int end = at + snprintf(failure + at, sizeof failure - at - 4, "%.*s: %s", PATH_MAX, subject, reason);
	for (; at < end; at++)
		if ((unsigned char)failure[at] < ' ' || failure[at] == '"' || failure[at] == '\\')
			failure[at] = '?'; /* a path from outside must not break out of the JSON string */
	strcpy(failure + end, "\"}\n");
}

static int fail(int code, const char *msg, const char *subject, const char *reason)
{
	alarm_in(0);
	word_failure(code, msg, subject, reason);
	return print(failure, strlen(failure), 1);
}

/*
 * Whether the agent wrote less than `grace_ms` ago, in the seconds since boot, that the node is ready. An agent that is
 * away for some minutes, as during an upgrade, breaks no pod's network; a node that is said not to be ready loses pods.
 */
static int was_ready_within(long grace_ms)
{
	char path[PATH_MAX], text[32] = {0};
	struct timespec now;
	if (snprintf(path, sizeof path, "%s.ready", socket_path) >= (int)sizeof path)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return 0;
	ssize_t size = read(fd, text, sizeof text - 1);
	close(fd);
	if (size < 2 || text[size - 1] != '\n' || strspn(text, "0123456789") != (size_t)size - 1)
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &now);
	long age = now.tv_sec - atol(text);
	return age >= 0 && age <= grace_ms / 1000;
}

/* The time is up, whatever blocks. write and _exit are all that a signal handler needs here. */
static void on_alarm(int signal)
{
	(void)signal;
	if (strcmp(verb, "VERSION") == 0)
		_exit(write(STDOUT_FILENO, version_answer, sizeof version_answer - 1) < 0);
	if (was_ready)
		_exit(0);
	_exit(write(STDOUT_FILENO, failure, strlen(failure)) < 0 ? 2 : 1);
}

/* Builds "header, environment, standard input"; returns 0, or 1 after having printed why not. */
static int build_request(void)
{
	static const char *const wanted[] = {"CNI_", "TRACEPARENT=", "TRACESTATE=", "BAGGAGE="};
	size_t used = HEADER, env_size, stdin_size;
	for (char **entry = environ; *entry; entry++)
		for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
			size_t size = strlen(*entry) + 1;
			if (strncmp(*entry, wanted[i], strlen(wanted[i])) != 0)
				continue;
			if (used + size > HEADER + ENV_MAX)
				return fail(INVALID_ENVIRONMENT, "environment too large", *entry, "above 256 KiB");
			memcpy(request + used, *entry, size);
			used += size;
		}
	env_size = used - HEADER;
	for (;;) {
		ssize_t got = read(STDIN_FILENO, request + used, HEADER + env_size + STDIN_MAX + 1 - used);
		if (got < 0 && errno != EINTR)
			return fail(IO_FAILURE, "cannot read the network configuration", "stdin", strerror(errno));
		if (got > 0)
			used += got;
		stdin_size = used - HEADER - env_size;
		if (stdin_size > STDIN_MAX)
			return fail(INVALID_CONFIG, "network configuration too large", "stdin", "above 1 MiB");
		if (got == 0)
			break;
	}
	char header[HEADER + 1];
	snprintf(header, sizeof header, "causeway-cni 1 %08u %08u\n", (unsigned)env_size, (unsigned)stdin_size);
	memcpy(request, header, HEADER);
	request_size = used;
	return 0;
}

/* True when `answer` holds a whole one: its header, and as many bytes as that announces. */
static int answer_is_whole(void)
{
	unsigned status, size;
	char header[HEADER + 1] = {0};
	if (answer_size < HEADER)
		return 0;
	memcpy(header, answer, HEADER);
	if (sscanf(header, "causeway-cni 1 %8u %8u", &status, &size) != 2 || header[HEADER - 1] != '\n' || status > 1)
		return 0;
	return answer_size == HEADER + (size_t)size;
}

/*
 * Opens the pod's namespace as the runtime sees it, and its folder: the agent lives in another mount namespace, where mounts that were
 * made since it started may be missing. What cannot be opened is not sent; the agent then goes by the path, and says what is wrong.
 * For each attempt anew: an open namespace lives on after the runtime has removed it, and no pod may be wired into such a one.
 */
static void open_namespace(void)
{
	char path[PATH_MAX];
	const char *netns = env("CNI_NETNS", "");
	while (file_count > 0)
		close(files[--file_count]);
	if (*netns != '/' || snprintf(path, sizeof path, "%s", netns) >= (int)sizeof path)
		return;
	files[0] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (files[0] < 0)
		return;
	file_count = 1;
	*strrchr(path, '/') = '\0';
	files[1] = open(*path ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	file_count += files[1] >= 0;
}

/* As send(2); the open files go with the first byte. An agent that does not know of them never sees them: the kernel closes them. */
static ssize_t send_part(int fd, const char *bytes, size_t size, int is_first)
{
	union {
		char bytes[CMSG_SPACE(sizeof files)];
		struct cmsghdr aligned;
	} control;
	struct iovec part = {.iov_base = (char *)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (is_first && file_count > 0) {
		memset(&control, 0, sizeof control);
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(file_count * sizeof *files);
		struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
		passed->cmsg_level = SOL_SOCKET;
		passed->cmsg_type = SCM_RIGHTS;
		passed->cmsg_len = CMSG_LEN(file_count * sizeof *files);
		memcpy(CMSG_DATA(passed), files, file_count * sizeof *files);
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* One request, one answer. errno says why when there is none. */
static enum outcome exchange(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(socket_path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return ABSENT;
	}
	strcpy(address.sun_path, socket_path);
	/* before the agent hears of the connection, which then finds the request in it */
	open_namespace();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		int reason = errno;
		if (fd >= 0)
			close(fd);
		errno = reason;
		return ABSENT;
	}
	/* A refusal may come before everything is sent: when sending fails, still read. */
	for (size_t sent = 0; sent < request_size;) {
		ssize_t part = send_part(fd, request + sent, request_size - sent, sent == 0);
		if (part < 0 && errno != EINTR)
			break;
		sent += part > 0 ? part : 0;
	}
	for (answer_size = 0; answer_size < sizeof answer && !answer_is_whole();) {
		ssize_t part = read(fd, answer + answer_size, sizeof answer - answer_size);
		if (part == 0 || (part < 0 && errno != EINTR))
			break;
		answer_size += part > 0 ? part : 0;
	}
	close(fd);
	errno = ECONNRESET;
	return answer_is_whole() ? ANSWERED : CUT_OFF;
}

static int print_answer(void)
{
	return print(answer + HEADER, answer_size - HEADER, answer[HEADER - 11] == '1');
}

/* The character rules of CNI_CONTAINERID and CNI_IFNAME; with them "id:ifname" is a safe and unambiguous file name. */
static int names_are_valid(const char *id, const char *ifname)
{
	static const char alnum[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-";
	size_t length = strlen(ifname);
	return *id && strspn(id, alnum) == strlen(id) && !strchr("_.-", *id) && strlen(id) <= 200 && length > 0 &&
	       length < 16 && strcmp(ifname, ".") != 0 && strcmp(ifname, "..") != 0 &&
	       !strpbrk(ifname, "/: \t\n\v\f\r");
}

/* Opens the spool directory, makes it when it is missing; -1 and errno when it cannot be used or is full. */
static int open_spool(void)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int count = 0;
	if (snprintf(path, sizeof path, "%s", spool_path) >= (int)sizeof path)
		return errno = ENAMETOOLONG, -1;
	for (char *slash = path + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(path, 0755);
	}
	mkdir(path, 0700);
	DIR *dir = opendir(path);
	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		count += *entry->d_name != '.';
	int fd = count < SPOOL_MAX ? dup(dirfd(dir)) : -1;
	closedir(dir);
	if (count >= SPOOL_MAX)
		errno = ENOSPC;
	return fd;
}

/* Puts the request under `name` for the next agent: whole or not at all, and on the disk before it counts. */
static int spool(int dir, const char *name)
{
	char temporary[NAME_MAX + 1];
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(temporary, sizeof temporary, ".%d.%lld.%09ld", getpid(), (long long)now.tv_sec, now.tv_nsec);
	int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	errno = ENOSPC; /* what a short write means and does not say */
	int written = write(fd, request, request_size) == (ssize_t)request_size && fsync(fd) == 0;
	close(fd);
	if (written && renameat(dir, temporary, dir, name) == 0)
		return fsync(dir);
	int reason = errno;
	unlinkat(dir, temporary, 0);
	errno = reason;
	return -1;
}

/*
 * Socket (tried by the caller), spool, socket again. An agent listens before it reads the spool, so a request is seen
 * by it either there or on the second try, whichever moment it starts at.
 */
static int leave_for_next_agent(void)
{
	char name[NAME_MAX + 1];
	const char *id = env("CNI_CONTAINERID", ""), *ifname = env("CNI_IFNAME", "");
	if (!names_are_valid(id, ifname))
		return fail(INVALID_ENVIRONMENT, "invalid CNI_CONTAINERID or CNI_IFNAME", "DEL", "missing or malformed");
	snprintf(name, sizeof name, "%s:%s", id, ifname);
	int dir = open_spool();
	if (dir < 0 || spool(dir, name) < 0)
		return fail(TRY_AGAIN_LATER, "agent not reachable, and the request cannot be kept", spool_path,
			    errno == ENOSPC ? "disk full or 4096 requests waiting; start the causeway agent" : strerror(errno));
	if (exchange() != ANSWERED)
		return 0;
	unlinkat(dir, name, 0); /* an agent has answered for it */
	return print_answer();
}

int main(void)
{
	verb = env("CNI_COMMAND", "");
	socket_path = env("CAUSEWAY_CNI_SOCKET", "/run/causeway/cni.sock");
	spool_path = env("CAUSEWAY_CNI_SPOOL", "/var/lib/causeway/cni-spool");
	if (!*verb)
		return fail(INVALID_ENVIRONMENT, "CNI_COMMAND missing", "causeway-cni",
			    "a CNI plugin, to be executed by a container runtime");
	int is_version = strcmp(verb, "VERSION") == 0, is_status = strcmp(verb, "STATUS") == 0;
	/* STATUS too: a runtime that hears of an agent's restart calls the node not ready */
	int waits = is_status || strcmp(verb, "ADD") == 0 || strcmp(verb, "CHECK") == 0;
	long wait_ms = atol(env("CAUSEWAY_CNI_WAIT_MS", "10000"));
	long timeout_ms = atol(env("CAUSEWAY_CNI_TIMEOUT_MS", is_version ? "5000" : is_status ? "15000" : "60000"));

	was_ready = is_status && was_ready_within(atol(env("CAUSEWAY_CNI_ABSENCE_MS", "300000")));

	word_failure(is_status ? NOT_AVAILABLE : TRY_AGAIN_LATER, "agent did not answer in time", socket_path,
		     "the causeway agent hangs or is overloaded; see its log");
	signal(SIGALRM, on_alarm);
	alarm_in(timeout_ms);

	if (build_request() != 0)
		return 1;
	enum outcome outcome;
	long lost = now_ms();
	for (int sends = 0; (outcome = exchange()) != ANSWERED; usleep(20000)) {
		if (outcome == CUT_OFF)
			sends++, lost = now_ms();
		if (was_ready && outcome == ABSENT)
			break;
		if (!waits || sends == SENDS_MAX || now_ms() - lost >= wait_ms)
			break;
	}
	if (outcome == ANSWERED)
		return print_answer();
	int reason = errno;
	if (was_ready)
		return 0;
	if (is_version)
		return print(version_answer, sizeof version_answer - 1, 0);
	if (strcmp(verb, "DEL") == 0)
		return leave_for_next_agent();
	if (outcome == CUT_OFF)
		return fail(is_status ? NOT_AVAILABLE : TRY_AGAIN_LATER, "agent broke off", socket_path,
			    "the causeway agent died while it worked on this; see its log");
	return fail(is_status ? NOT_AVAILABLE : TRY_AGAIN_LATER, "agent not reachable", socket_path, strerror(reason));
}
