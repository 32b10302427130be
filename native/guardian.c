/*
 * The guardian: withdraws this director when its daemon dies or hangs.
 *
 * It sleeps on file descriptor 3, over which the daemon hands it orders: ready-made VRRP payloads and
 * ready-made netlink messages. On end of file without a disarm (the daemon died, by whatever signal), or when
 * a lease runs out (it hangs), the guardian sends the farewells, keeps the addresses until the successor of
 * every virtual router was heard or the hold time is over, removes them, and exits.
 *
 * Everything it needs at that moment (memory, sockets, group memberships) it takes beforehand.
 *
 * Frames on fd 3, integers little-endian:
 *   u32 length of the body, u32 type, body
 *   type 1, orders: u32 holdMs, u32 leaseMs (0: none), u32 farewells, u32 addresses, then
 *     each farewell: u8 virtual router, u8 length of the interface name, u16 length of the payload,
 *                    4 bytes source address (network order), name, payload
 *     each address:  u16 length, netlink message
 *   type 2, disarm: no body
 * Answers, one byte each: R orders taken, X orders refused (the former stay in force), A acting, D done.
 * Exit status: 0 disarmed or never armed, 2 the stream makes no sense, 3 it acted.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ORDERS_FD = 3,
	HEADER = 8,
	ORDERS_HEADER = 16,
	FAREWELL_HEADER = 8,
	MAX_BODY = 1 << 20,
	MAX_FAREWELLS = 256, /* virtual router identifiers of one interface, and more than anybody runs */
	MAX_ADDRESSES = 4096,
	MAX_PAYLOAD = 2048,
	MAX_NETLINK_MESSAGE = 256,
	MAX_FLUSH = 4096, /* stale packets dropped from one socket */
	MAX_ACKS = 8,     /* netlink answers looked at for one message */
	MAX_HOLD_MS = 3600000,
	REAL_TIME_PRIORITY = 20,
	COMPLAIN_EVERY_MS = 60000,
	GRACE_MS = 150, /* after the successor's first advertisement: its gratuitous ARP follows */
	VRRP_PROTOCOL = 112,
	VRRP_TTL = 255, /* RFC 9568 section 5.1.1.3 */
	TOS_CS6 = 0xc0,
	PRIORITY_INTERACTIVE = 6,
	EXIT_STREAM = 2,
	EXIT_ACTED = 3,
};
enum frame_type { FRAME_ORDERS = 1, FRAME_DISARM = 2 };

/* One raw socket for an interface and a source address. */
struct channel {
	int fd; /* -1: free */
	int interface_index;
	struct in_addr source;
	bool wanted;
};

struct farewell {
	int channel; /* -1: the interface could not be opened */
	uint8_t virtual_router;
	bool awaited; /* sent, and its successor not yet heard */
	uint16_t length;
	const uint8_t *payload;
};

struct deletion {
	uint16_t length;
	const uint8_t *message;
};

struct orders {
	uint32_t hold_ms, lease_ms, farewell_count, address_count;
	struct farewell farewells[MAX_FAREWELLS];
	struct deletion deletions[MAX_ADDRESSES];
	uint8_t bytes[MAX_BODY]; /* what payload and message point into */
};

static struct orders slots[2];
static struct orders *armed; /* NULL until the first orders */
static struct channel channels[MAX_FAREWELLS];
static uint8_t input[HEADER + MAX_BODY];
static size_t input_length;
static bool input_ended;
static int netlink_fd = -1;
static struct sockaddr_in group = {.sin_family = AF_INET};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint16_t read16(const uint8_t *p)
{
	uint16_t value;
	memcpy(&value, p, sizeof(value));
	return le16toh(value);
}

static uint32_t read32(const uint8_t *p)
{
	uint32_t value;
	memcpy(&value, p, sizeof(value));
	return le32toh(value);
}

/* One line to stderr; dropped when nobody would take it at once, for nothing here may block. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	char line[512] = "guardian: ";
	size_t start = strlen(line);
	va_list values;
	int length;

	va_start(values, format);
	length = vsnprintf(line + start, sizeof(line) - start - 1, format, values);
	va_end(values);
	if (length < 0)
		return;
	line[strlen(line)] = '\n'; /* the array is zeroed beyond what vsnprintf wrote */
	if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0 && write(STDERR_FILENO, line, strlen(line)) < 0)
		return;
}

static void answer(char byte)
{
	/* It may be a pipe, or nobody may be there any more: then nobody needs the answer. */
	(void)!send(ORDERS_FD, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- sockets ---- */

static bool set_option(int fd, int level, int name, const void *value, socklen_t length)
{
	return setsockopt(fd, level, name, value, length) == 0;
}

static bool set_int(int fd, int level, int name, int value)
{
	return set_option(fd, level, name, &value, sizeof(value));
}

static bool set_up_channel(int fd, const char *name, int index, struct in_addr source)
{
	/* Drops everything: while the daemon lives nobody reads here, and nothing must pile up. */
	struct sock_filter nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
	struct sock_fprog filter = {.len = 1, .filter = nothing};
	struct ip_mreqn out = {.imr_address = source, .imr_ifindex = index};
	struct ip_mreqn in = {.imr_multiaddr = group.sin_addr, .imr_ifindex = index};

	return set_option(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) &&
	       set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) &&
	       set_option(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)) &&
	       set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, VRRP_TTL) &&
	       set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) && set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) &&
	       set_int(fd, IPPROTO_IP, IP_TOS, TOS_CS6) &&
	       set_int(fd, SOL_SOCKET, SO_PRIORITY, PRIORITY_INTERACTIVE) &&
	       set_option(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &in, sizeof(in));
}

/* Index of the channel for an interface and a source, opened if need be; -1 with errno set. */
static int channel_for(const char *name, struct in_addr source)
{
	int index = (int)if_nametoindex(name), free_slot = -1;

	if (index == 0)
		return -1;
	for (int i = 0; i < MAX_FAREWELLS; i++) {
		struct channel *c = &channels[i];
		if (c->fd < 0) {
			if (free_slot < 0)
				free_slot = i;
		} else if (c->interface_index == index && c->source.s_addr == source.s_addr) {
			c->wanted = true;
			return i;
		}
	}
	if (free_slot < 0) {
		errno = ENFILE;
		return -1;
	}
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, VRRP_PROTOCOL);
	if (fd < 0)
		return -1;
	if (!set_up_channel(fd, name, index, source)) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	channels[free_slot] = (struct channel){fd, index, source, true};
	return free_slot;
}

static void close_unwanted_channels(void)
{
	for (int i = 0; i < MAX_FAREWELLS; i++) {
		if (channels[i].fd >= 0 && !channels[i].wanted) {
			close(channels[i].fd);
			channels[i].fd = -1;
		}
	}
}

/* ---- orders ---- */

/* Orders are renewed many times a second: one complaint a minute is enough. */
static void complain(const char *name, int error)
{
	static uint64_t silent_until;

	if (now_ms() < silent_until)
		return;
	silent_until = now_ms() + COMPLAIN_EVERY_MS;
	say("no farewell possible on %s: %s", name, strerror(error));
}

/* Reads one farewell at `at`; returns the position behind it, 0 when it is malformed. */
static size_t parse_farewell(const uint8_t *bytes, size_t length, size_t at, struct farewell *farewell)
{
	char name[IFNAMSIZ] = {0};
	struct in_addr source;

	if (length - at < FAREWELL_HEADER)
		return 0;
	size_t name_length = bytes[at + 1];
	size_t payload_length = read16(bytes + at + 2);
	if (bytes[at] == 0 || name_length == 0 || name_length >= IFNAMSIZ || payload_length == 0 ||
	    payload_length > MAX_PAYLOAD || length - at - FAREWELL_HEADER < name_length + payload_length)
		return 0;
	memcpy(&source, bytes + at + 4, sizeof(source));
	memcpy(name, bytes + at + FAREWELL_HEADER, name_length);
	if (source.s_addr == INADDR_ANY || strlen(name) != name_length)
		return 0;
	farewell->virtual_router = bytes[at];
	farewell->length = (uint16_t)payload_length;
	farewell->payload = bytes + at + FAREWELL_HEADER + name_length;
	farewell->awaited = false;
	farewell->channel = channel_for(name, source);
	if (farewell->channel < 0)
		complain(name, errno);
	return at + FAREWELL_HEADER + name_length + payload_length;
}

/* Reads one address at `at`; returns the position behind it, 0 when it is malformed. */
static size_t parse_deletion(const uint8_t *bytes, size_t length, size_t at, struct deletion *deletion)
{
	struct nlmsghdr header;

	if (length - at < 2)
		return 0;
	size_t message_length = read16(bytes + at);
	if (message_length < sizeof(header) || message_length > MAX_NETLINK_MESSAGE ||
	    length - at - 2 < message_length)
		return 0;
	memcpy(&header, bytes + at + 2, sizeof(header));
	if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > message_length)
		return 0;
	deletion->length = (uint16_t)message_length;
	deletion->message = bytes + at + 2;
	return at + 2 + message_length;
}

/* Takes orders in place of the former ones, or leaves those in force. */
static bool take_orders(const uint8_t *body, size_t length)
{
	struct orders *next = armed == &slots[0] ? &slots[1] : &slots[0];
	size_t at = ORDERS_HEADER;

	if (length < ORDERS_HEADER)
		return false;
	memcpy(next->bytes, body, length);
	next->hold_ms = read32(body);
	next->lease_ms = read32(body + 4);
	next->farewell_count = read32(body + 8);
	next->address_count = read32(body + 12);
	if (next->hold_ms > MAX_HOLD_MS || next->lease_ms > MAX_HOLD_MS || next->farewell_count > MAX_FAREWELLS ||
	    next->address_count > MAX_ADDRESSES)
		return false;
	for (uint32_t i = 0; i < next->farewell_count; i++)
		if ((at = parse_farewell(next->bytes, length, at, &next->farewells[i])) == 0)
			return false;
	for (uint32_t i = 0; i < next->address_count; i++)
		if ((at = parse_deletion(next->bytes, length, at, &next->deletions[i])) == 0)
			return false;
	if (at != length)
		return false;
	armed = next;
	return true;
}

/* Marks and opens the channels of new orders; those no longer wanted go only when the orders hold. */
static void handle_orders(const uint8_t *body, size_t length)
{
	for (int i = 0; i < MAX_FAREWELLS; i++)
		channels[i].wanted = false;
	if (!take_orders(body, length)) {
		say("malformed orders of %zu bytes refused%s", length, armed ? ", the former stay in force" : "");
		answer('X');
		/* Channels of the refused orders may stay open: the next good ones close them. */
		return;
	}
	close_unwanted_channels();
	answer('R');
}

/* Reads what fd 3 has now. */
static void read_input(void)
{
	while (!input_ended && input_length < sizeof(input)) {
		ssize_t got = read(ORDERS_FD, input + input_length, sizeof(input) - input_length);
		if (got > 0) {
			input_length += (size_t)got;
		} else if (got < 0 && errno == EINTR) {
			continue;
		} else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			return;
		} else {
			/* Also ECONNRESET: the daemon died with answers of ours unread. */
			input_ended = true;
		}
	}
}

/*
 * Handles the whole frames that have come in. Orders count only until the guardian acts: from then on its
 * fate is sealed, and the daemon can only release it. Returns whether new orders came.
 */
static bool handle_frames(bool acting)
{
	bool renewed = false;
	size_t at = 0;

	while (input_length - at >= HEADER) {
		uint32_t length = read32(input + at);
		uint32_t type = read32(input + at + 4);

		if (length > MAX_BODY || (type != FRAME_ORDERS && type != FRAME_DISARM) ||
		    (type == FRAME_DISARM && length != 0)) {
			say("malformed frame (length %u, type %u): the stream makes no sense any more", length, type);
			if (acting)
				break;
			exit(EXIT_STREAM);
		}
		if (input_length - at - HEADER < length)
			break;
		if (type == FRAME_DISARM) {
			if (acting)
				say("the daemon is back and takes its addresses over");
			exit(acting ? EXIT_ACTED : 0);
		}
		if (!acting) {
			handle_orders(input + at + HEADER, length);
			renewed = true;
		}
		at += HEADER + length;
	}
	memmove(input, input + at, input_length - at);
	input_length -= at;
	return renewed;
}

/* ---- acting ---- */

/* Whether a packet is VRRP of a master: of this virtual router, with a priority, from somebody else. */
static bool is_successor(const uint8_t *packet, size_t length, const struct channel *channel, uint8_t virtual_router)
{
	if (length < 20 || packet[0] >> 4 != 4)
		return false;
	size_t header = (size_t)(packet[0] & 0x0f) * 4;
	if (header < 20 || length < header + 8 || packet[8] != VRRP_TTL ||
	    memcmp(packet + 12, &channel->source, sizeof(channel->source)) == 0)
		return false;
	const uint8_t *vrrp = packet + header;
	/* RFC 9568 section 5.2: version and type ADVERTISEMENT, virtual router, priority (0: it leaves, too) */
	return (vrrp[0] == 0x31 || vrrp[0] == 0x21) && vrrp[1] == virtual_router && vrrp[2] != 0;
}

static void hear(int index)
{
	uint8_t packet[128]; /* the start is enough */

	for (int i = 0; i < MAX_FLUSH; i++) {
		ssize_t length = recv(channels[index].fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (length < 0)
			return;
		for (uint32_t f = 0; f < armed->farewell_count; f++) {
			struct farewell *farewell = &armed->farewells[f];
			if (farewell->channel == index &&
			    is_successor(packet, (size_t)length, &channels[index], farewell->virtual_router))
				farewell->awaited = false;
		}
	}
}

static void open_ears(void)
{
	uint8_t byte;
	int unused = 0;

	for (int i = 0; i < MAX_FAREWELLS; i++) {
		if (channels[i].fd < 0)
			continue;
		/* Packets from before the filter was attached say nothing about a successor. */
		for (int n = 0; n < MAX_FLUSH && recv(channels[i].fd, &byte, 1, MSG_DONTWAIT) >= 0; n++)
			;
		set_option(channels[i].fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	}
}

static uint32_t send_farewells(int *error)
{
	uint32_t sent = 0;

	for (uint32_t i = 0; i < armed->farewell_count; i++) {
		struct farewell *f = &armed->farewells[i];
		if (f->channel < 0)
			continue;
		if (sendto(channels[f->channel].fd, f->payload, f->length, MSG_DONTWAIT, (struct sockaddr *)&group,
			    sizeof(group)) == (ssize_t)f->length) {
			f->awaited = true;
			sent++;
		} else {
			*error = errno;
		}
	}
	return sent;
}

static uint32_t awaited_count(void)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < armed->farewell_count; i++)
		count += armed->farewells[i].awaited;
	return count;
}

/* Keeps the addresses until every successor was heard and had its grace, or the hold time is over. */
static void hold(uint64_t since)
{
	struct pollfd watched[MAX_FAREWELLS + 1];
	int indexes[MAX_FAREWELLS + 1];
	uint64_t until = since + armed->hold_ms;
	bool in_grace = false;

	for (;;) {
		nfds_t count = 0;
		uint64_t now = now_ms();

		if (!in_grace && awaited_count() == 0) {
			in_grace = true;
			until = now + GRACE_MS;
		}
		if (now >= until)
			return;
		if (!input_ended) {
			indexes[count] = -1;
			watched[count++] = (struct pollfd){.fd = ORDERS_FD, .events = POLLIN};
		}
		for (int i = 0; i < MAX_FAREWELLS; i++) {
			if (in_grace || channels[i].fd < 0)
				continue;
			indexes[count] = i;
			watched[count++] = (struct pollfd){.fd = channels[i].fd, .events = POLLIN};
		}
		if (poll(watched, count, (int)(until - now)) <= 0)
			continue;
		for (nfds_t i = 0; i < count; i++) {
			if (watched[i].revents == 0)
				continue;
			if (indexes[i] >= 0) {
				hear(indexes[i]);
			} else {
				read_input();
				handle_frames(true);
				/* A stream that fills the buffer without a sound frame is not looked at again. */
				if (input_length == sizeof(input))
					input_ended = true;
			}
		}
	}
}

/* Sends one netlink message and reads its acknowledgement: 0, or an errno. */
static int delete_address(const struct deletion *deletion)
{
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} reply;

	if (send(netlink_fd, deletion->message, deletion->length, MSG_DONTWAIT) < 0)
		return errno;
	/* rtnetlink works inside send(2): the acknowledgement is there already. */
	for (int i = 0; i < MAX_ACKS; i++) {
		ssize_t length = recv(netlink_fd, &reply, sizeof(reply), MSG_DONTWAIT);
		if (length < 0)
			return errno;
		if ((size_t)length >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
		    reply.header.nlmsg_type == NLMSG_ERROR)
			return -((struct nlmsgerr *)NLMSG_DATA(&reply.header))->error;
	}
	return EPROTO;
}

static uint32_t delete_addresses(int *error)
{
	uint32_t removed = 0;

	for (uint32_t i = 0; i < armed->address_count; i++) {
		int result = delete_address(&armed->deletions[i]);
		if (result == 0)
			removed++;
		else if (result != EADDRNOTAVAIL && result != ENODEV) /* it is gone: what was wanted */
			*error = result;
	}
	return removed;
}

__attribute__((noreturn)) static void act(const char *why)
{
	uint64_t start = now_ms();
	int send_error = 0, delete_error = 0;
	uint32_t sent, heard, removed;

	open_ears();
	sent = send_farewells(&send_error);
	answer('A');
	if (sent > 0)
		hold(start);
	heard = sent - awaited_count();
	uint64_t held = now_ms() - start;
	removed = delete_addresses(&delete_error);
	answer('D');
	say("%s: %u of %u farewells sent%s%s, successor heard for %u, %u of %u addresses removed after %llu ms%s%s", why,
		sent, armed->farewell_count, send_error ? ": " : "", send_error ? strerror(send_error) : "", heard,
		removed, armed->address_count, (unsigned long long)held, delete_error ? ": " : "",
		delete_error ? strerror(delete_error) : "");
	exit(EXIT_ACTED);
}

/* ---- life ---- */

static void stand_fast(void)
{
	/* SIGABRT: a service manager's watchdog may send it to all processes of the service. */
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2,
		SIGTSTP, SIGTTIN, SIGTTOU};
	struct sched_param param = {.sched_priority = REAL_TIME_PRIORITY};
	int fd;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	setsid();
	if (chdir("/") < 0)
		say("chdir: %s", strerror(errno));
	prctl(PR_SET_NAME, "lvs-guardian");
	/* The rest makes it more certain where it is permitted, and is no fault where it is not. */
	mlockall(MCL_CURRENT | MCL_FUTURE);
	sched_setscheduler(0, SCHED_RR, &param);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "-1000", 5);
		close(fd);
	}
}

static bool set_up(void)
{
	struct sockaddr_nl local = {.nl_family = AF_NETLINK};
	int flags = fcntl(ORDERS_FD, F_GETFL);

	if (flags < 0 || fcntl(ORDERS_FD, F_SETFL, flags | O_NONBLOCK) < 0) {
		say("file descriptor %d: %s (the daemon starts this program, nobody else)", ORDERS_FD, strerror(errno));
		return false;
	}
	inet_pton(AF_INET, "224.0.0.18", &group.sin_addr);
	for (int i = 0; i < MAX_FAREWELLS; i++)
		channels[i].fd = -1;
	netlink_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (netlink_fd < 0 || bind(netlink_fd, (struct sockaddr *)&local, sizeof(local)) < 0) {
		say("netlink: %s", strerror(errno));
		return false;
	}
	return true;
}

int main(void)
{
	uint64_t lease_until = 0;

	if (!set_up())
		return EXIT_FAILURE;
	stand_fast();
	for (;;) {
		struct pollfd orders = {.fd = ORDERS_FD, .events = POLLIN};
		bool leased = armed != NULL && armed->lease_ms > 0;
		uint64_t now = now_ms();
		int timeout = !leased ? -1 : now >= lease_until ? 0 : (int)(lease_until - now);
		int ready = poll(&orders, 1, timeout);

		if (ready > 0) {
			/* What lies in the pipe counts before the lease does: this process may have been late. */
			read_input();
			if (handle_frames(false) && armed != NULL)
				lease_until = now_ms() + armed->lease_ms;
			if (input_ended) {
				if (armed == NULL)
					return 0;
				act("the daemon died");
			}
		} else if (ready == 0 && leased && now_ms() >= lease_until) {
			act("the daemon hangs");
		}
	}
}
