/* A real server of the lab: HTTP with keep-alive on some ports, plain TCP and UDP on others, each with its name as the answer. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MAX_REQUEST = 2048, MAX_EVENTS = 64, MAX_PORTS = 32, MAX_DOWNLOADS = 16, BACKLOG = 4096, TRICKLE_MS = 100, PIECES = 120 };

enum kind { HTTP_PORT, TCP_PORT, UDP_PORT, HTTP, TCP };

struct port {
	enum kind kind;
	int fd;
};

struct client {
	enum kind kind; /* first, as in struct port */
	int fd;
	int pieces; /* of a download that are still to come */
	int64_t since;
	size_t length;
	char text[MAX_REQUEST];
};

static struct port ports[MAX_PORTS];
static int port_count;
static struct client *downloads[MAX_DOWNLOADS];

static void let_go(struct client *one)
{
	for (int i = 0; i < MAX_DOWNLOADS; i++) {
		if (downloads[i] == one)
			downloads[i] = NULL;
	}
	close(one->fd);
	free(one);
}

static void start_download(struct client *one)
{
	(void)!write(one->fd, "HTTP/1.0 200 OK\r\n\r\n", 19);
	one->pieces = PIECES;
	one->since = now_ms();
	for (int i = 0; i < MAX_DOWNLOADS; i++) {
		if (downloads[i] == NULL) {
			downloads[i] = one;
			return;
		}
	}
	let_go(one);
}

static void trickle(struct client *one)
{
	if (one == NULL || now_ms() - one->since < TRICKLE_MS)
		return;
	one->since = now_ms();
	if ((write(one->fd, "more\n", 5) < 0 && errno != EAGAIN) || --one->pieces == 0)
		let_go(one);
}

/* Answers the request of `length` bytes that the client's text begins with; false when the client is gone. */
static bool answer(struct client *one, size_t length, const char *name)
{
	char text[MAX_REQUEST];
	bool last;
	int size;

	one->text[length - 1] = '\0';
	if (strncmp(one->text, "GET /download", 13) == 0) {
		start_download(one);
		return false;
	}
	last = strstr(one->text, "HTTP/1.1\r\n") == NULL || strcasestr(one->text, "\nConnection: close") != NULL;
	size = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: %s\r\n\r\n%s\n",
			strlen(name) + 1, last ? "close" : "keep-alive", name);
	if (write(one->fd, text, (size_t)size) < 0 || last) {
		let_go(one);
		return false;
	}
	memmove(one->text, one->text + length, one->length - length + 1);
	one->length -= length;
	return true;
}

static void hear(struct client *one, const char *name)
{
	ssize_t got = read(one->fd, one->text + one->length, sizeof(one->text) - 1 - one->length);
	char *end;

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		return let_go(one);
	/* A port of plain TCP, and one that downloads, hear nothing. */
	if (one->kind == TCP || one->pieces > 0)
		return;
	one->length += (size_t)got;
	one->text[one->length] = '\0';
	while ((end = strstr(one->text, "\r\n\r\n")) != NULL) {
		if (!answer(one, (size_t)(end + 4 - one->text), name))
			return;
	}
	if (one->length == sizeof(one->text) - 1)
		let_go(one);
}

static void greet(int poll, const struct port *from, const char *name)
{
	int fd;

	while ((fd = accept4(from->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct client *one = calloc(1, sizeof(*one));

		if (one == NULL)
			die("calloc");
		one->fd = fd;
		one->kind = from->kind == HTTP_PORT ? HTTP : TCP;
		if (one->kind == TCP)
			dprintf(fd, "220 %s\r\n", name);
		watch(poll, fd, one, EPOLLIN, EPOLL_CTL_ADD);
	}
}

/* NAME and the datagram. */
static void echo(const struct port *at, const char *name)
{
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	char text[MAX_REQUEST];
	int before = snprintf(text, sizeof(text), "%s ", name);
	ssize_t got;

	while ((got = recvfrom(at->fd, text + before, sizeof(text) - (size_t)before, 0, (struct sockaddr *)&from, &length)) >= 0) {
		sendto(at->fd, text, (size_t)(before + got), 0, (struct sockaddr *)&from, length);
		length = sizeof(from);
	}
}

/* Both families, or IPv4 alone where the kernel has no IPv6. UDP answers from the address that was asked only with one address. */
static void open_port(int poll, enum kind kind, const char *number)
{
	struct port *port = &ports[port_count++];
	int type = (kind == UDP_PORT ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, yes = 1, no = 0;
	struct place at = place_of(kind == UDP_PORT ? "0.0.0.0" : "::", number);
	int fd = socket(at.address.ss_family, type, 0);

	if (fd < 0 && kind != UDP_PORT) {
		at = place_of("0.0.0.0", number);
		fd = socket(AF_INET, type, 0);
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (at.address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	if (bind(fd, (struct sockaddr *)&at.address, at.length) < 0 || (kind != UDP_PORT && listen(fd, BACKLOG) < 0))
		die(number);
	*port = (struct port){ .kind = kind, .fd = fd };
	watch(poll, fd, port, EPOLLIN, EPOLL_CTL_ADD);
}

static void take_event(int poll, void *data, const char *name)
{
	switch (*(enum kind *)data) {
	case HTTP_PORT:
	case TCP_PORT:
		return greet(poll, data, name);
	case UDP_PORT:
		return echo(data, name);
	case HTTP:
	case TCP:
		return hear(data, name);
	}
}

void serve(const char *name, char **options)
{
	static const char *const names[] = { [HTTP_PORT] = "--http", [TCP_PORT] = "--tcp", [UDP_PORT] = "--udp" };
	int poll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[MAX_EVENTS];

	for (; options[0] != NULL; options += 2) {
		int kind = HTTP_PORT;

		while (kind <= UDP_PORT && strcmp(options[0], names[kind]) != 0)
			kind++;
		if (kind > UDP_PORT || options[1] == NULL || port_count == MAX_PORTS) {
			fprintf(stderr, "usage: load serve NAME [--http PORT | --tcp PORT | --udp PORT]...\n");
			exit(2);
		}
		open_port(poll, (enum kind)kind, options[1]);
	}
	printf("listens\n");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(poll, events, MAX_EVENTS, TRICKLE_MS);

		for (int i = 0; i < count; i++)
			take_event(poll, events[i].data.ptr, name);
		for (int i = 0; i < MAX_DOWNLOADS; i++)
			trickle(downloads[i]);
	}
}
