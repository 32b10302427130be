/* All that a takeover says, made ready beforehand and sent in one call. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "addon.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum {
	MAX_SHOTS = 256,
	MAX_ANSWER = 8192, /* of one acknowledgement: it may bring the request back */
};

struct shot {
	int fd;
	void *bytes;
	size_t length;
	void *address;
	size_t address_length;
};

/* Requests in a netlink datagram, each of which is to be acknowledged. */
static unsigned int count_requests(const struct shot *shot)
{
	unsigned int count = 0;
	size_t at = 0;

	while (shot->length - at >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr header;

		memcpy(&header, (const char *)shot->bytes + at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > shot->length - at)
			break;
		count++;
		at += NLMSG_ALIGN(header.nlmsg_len);
		if (at > shot->length)
			break;
	}
	return count;
}

/*
 * rtnetlink does its work within sendmsg(2): the answers are there. Reads them all, so that none is left for the next
 * volley, and returns the first refusal; EPROTO when one is missing.
 */
static int read_answers(const struct shot *shot)
{
	_Alignas(struct nlmsghdr) char answer[MAX_ANSWER];
	unsigned int wanted = count_requests(shot), acknowledged = 0;
	int refused = 0;

	for (;;) {
		struct sockaddr_nl sender = {0};
		socklen_t sender_length = sizeof(sender);
		ssize_t got = recvfrom(shot->fd, answer, sizeof(answer), MSG_DONTWAIT, (struct sockaddr *)&sender,
			&sender_length);
		int left = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (got < 0)
			return errno;
		if (sender.nl_pid != 0)
			continue;
		for (struct nlmsghdr *header = (struct nlmsghdr *)answer; NLMSG_OK(header, left);
			header = NLMSG_NEXT(header, left)) {
			struct nlmsgerr error;

			if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_len < NLMSG_LENGTH(sizeof(error.error)))
				continue;
			memcpy(&error.error, NLMSG_DATA(header), sizeof(error.error));
			acknowledged++;
			if (error.error != 0 && refused == 0)
				refused = -error.error;
		}
	}
	if (refused != 0)
		return refused;
	return acknowledged < wanted ? EPROTO : 0;
}

/* 0 or an errno. */
static int fire(const struct shot *shot)
{
	sa_family_t family = AF_UNSPEC;

	while (sendto(shot->fd, shot->bytes, shot->length, MSG_NOSIGNAL | MSG_DONTWAIT, shot->address,
		       (socklen_t)shot->address_length) < 0) {
		if (errno != EINTR)
			return errno;
	}
	if (shot->address_length >= sizeof(family))
		memcpy(&family, shot->address, sizeof(family));
	return family == AF_NETLINK ? read_answers(shot) : 0;
}

static bool read_shot(napi_env env, const napi_value *arrays, uint32_t index, struct shot *shot)
{
	napi_value handle, message, address;

	if (napi_get_element(env, arrays[0], index, &handle) != napi_ok ||
	    napi_get_element(env, arrays[1], index, &message) != napi_ok ||
	    napi_get_element(env, arrays[2], index, &address) != napi_ok)
		return false;
	if ((shot->fd = addon_descriptor(env, handle)) < 0 ||
	    !addon_bytes(env, message, &shot->bytes, &shot->length) ||
	    !addon_bytes(env, address, &shot->address, &shot->address_length))
		return false;
	if (shot->address_length > sizeof(struct sockaddr_storage)) {
		addon_throw(env, EINVAL, "volley");
		return false;
	}
	return true;
}

/*
 * volley(handles, messages, sockaddrs): sends in this order, and what comes behind a refusal is not sent. A netlink
 * message is sent when the kernel has acknowledged each request in it. Nothing is sent when a handle is closed. Throws
 * the refusal.
 */
napi_value fire_volley(napi_env env, napi_callback_info info)
{
	struct shot shots[MAX_SHOTS];
	napi_value arrays[3];
	uint32_t counts[3];

	if (!addon_arguments(env, info, 3, arrays))
		return NULL;
	for (int i = 0; i < 3; i++) {
		if (napi_get_array_length(env, arrays[i], &counts[i]) != napi_ok)
			return addon_throw(env, EINVAL, "volley");
	}
	if (counts[0] > MAX_SHOTS || counts[0] != counts[1] || counts[0] != counts[2])
		return addon_throw(env, EINVAL, "volley");
	for (uint32_t i = 0; i < counts[0]; i++) {
		if (!read_shot(env, arrays, i, &shots[i]))
			return NULL;
	}
	for (uint32_t i = 0; i < counts[0]; i++) {
		int refused = fire(&shots[i]);

		if (refused != 0)
			return addon_throw(env, refused, "volley");
	}
	return NULL;
}
