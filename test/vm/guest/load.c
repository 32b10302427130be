/*
 * HTTP requests at a rate that an emulated processor carries, which Node.js there does not: a server, and a client that counts what
 * failed. Runs inside the VM; test/vm/reload-load.test.ts compiles it.
 *
 * load serve PORT NAME                      answers each request with NAME; /download trickles for twelve seconds
 * load ask ADDRESS PORT SECONDS RATE LIMIT  RATE new connections a second, each to be answered within LIMIT milliseconds, for so
 *                                          long at most, or until SIGTERM
 * load download ADDRESS PORT                one line when it has begun, one when it has ended, with what came
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 4096, MAX_REQUEST = 512, MAX_EVENTS = 64, TRICKLE_MS = 100, PIECES = 120, SILENCE_S = 15 };

struct connection {
	int fd; /* -1: free */
	bool sent;
	int pieces; /* of a download that are still to come */
	int64_t since;
	size_t length;
	char text[MAX_REQUEST];
};

static struct connection connections[MAX_CONNECTIONS];

static volatile sig_atomic_t is_over;

static void on_term(int signal)
{
	(void)signal;
	is_over = 1;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in place(const char *address, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1) {
		fprintf(stderr, "%s is no IPv4 address\n", address);
		exit(2);
	}
	return to;
}

static struct connection *take(int fd)
{
	for (int i = 0; i < MAX_CONNECTIONS; i++) {
		if (connections[i].fd >= 0)
			continue;
		connections[i] = (struct connection){ .fd = fd, .since = now_ms() };
		return &connections[i];
	}
	return NULL;
}

static void let_go(struct connection *one)
{
	close(one->fd);
	one->fd = -1;
}

static void watch(int poll, struct connection *one, uint32_t events, int how)
{
	struct epoll_event event = { .events = events, .data.ptr = one };

	if (epoll_ctl(poll, how, one->fd, &event) < 0)
		die("epoll_ctl");
}

/* A whole request: answered, or the beginning of a download. */
static void answer(struct connection *one, const char *name)
{
	char text[MAX_REQUEST];
	int length;

	if (strncmp(one->text, "GET /download", 13) == 0) {
		(void)!write(one->fd, "HTTP/1.0 200 OK\r\n\r\n", 19);
		one->pieces = PIECES;
		return;
	}
	length = snprintf(text, sizeof(text), "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(name), name);
	(void)!write(one->fd, text, (size_t)length);
	let_go(one);
}

static void trickle(struct connection *one)
{
	if (one->fd < 0 || one->pieces == 0 || now_ms() - one->since < TRICKLE_MS)
		return;
	one->since = now_ms();
	if ((write(one->fd, "more\n", 5) < 0 && errno != EAGAIN) || --one->pieces == 0)
		let_go(one);
}

static void serve(const char *port, const char *name)
{
	struct sockaddr_in at = place("0.0.0.0", port);
	int poll = epoll_create1(EPOLL_CLOEXEC), one = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL }, events[MAX_EVENTS];

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 1024) < 0)
		die("listen");
	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
	printf("listens\n");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(poll, events, MAX_EVENTS, TRICKLE_MS);

		for (int i = 0; i < count; i++) {
			struct connection *from = events[i].data.ptr;
			ssize_t got;

			if (from == NULL) {
				int fd;

				while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
					struct connection *fresh = take(fd);

					if (fresh == NULL)
						close(fd);
					else
						watch(poll, fresh, EPOLLIN, EPOLL_CTL_ADD);
				}
				continue;
			}
			got = read(from->fd, from->text + from->length, sizeof(from->text) - 1 - from->length);
			if (got <= 0) {
				let_go(from);
				continue;
			}
			from->length += (size_t)got;
			from->text[from->length] = '\0';
			if (from->pieces == 0 && strstr(from->text, "\r\n\r\n") != NULL)
				answer(from, name);
		}
		for (int i = 0; i < MAX_CONNECTIONS; i++)
			trickle(&connections[i]);
	}
}

struct tally {
	long sent, answered, failed, slowest_ms;
	char reason[64];
};

static void fail(struct tally *tally, struct connection *one, const char *reason)
{
	tally->failed++;
	if (tally->reason[0] == '\0')
		snprintf(tally->reason, sizeof(tally->reason), "%s", reason);
	let_go(one);
}

static void begin(int poll, struct tally *tally, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct connection *one = fd < 0 ? NULL : take(fd);

	if (one == NULL)
		die("no more connections at a time");
	tally->sent++;
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0 && errno != EINPROGRESS)
		return fail(tally, one, strerror(errno));
	watch(poll, one, EPOLLOUT, EPOLL_CTL_ADD);
}

static void go_on(int poll, struct tally *tally, struct connection *one)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	int error = 0;
	socklen_t size = sizeof(error);
	ssize_t got;
	long took;

	if (!one->sent) {
		getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error != 0)
			return fail(tally, one, strerror(error));
		one->sent = true;
		if (write(one->fd, request, sizeof(request) - 1) < 0)
			return fail(tally, one, strerror(errno));
		watch(poll, one, EPOLLIN, EPOLL_CTL_MOD);
		return;
	}
	got = read(one->fd, one->text + one->length, sizeof(one->text) - 1 - one->length);
	if (got < 0)
		return fail(tally, one, strerror(errno));
	if (got > 0) {
		one->length += (size_t)got;
		return;
	}
	one->text[one->length] = '\0';
	if (strncmp(one->text, "HTTP/1.0 200 ", 13) != 0)
		return fail(tally, one, "no answer");
	took = (long)(now_ms() - one->since);
	if (took > tally->slowest_ms)
		tally->slowest_ms = took;
	tally->answered++;
	let_go(one);
}

static void ask(char **argv)
{
	struct sockaddr_in to = place(argv[0], argv[1]);
	int64_t start = now_ms(), end = start + atoi(argv[2]) * 1000L;
	long rate = atoi(argv[3]), limit = atoi(argv[4]);
	int poll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[MAX_EVENTS];
	struct tally tally = { 0 };

	signal(SIGTERM, on_term);
	while ((now_ms() < end && !is_over) || tally.answered + tally.failed < tally.sent) {
		int count;

		while (now_ms() < end && !is_over && tally.sent < (now_ms() - start) * rate / 1000)
			begin(poll, &tally, &to);
		count = epoll_wait(poll, events, MAX_EVENTS, 1);
		for (int i = 0; i < count; i++)
			go_on(poll, &tally, events[i].data.ptr);
		for (int i = 0; i < MAX_CONNECTIONS; i++) {
			if (connections[i].fd >= 0 && now_ms() - connections[i].since > limit)
				fail(&tally, &connections[i], connections[i].sent ? "no answer in time" : "no connection in time");
		}
	}
	printf("{\"sent\":%ld,\"answered\":%ld,\"failed\":%ld,\"slowestMs\":%ld,\"reason\":\"%s\"}\n", tally.sent, tally.answered,
	       tally.failed, tally.slowest_ms, tally.reason);
}

static void download(char **argv)
{
	struct sockaddr_in to = place(argv[0], argv[1]);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t start = now_ms();
	struct timeval silence = { .tv_sec = SILENCE_S };
	char text[MAX_REQUEST];
	ssize_t got, bytes = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	if (write(fd, "GET /download HTTP/1.0\r\n\r\n", 26) < 0 || read(fd, text, sizeof(text)) <= 0)
		die("download");
	printf("begun\n");
	fflush(stdout);
	while ((got = read(fd, text, sizeof(text))) > 0)
		bytes += got;
	printf("{\"lastedMs\":%ld,\"whole\":%s,\"end\":\"%s\"}\n", (long)(now_ms() - start), bytes >= PIECES * 5 ? "true" : "false",
	       got < 0 ? strerror(errno) : "in order");
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < MAX_CONNECTIONS; i++)
		connections[i].fd = -1;
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		serve(argv[2], argv[3]);
	else if (argc == 7 && strcmp(argv[1], "ask") == 0)
		ask(argv + 2);
	else if (argc == 4 && strcmp(argv[1], "download") == 0)
		download(argv + 2);
	else
		return 2;
	return 0;
}
