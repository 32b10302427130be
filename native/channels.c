/* Raw sockets and group memberships, taken while there is time. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "channels.h"
#include "words.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_FLUSH = 4096, /* stale packets dropped from one socket */
	COMPLAIN_EVERY_S = 60,
	VRRP_HOPS = 255, /* RFC 9568 section 5.1.1.3 */
	TOS_CS6 = 0xc0,
	PRIORITY_INTERACTIVE = 6,
};

struct channel channels[MAX_CHANNELS];
int channel_end;

static bool set_option(int fd, int level, int name, const void *value, socklen_t length)
{
	return setsockopt(fd, level, name, value, length) == 0;
}

static bool set_int(int fd, int level, int name, int value)
{
	return set_option(fd, level, name, &value, sizeof(value));
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

/* Orders are renewed many times a second: one complaint a minute is enough. */
static void complain(const char *name, int error)
{
	static time_t silent_until;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < silent_until)
		return;
	silent_until = now.tv_sec + COMPLAIN_EVERY_S;
	say("no farewell possible on %s: %s", name, strerror(error));
}

/* Opens what a sound farewell needs; without it the farewell stays unsaid, and the addresses go all the same. */
static void open_channels_of(struct farewell *farewell)
{
	const char *listen_name = farewell->listen_name, *send_name = farewell->send_name;

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

void open_channels(struct orders *orders)
{
	for (int i = 0; i < channel_end; i++)
		channels[i].wanted = false;
	index_of("", true);
	for (uint32_t i = 0; i < orders->farewell_count; i++)
		open_channels_of(&orders->farewells[i]);
	close_unwanted_channels();
}

void open_ears(void)
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
