/*
 * The guardian: withdraws this director when its daemon dies or hangs.
 *
 * It sleeps on file descriptor 3, over which the daemon hands it orders: ready-made VRRP payloads and
 * ready-made netlink messages. On end of file without a disarm (the daemon died, by whatever signal), or when
 * a lease runs out (it hangs), the guardian sends the farewells, keeps each virtual router's addresses until
 * its successor was heard or the hold time is over, removes them, and exits.
 *
 * Everything it needs at that moment (memory, sockets, group memberships) it takes beforehand. It sends and
 * hears UDP over raw sockets, too: a second socket bound to the daemon's port would take packets from it, or
 * get none while the daemon merely hangs.
 *
 * Frames on fd 3, integers little-endian unless said otherwise:
 *   u32 length of the body, u32 type, body
 *   type 1, orders: u32 holdMs, u32 leaseMs (0: none), u32 farewells, then each farewell:
 *     u8 virtual router, u8 family (4, 6), u8 IP protocol (112, or 17 for UDP), u8 destinations,
 *     u16 UDP port (0 with 112), u16 deletions,
 *     u8 length of the name of the interface where the successor is heard, u8 of the one to send from,
 *     u8 least TTL or hop limit of the successor's packets (raw ones alone), u8 zero,
 *     16 bytes source address (network order, an IPv4 address first), both names, then
 *       each destination: 16 bytes address, u16 length, IP payload (under UDP with its UDP header)
 *       each deletion:    u16 length, netlink message
 *   type 2, disarm: no body
 *   type 3, renewal of the lease: no body
 * Answers, one byte each: R orders or renewal taken, X refused (the former orders stay in force), A acting, D done.
 * Exit status: 0 disarmed or never armed, 2 the stream makes no sense, 3 it acted.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "advertisement.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

enum {
	ORDERS_FD = 3,
	HEADER = 8,
	ORDERS_HEADER = 12,
	FAREWELL_HEADER = 28,
	ADDRESS_LENGTH = 16, /* IPv4 addresses in the first four, zeros behind */
	DESTINATION_HEADER = ADDRESS_LENGTH + 2,
	MAX_BODY = 1 << 20,
	MAX_FAREWELLS = 512, /* all virtual router identifiers of one interface in both families */
	MAX_DESTINATIONS = 4096,
	MAX_DELETIONS = 8192,
	MAX_CHANNELS = 1024, /* one to hear and one macvlan to send from for each farewell */
	SPARE_FDS = 32,
	MAX_PAYLOAD = 8192, /* 240 IPv6 addresses and more than any link takes */
	MAX_NETLINK_MESSAGE = 256,
	MAX_FLUSH = 4096, /* stale packets dropped from one socket */
	MAX_HEARD = 256,  /* packets read from one socket before what is due is done */
	MAX_ACKS = 8,     /* netlink answers looked at for one message */
	MAX_HOLD_MS = 3600000,
	REAL_TIME_PRIORITY = 20,
	COMPLAIN_EVERY_MS = 60000,
	GRACE_MS = 150, /* after the successor's first advertisement: its gratuitous ARP follows */
	IPV4 = 4,
	IPV6 = 6,
	VRRP_PROTOCOL = 112,
	VRRP_HOPS = 255, /* RFC 9568 section 5.1.1.3 */
	UDP_HEADER = 8,
	MAX_PACKET = 60 + UDP_HEADER + MAX_ADVERTISEMENT, /* with the longest IPv4 header */
	UDP_DESTINATION_PORT = 2,
	TOS_CS6 = 0xc0,
	PRIORITY_INTERACTIVE = 6,
	EXIT_STREAM = 2,
	EXIT_ACTED = 3,
};
enum frame_type { FRAME_ORDERS = 1, FRAME_DISARM = 2, FRAME_RENEWAL = 3 };

/* One raw socket for an interface, a family and a protocol. */
struct channel {
	int fd; /* -1: free */
	int interface_index;
	uint8_t family, protocol;
	bool wanted;
	bool hears;  /* a successor may come this way */
	bool joined; /* a member of `group` */
	uint8_t group[ADDRESS_LENGTH];
};

struct destination {
	const uint8_t *address, *payload;
	uint16_t length;
};

struct deletion {
	uint16_t length;
	const uint8_t *message;
};

struct farewell {
	int ear, mouth; /* channels; -1: could not be opened */
	uint8_t virtual_router, family, protocol, least_hops;
	uint16_t port;
	const uint8_t *source;
	const struct destination *destinations;
	const struct deletion *deletions;
	uint16_t destination_count, deletion_count;
	bool sent, heard, gone;
	uint64_t until; /* once acting: when the addresses go */
};

struct orders {
	uint32_t hold_ms, lease_ms, farewell_count, destination_count, deletion_count;
	struct farewell farewells[MAX_FAREWELLS];
	struct destination destinations[MAX_DESTINATIONS];
	struct deletion deletions[MAX_DELETIONS];
	uint8_t bytes[MAX_BODY]; /* what all pointers point into */
};

/* A packet as it came in. */
struct packet {
	uint8_t source[ADDRESS_LENGTH], destination[ADDRESS_LENGTH];
	int hops; /* -1: not told */
	const uint8_t *body;
	size_t length;
};

static struct orders slots[2];
static struct orders *armed; /* NULL until the first orders */
static struct channel channels[MAX_CHANNELS];
static int channel_end; /* behind the last one ever used */
static uint8_t input[HEADER + MAX_BODY];
static size_t input_length;
static bool input_ended;
static int netlink_fd = -1;

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

/*
 * poll(2) knows of pipes, sockets and terminals whether a write would block. Of a file it does not, and the file system may
 * hang: then a child waits for it. One at a time; what comes meanwhile is dropped.
 */
static bool stderr_is_file;

static void write_words(const char *line)
{
	static pid_t writer;
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (stderr_is_file) {
		if (writer > 0 && waitpid(writer, NULL, WNOHANG) == 0)
			return;
		writer = fork();
		if (writer != 0)
			return;
		/* Its end must not look like the guardian's own. */
		close(ORDERS_FD);
	} else if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) {
		return;
	}
	(void)!write(STDERR_FILENO, line, strlen(line));
	if (stderr_is_file)
		_exit(EXIT_SUCCESS);
}

/* One line to stderr; dropped when nobody would take it at once, for nothing here may block. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
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
	write_words(line);
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

static bool is_multicast(uint8_t family, const uint8_t *address)
{
	return family == IPV4 ? (address[0] & 0xf0) == 0xe0 : address[0] == 0xff;
}

static bool set_up_ipv4(int fd)
{
	return set_int(fd, IPPROTO_IP, IP_TTL, VRRP_HOPS) && set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, VRRP_HOPS) &&
	       set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) && set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) &&
	       set_int(fd, IPPROTO_IP, IP_TOS, TOS_CS6);
}

static bool set_up_ipv6(int fd)
{
	/* IPV6_FREEBIND: a macvlan sends from the link-local address of the interface below it. */
	return set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, VRRP_HOPS) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, VRRP_HOPS) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) && set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, TOS_CS6) && set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) && set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
}

static bool set_up_channel(int fd, const char *name, uint8_t family)
{
	/* Drops everything: while the daemon lives nobody reads here, and nothing must pile up. */
	struct sock_filter nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
	struct sock_fprog filter = {.len = 1, .filter = nothing};

	return set_option(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) &&
	       set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) &&
	       (family == IPV4 ? set_up_ipv4(fd) : set_up_ipv6(fd)) &&
	       set_int(fd, SOL_SOCKET, SO_PRIORITY, PRIORITY_INTERACTIVE); /* IP_TOS resets it: last */
}

/* if_nametoindex(3) takes three system calls, and the farewells of one interface follow each other. */
static int index_of(const char *name, bool forget)
{
	static char last[IFNAMSIZ];
	static int index;

	if (forget)
		last[0] = 0;
	if (strcmp(name, last) != 0) {
		index = (int)if_nametoindex(name);
		strcpy(last, name);
	}
	if (index == 0)
		errno = ENODEV;
	return index;
}

/* Index of the channel for an interface, a family and a protocol, opened if need be; -1 with errno set. */
static int channel_for(const char *name, uint8_t family, uint8_t protocol)
{
	int index = index_of(name, false), free_slot = channel_end;

	if (index == 0)
		return -1;
	for (int i = 0; i < channel_end; i++) {
		struct channel *c = &channels[i];
		if (c->fd < 0) {
			free_slot = i;
		} else if (c->interface_index == index && c->family == family && c->protocol == protocol) {
			c->wanted = true;
			return i;
		}
	}
	if (free_slot == MAX_CHANNELS) {
		errno = ENFILE;
		return -1;
	}
	int fd = socket(family == IPV4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd < 0)
		return -1;
	if (!set_up_channel(fd, name, family)) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	channels[free_slot] = (struct channel){
		.fd = fd, .interface_index = index, .family = family, .protocol = protocol, .wanted = true};
	if (free_slot == channel_end)
		channel_end++;
	return free_slot;
}

static bool join(struct channel *channel, const uint8_t *group)
{
	bool done;

	if (channel->joined && memcmp(channel->group, group, ADDRESS_LENGTH) == 0)
		return true;
	if (channel->family == IPV4) {
		struct ip_mreqn request = {.imr_ifindex = channel->interface_index};
		memcpy(&request.imr_multiaddr, group, sizeof(request.imr_multiaddr));
		done = set_option(channel->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request));
	} else {
		struct ipv6_mreq request = {.ipv6mr_interface = (unsigned)channel->interface_index};
		memcpy(&request.ipv6mr_multiaddr, group, sizeof(request.ipv6mr_multiaddr));
		done = set_option(channel->fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof(request));
	}
	if (!done && errno != EADDRINUSE) /* a member already */
		return false;
	channel->joined = true;
	memcpy(channel->group, group, ADDRESS_LENGTH);
	return true;
}

static void close_unwanted_channels(void)
{
	for (int i = 0; i < channel_end; i++) {
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

/* What is still to be read of a body. */
struct reader {
	const uint8_t *at;
	size_t left;
};

/* The next `length` bytes, or NULL when there are not so many. */
static const uint8_t *take(struct reader *reader, size_t length)
{
	const uint8_t *bytes = reader->at;

	if (reader->left < length)
		return NULL;
	reader->at += length;
	reader->left -= length;
	return bytes;
}

static bool take_name(struct reader *reader, size_t length, char name[IFNAMSIZ])
{
	const uint8_t *bytes = take(reader, length);

	if (bytes == NULL || length == 0 || length >= IFNAMSIZ)
		return false;
	memset(name, 0, IFNAMSIZ);
	memcpy(name, bytes, length);
	return strlen(name) == length;
}

static bool take_destinations(struct reader *reader, struct orders *orders, struct farewell *farewell)
{
	farewell->destinations = &orders->destinations[orders->destination_count];
	for (uint16_t i = 0; i < farewell->destination_count; i++) {
		const uint8_t *head = take(reader, DESTINATION_HEADER);
		if (head == NULL || orders->destination_count == MAX_DESTINATIONS)
			return false;
		struct destination *destination = &orders->destinations[orders->destination_count++];
		destination->address = head;
		destination->length = read16(head + ADDRESS_LENGTH);
		destination->payload = take(reader, destination->length);
		if (destination->payload == NULL || destination->length == 0 || destination->length > MAX_PAYLOAD)
			return false;
	}
	return true;
}

static bool take_deletions(struct reader *reader, struct orders *orders, struct farewell *farewell)
{
	farewell->deletions = &orders->deletions[orders->deletion_count];
	for (uint16_t i = 0; i < farewell->deletion_count; i++) {
		const uint8_t *head = take(reader, 2);
		struct nlmsghdr header;
		if (head == NULL || orders->deletion_count == MAX_DELETIONS)
			return false;
		struct deletion *deletion = &orders->deletions[orders->deletion_count++];
		deletion->length = read16(head);
		deletion->message = take(reader, deletion->length);
		if (deletion->message == NULL || deletion->length < sizeof(header) ||
		    deletion->length > MAX_NETLINK_MESSAGE)
			return false;
		memcpy(&header, deletion->message, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > deletion->length)
			return false;
	}
	return true;
}

/* Opens what a sound farewell needs; without it the farewell stays unsaid, and the addresses go all the same. */
static void open_channels(struct farewell *farewell, const char *listen_name, const char *send_name)
{
	farewell->ear = channel_for(listen_name, farewell->family, farewell->protocol);
	if (farewell->ear < 0)
		complain(listen_name, errno);
	farewell->mouth = channel_for(send_name, farewell->family, farewell->protocol);
	if (farewell->mouth < 0)
		complain(send_name, errno);
	if (farewell->ear < 0)
		return;
	channels[farewell->ear].hears = true;
	for (uint16_t i = 0; i < farewell->destination_count; i++) {
		const uint8_t *address = farewell->destinations[i].address;
		if (is_multicast(farewell->family, address) && !join(&channels[farewell->ear], address))
			complain(listen_name, errno);
	}
}

static bool take_farewell(struct reader *reader, struct orders *orders, struct farewell *farewell)
{
	const uint8_t *head = take(reader, FAREWELL_HEADER);
	char listen_name[IFNAMSIZ], send_name[IFNAMSIZ];

	if (head == NULL)
		return false;
	*farewell = (struct farewell){.virtual_router = head[0], .family = head[1], .protocol = head[2],
		.destination_count = head[3], .port = read16(head + 4), .deletion_count = read16(head + 6),
		.least_hops = head[10], .source = head + 12};
	if (farewell->virtual_router == 0 || (farewell->family != IPV4 && farewell->family != IPV6) ||
	    (farewell->protocol != VRRP_PROTOCOL && farewell->protocol != IPPROTO_UDP) ||
	    (farewell->protocol == IPPROTO_UDP) != (farewell->port != 0) || head[11] != 0)
		return false;
	if (!take_name(reader, head[8], listen_name) || !take_name(reader, head[9], send_name) ||
	    !take_destinations(reader, orders, farewell) || !take_deletions(reader, orders, farewell))
		return false;
	open_channels(farewell, listen_name, send_name);
	return true;
}

/* Takes orders in place of the former ones, or leaves those in force. */
static bool take_orders(const uint8_t *body, size_t length)
{
	struct orders *next = armed == &slots[0] ? &slots[1] : &slots[0];
	struct reader reader = {.at = next->bytes + ORDERS_HEADER, .left = length - ORDERS_HEADER};

	if (length < ORDERS_HEADER)
		return false;
#ifdef __SANITIZE_ADDRESS__ /* what lies behind the body is nobody's */
	ASAN_UNPOISON_MEMORY_REGION(next->bytes, MAX_BODY);
	ASAN_POISON_MEMORY_REGION(next->bytes + length, MAX_BODY - length);
#endif
	memcpy(next->bytes, body, length);
	next->hold_ms = read32(body);
	next->lease_ms = read32(body + 4);
	next->farewell_count = read32(body + 8);
	next->destination_count = next->deletion_count = 0;
	if (next->hold_ms > MAX_HOLD_MS || next->lease_ms > MAX_HOLD_MS || next->farewell_count > MAX_FAREWELLS)
		return false;
	index_of("", true);
	for (uint32_t i = 0; i < next->farewell_count; i++)
		if (!take_farewell(&reader, next, &next->farewells[i]))
			return false;
	if (reader.left != 0)
		return false;
	armed = next;
	return true;
}

/* Marks and opens the channels of new orders; those no longer wanted go only when the orders hold. */
static void handle_orders(const uint8_t *body, size_t length)
{
	for (int i = 0; i < channel_end; i++)
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
 * fate is sealed, and the daemon can only release it. Returns whether the lease is renewed.
 */
static bool handle_frames(bool acting)
{
	bool renewed = false;
	size_t at = 0;

	while (input_length - at >= HEADER) {
		uint32_t length = read32(input + at);
		uint32_t type = read32(input + at + 4);

		if (length > MAX_BODY || type < FRAME_ORDERS || type > FRAME_RENEWAL ||
		    (type != FRAME_ORDERS && length != 0)) {
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
		if (!acting && type == FRAME_RENEWAL) {
			answer(armed != NULL ? 'R' : 'X');
			renewed = true;
		} else if (!acting) {
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

/* Under IPv4 the packet comes with its IP header. */
static bool read_ipv4(struct packet *packet, const uint8_t *bytes, size_t length)
{
	if (length < 20 || bytes[0] >> 4 != IPV4)
		return false;
	size_t header = (size_t)(bytes[0] & 0x0f) * 4;
	if (header < 20 || length < header)
		return false;
	packet->hops = bytes[8];
	memcpy(packet->source, bytes + 12, 4);
	memcpy(packet->destination, bytes + 16, 4);
	packet->body = bytes + header;
	packet->length = length - header;
	return true;
}

/* Under IPv6 without it: addresses and hop limit come beside it. */
static bool read_ipv6(struct packet *packet, const uint8_t *bytes, size_t length, struct msghdr *message)
{
	const struct sockaddr_in6 *from = message->msg_name;

	if (message->msg_namelen < sizeof(*from))
		return false;
	memcpy(packet->source, &from->sin6_addr, ADDRESS_LENGTH);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo)))
			memcpy(packet->destination, CMSG_DATA(c), ADDRESS_LENGTH); /* ipi6_addr comes first */
		else if (c->cmsg_type == IPV6_HOPLIMIT && c->cmsg_len >= CMSG_LEN(sizeof(int)))
			memcpy(&packet->hops, CMSG_DATA(c), sizeof(int));
	}
	packet->body = bytes;
	packet->length = length;
	return true;
}

/*
 * Whether a packet came the way this farewell went: by its group from somebody else, or from a named peer. A member of
 * the group is never behind routers, a peer may be (RFC 9568 section 5.1.1.3); within UDP nothing is asked.
 */
static bool came_from_peers(const struct farewell *f, const struct packet *packet)
{
	if (f->protocol == VRRP_PROTOCOL && packet->hops < f->least_hops)
		return false;
	for (uint16_t i = 0; i < f->destination_count; i++) {
		const uint8_t *address = f->destinations[i].address;
		bool ours = memcmp(packet->destination, f->source, ADDRESS_LENGTH) == 0;
		if (is_multicast(f->family, address)) {
			if (memcmp(packet->destination, address, ADDRESS_LENGTH) == 0 &&
			    memcmp(packet->source, f->source, ADDRESS_LENGTH) != 0)
				return true;
		} else if (ours && memcmp(packet->source, address, ADDRESS_LENGTH) == 0) {
			return true;
		}
	}
	return false;
}

/* Without its UDP header. */
static struct message vrrp_of(const struct farewell *f, const uint8_t *bytes, size_t length)
{
	size_t header = f->protocol == IPPROTO_UDP ? UDP_HEADER : 0;

	return length < header ? (struct message){bytes, 0} : (struct message){bytes + header, length - header};
}

/* Whether a packet is a master's, as the election would judge: priority 0 leaves, too. */
static bool is_successor(const struct farewell *f, const struct packet *packet)
{
	const uint8_t *body = packet->body;
	struct message heard = vrrp_of(f, body, packet->length), own;
	struct envelope envelope = {
		.ipv6 = f->family == IPV6, .source = packet->source, .destination = packet->destination};

	if (heard.length < 3 || heard.bytes[1] != f->virtual_router || heard.bytes[2] == 0)
		return false;
	if (f->protocol == IPPROTO_UDP &&
	    (body[UDP_DESTINATION_PORT] << 8 | body[UDP_DESTINATION_PORT + 1]) != f->port)
		return false;
	if (!came_from_peers(f, packet)) /* nor is it where there are no peers */
		return false;
	own = vrrp_of(f, f->destinations[0].payload, f->destinations[0].length);
	return speaks_for_same_router(own, heard, envelope);
}

/* A successor ends the wait of its virtual router, after the grace. */
static void note_packet(int index, const struct packet *packet)
{
	for (uint32_t i = 0; i < armed->farewell_count; i++) {
		struct farewell *f = &armed->farewells[i];
		if (f->ear != index || f->heard || f->gone || !is_successor(f, packet))
			continue;
		uint64_t grace_over = now_ms() + GRACE_MS;
		f->heard = true;
		if (grace_over < f->until)
			f->until = grace_over;
	}
}

static void hear(int index)
{
	static uint8_t bytes[MAX_PACKET];
	char control[256];
	struct sockaddr_in6 from;

	for (int i = 0; i < MAX_HEARD; i++) {
		struct packet packet = {.hops = -1};
		struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
		struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part,
			.msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
		ssize_t length = recvmsg(channels[index].fd, &message, MSG_DONTWAIT);
		if (length < 0)
			return;
		if (channels[index].family == IPV4 ? read_ipv4(&packet, bytes, (size_t)length)
						   : read_ipv6(&packet, bytes, (size_t)length, &message))
			note_packet(index, &packet);
	}
}

static void open_ears(void)
{
	uint8_t byte;
	int unused = 0;

	for (int i = 0; i < channel_end; i++) {
		if (channels[i].fd < 0 || !channels[i].hears)
			continue;
		/* Packets from before the filter was attached say nothing about a successor. */
		for (int n = 0; n < MAX_FLUSH && recv(channels[i].fd, &byte, 1, MSG_DONTWAIT) >= 0; n++)
			;
		set_option(channels[i].fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	}
}

/* Sends one payload with the farewell's source address: 0, or an errno. */
static int send_one(const struct farewell *f, const struct destination *destination)
{
	const struct channel *channel = &channels[f->mouth];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
	struct sockaddr_in to4 = {.sin_family = AF_INET};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)channel->interface_index};
	struct iovec part = {.iov_base = (void *)destination->payload, .iov_len = destination->length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (f->family == IPV4) {
		struct in_pktinfo info = {.ipi_ifindex = channel->interface_index};
		memcpy(&info.ipi_spec_dst, f->source, sizeof(info.ipi_spec_dst));
		memcpy(&to4.sin_addr, destination->address, sizeof(to4.sin_addr));
		message.msg_name = &to4;
		message.msg_namelen = sizeof(to4);
		message.msg_controllen = CMSG_SPACE(sizeof(info));
		*c = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO};
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)channel->interface_index};
		memcpy(&info.ipi6_addr, f->source, sizeof(info.ipi6_addr));
		memcpy(&to6.sin6_addr, destination->address, sizeof(to6.sin6_addr));
		message.msg_name = &to6;
		message.msg_namelen = sizeof(to6);
		message.msg_controllen = CMSG_SPACE(sizeof(info));
		*c = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO};
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
	return sendmsg(channel->fd, &message, MSG_DONTWAIT) < 0 ? errno : 0;
}

static uint32_t send_farewells(int *error)
{
	uint32_t sent = 0;

	for (uint32_t i = 0; i < armed->farewell_count; i++) {
		struct farewell *f = &armed->farewells[i];
		for (uint16_t d = 0; f->mouth >= 0 && d < f->destination_count; d++) {
			int result = send_one(f, &f->destinations[d]);
			if (result == 0)
				f->sent = true;
			else
				*error = result;
		}
		sent += f->sent;
	}
	return sent;
}

/* Sends one netlink message and reads its acknowledgement: 0, or an errno. */
static int delete_one(const struct deletion *deletion)
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

/* A link that is set down is not one of those; it may take addresses along. */
static bool is_counted(const struct deletion *deletion)
{
	struct nlmsghdr header;

	memcpy(&header, deletion->message, sizeof(header));
	return header.nlmsg_type != RTM_NEWLINK;
}

struct account {
	uint32_t removed, wanted;
	int error;
};

static void let_go(struct farewell *f, struct account *account)
{
	f->gone = true;
	for (uint16_t i = 0; i < f->deletion_count; i++) {
		int result = delete_one(&f->deletions[i]);
		bool counted = is_counted(&f->deletions[i]);
		account->wanted += counted;
		if (result == 0 || result == EADDRNOTAVAIL)
			account->removed += counted;
		else if (result != ESRCH && result != ENODEV) /* gone: what was wanted */
			account->error = result;
	}
}

/* Lets go of what is due; returns when the next is, UINT64_MAX when all is gone. */
static uint64_t let_go_due(struct account *account)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < armed->farewell_count; i++) {
		struct farewell *f = &armed->farewells[i];
		if (!f->gone && f->until <= now_ms())
			let_go(f, account);
		if (!f->gone && f->until < next)
			next = f->until;
	}
	return next;
}

static void wait_and_hear(uint64_t until)
{
	static struct pollfd watched[MAX_CHANNELS + 1];
	static int indexes[MAX_CHANNELS + 1];
	uint64_t now = now_ms();
	nfds_t count = 0;

	if (!input_ended) {
		indexes[count] = -1;
		watched[count++] = (struct pollfd){.fd = ORDERS_FD, .events = POLLIN};
	}
	for (int i = 0; i < channel_end; i++) {
		if (channels[i].fd < 0 || !channels[i].hears)
			continue;
		indexes[count] = i;
		watched[count++] = (struct pollfd){.fd = channels[i].fd, .events = POLLIN};
	}
	if (poll(watched, count, until > now ? (int)(until - now) : 0) <= 0)
		return;
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

__attribute__((noreturn)) static void act(const char *why)
{
	struct account account = {0};
	uint64_t start = now_ms(), next;
	int error = 0;
	uint32_t sent, heard = 0;

	open_ears();
	sent = send_farewells(&error);
	answer('A');
	/* Who could not say farewell has nobody to wait for. */
	for (uint32_t i = 0; i < armed->farewell_count; i++)
		armed->farewells[i].until = armed->farewells[i].sent ? start + armed->hold_ms : start;
	while ((next = let_go_due(&account)) != UINT64_MAX)
		wait_and_hear(next);
	answer('D');
	for (uint32_t i = 0; i < armed->farewell_count; i++)
		heard += armed->farewells[i].heard;
	say("%s: %u of %u farewells sent%s%s, successor heard for %u, %u of %u addresses and routes removed within %llu ms%s%s",
		why, sent, armed->farewell_count, error ? ": " : "", error ? strerror(error) : "", heard,
		account.removed, account.wanted, (unsigned long long)(now_ms() - start), account.error ? ": " : "",
		account.error ? strerror(account.error) : "");
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
#ifndef __SANITIZE_ADDRESS__ /* whose shadow memory cannot be locked */
	mlockall(MCL_CURRENT | MCL_FUTURE);
#endif
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
	struct rlimit files;
	struct stat words;
	int flags = fcntl(ORDERS_FD, F_GETFL);

	/* Once: of a file system that hangs even this may be slow. */
	stderr_is_file = fstat(STDERR_FILENO, &words) == 0 && S_ISREG(words.st_mode);
	if (flags < 0 || fcntl(ORDERS_FD, F_SETFL, flags | O_NONBLOCK) < 0) {
		say("file descriptor %d: %s (the daemon starts this program, nobody else)", ORDERS_FD, strerror(errno));
		return false;
	}
	/* Soft limits are often 1024, the hard one of a service is more. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < MAX_CHANNELS + SPARE_FDS) {
		files.rlim_cur =
			files.rlim_max < MAX_CHANNELS + SPARE_FDS ? files.rlim_max : MAX_CHANNELS + SPARE_FDS;
		setrlimit(RLIMIT_NOFILE, &files);
	}
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
