/*
 * The drill's load: HTTP at a rate that an emulated processor carries, which Node.js there does not.
 *
 * load serve NAME [--http PORT | --tcp PORT | --udp PORT]...   a real server; writes a line when it listens (load-server.c)
 * load ask PORT RATE LIMIT ADDRESS...                           RATE new connections a second, each with one request, to the addresses
 *                                                              in turn, until SIGTERM; each has to be answered within LIMIT milliseconds.
 *                                                              While those of a quarter of a second are under way, a tenth of the rate:
 *                                                              a lab that carries no more is not to be overrun
 * load download ADDRESS PORT                                    one line when it has begun, one when it has ended, with what came
 *
 * `ask` writes a line to standard error when it begins, and one to standard output for each connection when it is over:
 *     START ADDRESS DURATION SERVER REASON
 * START in milliseconds of the wall clock, DURATION in milliseconds from connect to the whole answer, or to the failure; SERVER is what
 * the answer says, and `-` when there is none, for the REASON: ECONNRESET, ECONNREFUSED, ... or words. SYNs that the kernel sends again
 * are no failure.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* DOWNLOAD_BYTES: the head and PIECES of load-server.c. */
enum { MAX_UNDER_WAY = 16384, MAX_FILES = 65536, MAX_ANSWER = 512, MAX_EVENTS = 64, MAX_ADDRESSES = 8, LIMITS_EVERY_MS = 10, MAX_STEP_MS = 50, CATCH_UP_MS = 250, SLOWER = 10, MAX_RATE = 10000, DOWNLOAD_BYTES = 619, SILENCE_S = 15 };

struct request {
	int fd; /* -1: free */
	bool sent;
	int64_t awake_since;
	double start_ms;
	const char *address;
	size_t length;
	char text[MAX_ANSWER];
};

static struct request requests[MAX_UNDER_WAY];
static int under_way;

static volatile sig_atomic_t is_over;

static void on_term(int signal)
{
	(void)signal;
	is_over = 1;
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static double wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/*
 * Time in which this process was given no processor, on one that the hosts of a lab share, is no time in which nobody answered:
 * what came meanwhile still lies in the sockets. So limits go by a clock of its own that makes small steps.
 */
static int64_t awake_ms;

static void stay_awake(void)
{
	static int64_t last;
	int64_t now = now_ms(), step = last == 0 ? 0 : now - last;

	awake_ms += step < MAX_STEP_MS ? step : MAX_STEP_MS;
	last = now;
}

void die(const char *what)
{
	perror(what);
	exit(1);
}

struct place place_of(const char *address, const char *port)
{
	struct place to = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&to.address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&to.address;
	in_port_t number = htons((uint16_t)atoi(port));

	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = number;
		to.length = sizeof(*v4);
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = number;
		to.length = sizeof(*v6);
	} else {
		fprintf(stderr, "%s is no address\n", address);
		exit(2);
	}
	return to;
}

void watch(int poll, int fd, void *data, uint32_t events, int how)
{
	struct epoll_event event = { .events = events, .data.ptr = data };

	if (epoll_ctl(poll, how, fd, &event) < 0)
		die("epoll_ctl");
}

static const char *words_of(int error)
{
	switch (error) {
	case ECONNRESET:
	case EPIPE: /* the reset came before the request left */
		return "ECONNRESET";
	case ECONNREFUSED:
		return "ECONNREFUSED";
	case ETIMEDOUT:
		return "ETIMEDOUT";
	case EHOSTUNREACH:
		return "EHOSTUNREACH";
	default:
		return strerror(error);
	}
}

/* Says what came of it. */
static void finish(struct request *one, const char *server, const char *reason)
{
	printf("%.3f %s %.1f %s %s\n", one->start_ms, one->address, wall_ms() - one->start_ms, server, reason);
	close(one->fd);
	one->fd = -1;
	under_way--;
}

static void begin(int poll, const struct place *to, const char *address)
{
	static int next;
	int fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct request *one;

	if (fd < 0 || under_way == MAX_UNDER_WAY)
		die("no more connections at a time");
	while (requests[next].fd >= 0)
		next = (next + 1) % MAX_UNDER_WAY;
	one = &requests[next];
	*one = (struct request){ .fd = fd, .awake_since = awake_ms, .start_ms = wall_ms(), .address = address };
	under_way++;
	if (connect(fd, (const struct sockaddr *)&to->address, to->length) < 0 && errno != EINPROGRESS)
		return finish(one, "-", words_of(errno));
	watch(poll, fd, one, EPOLLOUT, EPOLL_CTL_ADD);
}

/* The whole answer has come: its body is the server's name. */
static void take_answer(struct request *one)
{
	char *body, *end;

	one->text[one->length] = '\0';
	body = strstr(one->text, "\r\n\r\n");
	if (strncmp(one->text, "HTTP/1.", 7) != 0 || body == NULL || strncmp(one->text + 8, " 200 ", 5) != 0)
		return finish(one, "-", one->length == 0 ? "closed without an answer" : "no whole answer");
	body += 4;
	end = body + strcspn(body, " \r\n");
	*end = '\0';
	finish(one, *body == '\0' ? "?" : body, "");
}

static void go_on(int poll, struct request *one)
{
	static const char text[] = "GET / HTTP/1.0\r\n\r\n";
	int error = 0;
	socklen_t size = sizeof(error);
	ssize_t got;

	if (!one->sent) {
		getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error != 0)
			return finish(one, "-", words_of(error));
		one->sent = true;
		if (write(one->fd, text, sizeof(text) - 1) < 0)
			return finish(one, "-", words_of(errno));
		watch(poll, one->fd, one, EPOLLIN, EPOLL_CTL_MOD);
		return;
	}
	got = read(one->fd, one->text + one->length, sizeof(one->text) - 1 - one->length);
	if (got < 0)
		return finish(one, "-", words_of(errno));
	if (got == 0)
		return take_answer(one);
	one->length += (size_t)got;
}

/* Those whose time is over fail. */
static void expire(long limit)
{
	for (int i = 0; under_way > 0 && i < MAX_UNDER_WAY; i++) {
		if (requests[i].fd >= 0 && awake_ms - requests[i].awake_since > limit)
			finish(&requests[i], "-", requests[i].sent ? "no answer in time" : "no connection in time");
	}
}

static void ask(char **argv)
{
	long rate = atol(argv[1]), limit = atol(argv[2]), most = rate * CATCH_UP_MS / 1000 + 1;
	int count = 0, poll = epoll_create1(EPOLL_CLOEXEC);
	struct place to[MAX_ADDRESSES];
	struct epoll_event events[MAX_EVENTS];
	int64_t due_us = now_ms() * 1000, checked = now_ms(), sent = 0;

	while (count < MAX_ADDRESSES && argv[3 + count] != NULL) {
		to[count] = place_of(argv[3 + count], argv[0]);
		count++;
	}
	if (rate < 1 || limit < 1 || rate > MAX_RATE) {
		fprintf(stderr, "RATE is 1 to %d, LIMIT 1 or more\n", MAX_RATE);
		exit(2);
	}
	signal(SIGTERM, on_term);
	/* Somebody looks while it asks. */
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	fprintf(stderr, "asks\n");
	while (!is_over || under_way > 0) {
		int64_t now_us = now_ms() * 1000;
		int ready;

		/* Who was not given a processor does not make up for all of it at once. */
		if (due_us < now_us - CATCH_UP_MS * 1000)
			due_us = now_us - CATCH_UP_MS * 1000;
		while (!is_over && due_us <= now_us) {
			begin(poll, &to[sent % count], argv[3 + sent % count]);
			sent++;
			due_us += 1000000 / rate * (under_way < most ? 1 : SLOWER);
		}
		/* Until the next is due. */
		ready = epoll_wait(poll, events, MAX_EVENTS, rate < 1000 ? (int)(1000 / rate / 2 + 1) : 1);
		stay_awake();
		for (int i = 0; i < ready; i++)
			go_on(poll, events[i].data.ptr);
		if (now_ms() - checked >= LIMITS_EVERY_MS) {
			checked = now_ms();
			expire(limit);
		}
	}
}

static void download(char **argv)
{
	struct place to = place_of(argv[0], argv[1]);
	int fd = socket(to.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t start = now_ms();
	struct timeval silence = { .tv_sec = SILENCE_S };
	char text[MAX_ANSWER];
	ssize_t got, bytes;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
	if (connect(fd, (struct sockaddr *)&to.address, to.length) < 0)
		die("connect");
	/* Who was not given a processor finds the head and pieces in one go. */
	if (write(fd, "GET /download HTTP/1.0\r\n\r\n", 26) < 0 || (bytes = read(fd, text, sizeof(text))) <= 0)
		die("download");
	printf("begun\n");
	fflush(stdout);
	while ((got = read(fd, text, sizeof(text))) > 0)
		bytes += got;
	printf("{\"lastedMs\":%ld,\"whole\":%s,\"end\":\"%s\"}\n", (long)(now_ms() - start), bytes >= DOWNLOAD_BYTES ? "true" : "false",
	       got < 0 ? strerror(errno) : "in order");
}

int main(int argc, char **argv)
{
	struct rlimit wanted = { MAX_FILES, MAX_FILES }, files;

	signal(SIGPIPE, SIG_IGN);
	/* More than it was given only root gets. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && (files.rlim_max >= MAX_FILES || setrlimit(RLIMIT_NOFILE, &wanted) < 0)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (int i = 0; i < MAX_UNDER_WAY; i++)
		requests[i].fd = -1;
	if (argc >= 3 && strcmp(argv[1], "serve") == 0)
		serve(argv[2], argv + 3);
	else if (argc >= 6 && strcmp(argv[1], "ask") == 0)
		ask(argv + 2);
	else if (argc == 4 && strcmp(argv[1], "download") == 0)
		download(argv + 2);
	else
		return 2;
	return 0;
}
